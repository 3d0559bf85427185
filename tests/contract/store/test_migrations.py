"""The migrations and the tables say the same, and a database can go up and down."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from central.store import schema
from central.store.database import Database
from central.store.tables import metadata


def config(connection: Connection | None = None) -> Config:
    made = Config()
    made.set_main_option("script_location", str(schema.FOLDER))
    made.attributes["connection"] = connection
    return made


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_the_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(config()).get_heads() == [schema.HEAD]


def test_an_empty_database_migrated_up_has_exactly_the_tables(database_url: str) -> None:
    database = Database.open(database_url)
    try:
        assert database.run_sync(differences) == []
    finally:
        database.close_sync()


def test_all_the_way_down_and_up_again(database_url: str) -> None:
    database = Database.open(database_url)
    try:
        database.run_sync(lambda tx: command.downgrade(config(tx), "base"))
        assert database.run_sync(lambda tx: inspect(tx).get_table_names()) == ["alembic_version"]
        assert database.run_sync(schema.upgrade)
        assert database.run_sync(differences) == []
        assert not database.run_sync(schema.upgrade)
    finally:
        database.close_sync()


def test_cursors_are_never_used_again(database_url: str) -> None:
    insert = text("INSERT INTO quarantine (subject, body_digest, body, reason, received_at) VALUES ('s', 'd', :b, '', 0)")

    def add_and_delete(tx: Connection) -> int:
        tx.execute(insert, {"b": b""})
        number = tx.execute(text("SELECT max(number) FROM quarantine")).scalar_one()
        tx.execute(text("DELETE FROM quarantine"))
        return int(number)

    database = Database.open(database_url)
    try:
        assert [database.run_sync(add_and_delete) for _ in range(2)] == [1, 2]
    finally:
        database.close_sync()
