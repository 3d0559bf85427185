import pytest

from edge_agent.gate_control.simulation.__main__ import play
from edge_agent.gate_control.simulation.canal import GateSpec, IntegratorDelayCanal, PoolSpec, gate_flow_m3s
from edge_agent.gate_control.simulation.example import example_canal
from edge_agent.gate_control.simulation.plant import Lower, Plant, Position, Raise, Stop
from edge_agent.gate_control.simulation.site import Fault, SimulatedSite
from shared.clock import SystemClock


def test_water_is_neither_made_nor_lost() -> None:
    pool = PoolSpec(area_m2=1000.0, delay_s=60.0, invert_m=0.0, level_m=2.0)
    canal = IntegratorDelayCanal([GateSpec("g1", opening_pct=0.0)], [pool], inflow_m3s=1.0)
    canal.advance(600.0)
    assert canal.levels_m[0] == pytest.approx(2.0 + 600.0 / 1000.0)


def test_a_change_of_inflow_arrives_after_the_delay() -> None:
    pool = PoolSpec(area_m2=1000.0, delay_s=60.0, invert_m=0.0, level_m=2.0)
    canal = IntegratorDelayCanal([GateSpec("g1", opening_pct=0.0)], [pool], inflow_m3s=0.0)
    canal.inflow_m3s = 1.0
    canal.advance(60.0)
    assert canal.levels_m[0] == pytest.approx(2.0)
    canal.advance(70.0)
    assert canal.levels_m[0] == pytest.approx(2.0 + 10.0 / 1000.0)


def test_an_actuator_moves_at_its_stroke_speed_and_stops_when_told() -> None:
    canal: Plant = example_canal()
    canal.write("g1", Raise())
    canal.advance(12.0)
    position = {sample.point: sample.value for sample in canal.samples()}["g1.position"]
    assert position == pytest.approx(42.0)
    canal.write("g1", Stop())
    canal.advance(24.0)
    assert {sample.point: sample.value for sample in canal.samples()}["g1.position"] == pytest.approx(42.0)
    canal.write("g1", Lower())
    canal.write("g1", Position(41.0))
    canal.advance(60.0)
    assert {sample.point: sample.value for sample in canal.samples()}["g1.position"] == pytest.approx(41.0)


def test_samples_are_given_once() -> None:
    canal = example_canal()
    canal.advance(5.0)
    assert canal.samples()
    assert canal.samples() == []


def test_a_drowned_gate_passes_less_than_a_free_one() -> None:
    gate = GateSpec("g1")
    free, drowned = (gate_flow_m3s(gate, 30.0, 2.0, behind_m, 0.0) for behind_m in (-1.0, 1.5))
    assert 0.0 < drowned < free
    assert gate_flow_m3s(gate, 30.0, -1.0, -1.0, 0.0) == 0.0


def test_lines_play_faults_demands_and_inflow() -> None:
    site = SimulatedSite(example_canal(), SystemClock())
    stuck = []
    for line in ("g1 stuck", "g1 clear"):
        play(site, line)
        stuck.append(site.canal.actuators["g1"].is_stuck)
    assert stuck == [True, False]
    play(site, "g1 demand 1.5")
    play(site, "inflow 4")
    assert (site.canal.demands_m3s["g1"], site.canal.inflow_m3s) == (1.5, 4.0)
    for wrong in ("g9 stuck", "g1 dances", "g1", "inflow much", "g9 demand 1"):
        with pytest.raises((KeyError, ValueError, IndexError)):
            play(site, wrong)
    assert {fault.value for fault in Fault} >= {"frozen", "stale", "nan", "silent", "exception", "garbage", "stuck", "local"}
