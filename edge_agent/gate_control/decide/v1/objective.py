"""Which objective holds now, within which limits. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from edge_agent.gate_control.model.site import GateSettings
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import (
    DownstreamLevelObjective,
    FlowObjective,
    GateDirective,
    Objective,
    PositionObjective,
    UpstreamLevelObjective,
)


@dataclass(frozen=True)
class EffectiveLimits:
    """The owner's limits, narrowed by the plan."""

    opening_min_pct: float
    opening_max_pct: float
    level_min_m: float
    level_max_m: float


@dataclass(frozen=True)
class LevelTarget:
    """A level to hold. `sign` is +1 where more opening lowers the level, -1 where it raises it."""

    point: str
    level_m: float
    sign: float


def objective_at(directive: GateDirective, now: Now) -> Objective:
    """The newest schedule entry whose time has come; before the first, or with a clock nobody set, the plan's own objective."""
    if not now.wall_is_trusted:
        return directive.objective
    due = [entry for entry in directive.schedule if entry.at <= now.wall]
    return max(due, key=lambda entry: entry.at).objective if due else directive.objective


def level_target(objective: Objective) -> LevelTarget | None:
    """The level that an objective holds, if it holds one."""
    match objective:
        case UpstreamLevelObjective():
            return LevelTarget("upstream_level", objective.level_m, 1.0)
        case DownstreamLevelObjective():
            return LevelTarget("downstream_level", objective.level_m, -1.0)
        case PositionObjective() | FlowObjective():
            return None
        case _:
            assert_never(objective)


def describe(objective: Objective) -> str:
    """For people: `upstream_level 2.100 m`."""
    match objective:
        case PositionObjective():
            return f"position {objective.opening_pct:.1f} %"
        case FlowObjective():
            return f"flow {objective.flow_m3s:.3f} m3/s"
        case UpstreamLevelObjective() | DownstreamLevelObjective():
            return f"{objective.kind} {objective.level_m:.3f} m"
        case _:
            assert_never(objective)


def effective_limits(settings: GateSettings, directive: GateDirective | None) -> EffectiveLimits:
    """Intersection of the owner's limits and the plan's; where they do not meet, the owner's."""
    own = settings.limits
    asked = directive.limits if directive is not None else None
    low, high = own.opening_min_pct, own.opening_max_pct
    level_low, level_high = own.level_min_m, own.level_max_m
    if asked is not None:
        low, high = _narrowed(low, high, asked.opening_min_pct, asked.opening_max_pct)
        level_low, level_high = _narrowed(level_low, level_high, asked.level_min_m, asked.level_max_m)
    return EffectiveLimits(low, high, level_low, level_high)


def _narrowed(low: float, high: float, asked_low: float | None, asked_high: float | None) -> tuple[float, float]:
    new_low = low if asked_low is None else max(low, asked_low)
    new_high = high if asked_high is None else min(high, asked_high)
    return (new_low, new_high) if new_low <= new_high else (low, high)
