"""The site as `gate.sock`, the journal and the interlock file tell it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.gate_control.console.views import with_modes
from edge_agent.gate_control.decide.alarms import Alarms, Phase
from edge_agent.gate_control.decide.modes import GateModes
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.decide.status import actuator_status, position_pct
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import ControllerState, GateState, Now, Quality, Reading
from shared.contracts.gate_socket import GateReading

CAPABILITIES = ("position", "flow", "upstream_level", "downstream_level", "schedule", "orders")
_WORST_FIRST = (Quality.BAD, Quality.DEGRADED, Quality.GOOD)


def gate_reading(site: SiteConfiguration, gate: Gate, state: SiteState, readings: Mapping[str, Reading], now: Now | None) -> GateReading:
    """One gate: the level that its structure holds, where it stands, what it does and why."""
    held = state.gates.get(gate.id, GateState())
    alarms = alarm_names(state.alarms, gate.id)
    if now is None:
        return GateReading(alarms=alarms)
    position, status = position_pct(gate, readings), actuator_status(gate, readings)
    level = _level(site, gate.id, state, readings)
    structure = site.structure_of(gate.id)
    flow_m3s = state.flows_m3s.get(structure.id) if structure is not None else None
    reading = GateReading(
        level_m=None if level is None or level.value is None else round(level.value, 4),
        level_age_s=round(level.age_s, 3) if level is not None else None,
        opening_pct=None if position.value is None else round(position.value, 3),
        flow_m3s=None if flow_m3s is None else round(flow_m3s, 4),
        target=held.target,
        mode=held.mode,
        quality=_worst(position, level).value,
        moving=status.moving or held.motion is not None,
        alarms=alarms,
        reasons=(*held.reasons, *([held.write_error] if held.write_error else [])),
    )
    return with_modes(reading, state.modes.get(gate.id, GateModes()), now)


def series(reading: GateReading) -> dict[str, Any]:
    """What the journal keeps of a gate now and then."""
    names = ("level_m", "opening_pct", "flow_m3s", "quality", "mode", "target")
    return {name: getattr(reading, name) for name in names}


def alarm_names(alarms: Alarms, gate: str) -> tuple[str, ...]:
    """Alarms that stand at a gate, and those of the site and its pools with their subject before them."""
    standing = sorted(key for key, alarm in alarms.items() if alarm.phase in (Phase.UNACKNOWLEDGED, Phase.ACKNOWLEDGED) and alarm.is_on)
    own = [key.partition("/")[2] for key in standing if key.startswith(f"{gate}/")]
    others = [key for key in standing if not key.startswith(f"{gate}/")]
    return (*own, *(key.replace("/", ": ", 1) for key in others if key.startswith("site/")))


def _level(site: SiteConfiguration, gate: str, state: SiteState, readings: Mapping[str, Reading]) -> Reading | None:
    """The level that is controlled, else the one above the gate, else the one below."""
    structure = site.structure_of(gate)
    if structure is None:
        return None
    objective = state.controllers.get(structure.id, ControllerState()).objective
    above = site.pool_of_water(structure.id)
    places = [objective.partition(":")[2], f"{above.id}/tail" if above is not None else ""]
    places += [f"{pool.id}/{end}" for pool in site.pools_below(structure.id) for end in ("tail", "head")]
    return next((readings[place] for place in places if place in readings), None)


def _worst(*readings: Reading | None) -> Quality:
    found = {reading.quality for reading in readings if reading is not None}
    return next((quality for quality in _WORST_FIRST if quality in found), Quality.BAD)
