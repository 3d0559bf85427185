"""What the agent makes of a gate process that falls silent, answers without scanning, or ends again and again."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decide.gate_life import CRASH_LOOP, ENDS_MAX, ENDS_WITHIN_S, NOT_SCANNING, GateLife, Look, alarms, observe

PERIOD_S = 2.0
Story = list[tuple[float, Look | None]]


def play(looks: Story, *, began_s: float = 0.0) -> list[tuple[float, set[str]]]:
    life, told = GateLife(began_s), list[tuple[float, set[str]]]()
    for at_s, look in looks:
        life = observe(life, look, at_s)
        told.append((at_s, set(alarms(life, at_s, answers=look is not None))))
    return told


def scanning(began_s: float, duration_s: float, *, first: int = 1) -> Story:
    return [(began_s + step * PERIOD_S, Look(first + 2 * step, 1.0)) for step in range(round(duration_s / PERIOD_S))]


def silent(began_s: float, duration_s: float) -> Story:
    return [(began_s + step * PERIOD_S, None) for step in range(round(duration_s / PERIOD_S))]


def test_a_process_that_scans_raises_nothing() -> None:
    assert all(not names for _, names in play(scanning(0.0, 600.0)))


def test_ten_seconds_without_it_are_an_update_and_no_alarm() -> None:
    assert all(not names for _, names in play(scanning(0, 60) + silent(60, 12) + scanning(72, 60)))


def test_silence_is_an_alarm_after_fifteen_seconds_and_over_with_the_next_scan() -> None:
    told = play(scanning(0, 60) + silent(60, 60) + scanning(120, 10))
    raised = [at_s for at_s, names in told if NOT_SCANNING in names]
    assert (raised[0], raised[-1]) == (74.0, 118.0)


def test_a_process_that_never_answered_since_the_agent_began_is_one_that_does_not_scan() -> None:
    told = play(silent(100, 30), began_s=100.0)
    assert next(at_s for at_s, names in told if names) == 116.0


def test_to_answer_is_not_to_scan() -> None:
    life = GateLife(0.0)
    for at_s in range(0, 40, 2):
        life = observe(life, Look(7, 1.0), float(at_s))
    assert "answers and does not scan" in alarms(life, 38.0, answers=True)[NOT_SCANNING]


def test_slow_scans_are_given_ten_of_their_periods() -> None:
    life = observe(GateLife(0.0), Look(1, 10.0), 0.0)
    assert not alarms(life, 99.0, answers=True)
    assert NOT_SCANNING in alarms(life, 101.0, answers=True)


def test_three_ends_in_ten_minutes_are_a_crash_loop_that_is_over_ten_minutes_later() -> None:
    lives = [scanning(start, 20) for start in (0, 20, 40, 60)]
    told = play([look for life in lives for look in life] + scanning(80, 1_200, first=100))
    raised = [at_s for at_s, names in told if CRASH_LOOP in names]
    assert raised[0] == 60.0
    # the first of the three is forgotten ten minutes after it
    assert raised[-1] < 20.0 + ENDS_WITHIN_S
    assert not any(NOT_SCANNING in names for _, names in told)


@given(st.lists(st.none() | st.integers(0, 50), max_size=100), st.floats(0.05, 10.0))
def test_whatever_is_seen_it_remembers_no_more_than_ten_minutes_and_a_new_scan_ends_the_silence(
    scans: list[int | None], period_s: float
) -> None:
    life, before = GateLife(0.0), 0
    for step, scan in enumerate(scans):
        at_s = 2.0 * step
        life = observe(life, None if scan is None else Look(scan, period_s), at_s)
        found = alarms(life, at_s, answers=scan is not None)
        if scan is not None and scan != before:
            assert NOT_SCANNING not in found
        before = before if scan is None else scan
        assert len(life.ends_s) <= ENDS_WITHIN_S / 2.0
        assert (CRASH_LOOP in found) == (len(life.ends_s) >= ENDS_MAX)
