"""Scans on a real file: found again by time, with the configuration and the code that they were decided by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.journal.database import JournalDatabase
from edge_agent.gate_control.journal.packing import unpack
from edge_agent.gate_control.journal.scan_recorder import ScanRecorder
from edge_agent.gate_control.journal.writer import Journal, MakeBlock, Retention
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Sample
from edge_agent.gate_control.replay.blocks import ScanInputs, read_block
from edge_agent.gate_control.replay.quantise import Steps, quantise_samples
from shared.clock import SystemClock
from shared.contracts.base import format_utc
from tests.fakes.gate_site import level_point, now_at, site

SITE = site(points=[level_point("level", "d1", 10)])
EVER = ("0000", "9999")


def base() -> Mapping[str, Any]:
    return {"memory": {}}


def record(folder: Path, first_s: int, last_s: int) -> None:
    """A life of the process: scans from `first_s` to `last_s`, then a clean end."""
    journal = Journal(folder / "gate.sqlite", SystemClock(), retention=Retention(days=36_500))
    journal.start()
    recorder = ScanRecorder(SITE, journal, "boot", block_s=60.0)
    for second in range(first_s, last_s + 1):
        if recorder.is_block_due(float(second)):
            recorder.begin(base, float(second))
            recorder.hand_over()
        samples = quantise_samples(recorder.steps, [Sample("level", 2.0 + second / 1000.0, float(second))])
        recorder.add(ScanInputs(now_at(float(second)), samples))
    recorder.close()
    assert journal.stop(30)


def test_scans_are_found_again_by_time_with_their_configuration_and_code(tmp_path: Path) -> None:
    record(tmp_path, 0, 150)

    database = JournalDatabase(tmp_path / "gate.sqlite", for_reading=True)
    ids = database.block_ids(*EVER)
    blocks = [database.block(each) for each in ids]
    early = database.block_ids(format_utc(now_at(10.0).wall), format_utc(now_at(20.0).wall))
    first = blocks[0]

    assert [block.scans for block in blocks if block is not None] == [60, 60, 31]
    assert early == ids[:1]
    assert first is not None
    assert first.code_digest == code_digest()
    assert SiteConfiguration.model_validate_json(database.site(first.site_digest) or "") == SITE
    scans = read_block(Steps(SITE), unpack(first.content)).scans
    assert [scan.samples[0].value for scan in scans[:2]] == [2.0, 2.001]
    database.close()


def test_a_full_block_is_not_packed_before_it_is_handed_over() -> None:
    class Blocks:
        def __init__(self) -> None:
            self.taken: list[MakeBlock] = []

        def append_block(self, make: MakeBlock) -> None:
            self.taken.append(make)

    journal = Blocks()
    recorder = ScanRecorder(SITE, journal, "boot", block_s=60.0)
    for second in (0.0, 60.0, 120.0):
        recorder.begin(base, second)
        recorder.add(ScanInputs(now_at(second), ()))
    assert journal.taken == [], "a scan that begins a block may still have commands to write"

    recorder.hand_over()
    recorder.hand_over()
    assert [make()[0].began_at for make in journal.taken] == [format_utc(now_at(at_s).wall) for at_s in (0.0, 60.0)]

    recorder.close()
    assert journal.taken[-1]()[0].began_at == format_utc(now_at(120.0).wall)


def test_what_is_older_than_its_days_goes_and_its_configuration_with_it(tmp_path: Path) -> None:
    record(tmp_path, 0, 150)

    database = JournalDatabase(tmp_path / "gate.sqlite")
    database.trim(format_utc(now_at(100.0).wall), "9999", 10**9)
    kept = len(database.block_ids(*EVER))
    block = database.block(database.block_ids(*EVER)[0])
    database.trim("9999", "9999", 10**9)

    assert kept == 2
    assert block is not None
    assert database.site(block.site_digest) is None
    assert database.block_ids(*EVER) == []
    database.close()
