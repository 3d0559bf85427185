"""Commands to registers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from edge_agent.gate_control.model.site import RegisterPoint, SiteSettings
from edge_agent.gate_control.model.values import MoveTo
from edge_agent.gate_control.model.values_v1 import WriteOutcome
from shared.errors import Retryable

Encoder = Callable[[RegisterPoint, float], list[int]]


class RegisterWriter(Protocol):
    """Writes holding registers of one device, once."""

    async def write(self, start: int, registers: list[int]) -> None:
        """Raises `Retryable` when the device did not take them."""
        ...


class SiteActuator:
    """Writes each command to its gate's register for the desired position."""

    def __init__(self, site: SiteSettings, writers: Mapping[str, RegisterWriter], encode: Encoder) -> None:
        self._points = {gate.id: gate.points.desired_position for gate in site.gates}
        self._writers = writers
        self._encode = encode

    async def act(self, commands: Sequence[MoveTo], deadline_s: float) -> list[WriteOutcome]:
        """What became of each command; those not through within `deadline_s` count as failed."""
        return list(await asyncio.gather(*(self._write(command, deadline_s) for command in commands)))

    async def _write(self, command: MoveTo, deadline_s: float) -> WriteOutcome:
        point = self._points[command.gate]
        try:
            registers = self._encode(point, command.opening_pct)
            async with asyncio.timeout(deadline_s):
                await self._writers[command.gate].write(point.register_address, registers)
        except TimeoutError:
            return WriteOutcome(command.gate, command.opening_pct, f"not written within {deadline_s:g} s")
        except (Retryable, ValueError) as error:
            return WriteOutcome(command.gate, command.opening_pct, str(error))
        return WriteOutcome(command.gate, command.opening_pct)
