"""Watching one gate without a plant: what is a fault, what is not, and that one wrong reading is none."""

from dataclasses import replace

import pytest

from edge_agent.gate_control.decide.motion import JAMMED, STUCK, UNCOMMANDED, WRONG_WAY, Watched, watch_motion
from edge_agent.gate_control.model.values import ActuatorStatus, GateState, Motion, Quality, Reading, Selector
from edge_agent.gate_control.simulation.example import example_site

[GATE] = example_site().gates()
REMOTE = ActuatorStatus(selector=Selector.REMOTE)
MOVE = Motion(30.0, 40.0, ordered_at_s=100.0, run_s=12.0)


def at(opening_pct: float | None) -> Reading:
    return Reading(opening_pct, 0.0, Quality.GOOD, "position", (), opening_pct is not None)


def watch(state: GateState, opening_pct: float | None, now_s: float, status: ActuatorStatus = REMOTE) -> Watched:
    return watch_motion(GATE, state, status, at(opening_pct), 0.1, now_s)


def still(opening_pct: float, until_s: float) -> GateState:
    state = GateState()
    for second in range(round(until_s)):
        state = watch(state, opening_pct, float(second)).state
    return state


def test_a_gate_at_its_opening_has_arrived() -> None:
    watched = watch(GateState(motion=MOVE), 39.8, 112.0)
    assert watched.has_ended
    assert watched.state.motion is None


def test_a_gate_that_does_not_begin_is_asked_again_and_then_stuck() -> None:
    waiting = watch(GateState(motion=MOVE), 30.0, 105.0)
    assert (waiting.again, waiting.trip) == (None, "")
    again = watch(waiting.state, 30.0, 111.0)
    assert again.again is not None
    assert again.again.is_retry
    late = watch(again.state, 30.0, 122.0)
    assert (late.trip, late.must_stop) == (STUCK, True)


def test_a_gate_that_lands_beside_its_goal_twice_is_not_stuck() -> None:
    short = watch(GateState(motion=MOVE), 38.0, 131.0)
    assert short.again is not None
    beyond = watch(short.state, 40.6, 150.0)
    assert (beyond.has_ended, beyond.trip, beyond.state.motion) == (True, "", None)


def test_the_last_bit_of_a_move_that_came_about_is_too_little_to_judge() -> None:
    short = watch(GateState(motion=MOVE), 39.6, 131.0)
    assert short.again is not None
    same = watch(short.state, 39.6, 150.0)
    assert (same.has_ended, same.trip) == (True, "")


def test_a_gate_that_jams_on_its_way_is_stuck_once_it_moves_no_more() -> None:
    short = watch(GateState(motion=MOVE), 35.0, 131.0)
    assert watch(short.state, 35.0, 150.0).trip == STUCK


def test_a_slow_gate_has_half_as_long_again_before_it_is_asked_once_more() -> None:
    assert watch(GateState(motion=MOVE), 35.0, 125.0).again is None
    assert watch(GateState(motion=MOVE), 35.0, 131.0).again is not None


def test_travel_below_three_counts_is_not_judged() -> None:
    small = replace(MOVE, to_pct=30.2, run_s=0.3)
    watched = watch_motion(GATE, GateState(motion=replace(small, to_pct=30.5)), REMOTE, at(30.0), 0.5, 103.0)
    assert (watched.has_ended, watched.trip) == (True, "")


@pytest.mark.parametrize(("opening_pct", "trip"), [(28.0, WRONG_WAY), (29.9, "")])
def test_the_wrong_way_is_believed_when_it_is_seen_twice(opening_pct: float, trip: str) -> None:
    once = watch(GateState(motion=MOVE), opening_pct, 102.0)
    assert once.trip == ""
    assert watch(once.state, opening_pct, 103.0).trip == trip


def test_one_wild_position_trips_nothing() -> None:
    state = still(30.0, 20.0)
    wild = watch(state, 80.0, 21.0)
    back = watch(wild.state, 30.0, 22.0)
    assert (wild.trip, back.trip, watch(back.state, 30.0, 23.0).trip) == ("", "", "")


def test_leaving_its_place_without_a_command_is_believed_when_it_is_seen_twice() -> None:
    first = watch(still(30.0, 20.0), 31.5, 21.0)
    second = watch(first.state, 32.3, 22.0)
    assert (first.trip, second.trip, second.must_stop) == ("", UNCOMMANDED, True)


def test_slow_creep_is_no_move() -> None:
    state = still(30.0, 20.0)
    for minute in range(120):
        watched = watch(state, 30.0 - 0.05 * minute, 20.0 + 60.0 * minute)
        state = watched.state
        assert watched.trip == ""


@pytest.mark.parametrize("status", [ActuatorStatus(selector=Selector.LOCAL), replace(REMOTE, by_hand=True)])
def test_a_hand_or_a_local_selector_is_no_fault_and_ends_the_move(status: ActuatorStatus) -> None:
    moved = watch(GateState(motion=MOVE), 60.0, 103.0, status)
    assert (moved.has_ended, moved.trip, moved.state.motion) == (True, "", None)
    # and what it left behind is where the gate rests from now on
    assert watch(moved.state, 60.0, 104.0).trip == ""


def test_a_jam_must_last_and_one_that_flickers_is_none() -> None:
    jammed = replace(REMOTE, jammed=True)
    state = GateState()
    for second in range(20):
        watched = watch(state, 30.0, float(second), jammed if second % 2 else REMOTE)
        state = watched.state
        assert watched.trip == ""
    trips: list[str] = []
    for second in range(5):
        watched = watch(state, 30.0, 20.0 + second, jammed)
        state = watched.state
        trips.append(watched.trip)
    assert trips.index(JAMMED) == 2  # seen since 19 s


def test_a_position_of_before_says_nothing_of_the_move() -> None:
    """The gate may have moved since: it is neither late, nor wrong, nor there."""
    for opening_pct in (28.0, 30.0, 39.8):
        old = Reading(opening_pct, 30.0, Quality.GOOD, "position", (), is_fresh=False)
        moving = GateState(motion=MOVE)
        assert watch_motion(GATE, moving, REMOTE, old, 0.1, 500.0) == Watched(moving)
    resting = still(30.0, 20.0)
    elsewhere = Reading(80.0, 30.0, Quality.GOOD, "position", (), is_fresh=False)
    assert watch_motion(GATE, resting, REMOTE, elsewhere, 0.1, 500.0) == Watched(resting)


def test_without_a_status_or_a_position_nothing_is_judged() -> None:
    moving = GateState(motion=MOVE)
    assert watch(moving, 30.0, 500.0, ActuatorStatus(is_known=False)) == Watched(moving)
    assert watch(moving, None, 500.0) == Watched(moving)
