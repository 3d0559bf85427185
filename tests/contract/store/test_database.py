"""Transactions, readers beside the writer, and two processes on one database."""

import asyncio
import threading
from functools import partial

import pytest
from sqlalchemy import inspect, text

from central.store import audit, meta, schema
from central.store.database import Database, Transaction
from central.store.errors import StoreTooNew
from shared.errors import MunbonError
from tests.builders_central import NOW


def append(tx: Transaction, actor: str) -> int:
    return audit.append_audit(tx, at=NOW, actor=actor, action="test", target="t").number


async def test_work_that_raises_leaves_nothing(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        append(tx, "ana")
        raise KeyError("stop")

    with pytest.raises(KeyError):
        await database.run(fail)
    assert await database.read(audit.list_audit) == ()


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(MunbonError):
        await database.read(lambda tx: meta.set_value(tx, "x", "y"))
    assert await database.read(lambda tx: meta.get_value(tx, "x")) is None


async def test_a_reader_sees_one_moment_while_a_writer_goes_on(database: Database) -> None:
    inside, written = threading.Event(), threading.Event()

    def look(tx: Transaction) -> tuple[int, int]:
        before = len(audit.list_audit(tx))
        inside.set()
        assert written.wait(30)
        return before, len(audit.list_audit(tx))

    reading = asyncio.create_task(database.read(look))
    await asyncio.to_thread(inside.wait, 30)
    await database.run(lambda tx: append(tx, "ana"))
    written.set()
    assert await reading == (0, 0)
    assert len(await database.read(audit.list_audit)) == 1


async def test_two_processes_writing_at_once_keep_one_unbroken_audit(database: Database, database_url: str) -> None:
    other = Database.open(database_url)
    try:
        writers = [(database if number % 2 else other).run(partial(append, actor=f"w{number}")) for number in range(40)]
        numbers = await asyncio.gather(*writers)
    finally:
        await other.close()
    assert sorted(numbers) == list(range(1, 41))
    assert (await database.read(audit.verify_audit)).intact


async def test_opening_again_finds_everything(database: Database, database_url: str) -> None:
    await database.run(lambda tx: append(tx, "ana"))
    again = Database.open(database_url)
    assert [line.actor for line in await again.read(audit.list_audit)] == ["ana"]
    await again.close()


async def test_a_database_of_a_newer_munbon_is_refused_untouched(database: Database, database_url: str) -> None:
    await database.run(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StoreTooNew, match="9999"):
        Database.open(database_url)
    assert (await database.read(meta.read_meta)).fleet == "canal"


async def test_work_may_be_done_without_a_loop(database: Database) -> None:
    assert await asyncio.to_thread(database.run_sync, lambda tx: append(tx, "ana")) == 1
    assert await database.read(lambda tx: inspect(tx).has_table("events"))
    assert await database.read(schema.current_revision) == schema.HEAD
