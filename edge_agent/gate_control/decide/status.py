"""What a gate's actuator says, put together from its readings. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.gate_control.decide.hydraulics import pct_of_count
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ActuatorStatus, Quality, Reading, Selector


def actuator_status(gate: Gate, readings: Mapping[str, Reading]) -> ActuatorStatus:
    """The facts of one gate. A fact that did not answer makes the whole status unknown: doubt commands nothing."""
    found = [(fact, readings.get(f"{gate.id}.{fact}")) for fact in facts_of(gate)]
    believed = {fact: reading for fact, reading in found if _is_believed(reading) and reading is not None}
    if len(believed) < len(found):
        return ActuatorStatus(is_known=False)
    facts = {fact: bool(reading.value) for fact, reading in believed.items()}
    is_remote = facts.pop("remote", None)
    selector = Selector.UNWIRED if is_remote is None else Selector.REMOTE if is_remote else Selector.LOCAL
    is_known = all(reading.is_now for reading in believed.values())
    is_fresh = all(reading.is_fresh for reading in believed.values())
    return ActuatorStatus(is_known, not is_known, is_fresh, selector, **facts)


def _is_believed(reading: Reading | None) -> bool:
    return reading is not None and reading.quality is not Quality.BAD and not reading.is_doubted and reading.value is not None


def position_pct(gate: Gate, readings: Mapping[str, Reading]) -> Reading:
    """The gate's position in percent of opening, whatever its actuator counts in."""
    reading = readings.get(gate.actuator.position)
    if reading is None:
        return Reading(None, 0.0, Quality.BAD, gate.actuator.position, ("was never read",))
    if reading.value is None:
        return reading
    return replace(reading, value=pct_of_count(gate, reading.value))
