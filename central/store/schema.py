"""Brings a database to the newest schema."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from central.store.errors import StoreTooNew

HEAD = "0002"
"""Newest revision in migrations/versions; a test holds the two together."""
FOLDER = Path(__file__).parent / "migrations"


def current_revision(connection: Connection) -> str | None:
    """Revision of the database; None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(connection: Connection) -> bool:
    """Run what is missing, inside the connection's transaction; True where anything was.

    Raises:
        StoreTooNew: the database holds a revision that is unknown here.
    """
    current = current_revision(connection)
    if current == HEAD:
        return False
    # only now: Alembic costs 27 MiB, and most starts have nothing to do
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreTooNew(
            f"is of revision {current}, which is unknown here ({error})", subject="database", remedy="start the newer munbon-central"
        ) from error
    return True
