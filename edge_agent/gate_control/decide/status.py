"""What a gate's actuator says, put together from its readings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edge_agent.gate_control.decide.hydraulics import pct_of_count
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, ActuatorStatus, Quality, Reading, Selector


def actuator_status(gate: Gate, readings: Mapping[str, Reading]) -> ActuatorStatus:
    """The facts of one gate. A fact that did not answer in this scan makes the whole status unknown: doubt commands nothing."""
    facts = {fact: readings[key] for fact in ACTUATOR_FACTS if (key := f"{gate.id}.{fact}") in readings}
    if any(not reading.is_fresh or reading.quality is Quality.BAD or reading.value is None for reading in facts.values()):
        return ActuatorStatus(is_known=False, selector=Selector.LOCAL if "remote" in facts else Selector.UNWIRED)
    is_set = {fact: bool(reading.value) for fact, reading in facts.items()}
    selector = Selector.UNWIRED
    if "remote" in is_set:
        selector = Selector.REMOTE if is_set.pop("remote") else Selector.LOCAL
    return ActuatorStatus(True, selector, **is_set)


def position_pct(gate: Gate, readings: Mapping[str, Reading]) -> Reading:
    """The gate's position in percent of opening, whatever its actuator counts in."""
    reading = readings.get(gate.actuator.position)
    if reading is None:
        return Reading(None, 0.0, Quality.BAD, gate.actuator.position, ("was never read",))
    if reading.value is None:
        return reading
    return replace(reading, value=pct_of_count(gate, reading.value))
