"""What the gate below does is passed on up the canal: when, how much, and how often at most."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.asked import Neighbour, StructureScan
from edge_agent.gate_control.decide.feedforward import Ordered
from edge_agent.gate_control.decide.level_loop import EARLY_SHARE, LevelTask, follow_level
from edge_agent.gate_control.decide.limits import own_limits
from edge_agent.gate_control.decide.orders import OrdersState
from edge_agent.gate_control.decide.sharing import Bay, Water, deadband_flow_m3s
from edge_agent.gate_control.decide.topology import topology
from edge_agent.gate_control.model.values import ControllerState, Quality, Reading
from tests.fakes.gate import now_at
from tests.fakes.simulated_canal import small_site

SITE = small_site(2, scan_period_s=1.0)
PLACE = next(place for place in topology(SITE).structures if place.structure.id == "g1")
LOOP = PLACE.loops["downstream_level"]
PERIOD_S = LOOP.loop.control_period_s
EARLY_S = EARLY_SHARE * PERIOD_S
GATE = PLACE.structure.gates[0]
POOL = LOOP.pool
TARGET_M = POOL.invert_m + (POOL.target_depth_m or 0.0)
WATER = Water(TARGET_M + 1.0, TARGET_M)
BAY = Bay(GATE, 40.0, own_limits(GATE), 30.0, True)
LEAST_M3S = deadband_flow_m3s((BAY,), WATER) / LOOP.loop.decoupler
"""What the neighbour must change for this gate to be worth a move."""


def follow(state: ControllerState, at_s: float, neighbour_m3s: float | None, *, is_remote: bool = False) -> ControllerState:
    """A scan with the level at its target: only the neighbour speaks."""
    now = now_at(at_s)
    level = Reading(TARGET_M, 0.0, Quality.GOOD, "p1.tail", (), True)
    scan = StructureScan(
        place=PLACE,
        objective=None,
        bays=(BAY,),
        water=WATER,
        levels={LOOP.place: level},
        measured=None,
        neighbour=Neighbour(neighbour_m3s, is_remote),
        ordered=Ordered(SITE, (), OrdersState(), {}, now),
        remote_levels=frozenset(),
        now=now,
    )
    return follow_level(scan, state, LevelTask(LOOP, LOOP.place, level, TARGET_M)).state


def taken_over() -> ControllerState:
    return follow(ControllerState(objective="downstream_level"), 0.0, 1.0)


def test_a_move_of_the_gate_below_is_passed_on_soon_and_not_a_whole_period_later() -> None:
    state = before = taken_over()
    for at_s in range(1, int(EARLY_S)):
        state = follow(state, at_s, 1.0 + 2.0 * LEAST_M3S)
        assert state.wanted_flow_m3s == before.wanted_flow_m3s
    state = follow(state, EARLY_S, 1.0 + 2.0 * LEAST_M3S)
    passed_on = (state.wanted_flow_m3s or 0.0) - (before.wanted_flow_m3s or 0.0)
    assert abs(passed_on - 2.0 * LEAST_M3S * LOOP.loop.decoupler) < 1e-6


def test_a_change_below_this_gates_own_deadband_waits_for_the_period() -> None:
    state = before = taken_over()
    for at_s in range(1, int(PERIOD_S)):
        state = follow(state, at_s, 1.0 + 0.9 * LEAST_M3S)
    assert state.wanted_flow_m3s == before.wanted_flow_m3s
    assert (follow(state, PERIOD_S, 1.0 + 0.9 * LEAST_M3S).wanted_flow_m3s or 0.0) > (before.wanted_flow_m3s or 0.0)


def test_what_another_site_tells_waits_for_the_period() -> None:
    state = before = taken_over()
    for at_s in range(1, int(PERIOD_S)):
        state = follow(state, at_s, 1.0 + 5.0 * LEAST_M3S, is_remote=True)
    assert state.wanted_flow_m3s == before.wanted_flow_m3s


def test_a_neighbour_that_is_not_known_hurries_nobody() -> None:
    state = replace(taken_over(), neighbour_flow_m3s=None)
    for at_s in range(1, int(PERIOD_S)):
        state = follow(state, at_s, 1.5)
    assert state.controlled_at_s == 0.0


@settings(max_examples=50)
@given(flows_m3s=st.lists(st.floats(0.9, 1.1), min_size=20, max_size=200))
def test_however_the_neighbour_swings_steps_keep_their_distance_and_each_change_is_passed_on_once(flows_m3s: list[float]) -> None:
    state = first = taken_over()
    steps_s = [0.0]
    for at_s, flow_m3s in enumerate(flows_m3s, start=1):
        state = follow(state, at_s, flow_m3s)
        if state.controlled_at_s != steps_s[-1]:
            steps_s.append(state.controlled_at_s or 0.0)
            passed_on = (state.wanted_flow_m3s or 0.0) - (first.wanted_flow_m3s or 0.0)
            assert abs(passed_on - LOOP.loop.decoupler * (flow_m3s - 1.0)) < 1e-6
    assert all(after - before >= EARLY_S - 0.01 for before, after in itertools.pairwise(steps_s))
    assert all(after - before <= PERIOD_S + 0.01 for before, after in itertools.pairwise(steps_s))
