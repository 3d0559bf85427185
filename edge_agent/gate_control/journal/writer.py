"""The journal as control sees it: `append` returns at once; a thread writes; what the disk does not take waits in a bounded ring."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge_agent.gate_control.journal.database import Connect, JournalDatabase, StoredBlock, connect
from shared.clock import Clock
from shared.contracts.base import format_utc
from shared.contracts.gate_socket import JournalKind, JournalPage, JournalRecord
from shared.errors import Retryable
from shared.observability import get_logger

RING_RECORDS = 4_000
RING_BLOCKS = 30
"""Blocks of scans that wait for the disk; the oldest goes first."""
BATCH_RECORDS = 500
SERIES_FLUSH_S = 5.0
"""Samples may wait so long to be written together; all else is written at once."""
RETRY_S = 2.0
SLOW_S = 5.0
"""Older unwritten records than this (beyond the flush) raise an alarm."""
TRIM_EVERY_S = 3_600.0
FUTURE = timedelta(days=1)
"""What is dated later than this was written by a clock that was wrong: it keeps nothing before it from going."""

MakeBlock = Callable[[], tuple[StoredBlock, str]]
"""Gives a block and the configuration that it belongs to; called in the writer's thread, since packing takes milliseconds."""

log = get_logger("gate.journal")


@dataclass(frozen=True)
class Retention:
    """What is kept."""

    days: float = 14.0
    max_bytes: int = 200_000_000


