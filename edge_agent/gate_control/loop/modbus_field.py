"""The real devices of a site, as the loop sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.gate_control.actuate.comms_lost import CommsLostReport, Heartbeat, secure_comms_lost
from edge_agent.gate_control.actuate.field import FieldActuator
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, Sample, WriteOutcome
from edge_agent.gate_control.sense.reader import PointReader
from shared.clock import Clock


class ModbusField:
    """A `Field` on Modbus."""

    def __init__(self, site: SiteConfiguration, clock: Clock) -> None:
        self._site = site
        self._reader = PointReader(site, clock)
        self._actuator = FieldActuator(site, self._reader.units, clock)
        self._heartbeat = Heartbeat(site, self._reader.units)
        self.heartbeat_errors: Mapping[str, str] = {}
        """By gate: why its actuator did not take the last heartbeat."""

    @property
    def pulse_errors(self) -> dict[str, str]:
        """By gate: why its last pulse was not kept up or not ended by us."""
        return self._actuator.pulse_errors

    async def read(self, deadline_s: float) -> list[Sample]:
        """Ask all devices, and what came of all points since the last call."""
        return await self._reader.read(deadline_s)

    def arrived(self) -> list[Sample]:
        """What came since the last call, without asking for more."""
        return self._reader.arrived()

    async def act(
        self, commands: Sequence[Command], deadline_s: float, openings_pct: Mapping[str, float | None] | None = None
    ) -> list[WriteOutcome]:
        """What became of the commands."""
        return await self._actuator.act(commands, deadline_s, openings_pct)

    async def secure(self) -> tuple[CommsLostReport, ...]:
        """Make each actuator's comms-lost action what was configured, and what is not right, or cannot be known."""
        return await secure_comms_lost(self._site, self._reader.units)

    async def beat(self, deadline_s: float) -> None:
        """Keep the actuators' comms-lost timers from running out."""
        self.heartbeat_errors = await self._heartbeat.beat(deadline_s)

    async def close(self) -> None:
        """End pulses, let go of the devices."""
        await self._actuator.close()
        await self._reader.close()


def report_data(report: CommsLostReport) -> dict[str, Any]:
    """A report for the journal."""
    return {"problems": list(report.problems), "unverified": list(report.unverified), "written": list(report.written)}
