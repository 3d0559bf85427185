"""The actual flow of a structure, and who may act on it when a level or a gate beside it is not known."""

import pytest

from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.decide.topology import topology
from edge_agent.gate_control.replay.step import Memory
from edge_agent.gate_control.simulation.asce_sites import target_plan
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from shared.contracts.gate_plan import DeliveryOrder, GateDirective, GatePlan, Objective, PositionObjective, UpstreamLevelObjective
from tests.fakes.gate import RUNNING, START, CanalBench, make_bench, make_plan, with_value
from tests.fakes.gate_machine import Machine
from tests.fakes.gate_site import START as GATE_START
from tests.fakes.simulated_canal import small_site


def two_pools() -> CanalBench:
    """g1 holds the pool below it, and passes on what g2 at its end lets through."""
    site = small_site(2, scan_period_s=1.0, stale_after_s=30.0)
    memory = Memory(SiteState(modes=dict.fromkeys(("g1", "g2"), RUNNING)))
    return CanalBench(site, canal_of(site), target_plan(site, START), memory=memory)


def silent(bench: CanalBench, *points: str) -> None:
    bench.distort = lambda sample: with_value(sample, sample.point, None) if sample.point in points else sample


@pytest.mark.parametrize("point", ["g2.position", "p2.head"])
def test_a_neighbours_flow_that_rests_on_what_is_not_known_freezes_its_term_alone(point: str) -> None:
    bench = two_pools()
    bench.run(600)
    assert bench.memory.state.flow_doubts == {}
    assert bench.controller("g1").neighbour_flow_m3s is not None
    silent(bench, point)
    bench.run(120)
    assert set(bench.memory.state.flow_doubts) == {"g2"}
    assert bench.memory.state.flows_m3s["g2"] is not None
    assert bench.controller("g1").neighbour_flow_m3s is None
    assert bench.gate("g1").mode == "AUTO"
    # what g2 does meanwhile moves g1 only by the level that it holds
    before = bench.controller("g1").wanted_flow_m3s or 0.0
    bench.canal.move_by_hand("g2", 90.0)
    bench.run(60)
    assert abs((bench.controller("g1").wanted_flow_m3s or 0.0) - before) < 0.1


def test_a_flow_that_is_known_again_comes_back_without_a_kick() -> None:
    bench = two_pools()
    bench.run(600)
    silent(bench, "g2.position")
    bench.run(120)
    bench.canal.actuators["g2"].position_pct += 5.0
    before = bench.controller("g1").wanted_flow_m3s or 0.0
    bench.distort = lambda sample: sample
    for _ in range(130):
        bench.scan()
        wanted = bench.controller("g1").wanted_flow_m3s or 0.0
        assert abs(wanted - before) < 0.08
        before = wanted
    assert bench.controller("g1").neighbour_flow_m3s is not None


def test_a_gate_that_was_never_seen_has_no_flow_at_all() -> None:
    bench = two_pools()
    silent(bench, "g2.position")
    bench.run(60)
    assert bench.memory.state.flows_m3s["g2"] is None
    assert "g2" in bench.memory.state.flow_doubts
    assert bench.controller("g1").neighbour_flow_m3s is None


def test_the_volume_of_an_order_is_an_estimate_while_its_flow_is_doubtful() -> None:
    order = DeliveryOrder(order_id="o1", turnout="g1", start=START, flow_m3s=2.0, duration_s=900.0)
    bench = make_bench(make_plan().model_copy(update={"orders": (order,)}))
    bench.run(120)
    assert bench.memory.state.orders.accounts["o1"].estimated_m3 == 0.0
    silent(bench, "g1-level")
    bench.run(120)
    assert bench.memory.state.orders.accounts["o1"].estimated_m3 > 0.0


def test_which_levels_and_flows_another_site_measures_is_worked_out_once() -> None:
    site = small_site(2)
    points = tuple(one.model_copy(update={"remote": "south"}) if one.id in ("p2.tail", "p1.head") else one for one in site.points)
    remote = site.model_copy(update={"points": points})
    places = {place.structure.id: place for place in topology(remote).structures}
    assert places["g2"].remote_levels == {"p2.tail", "p2/tail", "p1.head"}
    assert places["g1"].remote_levels == {"p1.head"}
    assert topology(remote) is topology(remote)


def test_one_bay_that_falls_silent_leaves_the_rest_of_its_structure_under_control() -> None:
    machine = Machine(planned(UpstreamLevelObjective(level_m=1.8)))

    def step(garbled: dict[str, float | None]) -> None:
        machine.levels["l3"] += 0.002 if int(machine.true_s) % 2 else -0.002  # water is never quite still
        machine.step(garbled=garbled)

    for _ in range(60):
        step({})
    silence: dict[str, float | None] = dict.fromkeys(("g3a-position", "g3a.remote", "g3a.moving", "g3a.jammed"))
    for _ in range(60):
        step(silence)
    machine.levels["l3"] = 1.6  # too low: less must pass
    before = machine.positions["g3b"]
    for _ in range(300):
        step(silence)
    state = machine.memory.state
    assert state.gates["g3a"].mode == "FAULT"
    assert state.controllers["g3"].controlled_at_s is not None
    assert machine.now.monotonic_s - state.controllers["g3"].controlled_at_s < 25.0
    assert machine.positions["g3b"] < before - 1.0


def test_beside_a_bay_that_was_never_seen_a_level_is_held_by_nobody_and_a_position_is_followed() -> None:
    machine = Machine(planned(UpstreamLevelObjective(level_m=1.6)))
    silence: dict[str, float | None] = {"g3a-position": None}
    for _ in range(60):
        machine.step(garbled=silence)
    g3b = machine.memory.state.gates["g3b"]
    assert (g3b.mode, g3b.reasons[0]) == ("HOLD", "of g3 a gate was never seen: no flow is known")
    machine.plan = planned(PositionObjective(opening_pct=55.0), generation=2)
    for _ in range(60):
        machine.step(garbled=silence)
    assert machine.positions["g3b"] == pytest.approx(55.0, abs=0.5)
    assert machine.positions["g3a"] == 40.0


def planned(objective: Objective, generation: int = 1) -> GatePlan:
    """For the two bays of g3."""
    return GatePlan(site="north", generation=generation, valid_from=GATE_START, gates={"g3": GateDirective(objective=objective)})
