"""All gates of a site in one scan. Pure.

First every gate is looked at, then orders and structures (downstream first) say what they want, then each gate is judged by
the order of authority, then alarms. What is wrong with one gate moves no other; no plan, no readings, or doubt: no command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.alarms import Raised, rules_of, update_alarms
from edge_agent.gate_control.decide.asked import Neighbour, Request, Steered, StructureScan, believed
from edge_agent.gate_control.decide.authority import CONSISTENT_SCANS, Ruling
from edge_agent.gate_control.decide.conditions import (
    Conditions,
    gate_conditions,
    order_conditions,
    pool_conditions,
    site_conditions,
    steering_conditions,
    unknown_conditions,
)
from edge_agent.gate_control.decide.drawdown import DrawdownVerdict, LevelHistory, judge_drawdown, lowering_direction, record_level
from edge_agent.gate_control.decide.feedforward import Ordered
from edge_agent.gate_control.decide.flows import ActualFlow, Readings, actual_flow, measured_flow, openings_of, water_at
from edge_agent.gate_control.decide.gate import GateFacts, decide_gate, look_at
from edge_agent.gate_control.decide.limits import level_limits, travel_limits
from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.objective import describe, objective_at
from edge_agent.gate_control.decide.orders import OrderNote, order_flow, orders_under_way
from edge_agent.gate_control.decide.sharing import Bay, Water
from edge_agent.gate_control.decide.starts import StartHistory, record_stop, withdraw_start
from edge_agent.gate_control.decide.state import Decision, SiteState
from edge_agent.gate_control.decide.structure import steer
from edge_agent.gate_control.decide.topology import StructurePlace, Topology, topology
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ControllerState, GateState, Now, StopMotion, WriteOutcome
from shared.contracts.gate_plan import FlowObjective, GateDirective, GatePlan, Objective, PositionObjective

FALLBACK = "/fallback"
SHUT = PositionObjective(opening_pct=0.0)
"""Least flow, within the gate's own limits."""


_NEW_GATE, _NEW_MODES, _NO_STARTS, _NO_LEVELS, _NEW_LOOP = GateState(), GateModes(), StartHistory(), LevelHistory(), ControllerState()
"""Made once: the default of a `get` is made whether it is wanted or not."""


@dataclass(frozen=True)
class _Scan:
    """What does not change while a site is decided."""

    site: SiteConfiguration
    topology: Topology
    state: SiteState
    readings: Readings
    plan: GatePlan | None
    now: Now
    facts: Mapping[str, GateFacts]
    ordered: Ordered
    flows: Mapping[str, ActualFlow]
    verdicts: Mapping[str, DrawdownVerdict]

    def directive(self, structure: str) -> GateDirective | None:
        """The plan's part for a structure."""
        return self.plan.gates.get(structure) if self.plan is not None else None


def decide(
    state: SiteState,
    readings: Readings,
    plan: GatePlan | None,
    site: SiteConfiguration,
    now: Now,
    conditions: Mapping[str, Raised] | None = None,
) -> Decision:
    """One scan of the site. `conditions`: what is amiss outside of control (disk, socket, plans), by alarm key."""
    scan, order_notes = _look(state, readings, plan, site, now)
    objectives = {place.structure.id: _objective(scan, place) for place in scan.topology.structures}
    steered = {place.structure.id: _steer(scan, place, objectives[place.structure.id]) for place in scan.topology.structures}
    rulings: dict[str, Ruling] = {}
    modes: dict[str, GateModes] = {}
    targets: dict[str, str] = {}
    for place in scan.topology.structures:
        target = describe(objectives[place.structure.id])
        for gate in place.structure.gates:
            targets[gate.id] = target
            rulings[gate.id], modes[gate.id] = _rule(scan, place, gate.id, steered[place.structure.id], target)
    raised, notes = order_conditions(order_notes)
    raised |= _conditions(scan, steered, rulings) | dict(conditions or {})
    unknown = unknown_conditions(site, scan.topology.subjects, scan.facts, readings) - raised.keys()
    alarms, changes = update_alarms(rules_of(site.alarms), state.alarms, raised, now, unknown=unknown)
    gates = {name: replace(ruling.state, target=targets[name]) for name, ruling in rulings.items()}
    new = SiteState(
        gates=gates,
        modes=modes,
        starts={name: ruling.starts for name, ruling in rulings.items()},
        controllers=_controllers(steered),
        flows_m3s={name: flow.flow_m3s for name, flow in scan.flows.items()},
        flow_doubts={name: flow.doubt for name, flow in scan.flows.items() if flow.doubt},
        levels=scan.state.levels,
        orders=scan.ordered.state,
        alarms=alarms,
    )
    commands = tuple(ruling.command for ruling in rulings.values() if ruling.command is not None)
    return Decision(new, commands, {name: gate.reasons for name, gate in gates.items()}, changes, notes)


