"""Commands to register writes, by the actuator's profile. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_agent.gate_control.decide.hydraulics import count_of_pct
from edge_agent.gate_control.model.devices import RegisterPlace
from edge_agent.gate_control.model.gates import Gate, Relays
from edge_agent.gate_control.model.profiles import commands_of
from edge_agent.gate_control.model.values import Command, MoveTo, Pulse, StopMotion
from edge_agent.gate_control.wire.values import encode


@dataclass(frozen=True)
class RegisterWrite:
    """Holding registers of one device, written together."""

    device: str
    start: int
    values: tuple[int, ...]


def plan_writes(gate: Gate, command: Command, measured_pct: float | None) -> tuple[RegisterWrite, ...]:
    """Writes in their order; each is sent only when the one before was confirmed.

    Rotork IQ and generic: the desired position. AUMA: the setpoint, then the command to go there. Stop: the profile's stop command;
    generic: the measured opening as the desired one. Relays: the opposite output off, then the wanted one on.

    Raises:
        ValueError: the profile has no such command, the opening is no opening, or the position to stop at is not known.
    """
    match command:
        case MoveTo(opening_pct=opening_pct):
            return _move(gate, opening_pct)
        case StopMotion():
            return _stop(gate, measured_pct)
        case Pulse(direction=direction):
            return start_pulse(_relays(gate), direction)


def start_pulse(relays: Relays, direction: int) -> tuple[RegisterWrite, ...]:
    """Switch one output on; never both, not for a moment.

    Raises:
        ValueError: the direction is neither +1 nor -1, or no hardware ends a pulse that we cannot end.
    """
    if direction not in (1, -1):
        raise ValueError(f"direction {direction} is neither +1 nor -1")
    if relays.hardware_pulse_limit_s is None:
        raise ValueError("relays without a hardware pulse limit are not switched: a dead process could hold the motor on")
    wanted, other = (relays.raise_output, relays.lower_output) if direction > 0 else (relays.lower_output, relays.raise_output)
    on = _switch(wanted, on=True)
    return (on,) if _shares_register(wanted, other) else (_switch(other, on=False), on)


def end_pulse(relays: Relays) -> tuple[RegisterWrite, ...]:
    """Switch both outputs off."""
    both = (_switch(relays.raise_output, on=False), _switch(relays.lower_output, on=False))
    return both[:1] if _shares_register(relays.raise_output, relays.lower_output) else both


def _move(gate: Gate, opening_pct: float) -> tuple[RegisterWrite, ...]:
    place = gate.actuator.desired_position
    if place is None:
        raise ValueError(f"gate {gate.id} has relays: it takes pulses, not positions")
    if not (math.isfinite(opening_pct) and 0.0 <= opening_pct <= 100.0):
        raise ValueError(f"{opening_pct} % is no opening")
    setpoint = RegisterWrite(place.device, place.register_address, encode(place, count_of_pct(gate, opening_pct)))
    commands = commands_of(gate.actuator)
    if commands.command_register is None or commands.setpoint_value is None:
        return (setpoint,)
    return setpoint, RegisterWrite(gate.actuator.device, commands.command_register, (commands.setpoint_value,))


def _stop(gate: Gate, measured_pct: float | None) -> tuple[RegisterWrite, ...]:
    if gate.actuator.relays is not None:
        return end_pulse(gate.actuator.relays)
    commands = commands_of(gate.actuator)
    if commands.command_register is not None:
        return (RegisterWrite(gate.actuator.device, commands.command_register, (commands.stop_value,)),)
    if measured_pct is None:
        raise ValueError(f"gate {gate.id} has no stop command, and where it stands is not known")
    return _move(gate, min(100.0, max(0.0, measured_pct)))


def _relays(gate: Gate) -> Relays:
    if gate.actuator.relays is None:
        raise ValueError(f"gate {gate.id} has no relays: it takes positions, not pulses")
    return gate.actuator.relays


def _switch(place: RegisterPlace, *, on: bool) -> RegisterWrite:
    return RegisterWrite(place.device, place.register_address, encode(place, float(on)))


def _shares_register(one: RegisterPlace, other: RegisterPlace) -> bool:
    return (one.device, one.register_address) == (other.device, other.register_address)
