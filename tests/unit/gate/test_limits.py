"""Limits that bind people and controller: the gate's largest flow, a pool's drawdown, its rate; and gates that hang above the water."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.drawdown import record_level
from edge_agent.gate_control.decide.limits import TravelLimits, settable_pct, step_pct, travel_limits
from edge_agent.gate_control.decide.sharing import Bay, Water, bay_flow_m3s, share_flow
from edge_agent.gate_control.decide.starts import StartHistory
from edge_agent.gate_control.model.gates import Drawdown, Gate
from edge_agent.gate_control.model.values import StopMotion
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateLimits, PositionObjective
from tests.fakes.gate import CanalBench, make_bench, make_plan

[GATE] = example_site().gates()
ANY = st.floats(allow_nan=True, allow_infinity=True)


def gate(**limits: Any) -> Gate:
    return GATE.model_copy(update={"limits": GATE.limits.model_copy(update=limits)})


def with_gate(bench: CanalBench, changed: Gate) -> CanalBench:
    [structure] = bench.site.structures
    bench.site = bench.site.model_copy(update={"structures": (structure.model_copy(update={"gates": (changed,)}),)})
    return bench


def test_a_plan_narrows_the_owners_limits_and_never_widens_them() -> None:
    directive = make_plan(limits=GateLimits(opening_min_pct=20.0, opening_max_pct=99.0)).gates["g1"]
    assert travel_limits(GATE, directive) == TravelLimits(20.0, 95.0)
    apart = make_plan(limits=GateLimits(opening_min_pct=96.0)).gates["g1"]
    assert travel_limits(GATE, apart) == TravelLimits(5.0, 95.0)


def test_the_largest_flow_caps_the_opening_by_the_level_that_is_there() -> None:
    capped = gate(flow_max_m3s=3.0)
    low, high = travel_limits(capped, None, 1.5), travel_limits(capped, None, 2.5)
    assert high.high_pct < low.high_pct < 95.0
    assert bay_flow_m3s(capped, high.high_pct, Water(2.5, None)) == pytest.approx(3.0, abs=0.01)


def test_people_cannot_open_beyond_the_largest_flow_either() -> None:
    bench = with_gate(make_bench(), gate(flow_max_m3s=4.0))
    bench.run(3)
    bench.scan()
    bench.ask(GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 95.0}))
    bench.run(120)
    assert bench.canal.flow_m3s("g1") <= 4.3


def test_the_controller_goes_no_faster_than_its_rate() -> None:
    slow = gate(rate_pct_per_min=6.0)
    assert step_pct(slow, StartHistory(), 1000.0) == 10.0
    assert step_pct(slow, StartHistory(starts_s=(970.0,)), 1000.0) == pytest.approx(3.0)
    bench = with_gate(make_bench(make_plan(PositionObjective(opening_pct=60.0))), slow)
    bench.run(10)
    began_pct = bench.moves()[0][1]
    bench.run(120)
    assert bench.position_pct() - began_pct <= 6.0 * 2.2


def test_a_pool_that_fell_too_fast_is_lowered_no_further_by_anybody_and_the_move_in_hand_ends() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=60.0)))
    [pool] = bench.site.pools
    bench.site = bench.site.model_copy(update={"pools": (pool.model_copy(update={"drawdown": Drawdown(per_hour_m=0.15)}),)})
    bench.run(4)
    assert bench.gate().motion is not None
    fallen = record_level(bench.memory.state.levels["p1"], 2.2, bench.time_s)
    bench.memory = replace(bench.memory, state=replace(bench.memory.state, levels={"p1": fallen}))
    bench.scan()
    assert isinstance(bench.commands[-1][1], StopMotion)
    seen = len(bench.moves())
    bench.ask(GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 80.0}))
    bench.run(60)
    assert len(bench.moves()) == seen
    assert bench.has_alarm("p1/drawdown_limited")
    bench.ask(GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 10.0}))
    bench.run(10)
    assert bench.moves()[-1][1] == 10.0


@given(opening_pct=ANY, low_pct=st.floats(0, 60), room_pct=st.floats(0.5, 40))
def test_what_is_sent_lies_within_the_limits_whatever_is_wanted(opening_pct: float, low_pct: float, room_pct: float) -> None:
    limits = TravelLimits(low_pct, low_pct + room_pct)
    assert limits.holds(settable_pct(GATE, opening_pct, limits))


def test_a_weir_whose_crest_stands_above_the_water_is_lowered_until_it_flows() -> None:
    weir = GATE.model_copy(
        update={"geometry": GATE.geometry.model_copy(update={"kind": "overshot", "sill_m": 1.0, "height_m": 1.5, "cd": 0.6})}
    )
    [structure] = example_site().structures
    opening_pct = 0.0
    for _ in range(20):
        bays = [Bay(weir, opening_pct, TravelLimits(0.0, 100.0), 10.0, True)]
        # the crest begins at 2.5 m, the water stands at 2.0 m
        opening_pct = share_flow(structure, 0.4, bays, Water(2.0, None)).openings_pct["g1"]
    assert bay_flow_m3s(weir, opening_pct, Water(2.0, None)) == pytest.approx(0.4, abs=0.01)


@given(
    wanted=ANY,
    opening_pct=st.floats(0, 100),
    upstream_m=st.floats(-1, 5),
    downstream_m=st.none() | st.floats(-1, 5),
    step=st.floats(0, 100),
)
def test_sharing_asks_for_nothing_outside_the_limits_at_any_water(
    wanted: float, opening_pct: float, upstream_m: float, downstream_m: float | None, step: float
) -> None:
    [structure] = example_site().structures
    limits = TravelLimits(5.0, 95.0)
    shared = share_flow(structure, wanted, [Bay(GATE, opening_pct, limits, step, True)], Water(upstream_m, downstream_m))
    assert limits.holds(shared.openings_pct["g1"])
    assert 0.0 <= shared.flow_m3s < 1e6
