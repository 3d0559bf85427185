"""Counting the turns of unmeasured flow that a still level would need: none where one steady flow explains it, else one for each."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.values import PointHistory
from edge_agent.gate_control.validate.stillness import TURNS, PoolFlows, watch_stillness

SCAN_S, RESOLUTION_M = 10.0, 0.001
DELAY_S, AREA_M2 = 600.0, 5_000.0
SETTLED_S = 3_000.0
"""More than one and a half delays: only then turns are counted."""


def make_pool(delay_s: float = DELAY_S) -> Pool:
    dynamics = {"flow_m3s": 5.0, "delay_s": delay_s, "area_m2": AREA_M2}
    return Pool.model_validate(
        {
            "id": "p1", "inlet": "g1", "outlet": "g2", "invert_m": 0.0, "bank_m": 3.0, "level_min_m": 1.0, "level_max_m": 2.5,
            "low": dynamics, "high": dynamics, "tail_levels": ["l1"],
        }
    )  # fmt: skip


class StillLevel:
    """A sensor that shows one value whatever flows."""

    def __init__(self, delay_s: float = DELAY_S) -> None:
        self.pool = make_pool(delay_s)
        self.history = PointHistory(value=2.0)
        self.time_s = 0.0
        self.found = ""

    def run(self, duration_s: float, near_m3s: Callable[[float], float | None], far_m3s: Callable[[float], float | None]) -> "StillLevel":
        end_s = self.time_s + duration_s
        while self.time_s < end_s:
            self.scan(near_m3s(self.time_s), far_m3s(self.time_s))
        return self

    def scan(self, near_m3s: float | None, far_m3s: float | None, *, sampled: bool = True) -> None:
        self.time_s += SCAN_S
        if sampled:
            self.history = PointHistory(self.history.value, self.time_s, stillness=self.history.stillness)
        flows = PoolFlows(near_m3s, far_m3s)
        still, self.found = watch_stillness(self.history, self.pool, flows, RESOLUTION_M, self.time_s, is_fresh=sampled)
        self.history = PointHistory(self.history.value, self.history.sampled_at_s, stillness=still)

    @property
    def turns(self) -> int:
        assert self.history.stillness is not None
        return len(self.history.stillness.turns.turned_s)


def step(before: float, after: float, at_s: float) -> Callable[[float], float]:
    return lambda time_s: after if time_s >= at_s else before


@settings(max_examples=30, deadline=None)
@given(near=st.floats(-20, 20), far=st.floats(-20, 20), delay_s=st.sampled_from([0.0, 60.0, DELAY_S]))
def test_steady_flows_never_turn_however_badly_they_balance(near: float, far: float, delay_s: float) -> None:
    level = StillLevel(delay_s).run(SETTLED_S, lambda _: near, lambda _: far)
    assert (level.turns, level.found) == (0, "")


@settings(max_examples=15, deadline=None)
@given(change=st.floats(0.1, 5.0), sign=st.sampled_from([1, -1]), delay_s=st.sampled_from([0.0, DELAY_S]))
def test_a_gate_that_moves_once_is_one_turn_at_most_and_blames_nobody(change: float, sign: int, delay_s: float) -> None:
    level = StillLevel(delay_s).run(SETTLED_S + 10_000.0, step(-2.0, -2.0 + sign * change, SETTLED_S), lambda _: 2.0)
    assert level.turns <= 1
    assert "turned" not in level.found


def test_what_stays_within_the_resolution_is_no_turn() -> None:
    """Ten cubic metres for a moment are two millimetres of this pool."""
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    for number in range(50):
        level.run(500.0, lambda _: -2.0, lambda _: 2.0)
        level.scan(-1.0 if number % 2 else -3.0, 2.0)
    assert (level.turns, level.found) == (0, "")


def test_small_moves_add_up_to_a_verdict() -> None:
    """Five percent of the pool's largest flow each: never more than what may be an offtake, and a tenth of what flows now."""
    level = StillLevel()
    level.run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    for number in range(8):
        level.run(1_000.0, lambda _, more=0.25 * (number % 2): -2.0 + more, lambda _: 2.0)  # type: ignore[misc]
    assert level.turns >= TURNS
    assert "turned" in level.found


