"""Each test of this folder runs on SQLite and on a real PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.store import meta
from central.store.database import Database, sqlite_url
from tests.fixtures_postgres import postgres_database, postgres_url

__all__ = ["postgres_database", "postgres_url"]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_database"))
    return sqlite_url(tmp_path / "central.sqlite")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An initialised store of a fleet named `canal`."""
    opened = Database.open(database_url)
    await opened.run(lambda tx: meta.init_meta(tx, "instance-1", "canal"))
    yield opened
    await opened.close()
