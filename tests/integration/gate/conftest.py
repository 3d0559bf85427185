"""A whole gate service on real Modbus TCP, fast: ten scans a second over a canal that runs 100 times as fast."""

import asyncio
import contextlib
import json
import os
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.journal.writer import Journal
from edge_agent.gate_control.loop.modbus_field import ModbusField
from edge_agent.gate_control.loop.service import GateService
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.example import example_canal, example_site, site_yaml
from edge_agent.gate_control.simulation.integrator_delay import Canal
from shared.clock import Clock, SystemClock
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateReply, GateRequest
from tests.fakes.gate import OWNER, signed, write_trust_root

SPEED = 50.0
SCAN_S = 0.1


@dataclass
class Bench:
    folder: Path
    site: SimulatedDevices
    canal: Canal
    port: int
    service: GateService | None = None
    stop: asyncio.Event | None = None
    task: asyncio.Task[None] | None = None
    field: ModbusField | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "gate.sock"

    def configure(self, **options: Any) -> Path:
        config = self.folder / "site.yaml"
        text = site_yaml(
            site="north", state_dir="state", run_dir="run", port=self.port, speed=SPEED, scan_period_s=SCAN_S,
            gates=tuple(self.canal.actuators), **options,
        )  # fmt: skip
        config.write_text(text)
        (self.folder / "run").mkdir(exist_ok=True)
        write_trust_root(self.folder / "gate-trust-root.json")
        return config

    async def start(
        self, journal: Journal | None = None, *, armed: bool = True, findings: Sequence[str] = (), clock: Clock | None = None
    ) -> None:
        """Start the service; a new site is armed, as a person there would."""
        settings = load_site(self.folder / "site.yaml")
        clock = clock or SystemClock()
        self.field = ModbusField(settings, clock)
        self.service = GateService(settings, self.folder, clock=clock, field=self.field, journal=journal, findings=findings)
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.service.run(self.stop))
        await until(lambda: self.status()["scan"] > 2)
        if armed:
            await self.arm()

    async def arm(self) -> None:
        for gate in self.canal.actuators:
            if not self.gate(gate)["commissioned"]:
                assert (await self.ask("act", gate=gate, verb="arm")).ok
                assert (await self.ask("act", gate=gate, verb="mode", params={"mode": "auto"})).ok

    async def end(self) -> None:
        if self.task is not None and self.stop is not None and self.field is not None:
            self.stop.set()
            await self.task
            await self.field.close()
            self.task = None

    def status(self) -> dict[str, Any]:
        assert self.service is not None
        return self.service.status().to_json()

    def gate(self, gate: str = "g1") -> dict[str, Any]:
        found: dict[str, Any] = self.status()["gates"][gate]
        return found

    async def ask(self, operation: str, **params: Any) -> GateReply:
        return await ask(self.socket, operation, **params)

    async def set_plan(self, plan: GatePlan, signer: Any = OWNER) -> GateReply:
        return await self.ask("plan.set", envelope=json.loads(signed(plan, signer)))

    async def alarm(self, name: str, *, raised: bool = True, gate: str = "g1") -> None:
        await until(lambda: (name in self.gate(gate)["alarms"]) == raised, what=f"alarm {name} {'raised' if raised else 'returned'}")


async def ask(path: Path, operation: str, **params: Any) -> GateReply:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2 * 1024 * 1024)
    try:
        request = GateRequest.model_validate({"id": uuid.uuid4().hex, "operation": operation, "params": params})
        writer.write(request.model_dump_json().encode() + b"\n")
        async with asyncio.timeout(60):
            return GateReply.model_validate_json(await reader.readline())
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 60.0, what: str = "condition") -> None:
    async with asyncio.timeout(within_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.03)


async def make_bench(folder: Path, gates: tuple[str, ...] = ("g1",)) -> Bench:
    """A canal's devices that listen, and the site.yaml that fits."""
    canal, port = example_canal(gates), free_port()
    site = SimulatedDevices(example_site(gates, port=port), canal, SystemClock(), speed=SPEED)
    await site.start()
    made = Bench(folder, site, canal, port)
    made.configure()
    return made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await make_bench(tmp_path)
    try:
        yield made
    finally:
        await made.end()
        await made.site.stop()


@pytest.fixture
def python_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
