"""Beside a process that eats all memory the gate process is not the one that is ended, and scans on in time. Needs root."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local_cluster import cgroups
from tests.integration.gate.conftest import Bench, until
from tests.integration.gate.test_process import GateProcess
from tests.unit.gate.test_unit_file import SERVICE

LIMIT_MIB = 256
LATEST_MS = 500.0
HOG = """
import sys
kept = []
while True:
    kept.append(bytearray(b"x" * (1024 * 1024)))
"""
pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def group() -> Iterator[list[Path]]:
    """One control group of little memory for both; the files that a process is written into."""
    name = f"munbon-hog-{os.getpid()}"
    if missing := cgroups.missing_controllers():
        pytest.skip(f"no control groups for {', '.join(missing)} here")
    files = cgroups.make(name)
    root = cgroups.ROOT if cgroups.is_unified() else cgroups.ROOT / "memory"
    limit = "memory.max" if cgroups.is_unified() else "memory.limit_in_bytes"
    (root / name / limit).write_text(str(LIMIT_MIB * 1024 * 1024))
    yield files
    cgroups.kill_all(name)
    cgroups.remove(name)
    assert not cgroups.exists(name)


def enter(pid: int, group: list[Path]) -> None:
    for file in group:
        file.write_text(str(pid))


def protect(pid: int) -> int:
    """As the unit does; what is left of it where this machine does not let a score be lowered. Gives the hog's score."""
    os.setpriority(os.PRIO_PROCESS, pid, int(SERVICE["Nice"][0]))
    try:
        Path(f"/proc/{pid}/oom_score_adj").write_text(SERVICE["OOMScoreAdjust"][0])
    except PermissionError:
        return 500
    return 0


@pytest.fixture
async def gate(bench: Bench, python_path: dict[str, str]) -> AsyncIterator[GateProcess]:
    made = GateProcess(bench.folder, python_path)
    await made.start()
    yield made
    await made.end()


def hog_of(group: list[Path], score: int) -> subprocess.Popen[bytes]:
    """Starts to eat once it is in the group."""
    go = "import sys; sys.stdin.readline()\n"
    hog = subprocess.Popen([sys.executable, "-c", go + HOG], stdin=subprocess.PIPE)
    enter(hog.pid, group)
    Path(f"/proc/{hog.pid}/oom_score_adj").write_text(str(score))
    assert hog.stdin is not None
    hog.stdin.write(b"go\n")
    hog.stdin.close()
    return hog


async def test_the_hog_is_ended_and_the_gate_scans_on_in_time(gate: GateProcess, group: list[Path]) -> None:
    enter(gate.process.pid, group)
    score = protect(gate.process.pid)
    for _ in range(3):
        before = (await gate.status())["scan"]
        hog = hog_of(group, score)
        code = await asyncio.to_thread(hog.wait, 120)
        assert code == -9, "the kernel ended it, by SIGKILL"
        assert gate.process.poll() is None

        async def goes_on(scan: int = before) -> bool:
            return bool((await gate.status())["scan"] > scan + 10)

        await until(goes_on, what="scans after it")
    lateness_ms = (await gate.status())["lateness_p99_ms"]
    print(f"gate_scan_lateness_beside_hog_p99_ms {lateness_ms:.0f}")
    assert lateness_ms < LATEST_MS