def new_record(clock: Clock, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> JournalRecord:
    """A record of now; its real cursor is given by the database."""
    return JournalRecord(
        cursor=1,
        at=clock.wall(),
        monotonic_s=round(clock.monotonic_s(), 3),
        boot_id=clock.boot_id(),
        kind=kind,
        gate=gate,
        data=data or {},
    )


class Journal:
    """Writer thread over `gate.sqlite`. A damaged file is put aside and a new one begun, with a new journal id."""

    def __init__(
        self, path: Path, clock: Clock, *, retention: Retention | None = None, connect: Connect = connect, ring_records: int = RING_RECORDS
    ) -> None:
        self._path = path
        self._clock = clock
        self._retention = retention or Retention()
        self._connect = connect
        self._ring_records = ring_records
        self._pending: deque[JournalRecord] = deque()
        self._blocks: deque[MakeBlock] = deque(maxlen=RING_BLOCKS)
        self._lost = 0
        self._appended, self._gone = 0, 0
        """Records that came, and those of them that are out of the ring again."""
        lock = threading.RLock()
        self._changed, self._dropped = threading.Condition(lock), threading.Condition(lock)
        self._database: JournalDatabase | None = None
        self._stopping = False
        self._urgent = True  # the file is opened at once, so that what is wrong with it is known
        self._trimmed_at_s: float | None = None
        self._error = ""
        self.journal_id = ""
        self.last = 0
        self._listeners: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def on_written(self, listener: Callable[[], None]) -> None:
        """Call `listener` from the writer's thread after each write."""
        self._listeners.append(listener)

    def append(self, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> None:
        """Take a record. Returns at once, whatever the disk does.

        A full ring gives up samples first, then the oldest record; how many is journalled when the disk writes again.
        """
        record = new_record(self._clock, kind, gate, data)
        with self._changed:
            is_series = kind is JournalKind.SAMPLES
            if is_series and len(self._pending) >= self._ring_records * 3 // 4:
                self._lost += 1
                return
            if len(self._pending) >= self._ring_records:
                self._take_first()
                self._lost += 1
            self._pending.append(record)
            self._appended += 1
            if not is_series:
                self._urgent = True
                self._changed.notify()

    def settle(self, within_s: float) -> bool:
        """Whether all that was appended by now is durable, waiting for it so long; to be called away from the event loop."""
        with self._dropped:
            wanted = self._appended
            self._urgent = True
            self._changed.notify()
            self._dropped.wait_for(lambda: self._gone >= wanted or bool(self._error), within_s)
            return self._gone >= wanted

    def append_block(self, make: MakeBlock) -> None:
        """Take a block of scans. Returns at once, whatever the disk does; a full ring gives up its oldest block."""
        with self._changed:
            self._blocks.append(make)
            self._urgent = True
            self._changed.notify()

    def problem(self) -> str:
        """Why records are not reaching the disk; empty while they do."""
        with self._changed:
            if self._error:
                return self._error
            if self._pending and self._clock.monotonic_s() - self._pending[0].monotonic_s > SERIES_FLUSH_S + SLOW_S:
                return "the disk is slow"
            return f"{self._lost} records lost" if self._lost else ""

    def read(self, after: int, limit: int) -> JournalPage:
        """Durable records after a cursor; opens its own connection, to be called away from the event loop.

        Raises:
            Retryable: the file cannot be read now.
        """
        try:
            database = JournalDatabase(self._path, connect=self._connect, for_reading=True)
            try:
                return database.page(after, limit)
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise Retryable(f"cannot be read now: {error}", subject="journal") from error

    def stop(self, within_s: float) -> bool:
        """Write what waits and end; False when the disk did not take it in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not (self._urgent or self._stopping):
                    self._changed.wait(SERIES_FLUSH_S)
                self._urgent = False
                batch = list(self._pending)[:BATCH_RECORDS]
                lost, stopping = self._lost, self._stopping
            written = self._write(batch, lost)
            with self._changed:
                if written and len(self._pending) > 0 and len(batch) == BATCH_RECORDS:
                    self._urgent = True
                if stopping and (not written or not self._pending):
                    break
                if not written and not self._stopping:
                    self._changed.wait(RETRY_S)
                    self._urgent = True
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()

    def _write(self, batch: list[JournalRecord], lost: int) -> bool:
        """Write a batch and drop it from the ring; on failure what is not on the disk stays."""
        try:
            database = self._open()
            if batch or lost:
                self.last = database.append([*self._loss(lost), *batch])
                self._drop(batch, lost)
            self._write_blocks(database)
            self._trim(database)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
            return False
        with self._changed:
            self._error = ""
        return True

    def _drop(self, batch: list[JournalRecord], lost: int) -> None:
        """They are durable: whatever fails after this, they are not written again."""
        with self._changed:
            for record in batch:
                if self._pending and self._pending[0] is record:
                    self._take_first()
            self._lost -= lost
            self._dropped.notify_all()
        for listener in self._listeners:
            listener()

    def _take_first(self) -> None:
        self._pending.popleft()
        self._gone += 1

    def _write_blocks(self, database: JournalDatabase) -> None:
        while True:
            with self._changed:
                if not self._blocks:
                    return
                make = self._blocks[0]
            try:
                block = make()
            except Exception:
                # a fault of ours in one block must not end the journal
                log.exception("a block of scans cannot be packed, it is given up")
            else:
                database.append_block(*block)
            with self._changed:
                if self._blocks and self._blocks[0] is make:
                    self._blocks.popleft()

    def _open(self) -> JournalDatabase:
        if self._database is None:
            self._database = JournalDatabase(self._path, connect=self._connect)
            self.journal_id = self._database.journal_id
            self.last = self._database.last()
        return self._database

    def _loss(self, lost: int) -> list[JournalRecord]:
        if not lost:
            return []
        return [
            new_record(self._clock, JournalKind.RECORDS_LOST, data={"count": lost, "why": self._error or "the disk did not keep up"}),
        ]

    def _trim(self, database: JournalDatabase) -> None:
        now_s = self._clock.monotonic_s()
        if self._trimmed_at_s is not None and now_s - self._trimmed_at_s < TRIM_EVERY_S:
            return
        self._trimmed_at_s = now_s
        now = self._clock.wall()
        oldest, newest = now - timedelta(days=self._retention.days), now + FUTURE
        # a clock that nobody set lies in the past: it then trims nothing
        database.trim(format_utc(oldest), format_utc(newest), self._retention.max_bytes)

    def _failed(self, error: Exception) -> None:
        if not self._error:
            log.error("journal cannot be written", path=str(self._path), reason=str(error))
        with self._changed:
            self._error = str(error)
            self._dropped.notify_all()
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._put_aside()

    def _put_aside(self) -> None:
        """A damaged file is kept under another name for people to look at."""
        for suffix in ("", "-wal", "-shm"):
            source = self._path.with_name(self._path.name + suffix)
            with contextlib.suppress(OSError):
                source.replace(self._path.with_name(f"{self._path.name}.damaged{suffix}"))
