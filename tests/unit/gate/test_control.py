"""Levels and flows held on the simulated canal: by feedback, by a neighbour's flow, through bad sensors and restarts."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from edge_agent.gate_control.decide.limits import TravelLimits
from edge_agent.gate_control.decide.sharing import Bay, Water, bay_flow_m3s, share_flow
from edge_agent.gate_control.model.pools import Structure
from edge_agent.gate_control.model.values import Quality, Sample
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import DeliveryOrder, FlowObjective, GateDirective, UpstreamLevelObjective
from tests.fakes.gate import START, make_bench, make_plan, with_value

HELD = UpstreamLevelObjective(level_m=2.0)


def test_the_level_is_brought_to_its_setpoint_and_held() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)))
    bench.run(3 * 3600)
    assert all(abs(level_m - 2.1) < 0.01 for level_m in bench.levels_m[-1800:])


def test_an_unannounced_demand_is_made_up_for_with_few_starts() -> None:
    bench = make_bench(make_plan(HELD))
    bench.run(1800)
    bench.canal.demands.flows_m3s["g1-field"] = 0.8
    before = len(bench.moves())
    bench.run(3 * 3600)
    assert abs(bench.levels_m[-1] - 2.0) < 0.01
    assert max(abs(level_m - 2.0) for level_m in bench.levels_m[1800:]) < 0.12
    assert len(bench.moves()) - before < 40


@pytest.mark.parametrize("noise_m", [0.001, 0.003])
def test_noise_does_not_wear_the_motor_out(noise_m: float) -> None:
    signs = iter([1, -1, 1, 1, -1, -1] * 20_000)

    def noisy(sample: Sample) -> Sample:
        if sample.point != "g1-level" or sample.value is None:
            return sample
        return with_value(sample, sample.point, sample.value + next(signs) * noise_m)

    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.05)), distort=noisy)
    bench.run(1800)
    before = len(bench.moves())
    bench.run(3600)
    assert len(bench.moves()) - before <= 30
    assert abs(bench.levels_m[-1] - 2.05) < 0.02


def test_taking_over_moves_nothing_wherever_the_gate_stands() -> None:
    bench = make_bench(make_plan(HELD))
    bench.run(30)
    assert bench.commands == []
    assert bench.controller().wanted_flow_m3s == pytest.approx(bench.canal.flow_m3s("g1"), rel=0.2)


@pytest.mark.parametrize("reboot", [False, True])
def test_a_restart_moves_nothing_by_itself(reboot: bool) -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)))
    bench.run(2 * 3600)
    opening_pct, seen = bench.position_pct(), len(bench.commands)
    bench.kill(reboot=reboot)
    bench.run(120)
    assert abs(bench.position_pct() - opening_pct) <= 1.0
    assert len(bench.commands) - seen <= 1
    assert abs(bench.levels_m[-1] - 2.1) < 0.01


def test_with_its_state_lost_the_gate_observes_until_it_is_armed() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)))
    bench.run(600)
    seen = len(bench.commands)
    bench.kill(lose_state=True)
    bench.run(600)
    assert (bench.gate().mode, len(bench.commands)) == ("OBSERVE", seen)


def test_without_a_level_the_flow_is_held_and_after_its_time_comes_the_fallback() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)), fallback={"kind": "position", "opening_pct": 45.0, "after_s": 300})
    bench.run(600)
    bench.distort = lambda sample: with_value(sample, "g1-level", None)
    bench.run(60)
    held_pct = bench.position_pct()
    assert bench.has_alarm("g1/sensor_stale.g1-level")
    bench.run(200)
    assert bench.position_pct() == held_pct
    bench.run(600)
    assert abs(bench.position_pct() - 45.0) <= 0.5
    assert bench.gate().mode == "FALLBACK"
    assert bench.has_alarm("g1/fallback_active")
    bench.distort = lambda sample: sample
    bench.run(30)
    assert bench.gate().mode == "AUTO"


def test_a_level_older_than_the_phase_margin_bears_is_not_used_though_its_sensor_is_not_stale_yet() -> None:
    site = example_site()
    slow = site.points[0].model_copy(update={"stale_after_s": 1_000.0})
    bench = make_bench(make_plan(HELD))
    bench.site = site.model_copy(update={"points": (slow, *site.points[1:])})
    bench.run(60)
    old: dict[str, Sample] = {}

    def late(sample: Sample) -> Sample:
        return old.setdefault(sample.point, sample) if sample.point == "g1-level" else sample

    bench.distort = late
    bench.run(300)
    level = bench.readings["p1/tail"]
    assert level.quality is not Quality.BAD
    assert "old, the loop bears" in bench.gate().reasons[0]


def test_scans_that_waver_by_a_few_hundredths_of_a_second_make_no_step_wait_for_the_next_scan() -> None:
    bench = make_bench(make_plan(HELD))
    source = random.Random(1)
    steps: list[float] = []
    for second in range(1, 400):
        bench.time_s = float(second)
        bench.canal.advance(bench.time_s)
        bench.decide_at(bench.time_s + source.uniform(0.0, 0.04))
        at_s = bench.controller().controlled_at_s
        if at_s is not None and (not steps or steps[-1] != at_s):
            steps.append(at_s)
    gaps = [later - earlier for earlier, later in pairwise(steps)]
    assert len(gaps) > 15
    assert max(gaps) < 20.1


def test_open_on_high_opens_once_the_level_is_high_and_not_before() -> None:
    site = example_site(fallback={"kind": "open_on_high", "opening_pct": 80.0, "after_s": 60})
    second = site.points[0].model_copy(update={"id": "spare", "register_address": 110})
    bench = make_bench(make_plan(HELD))
    # the loop bears no age at all: its level can never be followed, while the level itself is known
    [structure] = site.structures
    assert structure.upstream_loop is not None
    hasty = structure.model_copy(update={"upstream_loop": structure.upstream_loop.model_copy(update={"kp_m2_per_s": 5_000.0})})
    bench.site = site.model_copy(update={"points": (*site.points, second), "structures": (hasty,)})
    bench.distort = lambda sample: replace(sample, sampled_at_s=sample.sampled_at_s - 2.0) if sample.point == "g1-level" else sample
    bench.run(120)
    assert (bench.gate().mode, bench.commands) == ("FALLBACK", [])
    bench.canal.set_inflow("p1", 12.0)
    bench.run(300)
    assert bench.levels_m[-1] > 2.5
    assert bench.moves()[-1][1] > 40.0


def test_a_flow_is_set_by_the_gate_law_and_followed_as_the_level_changes() -> None:
    bench = make_bench(make_plan(FlowObjective(flow_m3s=2.0)))
    bench.run(900)
    assert bench.memory.state.flows_m3s["g1"] == pytest.approx(2.0, abs=0.1)
    bench.canal.set_inflow("p1", 1.0)
    bench.run(1800)
    assert bench.levels_m[-1] < 1.99
    assert bench.memory.state.flows_m3s["g1"] == pytest.approx(2.0, abs=0.1)


def test_a_measured_flow_corrects_the_gate_law_slowly() -> None:
    site = example_site()
    [structure] = site.structures
    meter = site.points[0].model_copy(update={"id": "meter", "unit": "m3s", "valid_min": 0.0, "valid_max": 10.0, "max_rate_per_s": 5.0})
    measured = structure.model_copy(update={"flow_loop": structure.flow_loop.model_copy(update={"flow_points": ("meter",)})})
    bench = make_bench(make_plan(FlowObjective(flow_m3s=3.5)))
    bench.site = site.model_copy(update={"points": (*site.points, meter), "structures": (measured,)})
    share = 0.85

    bench.more = lambda: [Sample("meter", share * bench.canal.flow_m3s("g1"), bench.time_s)]
    bench.canal.set_inflow("p1", 3.5 / share)
    bench.run(2 * 3600)
    assert share * bench.canal.flow_m3s("g1") == pytest.approx(3.5, abs=0.1)
    assert bench.controller().flow_bias_m3s > 0.2


def test_below_the_drown_limit_flow_is_not_controlled_and_an_alarm_says_so() -> None:
    gates = ("g1", "g2")
    directives = {gate: GateDirective(objective=FlowObjective(flow_m3s=4.0)) for gate in gates}
    bench = make_bench(make_plan().model_copy(update={"gates": directives}), gates=gates)
    bench.run(10)
    bench.distort = lambda sample: with_value(sample, "g2-level", 4.99) if sample.point == "g2-level" else sample
    bench.memory = replace(bench.memory, histories={})
    wide = [one.model_copy(update={"valid_max": 9.0}) if one.id == "g2-level" else one for one in bench.site.points]
    bench.site = bench.site.model_copy(update={"points": tuple(wide)})
    before = len(bench.moves("g1"))
    bench.run(200)
    assert bench.has_alarm("g1/flow_not_controlled")
    assert len(bench.moves("g1")) - before <= 2


def test_an_order_at_a_turnout_opens_it_and_its_end_closes_it() -> None:
    order = DeliveryOrder(order_id="o1", turnout="g1", start=START + timedelta(seconds=100), flow_m3s=2.0, duration_s=900)
    bench = make_bench(make_plan(FlowObjective(flow_m3s=0.0)).model_copy(update={"orders": (order,)}))
    bench.canal.set_inflow("p1", 0.9)
    bench.run(700)
    assert bench.gate().target == "flow 2.000 m3/s"
    assert bench.memory.state.flows_m3s["g1"] == pytest.approx(2.0, abs=0.1)
    bench.run(1200)
    assert bench.position_pct() == pytest.approx(5.0, abs=0.3)


def test_an_order_ends_also_where_the_level_above_was_never_read_since_the_process_began() -> None:
    order = DeliveryOrder(order_id="o1", turnout="g1", start=START + timedelta(seconds=10), flow_m3s=2.0, duration_s=300)
    bench = make_bench(make_plan().model_copy(update={"orders": (order,), "gates": {}}))
    bench.run(200)
    assert bench.position_pct() > 20.0
    bench.kill()
    bench.distort = lambda sample: with_value(sample, "g1-level", None) if sample.point == "g1-level" else sample
    bench.run(400)
    assert bench.position_pct() == pytest.approx(5.0, abs=0.3)


def bays(structure: Structure, openings_pct: Sequence[float], *, available: Sequence[bool]) -> list[Bay]:
    whole = TravelLimits(0.0, 100.0)
    return [
        Bay(gate, opening_pct, whole, 100.0, is_available)
        for gate, opening_pct, is_available in zip(structure.gates, openings_pct, available, strict=True)
    ]


def two_bays(sharing: str) -> Structure:
    [structure] = example_site().structures
    [gate] = structure.gates
    return structure.model_copy(update={"gates": (gate, gate.model_copy(update={"id": "g2"})), "sharing": sharing})


def test_equal_bays_share_a_flow_alike_and_make_up_for_one_that_cannot_be_moved() -> None:
    structure, water = two_bays("equal"), Water(2.0, None)
    shared = share_flow(structure, 3.0, bays(structure, (20.0, 40.0), available=(True, True)), water)
    assert shared.openings_pct["g1"] == pytest.approx(shared.openings_pct["g2"], abs=0.01)
    fixed = share_flow(structure, 3.0, bays(structure, (20.0, 10.0), available=(True, False)), water)
    [gate] = [gate for gate in structure.gates if gate.id == "g1"]
    rest = 3.0 - bay_flow_m3s(structure.gates[1], 10.0, water)
    assert bay_flow_m3s(gate, fixed.openings_pct["g1"], water) == pytest.approx(rest, abs=0.01)


def test_lead_and_lag_fill_the_first_bay_before_the_second() -> None:
    structure, water = two_bays("lead_lag"), Water(2.0, None)
    small = share_flow(structure, 2.0, bays(structure, (20.0, 0.0), available=(True, True)), water)
    assert small.openings_pct["g2"] == pytest.approx(0.0, abs=0.01)
    most = bay_flow_m3s(structure.gates[0], 100.0, water)
    large = share_flow(structure, most + 1.0, bays(structure, (90.0, 0.0), available=(True, True)), water)
    assert large.openings_pct["g1"] == pytest.approx(100.0, abs=0.5)
    assert bay_flow_m3s(structure.gates[1], large.openings_pct["g2"], water) == pytest.approx(1.0, abs=0.02)


def test_what_cannot_be_had_is_not_wanted_on() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=1.6)))
    bench.run(3)
    bench.refuses = "exception code 4"
    bench.run(3600)
    one_move = bench.site.structures[0].gates[0].limits.max_step_pct + 1.0
    most = bay_flow_m3s(bench.site.structures[0].gates[0], bench.position_pct() + one_move, Water(bench.levels_m[-1], None))
    assert (bench.controller().wanted_flow_m3s or 0.0) <= most
