"""Control does not depend on the disk: full, read-only or hanging, the scan goes on in time and the alarm says so."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.gate_control.journal.writer import Journal
from shared.clock import SystemClock
from shared.contracts.gate_plan import PositionObjective
from tests.fakes.gate import make_plan
from tests.integration.gate.conftest import SCAN_S, Bench, until
from tests.unit.gate.test_journal import WeakDisk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def controls(bench: Bench, opening_pct: float, generation: int) -> None:
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=opening_pct), generation=generation))).ok
    await until(lambda: bench.gate()["opening_pct"] == opening_pct, what="gate at its position")
    late = bench.status()["lateness_p99_ms"]
    assert late is not None
    assert late < 10 * SCAN_S * 1000


@pytest.mark.root
async def test_a_full_disk_is_an_alarm_and_control_goes_on(bench: Bench, small_disk: Path) -> None:
    await bench.start()
    await controls(bench, 40.0, 1)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    await controls(bench, 45.0, 2)
    await bench.alarm("site: plan_not_saved")
    await bench.alarm("site: journal_not_written")
    filler.unlink()
    await bench.alarm("site: journal_not_written", raised=False)
    await bench.alarm("site: plan_not_saved", raised=False)
    page = (await bench.ask("journal.read", after=0, limit=1000, wait_s=0)).data
    accepted = [record["data"]["generation"] for record in page["records"] if record["kind"] == "plan_accepted"]
    assert accepted == [1, 2]
    await bench.end()


@pytest.mark.root
async def test_on_a_read_only_disk_the_gate_starts_and_controls_and_writes_all_once_it_can(bench: Bench, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    await bench.start()
    await controls(bench, 44.0, 1)
    await bench.alarm("site: plan_not_saved")
    await bench.alarm("site: journal_not_written")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    await bench.alarm("site: plan_not_saved", raised=False)
    await bench.alarm("site: journal_not_written", raised=False)
    page = (await bench.ask("journal.read", after=0, limit=1000, wait_s=0)).data
    assert page["records"][0]["kind"] == "started"
    assert "records_lost" not in [record["kind"] for record in page["records"]]
    await bench.end()


@pytest.mark.slow
async def test_a_disk_that_hangs_for_long_holds_up_neither_control_nor_the_end(bench: Bench) -> None:
    disk = WeakDisk()
    (bench.folder / "state").mkdir()
    journal = Journal(bench.folder / "state" / "gate.sqlite", SystemClock(), connect=disk.connect)
    await bench.start(journal)
    disk.free.clear()
    timer = threading.Timer(60.0, disk.free.set)
    timer.start()
    await controls(bench, 40.0, 1)
    await controls(bench, 45.0, 2)
    await bench.alarm("site: journal_not_written")
    assert (await bench.ask("journal.read", after=0, limit=10, wait_s=0)).ok
    await bench.end()
    timer.cancel()
    disk.free.set()
    assert journal.stop(30)
