"""The journal on a real file: exactly once by cursor, and control never waits, whatever the disk does."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock, connect
from edge_agent.gate_control.journal.disk_thread import DiskThread
from edge_agent.gate_control.journal.interlock_file import LatestFile
from edge_agent.gate_control.journal.writer import Journal, Retention
from shared.clock import SystemClock
from shared.contracts.base import format_utc
from shared.contracts.gate_socket import JournalKind, JournalRecord


def wait_for(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "not within the time"
        time.sleep(0.01)


def open_journal(folder: Path, **options: Any) -> Journal:
    journal = Journal(folder / "gate.sqlite", SystemClock(), **options)
    journal.start()
    return journal


def all_records(journal: Journal) -> list[JournalRecord]:
    found: list[JournalRecord] = []
    while page := journal.read(found[-1].cursor if found else 0, 7).records:
        found += page
    return found


def block() -> StoredBlock:
    now = format_utc(SystemClock().wall())
    return StoredBlock(now, now, "b", 120, "code", "site", b"scans")


class WeakDisk:
    """Opens real files, whose writes hang or fail on demand."""

    def __init__(self) -> None:
        self.no_room_for = ""
        self.is_full = False
        self.free = threading.Event()
        self.free.set()

    def connect(self, path: Path) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    disk.free.wait()
                    if disk.is_full:
                        raise sqlite3.OperationalError("database or disk is full")
                if disk.no_room_for and sql.startswith(disk.no_room_for):
                    raise sqlite3.OperationalError("database or disk is full")
                return super().execute(sql, *arguments)

        return sqlite3.connect(path, check_same_thread=False, isolation_level=None, factory=Connection)


def test_records_come_once_each_in_order_without_gaps(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(50):
        journal.append(JournalKind.COMMANDED, "g1", {"number": number})
    wait_for(lambda: journal.last == 50)
    records = all_records(journal)
    assert [record.cursor for record in records] == list(range(1, 51))
    assert [record.data["number"] for record in records] == list(range(50))
    assert journal.stop(10)


def test_cursors_and_the_journals_id_outlive_a_restart(tmp_path: Path) -> None:
    first = open_journal(tmp_path)
    first.append(JournalKind.STARTED)
    assert first.stop(10)
    second = open_journal(tmp_path)
    second.append(JournalKind.STARTED)
    wait_for(lambda: second.last == 2)
    assert second.journal_id == first.journal_id
    assert second.stop(10)


def test_samples_wait_to_be_written_together_and_the_end_writes_them(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    wait_for(lambda: journal.journal_id != "")
    journal.append(JournalKind.SAMPLES, "g1", {"level_m": 2.0})
    assert journal.last == 0
    assert journal.stop(10)
    assert journal.last == 1


def test_a_full_disk_keeps_records_in_memory_and_says_so(tmp_path: Path) -> None:
    disk = WeakDisk()
    journal = open_journal(tmp_path, connect=disk.connect)
    wait_for(lambda: journal.journal_id != "")
    disk.is_full = True
    journal.append(JournalKind.ALARM_RAISED, "g1", {"alarm": "stuck"})
    wait_for(lambda: "full" in journal.problem())
    disk.is_full = False
    wait_for(lambda: journal.last == 1)
    assert journal.problem() == ""
    assert [record.data["alarm"] for record in all_records(journal)] == ["stuck"]
    assert journal.stop(10)


def through_a_full_disk(folder: Path, *counts: tuple[JournalKind, int]) -> list[JournalRecord]:
    """What a ring of eight keeps of so many records of each kind, given in this order while the disk is full, once it has room again."""
    disk = WeakDisk()
    journal = open_journal(folder, connect=disk.connect, ring_records=8)
    wait_for(lambda: journal.journal_id != "")
    disk.is_full = True
    for kind, count in counts:
        for number in range(count):
            journal.append(kind, "g1", {"number": number})
    wait_for(lambda: journal.problem() != "")
    disk.is_full = False
    wait_for(lambda: journal.problem() == "")
    records = all_records(journal)
    assert journal.stop(10)
    return records


def test_what_the_ring_cannot_hold_is_counted_samples_first(tmp_path: Path) -> None:
    records = through_a_full_disk(tmp_path, (JournalKind.SAMPLES, 10), (JournalKind.ALARM_RAISED, 2))
    assert [record.kind for record in records].count(JournalKind.ALARM_RAISED) == 2
    assert [record.data["count"] for record in records if record.kind is JournalKind.RECORDS_LOST] == [4]


def test_a_ring_full_of_alarms_gives_up_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    records = through_a_full_disk(tmp_path, (JournalKind.ALARM_RAISED, 12))
    assert [record.data["number"] for record in records if record.kind is JournalKind.ALARM_RAISED] == list(range(4, 12))
    assert [record.data["count"] for record in records if record.kind is JournalKind.RECORDS_LOST] == [4]


def test_what_is_written_outlasts_a_power_cut_and_readers_do_not_wait_for_writers(tmp_path: Path) -> None:
    """No test can cut the power; SQLite's own settings say what it does: FULL syncs the log at each commit."""
    database = JournalDatabase(tmp_path / "gate.sqlite")
    try:
        (synchronous,) = database._connection.execute("PRAGMA synchronous").fetchone()
        (mode,) = database._connection.execute("PRAGMA journal_mode").fetchone()
    finally:
        database.close()
    assert (synchronous, mode) == (2, "wal")


