"""Answers of the gate as text for people. Pure functions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from edge_agent.gate_control.console.history import GateHistory
from shared.chart import Series, draw_chart
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_socket import AlarmView, GateReading, GateStatus, JournalRecord, PlanView

SHOWN_EVENTS = 20
_ALARM_COLUMNS = ("PRIORITY", "STATE", "ALARM", "SINCE", "BY", "REASON")
_STATES = {"unacknowledged": "new", "acknowledged": "seen", "returned": "gone, not seen", "shelved": "shelved"}


@dataclass(frozen=True)
class Row:
    """Cells, and what is said below them."""

    cells: tuple[str, ...]
    notes: tuple[str, ...] = ()


def status_text(status: GateStatus, width: int | None = None) -> str:
    """A head line, a row a gate, and what stands in the way of each.

    `width`: columns of the terminal; what has no room in a row stands below it. None: as wide as it gets.
    """
    late = "-" if status.lateness_p99_ms is None else f"{status.lateness_p99_ms:.1f} ms"
    hold = "; ".join(status.hold_reasons) if status.hold else "no"
    head = f"site {status.site}  scan {status.scan} every {status.scan_period_s:g} s  late p99 {late}  {_plan_in_force(status)}"
    columns = ("GATE", "MODE", "LEVEL", "OPENING", "FLOW", "TARGET", "QUALITY", "OWNER", "ALARMS")
    gates = sorted(status.gates.items())
    rows = [Row(_cells(gate_id, gate), tuple(dict.fromkeys(_notes(gate)))) for gate_id, gate in gates]
    lines = [*_wrapped(head, width), *_wrapped(f"hold updates: {hold}", width)]
    return _text([*lines, *_fitted(columns, rows, ("ALARMS", "TARGET", "OWNER", "QUALITY"), width)])


def _plan_in_force(status: GateStatus) -> str:
    central = f"plan {status.plan_generation}" if status.plan_generation else ""
    if status.local_plan:
        return f"plan made here ({central} of central stands by)" if central else "plan made here"
    return central or "plan -"


def _cells(gate_id: str, gate: GateReading) -> tuple[str, ...]:
    opening = _figure(gate.opening_pct, "%", 1) + (" *" if gate.moving else "")
    alarms = ", ".join(gate.alarms) or "-"
    level, flow = _figure(gate.level_m, "m", 3), _figure(gate.flow_m3s, "m3/s", 2)
    return (gate_id, gate.mode, level, opening, flow, gate.target or "-", gate.quality, gate.owner or "-", alarms)


def _notes(gate: GateReading) -> Iterable[str]:
    if gate.tagout:
        yield f"tagged out by {gate.tagout}"
    if gate.trip:
        yield f"tripped: {gate.trip}"
    if not gate.in_service:
        yield "out of service"
    if gate.manual_until_s is not None:
        yield f"motion by hand for {gate.manual_until_s:.0f} s more at most"
    if gate.moving:
        yield "* moving"
    yield from gate.reasons


def plan_text(view: PlanView) -> str:
    """State, generation, and an objective a gate; the local plan first, for it outranks."""
    lines = _plan_lines("local plan", view.local) if view.local is not None else []
    if view.plan is not None:
        accepted = view.accepted_at.isoformat(timespec="seconds") if view.accepted_at is not None else "-"
        lines += _plan_lines(f"plan {view.generation}  {view.state}  accepted {accepted}", view.plan)
    return _text(lines or ["no plan"])


def _plan_lines(head: str, plan: dict[str, object]) -> list[str]:
    lines = [f"{head}  by {plan.get('author') or '-'}"]
    gates = plan.get("gates")
    for gate_id, directive in sorted(gates.items()) if isinstance(gates, dict) else ():
        objective = directive.get("objective", {})
        figures = " ".join(f"{name} {value}" for name, value in objective.items() if name != "kind")
        lines.append(f"{gate_id:<12} {objective.get('kind', '-')} {figures}  schedule entries: {len(directive.get('schedule', []))}")
    return lines


def answer_text(view: CommandView) -> str:
    """What became of a command, and the next step where there is one."""
    lines = [*view.reasons] or [f"{view.verb} done"]
    if "code" in view.data:
        lines.append(f"to take it off: munbon-gate tagout confirm {view.gate} {view.data['code']}")
    return _text(lines)


def alarms_text(status: GateStatus, width: int | None = None) -> str:
    """One row an alarm, in the order of the gate. `width` as in `status_text`."""
    if not status.alarm_table:
        return "no alarms\n"
    return _text(_fitted(_ALARM_COLUMNS, [_alarm(alarm) for alarm in status.alarm_table], ("REASON", "BY"), width))


def _alarm(alarm: AlarmView) -> Row:
    since = _local(alarm.raised_at) if alarm.raised_at is not None else "-"
    state = _STATES.get(alarm.state, alarm.state)
    if alarm.shelved_until is not None:
        state += f" until {_local(alarm.shelved_until)}"
    first = " (first)" if alarm.is_first else ""
    return Row((alarm.priority, state, alarm.key + first, since, alarm.acknowledged_by or "-", alarm.reason))


def history_text(found: GateHistory, start: datetime, until: datetime, *, braille: bool) -> str:
    """Charts of level, opening and flow, and the last events."""
    since_s = (until - start).total_seconds()
    rows = [((sample.at - start).total_seconds(), sample) for sample in found.samples]
    series = [
        Series(f"{found.gate} level", "m", [(at_s, row.level_m) for at_s, row in rows], 3),
        Series(f"{found.gate} opening", "%", [(at_s, row.opening_pct) for at_s, row in rows], 1),
        Series(f"{found.gate} flow", "m3/s", [(at_s, row.flow_m3s) for at_s, row in rows], 2),
    ]
    lines: list[str] = []
    for one in series:
        if one.unit != "m3/s" or any(value is not None for _, value in one.points):
            lines += [*draw_chart(one, 0.0, since_s, start=_local(start), end=_local(until), braille=braille), ""]
    shown = found.events[-SHOWN_EVENTS:]
    if len(found.events) > len(shown):
        lines.append(f"... {len(found.events) - len(shown)} earlier events")
    lines += [_event(record) for record in shown]
    return _text(lines)


def _event(record: JournalRecord) -> str:
    data = record.data
    said = [str(data[name]) for name in ("verb", "alarm", "mode", "opening_pct", "state", "generation", "code", "reason") if data.get(name)]
    if data.get("by"):
        said.append(f"by {data['by']}")
    if data.get("note"):
        said.append(f"note: {data['note']}")
    return f"{_local(record.at)}  {record.gate or 'site':<8} {str(record.kind).replace('_', ' '):<18} {', '.join(said)}"


def _figure(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"


def _local(moment: datetime) -> str:
    """In the time zone of who reads it."""
    return moment.astimezone().strftime("%d %b %H:%M:%S")


def _fitted(columns: Sequence[str], rows: Sequence[Row], may_go: Sequence[str], width: int | None) -> list[str]:
    """Table lines; as long as they are too wide, the next of `may_go` stands below its row instead of in it."""
    shown = list(columns)
    while True:
        kept = [index for index, name in enumerate(columns) if name in shown]
        table = [[plain(cells[index]) for index in kept] for cells in (columns, *(row.cells for row in rows))]
        widths = [max(len(line[place]) for line in table) for place in range(len(kept))]
        left = [name for name in may_go if name in shown]
        if width is None or not left or sum(widths) + 2 * (len(widths) - 1) <= width:
            break
        shown.remove(left[0])
    lines = ["  ".join(f"{cell:<{size}}" for cell, size in zip(line, widths, strict=True)).rstrip() for line in table]
    found = [lines[0]]
    for row, line in zip(rows, lines[1:], strict=True):
        gone = [index for index in range(len(columns)) if index not in kept and row.cells[index] != "-"]
        below = [f"{columns[index].lower()}: {row.cells[index]}" for index in gone]
        found += [line, *(part for note in (*below, *row.notes) for part in _wrapped(note, width, indent=4))]
    return found


def _wrapped(text: str, width: int | None, *, indent: int = 0) -> list[str]:
    space = " " * indent
    if width is None:
        return [space + plain(text)]
    return textwrap.wrap(plain(text), max(width, 20), initial_indent=space, subsequent_indent=space) or [space]


def plain(text: str) -> str:
    """Text of other people without line ends and control characters: it must not steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{plain(line).rstrip()}\n" for line in lines)
