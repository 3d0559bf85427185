"""Answers of the gate as text. Pure functions."""

from __future__ import annotations

import json
from typing import Any

from shared.contracts.gate_socket import GateReading, GateStatus, PlanView


def as_json(data: dict[str, Any]) -> str:
    """Indented JSON with a line end."""
    return json.dumps(data, indent=2, sort_keys=True) + "\n"


def status_text(status: GateStatus) -> str:
    """A head line, and a row a gate."""
    late = "-" if status.lateness_p99_ms is None else f"{status.lateness_p99_ms:.1f} ms"
    hold = "; ".join(status.hold_reasons) if status.hold else "no"
    lines = [
        f"site {status.site}  scan {status.scan} every {status.scan_period_s:g} s  late p99 {late}"
        f"  plan {status.plan_generation or '-'}  hold updates: {hold}",
        f"{'GATE':<12} {'MODE':<8} {'LEVEL':>9} {'OPENING':>8} {'TARGET':<28} {'QUALITY':<9} ALARMS",
    ]
    lines += [_row(gate_id, gate) for gate_id, gate in sorted(status.gates.items())]
    return "\n".join(lines) + "\n"


def _row(gate_id: str, gate: GateReading) -> str:
    level = "-" if gate.level_m is None else f"{gate.level_m:.3f} m"
    opening = "-" if gate.opening_pct is None else f"{gate.opening_pct:.1f} %"
    moving = " (moving)" if gate.moving else ""
    row = f"{gate_id:<12} {gate.mode:<8} {level:>9} {opening:>8} {gate.target or '-':<28} {gate.quality:<9} {', '.join(gate.alarms) or '-'}"
    return f"{row}{moving}\n{'':<12} {'; '.join(gate.reasons)}" if gate.reasons else f"{row}{moving}"


def plan_text(view: PlanView) -> str:
    """State, generation, and an objective a gate."""
    if view.plan is None:
        return "no plan\n"
    accepted = view.accepted_at.isoformat() if view.accepted_at is not None else "-"
    lines = [f"plan {view.generation}  {view.state}  accepted {accepted}"]
    for gate_id, directive in sorted(view.plan.get("gates", {}).items()):
        objective = directive.get("objective", {})
        figures = " ".join(f"{name} {value}" for name, value in objective.items() if name != "kind")
        lines.append(f"{gate_id:<12} {objective.get('kind', '-')} {figures}  schedule entries: {len(directive.get('schedule', []))}")
    return "\n".join(lines) + "\n"
