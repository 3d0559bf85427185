"""Interlocks: the worst valid sensor votes, delays, latches, bad sensors, priorities."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.interlocks import judge_interlocks, reset_interlock, update_interlocks
from edge_agent.gate_control.model.gates import Interlock
from edge_agent.gate_control.model.values import InterlockState, Quality, Reading

TRIPPED = InterlockState(0.0, tripped=True)


def rule(**options: Any) -> Interlock:
    given_values = {"name": "high", "points": ["a", "b"], "side": "high", "trip": 2.6, "reset": 2.4, "action": "inhibit_close"}
    return Interlock.model_validate({**given_values, **options})


def reading(value: float | None, quality: Quality = Quality.GOOD) -> Reading:
    return Reading(value, 0.0, quality, "x")


def step(one: Interlock, state: InterlockState, now_s: float = 0.0, **readings: Reading) -> InterlockState:
    return update_interlocks([one], {one.name: state}, readings, now_s)[one.name]


def test_the_worst_valid_sensor_votes() -> None:
    assert step(rule(), InterlockState(), a=reading(2.0), b=reading(2.7)).tripped
    assert not step(rule(), InterlockState(), a=reading(2.0), b=reading(2.7, Quality.BAD)).tripped
    low = rule(side="low", trip=1.2, reset=1.4)
    assert step(low, InterlockState(), a=reading(1.1), b=reading(2.0)).tripped


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_does_not_vote_whatever_its_quality(nonsense: float) -> None:
    """Not even where validation should let it through."""
    for side, trip, reset, beyond in (("high", 2.6, 2.4, 2.7), ("low", 1.2, 1.4, 1.1)):
        one = rule(side=side, trip=trip, reset=reset)
        assert step(one, InterlockState(), a=reading(nonsense), b=reading(beyond)).tripped
        assert step(one, InterlockState(), a=reading(beyond), b=reading(nonsense)).tripped
        assert not step(one, InterlockState(), a=reading(nonsense), b=reading(2.0)).tripped
        assert step(one, TRIPPED, a=reading(nonsense), b=reading(nonsense)).tripped


def test_it_resets_only_when_the_worst_sensor_is_back_beyond_the_reset_value() -> None:
    assert step(rule(), TRIPPED, a=reading(2.3), b=reading(2.5)).tripped
    assert not step(rule(), TRIPPED, a=reading(2.3), b=reading(2.4)).tripped


def test_the_trip_value_must_be_passed_for_the_whole_delay() -> None:
    slow = rule(delay_s=5.0)
    state = step(slow, InterlockState(), 0.0, a=reading(2.7))
    assert not step(slow, state, 4.9, a=reading(2.7)).tripped
    assert step(slow, state, 5.0, a=reading(2.7)).tripped
    assert step(slow, step(slow, state, 3.0, a=reading(2.5)), 5.0, a=reading(2.7)).since_s == 5.0


def test_a_latch_stays_until_a_person_resets_it_and_trips_again_where_the_cause_is_there() -> None:
    latching = rule(latch=True)
    state = step(latching, InterlockState(), a=reading(2.7))
    assert step(latching, state, a=reading(1.0)).tripped
    cleared = reset_interlock({"high": state}, "high")["high"]
    assert not step(latching, cleared, a=reading(1.0)).tripped
    assert step(latching, cleared, a=reading(2.7)).tripped


@pytest.mark.parametrize(("on_bad_sensor", "was_tripped", "is_tripped"), [
    ("hold", True, True), ("hold", False, False), ("trip", False, True), ("ignore", True, False), ("ignore", False, False),
])  # fmt: skip
def test_with_no_valid_sensor_the_rules_own_word_counts(on_bad_sensor: str, was_tripped: bool, is_tripped: bool) -> None:
    bad = {"a": reading(2.0, Quality.BAD), "b": reading(None, Quality.BAD)}
    before = TRIPPED if was_tripped else InterlockState()
    assert step(rule(on_bad_sensor=on_bad_sensor), before, a=bad["a"], b=bad["b"]).tripped == is_tripped


def test_a_latched_interlock_is_not_ignored_away() -> None:
    latched = InterlockState(0.0, tripped=True, is_latched=True)
    assert step(rule(latch=True, on_bad_sensor="ignore"), latched, a=reading(None, Quality.BAD)).tripped


def test_the_higher_priority_wins_and_a_drive_ends_the_list() -> None:
    opens = rule(name="opens", action="drive_to", opening_pct=95.0, priority=2)
    closes = rule(name="closes", action="inhibit_open", priority=1)
    states = {"opens": TRIPPED, "closes": TRIPPED}
    assert judge_interlocks([closes, opens], states, 30.0, "auto").drive_pct == 95.0
    turned = [closes.model_copy(update={"priority": 3}), opens]
    assert judge_interlocks(turned, states, 30.0, "auto").drive_pct == 30.0


def test_an_interlock_for_auto_alone_leaves_people_free_but_is_still_a_flood() -> None:
    auto = rule(modes=["auto"], flood=True)
    assert judge_interlocks([auto], {"high": TRIPPED}, 30.0, "auto").low_pct == 30.0
    manual = judge_interlocks([auto], {"high": TRIPPED}, 30.0, "manual")
    assert (manual.low_pct, manual.is_flood) == (0.0, True)


@given(
    tripped=st.lists(st.booleans(), min_size=3, max_size=3),
    priorities=st.permutations([1, 2, 3]),
    position_pct=st.floats(0, 100),
)
def test_what_is_left_is_never_empty_and_a_drive_lies_within_it(tripped: list[bool], priorities: list[int], position_pct: float) -> None:
    actions: tuple[dict[str, Any], ...] = (
        {"action": "inhibit_open"},
        {"action": "inhibit_close"},
        {"action": "drive_to", "opening_pct": 80.0},
    )
    rules = [rule(name=f"r{n}", priority=priority, **action) for n, (action, priority) in enumerate(zip(actions, priorities, strict=True))]
    states = {f"r{n}": TRIPPED if one else InterlockState() for n, one in enumerate(tripped)}
    verdict = judge_interlocks(rules, states, position_pct, "auto")
    assert verdict.low_pct <= verdict.high_pct
    assert verdict.drive_pct is None or verdict.low_pct <= verdict.drive_pct <= verdict.high_pct