def _look(
    state: SiteState, readings: Readings, plan: GatePlan | None, site: SiteConfiguration, now: Now
) -> tuple[_Scan, tuple[OrderNote, ...]]:
    known = topology(site)
    facts = {
        gate.id: look_at(
            gate,
            known.points.get(gate.actuator.position),
            state.gates.get(gate.id, _NEW_GATE),
            state.modes.get(gate.id, _NEW_MODES),
            state.starts.get(gate.id, _NO_STARTS),
            readings,
            now,
        )
        for gate in site.gates()
    }
    flows = {place.structure.id: actual_flow(place, facts, readings) for place in known.structures}
    orders = plan.orders if plan is not None else orders_under_way(state.orders)
    measured = {place.structure.id: measured_flow(place, readings, flows[place.structure.id]) for place in known.structures}
    orders_state, demands, notes = order_flow(orders, state.orders, now, measured)
    levels = {pool.id: _history(pool, state.levels.get(pool.id, _NO_LEVELS), readings, now) for pool in site.pools}
    verdicts = {pool.id: judge_drawdown(pool.drawdown, levels[pool.id], _level_m(pool, readings), now.monotonic_s) for pool in site.pools}
    ordered = Ordered(site, orders, orders_state, demands, now)
    scan = _Scan(site, known, replace(state, levels=levels), readings, plan, now, facts, ordered, flows, verdicts)
    return scan, notes


def _level_m(pool: Pool, readings: Readings) -> float | None:
    return believed(readings.get(f"{pool.id}/tail")) if pool.tail_levels else believed(readings.get(f"{pool.id}/head"))


def _history(pool: Pool, history: LevelHistory, readings: Readings, now: Now) -> LevelHistory:
    """Only of pools that have a drawdown limit; no other needs one."""
    level_m = _level_m(pool, readings)
    if level_m is None or (pool.drawdown.per_hour_m is None and pool.drawdown.per_day_m is None):
        return history
    return record_level(history, level_m, now.monotonic_s)


def _steer(scan: _Scan, place: StructurePlace, objective: Objective | None) -> Steered:
    structure = place.structure
    water, openings = water_at(place, scan.readings), openings_of(place, scan.facts)
    directive = scan.directive(structure.id)
    is_whole = len(openings) == len(structure.gates)
    if not (is_whole or isinstance(objective, PositionObjective)):
        openings = {}  # no flow without all of them; a position is followed by those that are seen
    bays = tuple(_bay(scan, gate, openings, directive, water) for gate in structure.gates if gate.id in openings)
    measured = next((scan.readings[point] for point in structure.flow_loop.flow_points if point in scan.readings), None)
    asked = StructureScan(
        place=place,
        objective=objective,
        bays=bays,
        water=water,
        levels=scan.readings,
        measured=measured,
        neighbour=_neighbour(scan, place, objective),
        ordered=scan.ordered,
        remote_levels=place.remote_levels,
        now=scan.now,
    )
    held = scan.state.controllers.get(structure.id, _NEW_LOOP)
    fallback = scan.state.controllers.get(structure.id + FALLBACK, _NEW_LOOP)
    steered = steer(asked, held, fallback)
    unseen = [scan.facts[gate.id].state.consistent_scans < CONSISTENT_SCANS for gate in structure.gates]
    if all(unseen) or (any(unseen) and not is_whole):
        # looking on after a start is no reason to forget: a loop that is young enough then goes on where it was
        return replace(steered, state=held, fallback=fallback)
    return steered


def _bay(scan: _Scan, gate: Gate, openings: Mapping[str, float], directive: GateDirective | None, water: Water | None) -> Bay:
    facts = scan.facts[gate.id]
    limits = travel_limits(gate, directive, water.upstream_m if water else None, water.downstream_m if water else None)
    # the rate binds what is ordered, not what may be wanted
    return Bay(gate, openings[gate.id], limits, gate.limits.max_step_pct, facts.is_controllable)


def _objective(scan: _Scan, place: StructurePlace) -> Objective | None:
    """A turnout with a running order delivers it; else its directive; a turnout with orders and no directive stands at flow 0."""
    structure, directive = place.structure.id, scan.directive(place.structure.id)
    demand = scan.ordered.demands.get(structure)
    if demand is None or (directive is not None and not (demand.is_running or demand.is_safe_default)):
        return objective_at(directive, scan.now)
    safe_pct = place.structure.gates[0].fail_safe_pct
    if demand.is_safe_default and place.structure.gates[0].fail_safe == "position" and safe_pct is not None:
        return PositionObjective(opening_pct=safe_pct)
    if demand.flow_m3s <= 0.0 and water_at(place, scan.readings) is None:
        return SHUT  # an end is carried out also where no flow can be worked out
    return FlowObjective(flow_m3s=demand.flow_m3s)


