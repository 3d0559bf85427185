"""One database, two ways in: a single writer, and readers beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from central.store import schema
from central.store.errors import translate
from shared.errors import UsageError

T = TypeVar("T")
Transaction = Connection
"""What the functions of this folder work on; committed when the work returns, rolled back when it raises."""

READERS = 4
_BUSY_TIMEOUT_MS = 10_000
_WRITER_LOCK = 0x4D554E42
"""Key of the PostgreSQL advisory lock that makes writers take turns, as SQLite does by itself."""
_REMEDY = "use sqlite:////path/central.sqlite or postgresql://user:password@host/database"


def sqlite_url(path: Path) -> str:
    """URL of a SQLite file."""
    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def database_name(url: URL) -> str:
    """How a person knows it: the path of a file, else the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


class Database:
    """Central's store. Work runs in threads, each piece in one transaction."""

    def __init__(self, writer: Engine, reader: Engine, name: str) -> None:
        self.name = name
        self._writer, self._reader = writer, reader
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._read_threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect and bring the schema up to date. Blocks; a repeat is safe.

        Raises:
            UsageError: the URL is none that is known, or the file cannot be opened for writing.
            StoreUnavailable, StoreDamaged, StoreTooNew: as their names say.
        """
        parsed = _parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(Path(str(parsed.database)))
        make = _sqlite_engine if parsed.get_backend_name() == "sqlite" else _postgres_engine
        database = cls(make(parsed, write=True), make(parsed, write=False), database_name(parsed))
        try:
            database._work(database._writer, schema.upgrade)
        except BaseException:
            database.close_sync()
            raise
        return database

    async def run(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` in one write transaction; writers take turns.

        Cancelling does not undo: work that has begun is finished, and committed if it does not raise.

        Raises:
            StoreUnavailable, StoreDamaged, Conflict: the database's word; nothing was changed.
            Exception: whatever `work` raises; nothing was changed.
        """
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self._work, self._writer, work)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Do `work` on a snapshot that sees no later writes; runs beside the writer and cannot write.

        Raises:
            StoreUnavailable, StoreDamaged: the database's word.
        """
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self._work, self._reader, work)

    def run_sync(self, work: Callable[[Transaction], T]) -> T:
        """As `run`, for callers without an event loop."""
        return self._write_thread.submit(self._work, self._writer, work).result()

    async def close(self) -> None:
        """Wait for running work and disconnect."""
        await asyncio.to_thread(self.close_sync)

    def close_sync(self) -> None:
        """As `close`, for callers without an event loop."""
        self._write_thread.shutdown(wait=True)
        self._read_threads.shutdown(wait=True)
        self._reader.dispose()
        self._writer.dispose()

    def _work(self, engine: Engine, work: Callable[[Transaction], T]) -> T:
        try:
            with engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            raise translate(error, self.name) from error


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise UsageError("is no database URL", subject="database", remedy=_REMEDY) from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise UsageError("SQLite needs a file", subject="database", remedy=_REMEDY)
        return parsed.set(drivername="sqlite+pysqlite")
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise UsageError(f"{backend!r} is not supported", subject="database", remedy=_REMEDY)


def _prepare_file(path: Path) -> None:
    """The file belongs to its owner alone, for it holds what tokens and passwords are checked against."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        reason = f"cannot be opened for writing: {error.strerror}"
        raise UsageError(reason, subject=str(path), remedy="give a folder that exists and that this user may write") from error


def _sqlite_engine(url: URL, *, write: bool) -> Engine:
    # autocommit on the driver's side: its own BEGIN would come too late and without IMMEDIATE
    arguments = {"isolation_level": None, "check_same_thread": False, "timeout": _BUSY_TIMEOUT_MS / 1000}
    engine = create_engine(url, connect_args=arguments, pool_size=1 if write else READERS, max_overflow=0)
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        for pragma in (f"busy_timeout={_BUSY_TIMEOUT_MS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if not write:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgres_engine(url: URL, *, write: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=1 if write else READERS,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "munbon-central"},
        isolation_level="READ COMMITTED" if write else "REPEATABLE READ",
    )
    # under READ COMMITTED each statement after the lock sees what the writer before committed
    first = text(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})") if write else text("SET TRANSACTION READ ONLY")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.execute(first)

    return engine
