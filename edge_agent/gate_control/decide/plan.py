"""Whether a plan may be obeyed here. Pure. A plan is taken whole or refused whole."""

from __future__ import annotations

from edge_agent.gate_control.decide.limits import own_limits, travel_limits
from edge_agent.gate_control.decide.objective import describe
from edge_agent.gate_control.decide.order_outlook import check_orders
from edge_agent.gate_control.decide.topology import LoopPlace, StructurePlace, topology
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_plan import FlowObjective, GateDirective, GatePlan, Objective, PositionObjective

START_TOLERANCE_S = 60.0
"""A plan may be signed by a clock that runs ahead by this much."""


def check_plan(plan: GatePlan, site: SiteConfiguration, now: Now) -> tuple[str, ...]:
    """Every reason to refuse, each with gate, figure and limit; empty when the plan may be obeyed."""
    problems: list[str] = []
    if plan.site != site.site:
        problems.append(f"plan is for site {plan.site}, this is site {site.site}")
    if now.wall_is_trusted and (plan.valid_from - now.wall).total_seconds() > START_TOLERANCE_S:
        problems.append(f"plan starts at {plan.valid_from.isoformat()}, in the future: put later objectives into the schedule")
    places = {place.structure.id: place for place in topology(site).structures}
    for name, directive in plan.gates.items():
        place = places.get(name)
        if place is None:
            problems.append(f"gate {name} is not at this site; it has {', '.join(structure.id for structure in site.structures)}")
        else:
            problems += [f"gate {name}: {problem}" for problem in _check_directive(directive, place)]
    problems += check_orders(plan.orders, {structure.id: structure.capacity_m3s for structure in site.structures})
    blind = {name for name, place in places.items() if place.above is None or not place.above.tail_levels}
    problems += [
        f"order {order.order_id}: {order.turnout} has no level above it, from which its flow could be worked out"
        for order in plan.orders
        if order.turnout in blind
    ]
    return tuple(problems)


def _check_directive(directive: GateDirective, place: StructurePlace) -> list[str]:
    problems = [problem for gate in place.structure.gates for problem in _check_travel(directive, gate)]
    problems += _check_levels(directive, place)
    problems += _check_objective(directive.objective, directive, place)
    for entry in directive.schedule:
        problems += [f"schedule at {entry.at.isoformat()}: {problem}" for problem in _check_objective(entry.objective, directive, place)]
    times = [entry.at for entry in directive.schedule]
    if len(set(times)) != len(times):
        problems.append("two schedule entries have the same time")
    return problems


def _check_travel(directive: GateDirective, gate: Gate) -> list[str]:
    own, asked = own_limits(gate), directive.limits
    problems: list[str] = []
    if asked.opening_min_pct is not None and asked.opening_min_pct < own.low_pct:
        problems.append(f"opening_min_pct {asked.opening_min_pct:g} is below the gate's own limit {own.low_pct:g}")
    if asked.opening_max_pct is not None and asked.opening_max_pct > own.high_pct:
        problems.append(f"opening_max_pct {asked.opening_max_pct:g} is above the gate's own limit {own.high_pct:g}")
    low = own.low_pct if asked.opening_min_pct is None else max(own.low_pct, asked.opening_min_pct)
    high = own.high_pct if asked.opening_max_pct is None else min(own.high_pct, asked.opening_max_pct)
    if high - low < gate.limits.deadband_pct:
        problems.append(f"opening limits {low:g} to {high:g} leave less room than the deadband {gate.limits.deadband_pct:g}")
    return problems


def _check_levels(directive: GateDirective, place: StructurePlace) -> list[str]:
    """Level limits narrow those of the pool whose level the objective holds; all of a plan's loops are looked at."""
    asked = directive.limits
    if asked.level_min_m is None and asked.level_max_m is None:
        return []
    objectives = (directive.objective, *(entry.objective for entry in directive.schedule))
    pools = {loop.pool.id: loop.pool for one in objectives if (loop := _loop(one, place)) is not None}
    problems: list[str] = []
    for pool in pools.values():
        if asked.level_min_m is not None and asked.level_min_m < pool.level_min_m:
            problems.append(f"level_min_m {asked.level_min_m:g} is below the limit {pool.level_min_m:g} of pool {pool.id}")
        if asked.level_max_m is not None and asked.level_max_m > pool.level_max_m:
            problems.append(f"level_max_m {asked.level_max_m:g} is above the limit {pool.level_max_m:g} of pool {pool.id}")
        low_m, high_m = _level_range(directive, pool)
        if low_m >= high_m:
            problems.append(f"level limits {low_m:g} to {high_m:g} leave no room")
    return problems


def _check_objective(objective: Objective, directive: GateDirective, place: StructurePlace) -> list[str]:
    if isinstance(objective, FlowObjective):
        return _check_flow(objective, place)
    if isinstance(objective, PositionObjective):
        ranges = [travel_limits(gate, directive) for gate in place.structure.gates]
        return [problem for limits in ranges for problem in _outside("opening_pct", objective.opening_pct, limits.low_pct, limits.high_pct)]
    loop = _loop(objective, place)
    if loop is None:
        return [f"objective {describe(objective)} needs a loop and a pool for {objective.kind}, which the structure does not have"]
    if not (loop.pool.tail_levels if loop.end == "tail" else loop.pool.head_levels):
        return [f"objective {describe(objective)} needs a sensor at the {loop.end} of pool {loop.pool.id}"]
    return _outside("level_m", objective.level_m, *_level_range(directive, loop.pool))


def _check_flow(objective: FlowObjective, place: StructurePlace) -> list[str]:
    structure = place.structure
    if place.above is None or not place.above.tail_levels:
        return [f"objective {describe(objective)} needs a level above the structure, which it does not have"]
    return _outside("flow_m3s", objective.flow_m3s, 0.0, structure.capacity_m3s)


def _loop(objective: Objective, place: StructurePlace) -> LoopPlace | None:
    return place.loops.get(objective.kind)


def _level_range(directive: GateDirective, pool: Pool) -> tuple[float, float]:
    asked = directive.limits
    low_m = pool.level_min_m if asked.level_min_m is None else max(pool.level_min_m, asked.level_min_m)
    high_m = pool.level_max_m if asked.level_max_m is None else min(pool.level_max_m, asked.level_max_m)
    return low_m, high_m


def _outside(name: str, figure: float, low: float, high: float) -> list[str]:
    return [] if low <= figure <= high else [f"{name} {figure:g} lies outside the limits {low:g} to {high:g}"]
