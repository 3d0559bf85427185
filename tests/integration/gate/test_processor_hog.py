"""Beside processes that take every processor the gate process scans on in time, by its share alone. Needs root and control groups."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local_cluster import cgroups
from tests.integration.gate.conftest import SCAN_S, Bench, until
from tests.integration.gate.test_process import GateProcess
from tests.unit.gate.test_unit_file import SERVICE

USUAL_WEIGHT = 100
"""What systemd gives a unit that says nothing."""
SHARES_OF_WEIGHT = 1_024 / USUAL_WEIGHT
"""A weight of cgroup v2 as shares of v1."""
HOGS_OF_A_PROCESSOR = 3
SCANS = 100
LATEST_MS = 5 * SCAN_S * 1_000.0
pytestmark = [pytest.mark.root, pytest.mark.slow]


class Shares:
    """Two groups below one, whose processes share the processors by weight."""

    def __init__(self, name: str) -> None:
        self.name = name
        cgroups.make(name)
        self._root = (cgroups.ROOT if cgroups.is_unified() else cgroups.ROOT / "cpu") / name

    def group(self, name: str, weight: int) -> Path:
        folder = self._root / name
        folder.mkdir()
        if cgroups.is_unified():
            (folder / "cpu.weight").write_text(str(weight))
        else:
            (folder / "cpu.shares").write_text(str(round(weight * SHARES_OF_WEIGHT)))
        return folder / "cgroup.procs"


@pytest.fixture
def shares() -> Iterator[Shares]:
    if missing := cgroups.missing_controllers():
        pytest.skip(f"no control groups for {', '.join(missing)} here")
    made = Shares(f"munbon-shares-{os.getpid()}")
    yield made
    cgroups.kill_all(made.name)
    cgroups.remove(made.name)
    assert not cgroups.exists(made.name)


@pytest.fixture
async def gate(bench: Bench, python_path: dict[str, str]) -> AsyncIterator[GateProcess]:
    made = GateProcess(bench.folder, python_path)
    await made.start()
    yield made
    await made.end()


async def test_its_weight_alone_keeps_the_scan_in_time(gate: GateProcess, shares: Shares) -> None:
    (weight,) = SERVICE["CPUWeight"]
    shares.group("gate", int(weight)).write_text(str(gate.process.pid))
    others = shares.group("others", USUAL_WEIGHT)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(HOGS_OF_A_PROCESSOR * (os.cpu_count() or 1))]
    try:
        for hog in hogs:
            others.write_text(str(hog.pid))
        before = (await gate.status())["scan"]

        async def goes_on() -> bool:
            return bool((await gate.status())["scan"] > before + SCANS)

        await until(goes_on, what="scans beside them")
        lateness_ms = (await gate.status())["lateness_p99_ms"]
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    print(f"gate_scan_lateness_beside_processor_hogs_p99_ms {lateness_ms:.0f}")
    assert lateness_ms < LATEST_MS