def test_samples_never_push_an_alarm_out_of_the_ring(tmp_path: Path) -> None:
    records = through_a_full_disk(tmp_path, (JournalKind.ALARM_RAISED, 6), (JournalKind.SAMPLES, 10))
    assert [record.data["number"] for record in records if record.kind is JournalKind.ALARM_RAISED] == list(range(6))
    assert [record.data["count"] for record in records if record.kind is JournalKind.RECORDS_LOST] == [10]


def test_a_disk_that_hangs_holds_up_nobody_but_the_writer(tmp_path: Path) -> None:
    disk = WeakDisk()
    journal = open_journal(tmp_path, connect=disk.connect)
    wait_for(lambda: journal.journal_id != "")
    disk.free.clear()
    journal.append(JournalKind.STARTED)
    began = time.monotonic()
    for number in range(1000):
        journal.append(JournalKind.COMMANDED, "g1", {"number": number})
    assert time.monotonic() - began < 5.0
    assert not journal.stop(0.1)
    disk.free.set()
    wait_for(lambda: journal.last == 1001)


def test_a_damaged_file_is_put_aside_and_a_new_journal_begun(tmp_path: Path) -> None:
    (tmp_path / "gate.sqlite").write_bytes(b"this is no database" * 500)
    journal = open_journal(tmp_path)
    journal.append(JournalKind.STARTED)
    wait_for(lambda: journal.last == 1)
    assert (tmp_path / "gate.sqlite.damaged").read_bytes().startswith(b"this is no database")
    assert journal.stop(10)


