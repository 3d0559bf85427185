"""A canal of one pool and one gate behind real Modbus TCP, read, validated and moved by the product's own parts."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edge_agent.gate_control.actuate.field import FieldActuator
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, Now, PointHistory, Quality, Reading, WriteOutcome
from edge_agent.gate_control.sense.reader import PointReader
from edge_agent.gate_control.simulation.device_faults import ScriptedFault
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from edge_agent.gate_control.validate import validate_samples
from shared.clock import SystemClock
from tests.fakes.gate_site import actuator, gate, level_point, pool, position_point, site, tcp_device

SPEED = 50.0
SCAN_S = 0.03


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def canal_site(profile: str = "rotork_iq", *, port: int | None = None, name: str = "north", **options: Any) -> SiteConfiguration:
    """Levels on a sensor unit of its own behind the same address as the actuator."""
    port = port or free_port()
    quick = {"timeout_s": 0.25}
    level = {"counter_register": 11, "max_rate_per_s": 50.0, "stale_after_s": 0.6} | options.pop("level", {})
    position = {"max_rate_per_s": 500.0, "stale_after_s": 0.6} | options.pop("position", {})
    return site(
        devices=[tcp_device("drive", port, 1, **quick), tcp_device("sensor", port, 2, **quick)],
        points=[level_point("level", "sensor", 10, **level), position_point("g1", "drive", profile, **position)],
        gates=[{**gate("g1", "drive", profile), "actuator": actuator(profile, "drive", "g1", **options.pop("actuator", {}))}],
        pools=[pool("p1", outlet="g1", tail_levels=["level"])],
        **{"site": name, **options},
    )


@dataclass
class FieldBench:
    """One site and its devices."""

    site: SiteConfiguration
    devices: SimulatedDevices
    reader: PointReader
    actuator: FieldActuator
    histories: dict[str, PointHistory] = field(default_factory=dict)
    readings: dict[str, Reading] = field(default_factory=dict)

    async def scan(self) -> dict[str, Reading]:
        samples = await self.reader.read(0.5)
        now = Now(SystemClock().monotonic_s(), datetime.now(UTC), True)
        self.histories, self.readings = validate_samples(self.site, self.histories, samples, now)
        return self.readings

    async def scan_until(self, condition: Callable[[dict[str, Reading]], bool], *, within_s: float = 10.0, what: str = "condition") -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition(await self.scan()):
                    await asyncio.sleep(SCAN_S)
        except TimeoutError as error:
            raise AssertionError(f"{what} did not come within {within_s:g} s: {self.readings}") from error

    async def has_quality(self, quality: Quality, *points: str) -> None:
        names = points or ("level", "g1-position", "g1.remote")
        await self.scan_until(lambda found: all(found[name].quality is quality for name in names), what=f"{quality} of {names}")

    async def act(self, command: Command) -> WriteOutcome:
        (outcome,) = await self.actuator.act([command], 1.0, {"g1": self.readings["g1-position"].value})
        return outcome

    async def stands_at(self, opening_pct: float) -> None:
        await self.scan_until(lambda found: abs((found["g1-position"].value or -1.0) - opening_pct) < 0.2, what=f"gate at {opening_pct} %")


@asynccontextmanager
async def field_bench(configured: SiteConfiguration, *script: ScriptedFault, speed: float = SPEED) -> AsyncIterator[FieldBench]:
    clock = SystemClock()
    devices = SimulatedDevices(configured, canal_of(configured), clock, speed=speed, script=script)
    await devices.start()
    reader = PointReader(configured, clock)
    bench = FieldBench(configured, devices, reader, FieldActuator(configured, reader.units, clock))
    try:
        await bench.has_quality(Quality.GOOD)
        yield bench
    finally:
        await bench.actuator.close()
        await reader.close()
        await devices.stop()
