"""The motor is spared: budget, rest, minimum run, reversal pause; and protection is never refused for the budget."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.starts import (
    WINDOW_S,
    StartHistory,
    may_reverse,
    may_start,
    move_to_boot,
    record_start,
    record_stop,
    starts_last_hour,
    withdraw_start,
)
from edge_agent.gate_control.model.gates import Limits

LIMITS = Limits(starts_per_hour=3, rest_s=10.0, reversal_pause_s=5.0, min_run_s=2.0)
STROKE_S = 100.0


def ran(*runs: tuple[float, float, int]) -> StartHistory:
    history = StartHistory()
    for start_s, end_s, direction in runs:
        history = record_stop(record_start(history, direction, start_s), end_s)
    return history


def test_a_motor_that_never_ran_may_start() -> None:
    assert may_start(LIMITS, StartHistory(), 1, 10.0, STROKE_S, 0.0).ok


def test_the_fourth_start_waits_until_the_first_is_an_hour_ago() -> None:
    history = ran((0, 5, 1), (100, 105, 1), (200, 205, 1))
    refused = may_start(LIMITS, history, 1, 10.0, STROKE_S, 3_000.0)
    assert (refused.ok, refused.limit, refused.wait_s) == (False, "budget", 600.0)
    assert refused.reason == "3 starts in the last hour, 3 are allowed"
    assert may_start(LIMITS, history, 1, 10.0, STROKE_S, 3_600.0).ok


def test_starts_by_protection_fill_the_budget_and_the_wait_counts_them_all() -> None:
    history = ran((0, 5, 1), (100, 105, 1), (200, 205, 1), (300, 305, 1), (400, 405, 1))
    refused = may_start(LIMITS, history, 1, 10.0, STROKE_S, 3_500.0)
    assert refused.wait_s == 300.0, "two may leave the window before there is room"


def test_a_start_that_no_device_took_spends_no_budget_but_is_followed_by_a_rest() -> None:
    history = ran((0, 5, 1), (100, 105, 1))
    refused = withdraw_start(record_start(history, -1, 200.0), 200.0)
    assert starts_last_hour(refused, 200.0) == 2
    assert (refused.opening_starts, refused.closing_starts) == (2, 0)
    assert may_start(LIMITS, refused, -1, 10.0, STROKE_S, 205.0).limit == "rest"
    assert may_start(LIMITS, refused, -1, 10.0, STROKE_S, 211.0).ok
    assert withdraw_start(history, 300.0) == history


def test_starts_that_lie_ahead_count_as_just_now() -> None:
    """The clock was set back: doubt waits."""
    history = ran((5_000, 5_005, 1), (5_100, 5_105, 1), (5_200, 5_205, 1))
    assert starts_last_hour(history, 100.0) == 3
    assert may_start(LIMITS, history, 1, 10.0, STROKE_S, 100.0).limit == "rest"
    assert may_start(LIMITS, StartHistory(history.starts_s, 1), 1, 10.0, STROKE_S, 100.0).limit == "budget"
    assert not may_reverse(LIMITS, history, -1, 100.0).ok


def test_a_plan_may_narrow_the_budget_and_not_widen_it() -> None:
    history = ran((0, 5, 1), (100, 105, 1))
    assert not may_start(LIMITS, history, 1, 10.0, STROKE_S, 300.0, starts_per_hour=2).ok
    history = record_stop(record_start(history, 1, 300.0), 305.0)
    assert not may_start(LIMITS, history, 1, 10.0, STROKE_S, 400.0, starts_per_hour=30).ok


def test_the_motor_rests_between_two_runs_of_the_controller() -> None:
    refused = may_start(LIMITS, ran((0, 5, 1)), 1, 10.0, STROKE_S, 9.0)
    assert (refused.limit, refused.wait_s) == ("rest", 6.0)
    assert may_start(LIMITS, ran((0, 5, 1)), 1, 10.0, STROKE_S, 15.0).ok


def test_a_run_too_short_for_the_gear_is_not_worth_a_start_however_long_one_waits() -> None:
    refused = may_start(LIMITS, StartHistory(), -1, -1.9, STROKE_S, 0.0)
    assert (refused.limit, refused.wait_s) == ("minimum_run", None)
    assert may_start(LIMITS, StartHistory(), -1, -2.0, STROKE_S, 0.0).ok


def test_the_pause_before_a_reversal_binds_everybody() -> None:
    history = ran((0, 5, 1))
    assert may_reverse(LIMITS, history, -1, 7.0).wait_s == 3.0
    assert may_reverse(LIMITS, history, -1, 10.0).ok
    assert may_reverse(LIMITS, history, 1, 5.0).ok, "further in the same direction at once"


def test_a_running_motor_must_stop_before_it_is_reversed_and_goes_on_without_a_new_start() -> None:
    running = record_start(StartHistory(), 1, 0.0)
    assert not may_reverse(LIMITS, running, -1, 100.0).ok
    assert may_start(LIMITS, running, 1, 0.1, STROKE_S, 1.0).ok
    assert record_start(running, 1, 1.0) == running


def test_a_reboot_takes_the_starts_along_and_forgets_no_more_than_the_time_that_passed() -> None:
    history = ran((0, 5, 1), (100, 105, 1), (200, 205, 1))
    moved = move_to_boot(history, 300.0, 60.0, 20.0)
    assert moved.starts_s == (-340.0, -240.0, -140.0)
    assert starts_last_hour(moved, 3_300.0) == 2
    unknown = move_to_boot(history, 300.0, None, 20.0)
    assert not may_start(LIMITS, unknown, 1, 10.0, STROKE_S, 3_300.0).ok


def test_a_run_cut_short_by_a_power_cut_ended_there() -> None:
    moved = move_to_boot(record_start(StartHistory(), 1, 50.0), 60.0, None, 5.0)
    assert (moved.is_running, moved.ended_at_s) == (False, 5.0)


steps = st.lists(
    st.tuples(
        st.floats(0, 900), st.sampled_from([1, -1]), st.floats(0, 20), st.booleans(), st.sampled_from(["", "", "", "boot", "unknown"])
    ),
    max_size=60,
)


@given(steps=steps, budget=st.integers(1, 5))
def test_the_controllers_starts_stay_within_the_budget_of_any_hour(steps: list[tuple[float, int, float, bool, str]], budget: int) -> None:
    limits = LIMITS.model_copy(update={"starts_per_hour": budget})
    history, now_s, real_s, real_starts = StartHistory(), 0.0, 0.0, list[float]()
    for wait_s, direction, travel_pct, by_protection, reboot in steps:
        now_s, real_s = now_s + wait_s, real_s + wait_s
        if reboot:
            history, now_s = move_to_boot(history, now_s, 0.0 if reboot == "boot" else None, 0.0), 0.0
        allowed = may_start(limits, history, direction, travel_pct, STROKE_S, now_s)
        if by_protection and may_reverse(limits, history, direction, now_s).ok:
            history = record_stop(record_start(history, direction, now_s), now_s + 1.0)
            real_starts.append(real_s)
        elif allowed.ok:
            history = record_stop(record_start(history, direction, now_s), now_s + 1.0)
            real_starts.append(real_s)
            assert sum(real_s - at_s < WINDOW_S for at_s in real_starts) <= budget
        now_s, real_s = now_s + 1.0, real_s + 1.0


@given(steps=steps)
def test_a_wait_that_is_named_is_long_enough(steps: list[tuple[float, int, float, bool, str]]) -> None:
    history, now_s = StartHistory(), 0.0
    for wait_s, direction, travel_pct, _, _ in steps:
        now_s += wait_s
        for _ in range(4):  # the pause, the rest, the budget; then it may
            allowed = may_start(LIMITS, history, direction, travel_pct, STROKE_S, now_s)
            if allowed.ok or allowed.wait_s is None:
                break
            assert allowed.wait_s > 0.0
            now_s += allowed.wait_s + 1e-6
        assert allowed.ok or allowed.wait_s is None
        if allowed.ok:
            history = record_stop(record_start(history, direction, now_s), now_s + 1.0)
            now_s += 1.0
