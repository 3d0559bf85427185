"""Opening a database that is not there, not ours, damaged, busy or full: a clear word, and nothing changed."""

import socket
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from central.store import audit, meta
from central.store.database import Database, Transaction, sqlite_url
from central.store.errors import StoreDamaged, StoreEmpty, StoreUnavailable
from shared.errors import UsageError
from tests.builders_central import NOW


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:", "http://x"])
def test_a_url_that_is_no_database_says_which_are(url: str) -> None:
    with pytest.raises(UsageError, match="postgresql://user:password@host/database"):
        Database.open(url)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        Database.open(sqlite_url(tmp_path / "missing" / "central.sqlite"))
    with pytest.raises(UsageError, match="Is a directory"):
        Database.open(sqlite_url(tmp_path))


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "central.sqlite"
    path.write_bytes(b"this is a diary, not a database" * 100)
    with pytest.raises(StoreDamaged, match="move the file aside"):
        Database.open(sqlite_url(path))
    assert path.read_bytes().startswith(b"this is a diary")


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "central.sqlite"
    Database.open(sqlite_url(path)).close_sync()
    assert path.stat().st_mode & 0o077 == 0


def test_a_server_that_is_not_there_is_unavailable_and_its_password_stays_unsaid() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://ana:hunter2@127.0.0.1:{probe.getsockname()[1]}/munbon"
        with pytest.raises(StoreUnavailable) as caught:
            Database.open(url)
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_full_disk_is_named_and_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    database = Database.open(sqlite_url(tmp_path / "central.sqlite"))

    def fill(tx: Transaction) -> None:
        pages = tx.execute(text("PRAGMA page_count")).scalar_one()
        tx.execute(text(f"PRAGMA max_page_count={pages}"))
        for number in range(1_000):
            audit.append_audit(tx, at=NOW, actor="ana", action="x", target="t" * 500, details={"n": number})

    try:
        with pytest.raises(StoreUnavailable, match="the disk is full"):
            database.run_sync(fill)
        assert database.run_sync(audit.list_audit) == ()
        database.run_sync(lambda tx: tx.execute(text("PRAGMA max_page_count=1000000")))
        database.run_sync(lambda tx: meta.init_meta(tx, "i", "f"))
    finally:
        database.close_sync()


def test_a_writer_that_holds_the_file_makes_others_wait_and_then_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.store.database._BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "central.sqlite"
    database = Database.open(sqlite_url(path))
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            database.run_sync(lambda tx: meta.set_value(tx, "a", "b"))
        other.execute("ROLLBACK")
        database.run_sync(lambda tx: meta.set_value(tx, "a", "b"))
        assert database.run_sync(lambda tx: meta.get_value(tx, "a")) == "b"
    finally:
        other.close()
        database.close_sync()


def test_a_database_that_was_never_initialised_says_what_to_run(tmp_path: Path) -> None:
    database = Database.open(sqlite_url(tmp_path / "central.sqlite"))
    try:
        with pytest.raises(StoreEmpty, match=r"central.sqlite: holds no fleet.*munbon-central init"):
            database.run_sync(meta.read_meta)
    finally:
        database.close_sync()
