"""What the agent makes of the interlock file: whether to wait, why, and until when."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.decide.hold import judge_interlock
from edge_agent.model import Moment
from shared.contracts.interlock import MAX_AGE_SCANS, Interlock
from tests.fakes.fake_clock import START

NOW = Moment("boot-1", 1_000.0, START)


def interlock(
    *, age_s: float = 0.5, boot_id: str = "boot-1", hold: bool = True, flood: bool = False, until: datetime | None = None
) -> Interlock:
    reasons = ("flood alarm at gate g1: high_high",) if flood else ("a delivery runs",)
    return Interlock(
        site="north", written_at=START, boot_id=boot_id, monotonic_s=NOW.monotonic_s - age_s, scan_period_s=1.0, hold=hold,
        reasons=reasons if hold else (), flood_alarm=flood, until=until,
    )  # fmt: skip


def test_the_reason_says_until_when_to_the_minute_so_that_it_does_not_change_with_every_scan() -> None:
    until = START + timedelta(hours=2, seconds=5)
    shown = {judge_interlock(interlock(until=until + timedelta(milliseconds=300 * step)), NOW).reason for step in range(9)}
    minute = (START + timedelta(hours=2, minutes=1)).strftime("%Y-%m-%d %H:%M")
    assert shown == {f"a delivery runs; until about {minute} UTC"}


def test_an_end_that_is_not_known_or_was_wrong_or_a_flood_is_not_told() -> None:
    assert judge_interlock(interlock(), NOW).reason == "a delivery runs"
    assert judge_interlock(interlock(until=START - timedelta(seconds=1)), NOW).reason == "a delivery runs"
    flood = judge_interlock(interlock(flood=True, until=START + timedelta(hours=1)), NOW)
    assert (flood.is_held, flood.is_flood, flood.reason) == (True, True, "flood alarm at gate g1: high_high")


def test_a_file_that_grows_old_holds_and_its_text_does_not_count_the_seconds() -> None:
    shown = {judge_interlock(interlock(hold=False, age_s=age_s), NOW).reason for age_s in (6.0, 7.0, 100.0)}
    assert shown == {"the interlock file is more than 5 s old: the gate process does not scan"}


@given(st.floats(0.0, 1e4), st.sampled_from(["boot-1", "boot-0"]), st.booleans(), st.booleans(), st.none() | st.integers(-10_000, 10_000))
def test_doubt_holds_and_a_flood_alarm_counts_however_old(age_s: float, boot_id: str, hold: bool, flood: bool, until_s: int | None) -> None:
    until = None if until_s is None else START + timedelta(seconds=until_s)
    found = judge_interlock(interlock(age_s=age_s, boot_id=boot_id, hold=hold or flood, flood=flood, until=until), NOW)
    is_fresh = boot_id == "boot-1" and age_s <= MAX_AGE_SCANS
    assert found.is_held == (hold or flood or not is_fresh)
    assert found.is_flood == flood
    assert bool(found.reason) == found.is_held
