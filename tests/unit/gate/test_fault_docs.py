"""The fault table names every alarm that there is, and none that there is not; so does what the process itself raises."""

import re
from pathlib import Path

from edge_agent.decide.gate_life import CRASH_LOOP, NOT_SCANNING
from edge_agent.gate_control.decide.alarm_names import AlarmName
from edge_agent.gate_control.decide.alarm_table import MEANINGS
from edge_agent.gate_control.update.updater import Outcome

ROOT = Path(__file__).parents[3]
FAULTS = (ROOT / "docs" / "operations" / "gate-faults.md").read_text()
UPDATES = (ROOT / "docs" / "operations" / "gate-updates.md").read_text()
SETTINGS = {"comms_lost", "timer_s", "heartbeat_register", "drive_to", "on_bad_sensor", "stale_after_s", "longest_deferral_s", "after_s"}


def test_each_alarm_has_its_row_in_the_fault_table() -> None:
    assert [name.value for name in AlarmName if f"`{name.value}`" not in FAULTS] == []


def test_no_row_names_an_alarm_that_nothing_raises() -> None:
    words = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", FAULTS))
    assert words - SETTINGS - {name.value for name in AlarmName} == set()


def test_each_alarm_is_raised_somewhere() -> None:
    tables = ("alarm_names.py", "alarm_table.py", "alarm_table_site.py")
    sources = [path.read_text() for path in (ROOT / "edge_agent").rglob("*.py") if path.name not in tables]
    inputs = {"mains_lost", "battery_low", "door_open"}  # named by `site.yaml`
    unraised = {name for name in AlarmName if not any(f"AlarmName.{name.name}" in text or f'"{name.value}"' in text for text in sources)}
    sited = {name for name in unraised if any(f'"site/{name.value}"' in text for text in sources)}
    assert unraised - sited - inputs == set()


def test_what_the_process_raises_of_itself_has_a_meaning() -> None:
    sources = [ROOT / "edge_agent" / "gate_control" / name for name in ("loop/service.py", "loop/scan.py", "console/plans.py")]
    raised = {word for source in sources for word in re.findall(r'(?:"site/|_report\(")([a-z_]+)"', source.read_text())}
    assert len(raised) > 8
    assert {AlarmName(word) for word in raised} <= set(MEANINGS)


def test_what_the_agent_raises_is_urgent_in_the_same_table() -> None:
    assert {MEANINGS[AlarmName(name)].priority for name in (CRASH_LOOP, NOT_SCANNING)} == {"urgent"}


def test_the_page_on_updates_explains_each_exit_code() -> None:
    rows = [line for line in UPDATES.splitlines() if line.startswith("| ")]
    assert all(any(row.startswith(f"| {code} |") for row in rows) for code in {*Outcome, 1, 2})
