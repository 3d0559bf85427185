"""What actuators do when we fall silent: configured in them, verified by reading back, and a heartbeat that keeps them from doing it.

At process death nothing in software acts; what is meant to happen then must stand in the actuator beforehand.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.gate_control.actuate.registers import RegisterAccess
from edge_agent.gate_control.decide.hydraulics import count_of_pct
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.profiles import commands_of
from edge_agent.gate_control.wire.values import encode
from shared.errors import Retryable

COUNTER_RANGE = 0x10000


@dataclass(frozen=True)
class Parameter:
    """One setting of an actuator."""

    name: str
    device: str
    register: int
    value: int


@dataclass(frozen=True)
class CommsLostReport:
    """Whether an actuator will do what was configured. Worth an alarm when there are problems."""

    gate: str
    problems: tuple[str, ...] = ()
    """Not as configured, or not known because the device did not answer."""
    unverified: tuple[str, ...] = ()
    """Cannot be read: a person must look at the actuator."""
    written: tuple[str, ...] = ()
    """Was otherwise, is right now."""

    @property
    def is_verified(self) -> bool:
        """Everything was read back and is right."""
        return not self.problems and not self.unverified


def comms_lost_parameters(gate: Gate) -> tuple[tuple[Parameter, ...], tuple[str, ...]]:
    """Settings to hold against the actuator, and what of the configured behaviour has no register. Pure."""
    lost, commands, device = gate.actuator.comms_lost, commands_of(gate.actuator), gate.actuator.device
    found: list[Parameter] = []
    missing: list[str] = []
    if lost.action_register is not None and lost.action_value is not None:
        found.append(Parameter("action", device, lost.action_register, lost.action_value))
    else:
        missing.append(f"action '{lost.action}' has no register")
    if lost.opening_pct is not None:
        place = gate.actuator.desired_position
        if lost.position_register is not None and place is not None:
            value = encode(place, count_of_pct(gate, lost.opening_pct))[0]
            found.append(Parameter("position", device, lost.position_register, value))
        elif commands.comms_lost_position_register is not None:
            found.append(Parameter("position", device, commands.comms_lost_position_register, round(lost.opening_pct)))
        else:
            missing.append(f"position {lost.opening_pct:g} % has no register")
    timer_register = lost.timer_register if lost.timer_register is not None else commands.comms_lost_timer_register
    if timer_register is not None:
        found.append(Parameter("timer", device, timer_register, max(1, math.ceil(lost.timer_s))))
    else:
        missing.append(f"timer {lost.timer_s:g} s has no register")
    return tuple(found), tuple(missing)


async def secure_comms_lost(site: SiteConfiguration, devices: Mapping[str, RegisterAccess]) -> tuple[CommsLostReport, ...]:
    """Make every actuator's behaviour what was configured, and say what became of it; never raises for a device.

    A setting is written only where it is not right already: actuators keep theirs in memory that wears out. Safe to repeat, and to
    be repeated for gates with problems.
    """
    return tuple(await asyncio.gather(*(_secure(gate, devices) for gate in site.gates())))


async def _secure(gate: Gate, devices: Mapping[str, RegisterAccess]) -> CommsLostReport:
    parameters, missing = comms_lost_parameters(gate)
    problems: list[str] = []
    written: list[str] = []
    for parameter in parameters:
        try:
            before = await _set(parameter, devices[parameter.device])
        except (Retryable, ValueError) as error:
            problems.append(f"{parameter.name}: {error}")
        else:
            written += [f"{parameter.name} was {before}, is {parameter.value}"] if before != parameter.value else []
    return CommsLostReport(gate.id, tuple(problems), missing, tuple(written))


async def _set(parameter: Parameter, device: RegisterAccess) -> int:
    """The value found before; raises where it is not right afterwards."""
    (before,) = await device.read("holding", parameter.register, 1)
    if before != parameter.value:
        await device.write(parameter.register, (parameter.value,))
        (after,) = await device.read("holding", parameter.register, 1)
        if after != parameter.value:
            raise ValueError(f"register {parameter.register} holds {after}, not {parameter.value}, after it was written")
    return before


class Heartbeat:
    """Counts a register of each actuator up, so that its comms-lost timer does not run out."""

    def __init__(self, site: SiteConfiguration, devices: Mapping[str, RegisterAccess]) -> None:
        lost = {gate.id: (gate.actuator.device, gate.actuator.comms_lost.heartbeat_register) for gate in site.gates()}
        self._registers = {gate: (device, register) for gate, (device, register) in lost.items() if register is not None}
        self._devices = devices
        self._count = 0

    async def beat(self, deadline_s: float) -> dict[str, str]:
        """Once for each scan that was completed; errors by gate. Never raises for a device."""
        self._count = (self._count + 1) % COUNTER_RANGE
        gates = list(self._registers)
        errors = await asyncio.gather(*(self._beat(gate, deadline_s) for gate in gates))
        return {gate: error for gate, error in zip(gates, errors, strict=True) if error}

    async def _beat(self, gate: str, deadline_s: float) -> str:
        device, register = self._registers[gate]
        try:
            async with asyncio.timeout(deadline_s):
                await self._devices[device].write(register, (self._count,))
        except TimeoutError:
            return f"not confirmed within {deadline_s:g} s"
        except (Retryable, ValueError) as error:
            return str(error)
        return ""