def test_the_oldest_goes_when_the_file_grows_too_large(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(3000):
        journal.append(JournalKind.COMMANDED, "g1", {"number": number, "text": "x" * 200})
    wait_for(lambda: journal.last == 3000)
    assert journal.stop(10)
    again = open_journal(tmp_path, retention=Retention(max_bytes=100_000))
    wait_for(lambda: again.read(0, 1).first > 1)
    assert again.read(0, 1).last == 3000
    assert again.stop(10)


def test_what_is_older_than_the_days_kept_goes(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(JournalKind.STARTED)
    wait_for(lambda: journal.last == 1)
    assert journal.stop(10)
    again = open_journal(tmp_path, retention=Retention(days=1e-9))
    wait_for(lambda: again.read(0, 1).records == ())
    assert again.read(0, 1).last == 1
    assert again.stop(10)


def written_at(database: JournalDatabase, at: datetime, count: int = 1) -> None:
    """Records that a clock dated so."""
    record = JournalRecord(cursor=1, at=at, monotonic_s=1.0, boot_id="b", kind=JournalKind.COMMANDED, gate="g1")
    database.append([record] * count)


def kept(database: JournalDatabase) -> list[int]:
    return [record.cursor for record in database.page(0, 100_000).records]


def test_records_of_a_clock_that_was_not_set_stay_for_as_long_as_those_around_them(tmp_path: Path) -> None:
    database = JournalDatabase(tmp_path / "gate.sqlite")
    now = datetime(2026, 5, 20, tzinfo=UTC)
    for at in (now - timedelta(days=30), now - timedelta(days=2), datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), now):
        written_at(database, at)

    def trim(now: datetime) -> list[int]:
        database.trim(format_utc(now - timedelta(days=14)), format_utc(now + timedelta(days=1)), 10**9)
        return kept(database)

    assert trim(now) == [2, 3, 4, 5], "no gap in the middle: a reader by cursor would lose what it has not read"
    assert trim(now + timedelta(days=13)) == [5], "what was dated far ahead keeps nothing from going"
    assert trim(now + timedelta(days=15)) == []
    database.close()


def test_a_clock_that_is_wrong_by_years_costs_a_twentieth_an_hour(tmp_path: Path) -> None:
    database = JournalDatabase(tmp_path / "gate.sqlite")
    written_at(database, datetime(2026, 5, 20, tzinfo=UTC), count=20_000)
    written_at(database, datetime(2099, 1, 1, tzinfo=UTC))
    database.trim("2098-12-18T00:00:00Z", "2099-01-02T00:00:00Z", 10**9)
    assert (database.page(0, 1).first, database.last()) == (1_001, 20_001)
    database.close()


def test_a_row_that_the_card_changed_is_told_as_lost_and_the_others_are_read(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(3):
        journal.append(JournalKind.COMMANDED, "g1", {"number": number})
    wait_for(lambda: journal.last == 3)
    with contextlib.closing(connect(tmp_path / "gate.sqlite")) as card:
        card.execute("UPDATE journal SET record = replace(record, '\"kind\"', '\"k\x01nd\"') WHERE cursor = 2")
    first, damaged, last = all_records(journal)
    assert (damaged.cursor, damaged.kind, damaged.data["count"]) == (2, JournalKind.RECORDS_LOST, 1)
    assert (first.data["number"], last.data["number"]) == (0, 2)
    assert journal.stop(10)


def test_records_are_not_written_twice_where_a_block_of_scans_finds_no_room(tmp_path: Path) -> None:
    disk = WeakDisk()
    journal = open_journal(tmp_path, connect=disk.connect)
    disk.no_room_for = "INSERT INTO scans"
    journal.append_block(lambda: (block(), "{}"))
    journal.append(JournalKind.ALARM_RAISED, "g1", {"alarm": "stuck"})
    wait_for(lambda: "full" in journal.problem() and journal.last > 0)
    disk.no_room_for = ""
    wait_for(lambda: journal.problem() == "")
    assert [record.data["alarm"] for record in all_records(journal)] == ["stuck"]
    assert journal.stop(10)
    with contextlib.closing(JournalDatabase(tmp_path / "gate.sqlite", for_reading=True)) as database:
        assert len(database.block_ids("2026", "9999")) == 1


def test_a_block_or_a_figure_that_cannot_be_written_does_not_end_the_journal(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)

    def unpackable() -> tuple[StoredBlock, str]:
        raise ValueError("Out of range float values are not JSON compliant")

    journal.append_block(unpackable)
    journal.append(JournalKind.COMMANDED, "g1", {"opening_pct": float("nan")})
    journal.append(JournalKind.COMMANDED, "g1", {"opening_pct": 40.0})
    wait_for(lambda: journal.last == 2)
    assert [record.data["opening_pct"] for record in all_records(journal)] == [None, 40.0]
    assert journal.stop(10)


def test_a_page_never_outgrows_a_line_of_the_socket(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for _ in range(30):
        journal.append(JournalKind.COMMANDED, "g1", {"text": "x" * 100_000})
    wait_for(lambda: journal.last == 30)
    page = journal.read(0, 1000)
    assert 0 < len(page.records) < 30
    assert len(page.model_dump_json()) < 1024 * 1024
    assert journal.stop(10)


def test_the_interlock_file_is_always_whole_and_ends_at_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "interlock.json"
    file = LatestFile(path)
    for number in range(200):
        file.put(f'{{"number": {number:04d}}}'.encode())
        if path.exists():
            assert len(path.read_bytes()) == 16
    wait_for(lambda: path.exists() and path.read_bytes() == b'{"number": 0199}')


def test_an_interlock_file_that_cannot_be_written_is_an_alarm_and_heals(tmp_path: Path) -> None:
    file = LatestFile(tmp_path / "gone" / "interlock.json")
    file.put(b"1")
    wait_for(lambda: "cannot be written" in file.error)
    (tmp_path / "gone").mkdir()
    file.put(b"2")
    wait_for(lambda: file.error == "")
    assert (tmp_path / "gone" / "interlock.json").read_bytes() == b"2"


async def test_work_for_the_disk_gives_its_result_or_its_error() -> None:
    thread = DiskThread("test")
    assert await thread.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    assert await thread.run(lambda: connect(Path(":memory:")).execute("SELECT 1").fetchone()) == (1,)
