"""Fixtures of the API's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures_api import RunningApi, running_api
from tests.fixtures_postgres import postgres_database, postgres_url

__all__ = ["api", "postgres_database", "postgres_url"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[RunningApi]:
    """The API on a real socket with a real SQLite file."""
    async with running_api(tmp_path) as running:
        yield running
