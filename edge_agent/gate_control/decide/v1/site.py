"""All gates of a site. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge_agent.gate_control.decide.v1.gate import decide_gate
from edge_agent.gate_control.decide.v1.interlocks import judge_interlocks
from edge_agent.gate_control.model.site import SiteSettings
from edge_agent.gate_control.model.values import MoveTo, Now
from edge_agent.gate_control.model.values_v1 import Decision, GateReadings, GateState, SiteState, WriteOutcome
from shared.contracts.gate_plan import GatePlan


def decide(state: SiteState, readings: Mapping[str, GateReadings], plan: GatePlan | None, limits: SiteSettings, now: Now) -> Decision:
    """One scan of the site.

    Rule: each gate for itself, so that what is wrong with one moves no other. No plan, no readings, or doubt: no command.
    """
    gates: dict[str, GateState] = {}
    commands: list[MoveTo] = []
    for settings in limits.gates:
        own = readings.get(settings.id)
        held = state.gates.get(settings.id, GateState())
        if own is None:
            gates[settings.id] = held
            continue
        directive = plan.gates.get(settings.id) if plan is not None else None
        gates[settings.id], command = decide_gate(settings, limits.control_period_s, held, own, directive, now)
        if command is not None:
            commands.append(command)
    return Decision(SiteState(gates), tuple(commands), {name: gate.reasons for name, gate in gates.items()})


def record_outcomes(state: SiteState, outcomes: Sequence[WriteOutcome], now: Now) -> SiteState:
    """State after the commands were written. A command that no device took is no move: it is ordered anew after a rest."""
    gates = dict(state.gates)
    for outcome in outcomes:
        gate = gates.get(outcome.gate)
        if gate is None:
            continue
        if outcome.error:
            gates[outcome.gate] = replace(gate, motion=None, settled_at_s=now.monotonic_s, write_error=outcome.error)
        else:
            gates[outcome.gate] = replace(gate, write_error="")
    return SiteState(gates)


def hold_reasons(state: SiteState, readings: Mapping[str, GateReadings], limits: SiteSettings) -> tuple[tuple[str, ...], bool]:
    """Why no update should start now, and whether there is a flood alarm."""
    reasons: list[str] = []
    flood = False
    for settings in limits.gates:
        gate, own = state.gates.get(settings.id, GateState()), readings.get(settings.id)
        verdict = judge_interlocks(settings.interlocks, gate.interlocks, own.position.value or 0.0 if own is not None else 0.0)
        if gate.motion is not None or (own is not None and own.moving):
            reasons.append(f"gate {settings.id} is moving")
        if verdict.is_flood:
            flood = True
            reasons.append(f"flood alarm at gate {settings.id}: {', '.join(verdict.names)}")
        if gate.mode == "LOCAL":
            reasons.append(f"gate {settings.id} is under manual control at the site")
    return tuple(reasons), flood
