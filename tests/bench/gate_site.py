"""A gate process with what a Pi installs, and its devices on real Modbus TCP in this process."""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes

from deploy.harness.processes import Child
from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.console.client import ask
from edge_agent.gate_control.simulation.devices import SimulatedDevices
from edge_agent.gate_control.simulation.example import LEVEL_REGISTER, example_canal, site_yaml
from shared.clock import SystemClock
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateOperation
from shared.errors import Retryable
from tests.bench.device import node_python, prefer_as_unit, run_on
from tests.fakes.gate import signed, write_trust_root

AGAIN_S = 2.0


class TimedDevices(SimulatedDevices):
    """Devices that note how old the level that they gave last was when a command came."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.reactions_ms: list[float] = []
        self._given_s: dict[str, float] = {}

    def _access(
        self, device: str, table: str, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        now_s = time.perf_counter()
        if values is not None:
            if device in self._given_s:
                # a command may take more than one write: the first counts
                self.reactions_ms.append((now_s - self._given_s.pop(device)) * 1000.0)
        elif address <= LEVEL_REGISTER < address + count:
            self._given_s[device] = now_s
        return super()._access(device, table, start, address, count, registers, values)


@dataclass(frozen=True)
class RunningSite:
    """A site under way."""

    devices: TimedDevices
    process: Child
    socket: Path
    environment: str
    nice: int
    """Of the gate process: that of its systemd unit, where that may be given."""

    async def set_plan(self, plan: GatePlan) -> None:
        """Put a signed plan in force."""
        await asyncio.to_thread(ask, self.socket, GateOperation.PLAN_SET, {"envelope": signed(plan).decode()})


@asynccontextmanager
async def site_with_gate(gates: Sequence[str]) -> AsyncIterator[RunningSite]:
    """One device a gate in this process, and a gate process that controls them, armed and in auto."""
    interpreter, environment = await node_python("gate")
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="munbon-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        text = site_yaml(site="north", state_dir="state", run_dir=str(folder), port=port, gates=gates)
        (folder / "site.yaml").write_text(text)
        write_trust_root(folder / "gate-trust-root.json")
        site, _ = parse_site(text, source="the bench")
        devices = TimedDevices(site, example_canal(gates), SystemClock())
        await devices.start()
        stack.push_async_callback(devices.stop)
        process = Child("munbon-gate", ["munbon-gate", "run", "--config", str(folder / "site.yaml")], log=folder / "gate.log")
        run_on(process, "munbon-gate", "edge_agent.gate_control.main", interpreter)
        await process.start()
        assert process.pid is not None, process.log_tail()
        nice = prefer_as_unit(process.pid, "munbon-gate")
        stack.push_async_callback(process.stop)
        await process.wait_until(lambda: is_listening(folder / "gate.sock"), timeout_s=60.0, what="the gate's socket")
        await arm(folder / "gate.sock", gates)
        yield RunningSite(devices, process, folder / "gate.sock", environment, nice)


def is_listening(path: Path) -> bool:
    """Whether somebody answers there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


async def arm(path: Path, gates: Sequence[str]) -> None:
    """What a person does once at a new site."""
    for gate in gates:
        for params in ({"gate": gate, "verb": "arm"}, {"gate": gate, "verb": "mode", "params": {"mode": "auto"}}):
            await act(path, params)


async def act(path: Path, params: dict[str, Any]) -> None:
    """Ask it, again where the gate is busy: it takes only so many commands in a while."""
    async with asyncio.timeout(120):
        while True:
            try:
                await asyncio.to_thread(ask, path, GateOperation.ACT, params)
                return
            except Retryable:
                await asyncio.sleep(AGAIN_S)
