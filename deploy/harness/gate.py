"""A simulated site, and the real `munbon-gate` that controls it, as child processes."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from deploy.harness.processes import Child, ProcessFailed, free_port, program, run_program
from shared.contracts.gate_socket import GateStatus
from shared.contracts.interlock import Interlock
from shared.durable_file import read_optional, write_atomic

READY_S = 30.0


class RunningSite:
    """The simulated canal with its Modbus devices. Faults are sent as lines, for example `g1 stuck`, `g1 clear`, `inflow 4`."""

    def __init__(self, folder: Path, *, site: str, run_dir: Path, gates: Sequence[str] = ("g1",), speed: float = 20.0) -> None:
        self.site = site
        self.folder = folder.absolute()
        self.gates = tuple(gates)
        self.port = free_port()
        self.gate_config = self.folder / "site.yaml"
        words = ["--port", str(self.port), "--speed", str(speed), "--gates", ",".join(gates), "--site", site]
        places = ["--write-config", str(self.gate_config), "--state-dir", str(self.folder / "state"), "--run-dir", str(run_dir)]
        command = [sys.executable, "-m", "edge_agent.gate_control.simulation", *words, *places]
        self.process = Child(f"site {site}", command, log=self.folder / "site.log", with_input=True)

    async def start(self) -> None:
        """Start it and wait until it listens and has written a `site.yaml`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.process.start()
        await self.process.wait_until(lambda: "listening on" in self.process.read_log(), timeout_s=READY_S, what="the site's Modbus server")

    async def play(self, line: str) -> None:
        """Play a fault, or end it."""
        await self.process.send_line(line)

    async def stop(self) -> int | None:
        """End it."""
        return await self.process.stop()


class RunningGate:
    """The gate process of a site. Its sockets stand in a folder with a short name, for the kernel takes 107 characters only."""

    def __init__(self, site: RunningSite, run_dir: Path, trust_root: Mapping[str, Any]) -> None:
        self.environment: dict[str, str] = {}
        """For the next start: faults that a library in front of the C library plays."""
        self.site = site.site
        self.gates = site.gates
        self.folder = site.folder
        self.config_file = site.gate_config
        self.socket = run_dir / "gate.sock"
        self.interlock_file = run_dir / "interlock.json"
        self.state_dir = self.folder / "state"
        self._trust_root = dict(trust_root)
        self._is_armed = False
        command = [*program("munbon-gate"), "run", "--config", str(self.config_file)]
        self.process = Child(f"munbon-gate {self.site}", command, log=self.folder / "gate.log", environment=self.environment)

    async def start(self) -> None:
        """Start it and wait until it answers on its socket."""
        write_atomic(self.folder / "gate-trust-root.json", json.dumps(self._trust_root, indent=2).encode() + b"\n")
        await self.process.start()
        await self.process.wait_until(self._answers, timeout_s=READY_S, what="the gate's socket")
        if not self._is_armed:
            await self._arm()

    async def _arm(self) -> None:
        """What a person does once at a new site: arm each gate, give it to its controller, and the command of it to central."""
        for gate in self.gates:
            for words in (["arm", gate], ["mode", gate, "auto"], ["owner", gate, "release"]):
                code, _, errors = await run_program([*program("munbon-gate"), *words, "--config", str(self.config_file)])
                if code != 0:
                    raise ProcessFailed(f"{' '.join(words)} ended with {code}: {errors.strip()}", subject=f"munbon-gate {self.site}")
        self._is_armed = True

    async def stop(self) -> int | None:
        """SIGTERM; gives the exit code."""
        return await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL, as a power cut."""
        await self.process.kill()

    async def status(self) -> GateStatus:
        """What `munbon-gate status` says.

        Raises:
            ProcessFailed: it does not answer.
        """
        code, output, errors = await run_program([*program("munbon-gate"), "status", "-o", "json", "--config", str(self.config_file)])
        if code != 0:
            raise ProcessFailed(f"status ended with {code}: {errors.strip()}", subject=f"munbon-gate {self.site}")
        return GateStatus.model_validate_json(output)

    def _answers(self) -> bool:
        """Whether somebody listens on the socket: the file alone may be left from a killed process."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.socket)) == 0 and self.interlock_file.exists()

    def interlock(self) -> Interlock | None:
        """The interlock file as it is now."""
        content = read_optional(self.interlock_file)
        return None if content is None else Interlock.model_validate_json(content)

    def read_log(self) -> str:
        """Log lines of this run."""
        return self.process.read_log()


@asynccontextmanager
async def running_gate(
    folder: Path, *, site: str, trust_root: Mapping[str, Any], gates: Sequence[str] = ("g1",), speed: float = 20.0
) -> AsyncIterator[tuple[RunningSite, RunningGate]]:
    """A site and its gate process that run within the block.

    Args:
        folder: for logs, configuration and state.
        site: its name.
        trust_root: whose keys may sign plans: a node's enrolment has one.
        gates: names in flow order.
        speed: seconds of the canal in a second.
    """
    run_dir = Path(tempfile.mkdtemp(prefix="munbon-gate-"))
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, run_dir, ignore_errors=True)
        place = RunningSite(folder, site=site, run_dir=run_dir, gates=gates, speed=speed)
        stack.push_async_callback(place.stop)
        await place.start()
        gate = RunningGate(place, run_dir, trust_root)
        stack.push_async_callback(gate.stop)
        await gate.start()
        yield place, gate
