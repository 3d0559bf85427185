"""What a simulated actuator does by itself when nobody talks to it any more: as its own registers say. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.simulation.device_maps import Cell, number_of, pct_of
from edge_agent.gate_control.simulation.plant import Lower, PlantCommand, Position, Raise

ROTORK_POSITION, ROTORK_TIMER = 13, 21


def silence_timer_s(gate: Gate, held: Mapping[Cell, int]) -> float | None:
    """Seconds of silence after which it acts; None: never."""
    register = gate.actuator.comms_lost.timer_register
    if register is None and gate.actuator.profile == "rotork_iq":
        register = ROTORK_TIMER
    seconds = 0 if register is None else held.get(("holding", register), 0)
    return float(seconds) if seconds > 0 else None


def silence_action(gate: Gate, held: Mapping[Cell, int]) -> PlantCommand | None:
    """What it then does; None: it stays. Where no register says, somebody set the action at the actuator as the site has it."""
    lost = gate.actuator.comms_lost
    if lost.action_register is not None and held.get(("holding", lost.action_register)) != lost.action_value:
        return None
    if lost.action == "position":
        return Position(_position_pct(gate, held))
    by_word: dict[str, PlantCommand] = {"open": Raise(), "close": Lower()}
    return by_word.get(lost.action)


def _position_pct(gate: Gate, held: Mapping[Cell, int]) -> float:
    place, register = gate.actuator.desired_position, gate.actuator.comms_lost.position_register
    if register is None or place is None:
        return float(held.get(("holding", ROTORK_POSITION), 0))
    words = {place.register_address: held.get(("holding", register), 0)}
    return pct_of(gate, number_of(place, words))
