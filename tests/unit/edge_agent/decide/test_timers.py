"""Deadlines over restarts, reboots and clocks that jump."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decide import timers
from edge_agent.model import Moment, Timer
from tests.fakes.fake_clock import START

LIMIT_S = 400.0


def moment(boot: str, monotonic_s: float, wall_s: float) -> Moment:
    return Moment(boot, monotonic_s, START + timedelta(seconds=wall_s))


def test_within_a_boot_the_wall_clock_says_nothing() -> None:
    timer = timers.start(Timer(), moment("a", 100.0, 0.0), limit_s=LIMIT_S)

    assert timers.spent_s(timer, moment("a", 130.0, 900_000.0), limit_s=LIMIT_S) == 30.0
    assert timers.spent_s(timer, moment("a", 130.0, -900_000.0), limit_s=LIMIT_S) == 30.0


def test_a_reboot_counts_at_most_a_quarter_and_never_backwards() -> None:
    timer = timers.start(Timer(), moment("a", 100.0, 0.0), limit_s=LIMIT_S)

    assert timers.spent_s(timer, moment("b", 3.0, 60.0), limit_s=LIMIT_S) == 60.0
    assert timers.spent_s(timer, moment("b", 3.0, 5_000_000.0), limit_s=LIMIT_S) == 100.0
    assert timers.spent_s(timer, moment("b", 3.0, -5_000.0), limit_s=LIMIT_S) == 0.0


def test_a_row_of_reboots_does_end_a_deadline() -> None:
    timer = Timer()
    for boot in range(6):
        timer = timers.start(timer, moment(f"boot-{boot}", 5.0, boot * 120.0), limit_s=LIMIT_S)

    assert timers.is_over(timer, moment("boot-5", 6.0, 601.0), limit_s=LIMIT_S)


def test_a_standing_timer_keeps_what_was_spent() -> None:
    running = timers.start(Timer(), moment("a", 100.0, 0.0), limit_s=LIMIT_S)
    standing = timers.stop(running, moment("a", 110.0, 10.0), limit_s=LIMIT_S)

    assert standing == Timer(10.0, None)
    assert timers.spent_s(standing, moment("a", 900.0, 900.0), limit_s=LIMIT_S) == 10.0
    assert timers.start(standing, moment("a", 900.0, 900.0), limit_s=LIMIT_S).spent_s == 10.0


def test_a_machine_that_wakes_up_in_the_past_again_and_again_still_reaches_the_deadline() -> None:
    timer = Timer()
    for boot in range(8):
        for second in range(0, 90, 5):
            now = moment(f"boot-{boot}", 5.0 + second, second - 3_600.0 * boot)
            timer = timers.start(timer, now, limit_s=LIMIT_S)

    assert timers.is_over(timer, now, limit_s=LIMIT_S)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 50), st.floats(-1e6, 1e6)), max_size=20))
def test_a_reboot_forgets_little_and_no_jump_ends_a_deadline_at_once(steps: list[tuple[bool, float, float]]) -> None:
    boot, monotonic_s, wall_s = 0, 10.0, 0.0
    timer = timers.start(Timer(), moment("0", monotonic_s, wall_s), limit_s=LIMIT_S)
    spent_s = 0.0
    for reboots, passed_s, jump_s in steps:
        boot, monotonic_s = (boot + 1, 1.0) if reboots else (boot, monotonic_s + passed_s)
        wall_s += passed_s + jump_s
        now = moment(str(boot), monotonic_s, wall_s)
        timer = timers.start(timer, now, limit_s=LIMIT_S)
        after_s = timers.spent_s(timer, now, limit_s=LIMIT_S)
        assert -timers.note_every_s(LIMIT_S) <= after_s - spent_s <= LIMIT_S / 4 + 50.0
        spent_s = after_s
