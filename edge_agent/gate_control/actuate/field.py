"""Commands to actuators; pulses are begun, kept up and ended here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from edge_agent.gate_control.actuate.profiles import RegisterWrite, end_pulse, plan_writes, start_pulse
from edge_agent.gate_control.actuate.registers import RegisterAccess
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Relays
from edge_agent.gate_control.model.values import Command, Pulse, WriteOutcome
from shared.clock import Clock
from shared.errors import Retryable

REFRESH_SHARE = 0.5
"""Of the hardware's pulse limit: a longer run switches on again this often."""
END_WITHIN_S = 1.0


class FieldActuator:
    """All actuators of a site."""

    def __init__(self, site: SiteConfiguration, devices: Mapping[str, RegisterAccess], clock: Clock) -> None:
        """`devices`: by device id, as `PointReader.units`, so that writes queue with the reads of their line."""
        self._gates = {gate.id: gate for gate in site.gates()}
        self._devices = devices
        self._clock = clock
        self._pulses: dict[str, asyncio.Task[None]] = {}
        self.pulse_errors: dict[str, str] = {}
        """By gate: why its last pulse was not kept up or not ended by us; the hardware ended it."""

    async def act(
        self, commands: Sequence[Command], deadline_s: float, openings_pct: Mapping[str, float | None] | None = None
    ) -> list[WriteOutcome]:
        """What became of each command; those not confirmed within `deadline_s` count as failed. A pulse counts when it has begun.

        `openings_pct`: where gates stand, for profiles that stop by it. Never raises for a device.
        """
        measured = openings_pct or {}
        return list(await asyncio.gather(*(self._carry_out(command, measured.get(command.gate), deadline_s) for command in commands)))

    async def close(self) -> None:
        """End every pulse that runs. Starts no motion."""
        for gate in list(self._pulses):
            await self._cancel_pulse(gate)
            relays = self._gates[gate].actuator.relays
            if relays is not None:
                await self._end(gate, relays)

    async def _carry_out(self, command: Command, measured_pct: float | None, deadline_s: float) -> WriteOutcome:
        gate = self._gates.get(command.gate)
        if gate is None:
            return WriteOutcome(command.gate, command, "no such gate")
        try:
            writes = plan_writes(gate, command, measured_pct)
            await self._cancel_pulse(gate.id)
            async with asyncio.timeout(deadline_s):
                await self._write(writes)
        except TimeoutError:
            return WriteOutcome(command.gate, command, f"not confirmed within {deadline_s:.2g} s", may_be_done=True)
        except (Retryable, ValueError) as error:
            return WriteOutcome(command.gate, command, str(error), may_be_done=getattr(error, "may_be_done", False))
        if isinstance(command, Pulse) and gate.actuator.relays is not None:
            self.pulse_errors.pop(gate.id, None)
            pulse = self._keep_up(gate.id, gate.actuator.relays, command)
            self._pulses[gate.id] = asyncio.create_task(pulse, name=f"pulse {gate.id}")
        return WriteOutcome(command.gate, command)

    async def _keep_up(self, gate: str, relays: Relays, command: Pulse) -> None:
        """Until the run is over: each time before the hardware would end it, switch on again. A failed switch is not repeated."""
        ends_at_s = self._clock.monotonic_s() + command.run_s
        refresh_s = REFRESH_SHARE * (relays.hardware_pulse_limit_s or 0.0)
        try:
            while (left_s := ends_at_s - self._clock.monotonic_s()) > refresh_s:
                await self._clock.sleep(refresh_s)
                await self._write(start_pulse(relays, command.direction)[-1:])
        except Retryable as error:
            self.pulse_errors[gate] = f"pulse was not kept up: {error}"
        else:
            await self._clock.sleep(max(0.0, left_s))
        await self._end(gate, relays)

    async def _end(self, gate: str, relays: Relays) -> None:
        for write in end_pulse(relays):
            try:
                async with asyncio.timeout(END_WITHIN_S):
                    await self._write((write,))
            except TimeoutError:
                self.pulse_errors[gate] = f"pulse was not ended: not confirmed within {END_WITHIN_S:g} s"
            except Retryable as error:
                self.pulse_errors[gate] = f"pulse was not ended: {error}"

    async def _cancel_pulse(self, gate: str) -> None:
        """Stop keeping a pulse up; the command that follows says what its outputs do."""
        pulse = self._pulses.pop(gate, None)
        if pulse is not None:
            pulse.cancel()
            await asyncio.gather(pulse, return_exceptions=True)

    async def _write(self, writes: Sequence[RegisterWrite]) -> None:
        for write in writes:
            await self._devices[write.device].write(write.start, write.values)
