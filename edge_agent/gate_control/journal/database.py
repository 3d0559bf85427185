"""`gate.sqlite`: the only SQL of the gate. Used from one thread at a time."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from shared.contracts.gate_socket import JournalKind, JournalPage, JournalRecord

Connect = Callable[[Path], sqlite3.Connection]
_UNKNOWN = datetime.fromtimestamp(0, UTC)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS scans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    began_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    scans INTEGER NOT NULL,
    code_digest TEXT NOT NULL,
    site_digest TEXT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS scans_by_end ON scans (ended_at);
CREATE TABLE IF NOT EXISTS sites (digest TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
"""
_AGED = (
    (
        "SELECT min(cursor), max(cursor), (SELECT cursor FROM journal WHERE at BETWEEN ? AND ? ORDER BY cursor LIMIT 1) FROM journal",
        "DELETE FROM journal WHERE cursor < ?",
    ),
    (
        "SELECT min(id), max(id), (SELECT id FROM scans WHERE ended_at BETWEEN ? AND ? ORDER BY id LIMIT 1) FROM scans",
        "DELETE FROM scans WHERE id < ?",
    ),
)
_OLDEST_TENTH = (
    ("SELECT min(cursor), max(cursor) FROM journal", "DELETE FROM journal WHERE cursor <= ?"),
    ("SELECT min(id), max(id) FROM scans", "DELETE FROM scans WHERE id <= ?"),
)
JOURNAL_FILE = "gate.sqlite"
"""In the site's state folder."""
MAX_PAGE_BYTES = 768 * 1024
"""A page of records stays below the limit of one line on the socket."""
LEAST_AGED, AGED_SHARE = 500, 20
"""One trim takes no more than so many rows, or this part of all, for their age: a clock that is wrong by years costs little."""


@dataclass(frozen=True)
class StoredBlock:
    """Some minutes of scans. Times are RFC 3339 in UTC, by the wall clock of then."""

    began_at: str
    ended_at: str
    boot_id: str
    scans: int
    code_digest: str
    """Of the code that decided."""
    site_digest: str
    content: bytes
    """As `packing.pack` made it."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may move between threads; the caller sees to one at a time."""
    return sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None)


def connect_frozen(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody writes, on a disk that takes no writes."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, isolation_level=None)


class JournalDatabase:
    """One connection. Every method may raise `sqlite3.Error`."""

    def __init__(self, path: Path, *, connect: Connect = connect, for_reading: bool = False) -> None:
        """With `for_reading` nothing is written or locked: in WAL mode it then goes on while a write hangs."""
        self._connection = connect(path)
        try:
            if not for_reading:
                self._prepare()
            row = self._connection.execute("SELECT value FROM meta WHERE name = 'journal_id'").fetchone()
            self.journal_id = str(row[0])
        except sqlite3.Error:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "cache_size=-256", "journal_size_limit=1048576"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self._connection.execute("INSERT OR IGNORE INTO meta VALUES ('journal_id', ?)", (uuid.uuid4().hex,))

    def append(self, records: Sequence[JournalRecord]) -> int:
        """Write all or none, durable on return; gives the last cursor. The cursors in `records` are not used."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for record in records:
                content = record.model_dump(mode="json", exclude={"cursor"})
                self._connection.execute("INSERT INTO journal (at, record) VALUES (?, ?)", (content["at"], _compact(content)))
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return self.last()

    def last(self) -> int:
        """The newest cursor ever given, 0 for none; a deleted record's counts too."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
        return int(row[0]) if row else 0

    def page(self, after: int, limit: int) -> JournalPage:
        """At most `limit` records after a cursor, fewer where they would make too long a line."""
        records: list[JournalRecord] = []
        size = 0
        rows = self._connection.execute("SELECT cursor, record FROM journal WHERE cursor > ? ORDER BY cursor LIMIT ?", (after, limit))
        for cursor, text in rows:
            size += len(text)
            if records and size > MAX_PAGE_BYTES:
                break
            records.append(_read_record(cursor, text))
        first = self._connection.execute("SELECT min(cursor) FROM journal").fetchone()[0]
        return JournalPage(journal_id=self.journal_id, records=tuple(records), first=int(first or 0), last=self.last())

    def append_block(self, block: StoredBlock, site: str) -> None:
        """Write a block and the configuration that it belongs to, whole or not at all, durable on return."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute("INSERT OR IGNORE INTO sites VALUES (?, ?)", (block.site_digest, site))
            values = (block.began_at, block.ended_at, block.boot_id, block.scans, block.code_digest, block.site_digest, block.content)
            self._connection.execute(
                "INSERT INTO scans (began_at, ended_at, boot_id, scans, code_digest, site_digest, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def site(self, digest: str) -> str | None:
        """The configuration of a digest."""
        row = self._connection.execute("SELECT content FROM sites WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else str(row[0])

    def block_ids(self, since: str, until: str) -> list[int]:
        """Blocks with scans between two times (RFC 3339 in UTC), oldest first."""
        rows = self._connection.execute("SELECT id FROM scans WHERE ended_at >= ? AND began_at <= ? ORDER BY id", (since, until))
        return [int(row[0]) for row in rows]

    def block(self, block_id: int) -> StoredBlock | None:
        """One block; None when it was trimmed meanwhile."""
        row = self._connection.execute(
            "SELECT began_at, ended_at, boot_id, scans, code_digest, site_digest, content FROM scans WHERE id = ?", (block_id,)
        ).fetchone()
        return None if row is None else StoredBlock(*row)

    def trim(self, oldest_at: str, newest_at: str, max_bytes: int) -> None:
        """Delete what is too old, and while the file is larger than `max_bytes` its oldest tenth.

        Too old is what came before the first row of the time from `oldest_at` to `newest_at` (RFC 3339). Rows go in the order in which
        they came, never by their own time alone: what was written while the clock was not set is as young as what stands around it,
        and a reader by cursor sees no gap in the middle.
        """
        for select, delete in _AGED:
            low, high, kept = self._connection.execute(select, (oldest_at, newest_at)).fetchone()
            if low is not None:
                most = low + max(LEAST_AGED, (high - low) // AGED_SHARE)
                self._connection.execute(delete, (min(high + 1 if kept is None else kept, most),))
        page_size = int(self._connection.execute("PRAGMA page_size").fetchone()[0])
        pages, free = (int(self._connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
        if (pages - free) * page_size > max_bytes:
            for select, delete in _OLDEST_TENTH:
                low, high = self._connection.execute(select).fetchone()
                if low is not None:
                    self._connection.execute(delete, (low + (high - low) // 10,))
        self._connection.execute("DELETE FROM sites WHERE digest NOT IN (SELECT DISTINCT site_digest FROM scans)")
        self._connection.execute("PRAGMA incremental_vacuum")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _compact(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def _read_record(cursor: int, text: str) -> JournalRecord:
    """The record of a row; one that an SD card changed is told as lost, for the others after it must still be read."""
    try:
        return JournalRecord.model_validate({**json.loads(text), "cursor": cursor})
    except (ValueError, TypeError):
        lost = {"count": 1, "why": f"the row of record {cursor} is damaged"}
        return JournalRecord(cursor=cursor, at=_UNKNOWN, monotonic_s=0.0, boot_id="", kind=JournalKind.RECORDS_LOST, data=lost)
