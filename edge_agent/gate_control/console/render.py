"""Answers of the gate as text for people. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from edge_agent.gate_control.console.history import GateHistory
from shared.chart import Series, draw_chart
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_socket import GateReading, GateStatus, JournalRecord, PlanView

SHOWN_EVENTS = 20
_STATES = {"unacknowledged": "new", "acknowledged": "seen", "returned": "gone, not seen", "shelved": "shelved"}


def status_text(status: GateStatus) -> str:
    """A head line, a row a gate, and what stands in the way of each."""
    late = "-" if status.lateness_p99_ms is None else f"{status.lateness_p99_ms:.1f} ms"
    hold = "; ".join(status.hold_reasons) if status.hold else "no"
    head = f"site {status.site}  scan {status.scan} every {status.scan_period_s:g} s  late p99 {late}  plan {status.plan_generation or '-'}"
    columns = ("GATE", "MODE", "LEVEL", "OPENING", "FLOW", "TARGET", "QUALITY", "OWNER", "ALARMS")
    gates = sorted(status.gates.items())
    rows = _table([columns, *(_row(gate_id, gate) for gate_id, gate in gates)])
    lines = [head, f"hold updates: {hold}", rows[0]]
    for (_, gate), row in zip(gates, rows[1:], strict=True):
        lines += [row, *(f"    {note}" for note in dict.fromkeys(_notes(gate)))]
    return "\n".join(lines) + "\n"


def _row(gate_id: str, gate: GateReading) -> tuple[str, ...]:
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
    return "\n".join(lines or ["no plan"]) + "\n"


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
    return "\n".join(lines) + "\n"


def alarms_text(status: GateStatus) -> str:
    """One row an alarm, in the order of the gate."""
    if not status.alarm_table:
        return "no alarms\n"
    rows = [("PRIORITY", "STATE", "ALARM", "SINCE", "BY", "REASON")]
    for alarm in status.alarm_table:
        since = _local(alarm.raised_at) if alarm.raised_at is not None else "-"
        state = _STATES.get(alarm.state, alarm.state)
        if alarm.shelved_until is not None:
            state += f" until {_local(alarm.shelved_until)}"
        first = " (first)" if alarm.is_first else ""
        rows.append((alarm.priority, state, alarm.key + first, since, alarm.acknowledged_by or "-", alarm.reason))
    return "\n".join(_table(rows)) + "\n"


def history_text(found: GateHistory, since_s: float, until: datetime, *, braille: bool) -> str:
    """Charts of level, opening and flow, and the last events."""
    start = until - timedelta(seconds=since_s)
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
    return "\n".join(lines) + "\n"


def _event(record: JournalRecord) -> str:
    data = record.data
    said = [str(data[name]) for name in ("verb", "alarm", "mode", "opening_pct", "state", "generation", "code", "reason") if data.get(name)]
    if data.get("by"):
        said.append(f"by {data['by']}")
    return f"{_local(record.at)}  {record.gate or 'site':<8} {str(record.kind).replace('_', ' '):<18} {', '.join(said)}"


def _figure(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}"


def _local(moment: datetime) -> str:
    """In the time zone of who reads it."""
    return moment.astimezone().strftime("%d %b %H:%M:%S")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
