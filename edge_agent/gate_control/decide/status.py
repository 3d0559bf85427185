"""What a gate's actuator says, put together from its readings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edge_agent.gate_control.decide.hydraulics import pct_of_count
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import ActuatorStatus, Quality, Reading, Selector


def actuator_status(gate: Gate, readings: Mapping[str, Reading]) -> ActuatorStatus:
    """The facts of one gate. A fact that did not answer in this scan makes the whole status unknown: doubt commands nothing."""
    facts = {fact: readings.get(f"{gate.id}.{fact}") for fact in facts_of(gate)}
    known = {fact: bool(reading.value) for fact, reading in facts.items() if _is_known(reading) and reading is not None}
    if len(known) < len(facts):
        return ActuatorStatus(is_known=False)
    is_remote = known.pop("remote", None)
    selector = Selector.UNWIRED if is_remote is None else Selector.REMOTE if is_remote else Selector.LOCAL
    return ActuatorStatus(True, selector, **known)


def _is_known(reading: Reading | None) -> bool:
    return reading is not None and reading.is_fresh and reading.quality is not Quality.BAD and reading.value is not None


def position_pct(gate: Gate, readings: Mapping[str, Reading]) -> Reading:
    """The gate's position in percent of opening, whatever its actuator counts in."""
    reading = readings.get(gate.actuator.position)
    if reading is None:
        return Reading(None, 0.0, Quality.BAD, gate.actuator.position, ("was never read",))
    if reading.value is None:
        return reading
    return replace(reading, value=pct_of_count(gate, reading.value))
