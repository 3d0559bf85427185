"""What the tests of the bus share: a real nats-server for two nodes, central's database and keys. A file may have its own instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.store.database import Database
from tests.fixtures_bus import Keys, make_keys, new_database
from tests.fixtures_nats import NatsHandle, running_nats

NODES = ("n1", "n2")


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsHandle]:
    async with running_nats(NODES, folder=tmp_path) as handle:
        yield handle


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    store = new_database(tmp_path, NODES)
    yield store
    await store.close()


@pytest.fixture
def keys() -> Keys:
    return make_keys()
