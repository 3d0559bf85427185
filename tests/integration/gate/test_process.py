"""The real process: started, killed, started again, stopped."""

import asyncio
import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.contracts.gate_plan import PositionObjective, UpstreamLevelObjective
from shared.contracts.interlock import Interlock, may_update
from tests.fakes.gate import make_plan, signed
from tests.integration.gate.conftest import Bench, ask, until


class GateProcess:
    """`munbon-gate run` in a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.socket = folder / "run" / "gate.sock"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        command = [sys.executable, "-m", "edge_agent.gate_control.main", "run", "--config", str(self.folder / "site.yaml")]
        with (self.folder / "gate.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stderr=log)
        await until(self.is_scanning, what="process scans")
        if not (await self.status())["gates"]["g1"]["commissioned"]:
            assert (await ask(self.socket, "act", gate="g1", verb="arm")).ok
            assert (await ask(self.socket, "act", gate="g1", verb="mode", params={"mode": "auto"})).ok

    async def is_scanning(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "gate.log").read_text())
        try:
            return bool((await ask(self.socket, "status")).data["scan"] > 1)
        except (OSError, ValueError, KeyError):
            return False

    async def status(self) -> dict[str, Any]:
        return (await ask(self.socket, "status")).data

    async def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 20)


@pytest.fixture
async def gate(bench: Bench, python_path: dict[str, str]) -> AsyncIterator[GateProcess]:
    made = GateProcess(bench.folder, python_path)
    yield made
    if made._process is not None and made._process.poll() is None:
        made._process.kill()
        made._process.wait()


async def gate_has(gate: GateProcess, **facts: Any) -> bool:
    found = (await gate.status())["gates"]["g1"]
    return bool(all(found[name] == value for name, value in facts.items()))


async def test_a_killed_gate_comes_back_to_its_plan_without_moving_what_is_right(bench: Bench, gate: GateProcess) -> None:
    await gate.start()
    assert (await ask(gate.socket, "plan.set", envelope=signed(make_plan(PositionObjective(opening_pct=40.0))).decode())).ok
    await until(lambda: gate_has(gate, opening_pct=40.0, moving=False), what="gate at its position")
    writes = len(bench.site.writes)
    await gate.end(signal.SIGKILL)
    await gate.start()
    await until(lambda: gate_has(gate, target="position 40.0 %", mode="AUTO"), what="plan in force again")
    assert len(bench.site.writes) == writes


async def test_killed_at_any_moment_the_journal_has_each_record_once(bench: Bench, gate: GateProcess) -> None:
    chance = random.Random(7)
    await gate.start()
    assert (await ask(gate.socket, "plan.set", envelope=signed(make_plan(UpstreamLevelObjective(level_m=2.05))).decode())).ok
    cursor, journal_id, seen = 0, "", list[dict[str, Any]]()
    for _ in range(5):
        await asyncio.sleep(chance.random())
        page = (await ask(gate.socket, "journal.read", after=cursor, limit=500, wait_s=0)).data
        seen += page["records"]
        cursor, journal_id = (seen[-1]["cursor"] if seen else 0), page["journal_id"]
        await gate.end(signal.SIGKILL)
        await gate.start()
    await until(lambda: asks_started(gate, 6), what="all starts on disk")
    page = (await ask(gate.socket, "journal.read", after=cursor, limit=500, wait_s=0)).data
    seen += page["records"]
    cursors = [record["cursor"] for record in seen]
    assert cursors == list(range(1, len(cursors) + 1))
    assert page["journal_id"] == journal_id
    assert sum(record["kind"] == "plan_accepted" and record["data"].get("state") == "in_force" for record in seen) == 1


async def asks_started(gate: GateProcess, count: int) -> bool:
    page = (await ask(gate.socket, "journal.read", after=0, limit=1000, wait_s=0)).data
    return bool(sum(record["kind"] == "started" for record in page["records"]) == count)


async def test_a_reader_that_waits_gets_the_next_record_when_it_is_there(bench: Bench, gate: GateProcess) -> None:
    await gate.start()
    await until(lambda: asks_started(gate, 1), what="start on disk")
    last = (await ask(gate.socket, "journal.read", after=0, limit=1, wait_s=0)).data["last"]
    waiting = asyncio.create_task(ask(gate.socket, "journal.read", after=last, limit=10, wait_s=30))
    assert (await ask(gate.socket, "plan.set", envelope=signed(make_plan()).decode())).ok
    page = (await waiting).data
    assert page["records"][0]["cursor"] == last + 1


async def test_told_to_stop_it_ends_within_seconds_and_starts_no_motion(bench: Bench, gate: GateProcess) -> None:
    await gate.start()
    began = asyncio.get_running_loop().time()
    assert await gate.end() == 0
    assert asyncio.get_running_loop().time() - began < 5.0
    assert not gate.socket.exists()
    await gate.start()
    page = (await ask(gate.socket, "journal.read", after=0, limit=1000, wait_s=0)).data
    assert "stopped" in [record["kind"] for record in page["records"]]


async def test_a_second_process_is_refused(bench: Bench, gate: GateProcess, python_path: dict[str, str]) -> None:
    await gate.start()
    command = [sys.executable, "-m", "edge_agent.gate_control.main", "run", "--config", str(bench.folder / "site.yaml")]
    second = await asyncio.to_thread(subprocess.run, command, env=python_path, capture_output=True, timeout=60)
    assert second.returncode == 2
    assert b"another munbon-gate runs here" in second.stderr
    assert b"Traceback" not in second.stderr


async def test_systemd_is_told_of_readiness_and_fed_by_scans(bench: Bench, gate: GateProcess) -> None:
    address = str(bench.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.setblocking(False)
        gate._environment["NOTIFY_SOCKET"] = address
        await gate.start()
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            messages = [(await loop.sock_recv(receiver, 100)).decode() for _ in range(5)]
    assert messages[0] == "READY=1"
    assert set(messages[1:]) == {"WATCHDOG=1"}


async def test_the_interlock_file_lets_updates_start_and_goes_stale_with_the_process(bench: Bench, gate: GateProcess) -> None:
    await gate.start()
    path, clock = bench.folder / "run" / "interlock.json", SystemClock()

    def allowed() -> tuple[bool, str]:
        interlock = Interlock.model_validate_json(path.read_text()) if path.exists() else None
        return may_update(interlock, boot_id=clock.boot_id(), monotonic_s=clock.monotonic_s())

    await until(lambda: allowed()[0], what="updates allowed")
    await gate.end(signal.SIGKILL)
    await until(lambda: not allowed()[0], what="updates held")
    assert "does not scan" in allowed()[1]


async def test_status_and_plan_are_shown_by_the_command(bench: Bench, gate: GateProcess, python_path: dict[str, str]) -> None:
    await gate.start()
    assert (await ask(gate.socket, "plan.set", envelope=signed(make_plan()).decode())).ok

    async def run(*words: str) -> str:
        command = [sys.executable, "-m", "edge_agent.gate_control.main", *words, "--config", str(bench.folder / "site.yaml")]
        done = await asyncio.to_thread(subprocess.run, command, env=python_path, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    assert "g1" in await run("status")
    status = json.loads(await run("status", "-o", "json"))
    assert status["lateness_p99_ms"] >= 0.0
    assert "upstream_level" in await run("plan", "show")
    assert json.loads(await run("plan", "show", "-o", "json"))["generation"] == 1


async def test_the_process_stays_small(bench: Bench, gate: GateProcess) -> None:
    await gate.start()
    await asyncio.sleep(2)
    lines = Path(f"/proc/{gate.process.pid}/smaps_rollup").read_text().splitlines()
    pss_mib = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    print(f"gate_pss_idle_mib {pss_mib:.1f}")
    assert pss_mib < 48.0
