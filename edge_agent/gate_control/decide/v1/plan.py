"""Whether a plan may be obeyed here. Pure. A plan is taken whole or refused whole."""

from __future__ import annotations

from edge_agent.gate_control.decide.v1.objective import describe, level_target
from edge_agent.gate_control.model.site import GateSettings, SiteSettings
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import FlowObjective, GateDirective, GatePlan, Objective, PositionObjective

START_TOLERANCE_S = 60.0
"""A plan may be signed by a clock that runs ahead by this much."""


def check_plan(plan: GatePlan, site: SiteSettings, now: Now) -> tuple[str, ...]:
    """Every reason to refuse, each with gate, figure and limit; empty when the plan may be obeyed."""
    problems: list[str] = []
    if plan.site != site.site:
        problems.append(f"plan is for site {plan.site}, this is site {site.site}")
    if plan.orders:
        problems.append("delivery orders are not supported here")
    if now.wall_is_trusted and (plan.valid_from - now.wall).total_seconds() > START_TOLERANCE_S:
        problems.append(f"plan starts at {plan.valid_from.isoformat()}, in the future: put later objectives into the schedule")
    for gate_id, directive in plan.gates.items():
        settings = site.gate(gate_id)
        if settings is None:
            problems.append(f"gate {gate_id} is not at this site; it has {', '.join(gate.id for gate in site.gates)}")
        else:
            problems += [f"gate {gate_id}: {problem}" for problem in _check_directive(directive, settings)]
    return tuple(problems)


def _check_directive(directive: GateDirective, settings: GateSettings) -> list[str]:
    problems = _check_limits(directive, settings)
    problems += _check_objective(directive.objective, directive, settings)
    for entry in directive.schedule:
        problems += [f"schedule at {entry.at.isoformat()}: {problem}" for problem in _check_objective(entry.objective, directive, settings)]
    times = [entry.at for entry in directive.schedule]
    if len(set(times)) != len(times):
        problems.append("two schedule entries have the same time")
    return problems


def _check_limits(directive: GateDirective, settings: GateSettings) -> list[str]:
    own, asked = settings.limits, directive.limits
    pairs = (
        ("opening_min_pct", asked.opening_min_pct, own.opening_min_pct, "below"),
        ("opening_max_pct", asked.opening_max_pct, own.opening_max_pct, "above"),
        ("level_min_m", asked.level_min_m, own.level_min_m, "below"),
        ("level_max_m", asked.level_max_m, own.level_max_m, "above"),
    )
    problems = [
        f"{name} {figure:g} is {side} the gate's own limit {limit:g}"
        for name, figure, limit, side in pairs
        if figure is not None and (figure < limit if side == "below" else figure > limit)
    ]
    low, high = _opening_range(directive, settings)
    if high - low < own.deadband_pct:
        problems.append(f"opening limits {low:g} to {high:g} leave less room than the deadband {own.deadband_pct:g}")
    level_low, level_high = _level_range(directive, settings)
    if level_low >= level_high:
        problems.append(f"level limits {level_low:g} to {level_high:g} leave no room")
    return problems


def _check_objective(objective: Objective, directive: GateDirective, settings: GateSettings) -> list[str]:
    if isinstance(objective, FlowObjective):
        return [f"objective {describe(objective)} is not supported: the site has no gate geometry to compute flow from"]
    if isinstance(objective, PositionObjective):
        low, high = _opening_range(directive, settings)
        return _outside("opening_pct", objective.opening_pct, low, high)
    target = level_target(objective)
    if target is None or getattr(settings.points, target.point) is None:
        return [f"objective {describe(objective)} needs a sensor {objective.kind}, which the gate does not have"]
    low, high = _level_range(directive, settings)
    return _outside("level_m", target.level_m, low, high)


def _outside(name: str, figure: float, low: float, high: float) -> list[str]:
    return [] if low <= figure <= high else [f"{name} {figure:g} lies outside the limits {low:g} to {high:g}"]


def _opening_range(directive: GateDirective, settings: GateSettings) -> tuple[float, float]:
    own, asked = settings.limits, directive.limits
    low = own.opening_min_pct if asked.opening_min_pct is None else max(own.opening_min_pct, asked.opening_min_pct)
    high = own.opening_max_pct if asked.opening_max_pct is None else min(own.opening_max_pct, asked.opening_max_pct)
    return low, high


def _level_range(directive: GateDirective, settings: GateSettings) -> tuple[float, float]:
    own, asked = settings.limits, directive.limits
    low = own.level_min_m if asked.level_min_m is None else max(own.level_min_m, asked.level_min_m)
    high = own.level_max_m if asked.level_max_m is None else min(own.level_max_m, asked.level_max_m)
    return low, high
