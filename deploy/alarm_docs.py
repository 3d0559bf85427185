"""Writes docs/reference/gate-alarms.md from the table of alarms: `python -m deploy.alarm_docs [--check]`."""

from __future__ import annotations

from pathlib import Path

from deploy.pages import write_or_check
from edge_agent.gate_control.decide.alarm_names import PRIORITIES
from edge_agent.gate_control.decide.alarm_table import MEANINGS

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "gate-alarms.md"
HEAD = """<!-- written by `python -m deploy.alarm_docs`; edit edge_agent/gate_control/decide/alarm_table.py instead -->

# Alarms of a gate site

An alarm asks a person to do something. Its key is `<gate, pool or site>/<name>`; where a subject can have several of one name, a
detail follows: `g1/interlock_tripped.high_high`, `g1/sensor_stale.g1.level`. Priority and delays are those below unless an `alarms` rule
in `site.yaml` names the alarm. [gate-states.md](../concepts/gate-states.md#alarms) says how an alarm is raised, acknowledged,
shelved, and held when it chatters.

| priority | alarms here | meaning |
|---|---|---|
"""
MEANING_OF_PRIORITY = {
    "urgent": "act now, at the site if need be; it cannot be shelved",
    "high": "act within minutes",
    "medium": "act within the hour",
    "low": "act within the day",
}


def render() -> str:
    """The page as it should be."""
    lines = [
        f"| {priority} | {sum(it.priority == priority for it in MEANINGS.values())} | {MEANING_OF_PRIORITY[priority]} |"
        for priority in reversed(PRIORITIES)
    ]
    for subject, title in (("gate", "Of a gate and its sensors"), ("pool", "Of a pool"), ("site", "Of the site")):
        lines += ["", f"## {title}", "", "| name | priority | on/off delay | cause | consequence | action |", "|---|---|---|---|---|---|"]
        for name, meaning in MEANINGS.items():
            if meaning.subject == subject:
                delays = f"{meaning.on_delay_s:g} / {meaning.off_delay_s:g} s"
                lines.append(f"| `{name}` | {meaning.priority} | {delays} | {meaning.cause} | {meaning.consequence} | {meaning.action} |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    """Write, or compare with `--check`; 1 when it is out of date."""
    return write_or_check(TARGET, render(), "python -m deploy.alarm_docs")


if __name__ == "__main__":
    raise SystemExit(main())