def _neighbour(scan: _Scan, place: StructurePlace, objective: Objective | None) -> Neighbour:
    """Actual flow of the decoupler's structure, without what orders made of it: that part goes its own way.

    A flow that is doubtful is none: it freezes the term, which goes on bumpless once the flow is known again.
    """
    loop = place.loops.get(objective.kind) if objective is not None else None
    if loop is None:
        return Neighbour()
    name, point = loop.loop.decoupler_structure, loop.loop.decoupler_flow_point
    if point is not None:
        return Neighbour(believed(scan.readings.get(point)), point in place.remote_flows)
    flow_m3s = scan.flows.get(name, ActualFlow()).trusted_m3s if name is not None else None
    if name is None or flow_m3s is None:
        return Neighbour()
    return Neighbour(flow_m3s - (scan.state.controllers.get(name, _NEW_LOOP).ordered_flow_m3s or 0.0))


def _rule(scan: _Scan, place: StructurePlace, gate_id: str, steered: Steered, target: str) -> tuple[Ruling, GateModes]:
    facts = scan.facts[gate_id]
    water, directive = water_at(place, scan.readings), scan.directive(place.structure.id)
    limits = travel_limits(facts.gate, directive, water.upstream_m if water else None, water.downstream_m if water else None)
    request = steered.requests.get(gate_id)
    if request is None:
        why = f"of {place.structure.id} a gate was never seen: no flow is known" if target else "no plan for this gate"
        request = Request(None, why, "HOLD")
    if _is_over(scan, place):
        request = replace(request, is_end=True)
    return decide_gate(facts, request, limits, _drawdown(scan, place), scan.now)


def _is_over(scan: _Scan, place: StructurePlace) -> bool:
    """Whether deliveries here are over, and the plan asks for nothing else: the turnout is to be shut, or at its safe default."""
    demand = scan.ordered.demands.get(place.structure.id)
    if demand is None or demand.is_running:
        return False
    return demand.is_safe_default or scan.directive(place.structure.id) is None


def _drawdown(scan: _Scan, place: StructurePlace) -> list[tuple[int, str]]:
    """Directions that would let a limited pool fall on: opening at its end, closing at its head."""
    found: list[tuple[int, str]] = []
    if place.above is not None and scan.verdicts[place.above.id].is_limited:
        found.append((lowering_direction("outlet"), f"{place.above.id} {scan.verdicts[place.above.id].reason}"))
    limited = [pool.id for pool in place.below if scan.verdicts[pool.id].is_limited]
    found += [(lowering_direction("inlet"), f"{pool} {scan.verdicts[pool].reason}") for pool in limited]
    return found


def _conditions(scan: _Scan, steered: Mapping[str, Steered], rulings: Mapping[str, Ruling]) -> Conditions:
    raised = site_conditions(scan.site, scan.topology.subjects, scan.readings, scan.now)
    for name, facts in scan.facts.items():
        raised |= gate_conditions(facts, scan.readings, is_budget_spent=rulings[name].is_budget_spent)
    for place in scan.topology.structures:
        raised |= steering_conditions([gate.id for gate in place.structure.gates], steered[place.structure.id].alarms)
    for pool in scan.site.pools:
        directive = scan.directive(pool.outlet) if pool.outlet is not None else None
        raised |= pool_conditions(pool, level_limits(pool, directive), scan.readings, scan.verdicts[pool.id], scan.state.alarms)
    return raised


def _controllers(steered: Mapping[str, Steered]) -> dict[str, ControllerState]:
    found = {name: one.state for name, one in steered.items()}
    return found | {name + FALLBACK: one.fallback for name, one in steered.items() if one.fallback != _NEW_LOOP}


def record_outcomes(state: SiteState, outcomes: Sequence[WriteOutcome], now: Now) -> SiteState:
    """State after the commands were written. A command that no device took is no move: it is ordered anew after a rest.

    One whose answer alone was lost may have started the motor: the start stays in the budget.
    """
    gates, starts = dict(state.gates), dict(state.starts)
    for outcome in outcomes:
        gate = gates.get(outcome.gate)
        if gate is None:
            continue
        if outcome.error:
            # a command whose answer was lost may be carried out all the same: where the gate rests is found anew
            failed_at_s = now.monotonic_s if isinstance(outcome.command, StopMotion) else gate.stop_failed_at_s
            gate = replace(gate, motion=None, still_pct=None, rest_pct=None, write_error=outcome.error, stop_failed_at_s=failed_at_s)
            gates[outcome.gate] = gate
            ended = record_stop if outcome.may_be_done else withdraw_start
            starts[outcome.gate] = ended(starts.get(outcome.gate, StartHistory()), now.monotonic_s)
        else:
            gates[outcome.gate] = replace(gate, write_error="", stop_failed_at_s=None)
    return replace(state, gates=gates, starts=starts)