def test_less_than_a_tenth_of_the_flow_may_be_the_gate_laws_own_error() -> None:
    """As where a leaf comes out of the water and its opening says nothing any more."""
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    for number in range(20):
        level.run(1_000.0, lambda _, more=0.18 * (number % 2): -2.0 + more, lambda _: 2.0)  # type: ignore[misc]
    assert (level.turns, level.found) == (0, "")


@settings(max_examples=20, deadline=None)
@given(change=st.floats(-2.0, 2.0), lag=st.floats(0.65, 1.45))
def test_what_passes_through_with_the_pools_delay_is_no_turn(change: float, lag: float) -> None:
    """An ordered change: the gate above now, the gate below when it arrives, as exactly as nobody knows the delay."""
    level = StillLevel()
    level.run(SETTLED_S + 12_000.0, step(-2.0, -2.0 - change, SETTLED_S + lag * DELAY_S), step(2.0, 2.0 + change, SETTLED_S))
    assert (level.turns, level.found) == (0, "")


@pytest.mark.parametrize(("level_m", "is_watched"), [(2.9, True), (2.998, False), (3.0, False), (3.2, False)])
def test_of_a_pool_that_runs_over_its_bank_nothing_is_expected(level_m: float, is_watched: bool) -> None:
    """What spills turns with the gates, to the litre."""
    level = StillLevel()
    level.history = PointHistory(value=level_m)
    level.run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    for number in range(8):
        level.run(1_000.0, lambda _, more=0.5 * (number % 2): -2.0 + more, lambda _: 2.0)  # type: ignore[misc]
    assert (level.found != "") == is_watched


def test_an_unknown_flow_forgets_what_was_counted() -> None:
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    level.run(2_000.0, lambda _: -1.0, lambda _: 2.0)
    assert level.turns == 1
    level.scan(None, 2.0)
    assert level.turns == 0


def test_a_value_that_moves_forgets_what_was_counted() -> None:
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    level.run(2_000.0, lambda _: -1.0, lambda _: 2.0)
    assert level.turns == 1
    level.history = PointHistory(2.001, level.history.sampled_at_s, stillness=level.history.stillness)
    level.scan(-1.0, 2.0)
    assert level.turns == 0


def test_after_a_silence_nobody_knows_what_the_level_did() -> None:
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    for number in range(600):
        level.scan(-2.0 + 0.5 * (number // 100 % 2), 2.0, sampled=False)
    assert level.found == ""
    level.scan(-2.0, 2.0)
    assert (level.turns, level.found) == (0, "")


def test_after_a_gap_between_scans_nothing_of_before_counts() -> None:
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    level.scan(-1.0, 2.0)
    level.time_s += 900.0
    for _ in range(4):
        level.scan(-1.0, 2.0)
    assert (level.turns, level.found) == (0, "")


def test_a_late_sensor_is_judged_by_what_it_showed_after_the_turns() -> None:
    level = StillLevel().run(SETTLED_S, lambda _: -2.0, lambda _: 2.0)
    sampled_at_s = level.history.sampled_at_s
    for number in range(400):
        # each sample is new, and of long before the gates moved
        level.history = PointHistory(2.0, sampled_at_s + 0.001 * number, stillness=level.history.stillness)
        level.time_s += SCAN_S
        flows = PoolFlows(-2.0 + 0.25 * (number // 100 % 2), 2.0)
        still, found = watch_stillness(level.history, level.pool, flows, RESOLUTION_M, level.time_s, is_fresh=True)
        level.history = PointHistory(2.0, level.history.sampled_at_s, stillness=still)
        assert "turned" not in found
    assert level.turns >= TURNS
