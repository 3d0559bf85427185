"""The SQLite file: opened, checked, put aside where it is damaged, and written in whole transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_agent.store.errors import StateCorrupt, from_sqlite
from shared.errors import UsageError
from shared.observability import get_logger

FILE_NAME = "state.sqlite"
SCHEMA_VERSION = 1
CORRUPT_COPIES_KEPT = 3
_SUSPECT = ".suspect"
_SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE outbox (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, kind TEXT NOT NULL,"
    " priority INTEGER NOT NULL, size_bytes INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX outbox_by_value ON outbox (priority, sequence)",
    "CREATE TABLE apps (app TEXT PRIMARY KEY, record TEXT NOT NULL, status TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE inventory (cluster TEXT NOT NULL, app TEXT NOT NULL, entries TEXT NOT NULL, PRIMARY KEY (cluster, app)) WITHOUT ROWID",
    "CREATE TABLE desired (slot INTEGER PRIMARY KEY CHECK (slot = 1), digest TEXT NOT NULL, envelope BLOB NOT NULL)",
    "CREATE TABLE documents (digest TEXT PRIMARY KEY, subject TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE nonces (id TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID",
)

_log = get_logger(__name__)


class Database:
    """One connection, used by one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0
        self.is_corrupt = False
        """It was found damaged while in use: begin anew."""

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """All or nothing, on disk before the block's end; inside another one it is part of that.

        Raises:
            DiskFull, StoreUnavailable: nothing was changed.
            StateCorrupt: the file is damaged.
        """
        if self._depth:
            yield self
            return
        self._run("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield self
            self._run("COMMIT")
        except BaseException:
            # a full disk may have ended the transaction already
            with suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Change rows; gives how many. Only within `transaction`."""
        return self._run(statement, values).rowcount

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query."""
        try:
            return self._run(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def get_meta(self, key: str, default: str = "") -> str:
        """A small fact by its name."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(found[0][0]) if found else default

    def set_meta(self, key: str, value: str) -> None:
        """Keep a small fact."""
        with self.transaction():
            self.write("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _run(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: sqlite3.Error) -> Exception:
        found = from_sqlite(error, str(self.path))
        if isinstance(found, StateCorrupt):
            self.is_corrupt = True
            # so that the next start puts it aside, even where its own check passes
            with suppress(OSError):
                self.path.with_name(FILE_NAME + _SUSPECT).touch()
        return found


def open_database(folder: Path) -> tuple[Database, str]:
    """The database of a folder, and why it had to be begun anew (empty where it had not, or never was).

    Raises:
        UsageError: it was written by a newer version.
        StoreUnavailable: the disk does not take it.
    """
    path = folder / FILE_NAME
    suspect = path.with_name(FILE_NAME + _SUSPECT)
    problem = "it was found damaged while in use" if suspect.exists() and path.exists() else ""
    if not problem:
        try:
            return _open_checked(path), ""
        except StateCorrupt as error:
            problem = error.message
    put_aside = _put_aside(path)
    suspect.unlink(missing_ok=True)
    _log.error("the state file is damaged, it is kept aside and begun anew", problem=problem, kept=str(put_aside))
    return _open_checked(path), problem


def _open_checked(path: Path) -> Database:
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=32)
    except sqlite3.Error as error:
        raise from_sqlite(error, str(path)) from error
    try:
        # small cache and small log: the file is small, and memory and disk are short on a Pi
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "cache_size = -256",
            "wal_autocheckpoint = 128",
            "journal_size_limit = 0",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise StateCorrupt(f"is damaged: {answer}", subject=str(path))
        _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise from_sqlite(error, str(path)) from error
    except BaseException:
        connection.close()
        raise
    return Database(path, connection)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise UsageError(
            f"was written by a newer agent (schema {version}, known here: {SCHEMA_VERSION})",
            subject=str(path),
            remedy="install the newer agent again",
        )
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _put_aside(path: Path) -> Path:
    """Rename the file with its companions to the next free `.corrupt-<n>`; the oldest copies beyond a few go."""
    numbers = sorted(
        int(name) for found in path.parent.glob(f"{path.name}.corrupt-*") if (name := found.name.rsplit("-", 1)[1]).isdecimal()
    )
    aside = path.with_name(f"{path.name}.corrupt-{(numbers[-1] if numbers else 0) + 1}")
    for number in numbers[: max(0, len(numbers) + 1 - CORRUPT_COPIES_KEPT)]:
        path.with_name(f"{path.name}.corrupt-{number}").unlink(missing_ok=True)
    for companion in ("-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)
    path.rename(aside)
    return aside
