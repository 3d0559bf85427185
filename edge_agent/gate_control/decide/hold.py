"""Why no update of this node should start now, and until when. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.order_outlook import busy_for_s
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.decide.status import actuator_status
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import GateState, InterlockState, Now, Reading
from shared.contracts.gate_plan import GatePlan

BY_PEOPLE = frozenset({"LOCAL", "MANUAL", "COMMISSIONING"})


@dataclass(frozen=True)
class UpdateHold:
    """Empty `reasons`: an update may start."""

    reasons: tuple[str, ...] = ()
    is_flood: bool = False
    for_s: float | None = None
    """Until the last of the reasons is over; None where the end of one is not known: a person's, or the water's."""


@dataclass(frozen=True)
class _Reason:
    text: str
    left_s: float | None = None
    is_flood: bool = False


def hold_updates(state: SiteState, readings: Mapping[str, Reading], site: SiteConfiguration, plan: GatePlan | None, now: Now) -> UpdateHold:
    """Rule: a moving gate, a flood alarm, a gate in the hands of people, a delivery that runs. Texts change only with the facts."""
    found = [reason for gate in site.gates() for reason in _of_gate(gate, state, readings, now)]
    busy_s = busy_for_s(plan.orders if plan is not None else (), state.orders)
    if busy_s is not None:
        found.append(_Reason("a delivery runs", busy_s))
    ends_s = [reason.left_s for reason in found if reason.left_s is not None]
    return UpdateHold(
        reasons=tuple(reason.text for reason in found),
        is_flood=any(reason.is_flood for reason in found),
        for_s=max(ends_s) if found and len(ends_s) == len(found) else None,
    )


def _of_gate(gate: Gate, state: SiteState, readings: Mapping[str, Reading], now: Now) -> list[_Reason]:
    held, modes = state.gates.get(gate.id, GateState()), state.modes.get(gate.id, GateModes())
    found: list[_Reason] = []
    if held.motion is not None or actuator_status(gate, readings).moving:
        left_s = None
        if held.motion is not None:
            left_s = max(0.0, held.motion.ordered_at_s + held.motion.run_s + gate.motion.settle_s - now.monotonic_s)
        found.append(_Reason(f"gate {gate.id} is moving", left_s))
    if tripped := [rule.name for rule in gate.interlocks if rule.flood and held.interlocks.get(rule.name, InterlockState()).tripped]:
        found.append(_Reason(f"flood alarm at gate {gate.id}: {', '.join(tripped)}", is_flood=True))
    if modes.motion is not None or held.mode in BY_PEOPLE:
        found.append(_Reason(f"gate {gate.id} is under manual control"))
    return found
