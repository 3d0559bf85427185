"""Actual flow of each structure: by the gate law from levels and openings, or as measured; and whether it can be trusted. Pure.

Neighbours are fed the actual flow, never what was commanded. A flow that rests on a bad level, or on a gate that is not seen, goes
on as a value for the structure itself, which holds by it; for everybody else it is doubtful, and their terms freeze.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.gate_control.decide.gate import GateFacts
from edge_agent.gate_control.decide.limits import travel_limits
from edge_agent.gate_control.decide.sharing import Bay, Water, present_flow_m3s
from edge_agent.gate_control.decide.topology import StructurePlace
from edge_agent.gate_control.model.values import Quality, Reading

Readings = Mapping[str, Reading]


@dataclass(frozen=True)
class ActualFlow:
    """Of one structure."""

    flow_m3s: float | None = None
    """By the last believed levels and openings; None: one was never known."""
    doubt: str = "was never known"
    """Why nobody else should act on it; empty where all that it rests on is believed now."""

    @property
    def trusted_m3s(self) -> float | None:
        """For neighbours."""
        return None if self.doubt else self.flow_m3s


def water_at(place: StructurePlace, readings: Readings) -> Water | None:
    """Levels beside a structure: the nearest sensors of each side, the last believed value where they are bad now."""
    upstream, downstream = _levels(place, readings)
    if upstream is None or upstream.value is None:
        return None
    return Water(upstream.value, downstream.value if downstream is not None else None)


def openings_of(place: StructurePlace, facts: Mapping[str, GateFacts]) -> dict[str, float]:
    """Where each gate stands; without those that were never seen."""
    openings: dict[str, float] = {}
    for gate in place.structure.gates:
        position, seen_pct = facts[gate.id].position.value, facts[gate.id].state.position_pct
        where = position if position is not None else seen_pct
        if where is not None:
            openings[gate.id] = where
    return openings


def actual_flow(place: StructurePlace, facts: Mapping[str, GateFacts], readings: Readings) -> ActualFlow:
    """Flow of a structure by the gate law."""
    water, openings = water_at(place, readings), openings_of(place, facts)
    if water is None or len(openings) < len(place.structure.gates):
        return ActualFlow()
    bays = [Bay(gate, openings[gate.id], travel_limits(gate, None), 0.0, False) for gate in place.structure.gates]
    return ActualFlow(present_flow_m3s(bays, water), _doubt(place, facts, readings))


def measured_flow(place: StructurePlace, readings: Readings, computed: ActualFlow) -> Reading | None:
    """Measured flow of a structure: of its flow points the first good one; without any, the computed one."""
    found = [readings[point] for point in place.structure.flow_loop.flow_points if point in readings]
    good = next((reading for reading in found if reading.quality is Quality.GOOD), None)
    if good is not None or found:
        return good or found[0]
    if computed.flow_m3s is None:
        return None
    quality = Quality.BAD if computed.doubt else Quality.DEGRADED
    return Reading(computed.flow_m3s, 0.0, quality, "computed", (computed.doubt or "by the gate law",), not computed.doubt)


def _levels(place: StructurePlace, readings: Readings) -> tuple[Reading | None, Reading | None]:
    """Above and below; below the first pool that has a level at all."""
    upstream = readings.get(f"{place.above.id}/tail") if place.above is not None else None
    for pool in place.below:
        near = readings.get(f"{pool.id}/head") or readings.get(f"{pool.id}/tail")
        if near is not None and near.value is not None:
            return upstream, near
    return upstream, None


def _doubt(place: StructurePlace, facts: Mapping[str, GateFacts], readings: Readings) -> str:
    upstream, downstream = _levels(place, readings)
    for side, level in (("above", upstream), ("below", downstream)):
        if level is not None and level.quality is Quality.BAD:
            return f"the level {side} is not known now"
    for gate in place.structure.gates:
        if facts[gate.id].position.quality is Quality.BAD or facts[gate.id].position.value is None:
            return f"where gate {gate.id} stands is not known now"
    return ""
