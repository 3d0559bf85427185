"""Which objective holds now. Pure."""

from __future__ import annotations

from typing import assert_never

from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import (
    DownstreamLevelObjective,
    FlowObjective,
    GateDirective,
    Objective,
    PositionObjective,
    UpstreamLevelObjective,
)


def objective_at(directive: GateDirective | None, now: Now) -> Objective | None:
    """The newest schedule entry whose time has come; before the first, or with a clock nobody set, the plan's own objective."""
    if directive is None:
        return None
    if not now.wall_is_trusted:
        return directive.objective
    due = [entry for entry in directive.schedule if entry.at <= now.wall]
    return max(due, key=lambda entry: entry.at).objective if due else directive.objective


def describe(objective: Objective | None) -> str:
    """For people: `upstream_level 2.100 m`."""
    match objective:
        case None:
            return ""
        case PositionObjective():
            return f"position {objective.opening_pct:.1f} %"
        case FlowObjective():
            return f"flow {objective.flow_m3s:.3f} m3/s"
        case UpstreamLevelObjective() | DownstreamLevelObjective():
            return f"{objective.kind} {objective.level_m:.3f} m"
        case _:
            assert_never(objective)
