"""Database to node over a real nats-server: rollouts, artifacts first, wiped stores, restored databases."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.store import assignments, desired, meta, nodes, operations
from central.store.database import Database, sqlite_url
from shared.clock import SystemClock
from shared.contracts.api import AppChange
from shared.contracts.desired import AppState, Desired
from shared.messaging.session import BusMessage, BusSession
from shared.signing.digests import sha256_hex
from tests import builders_central as build
from tests.fixtures_bus import Keys, Rig, central_rig, new_database, until
from tests.fixtures_nats import NatsHandle, running_nats

pytestmark = pytest.mark.nats


@pytest.fixture
async def rig(nats: NatsHandle, database: Database, keys: Keys) -> AsyncIterator[Rig]:
    async with central_rig(nats, database, keys) as running:
        yield running


async def test_a_rollout_reaches_its_nodes_with_all_they_need_to_fetch(nats: NatsHandle, rig: Rig) -> None:
    notices: list[str] = []

    async def note(message: BusMessage) -> None:
        notices.append(message.subject)

    async with nats.node_session("n1") as node:
        await until(lambda: rig.read_desired(node, "n1"), lambda found: found is not None, "a first, empty document")
        await node.subscribe("ds.n1", note)
        await node.ping(5)
        await rig.publish("1.0.0")
        await rig.start_rollout("1.0.0")
        document = await rig.wait_version(node, "n1", "1.0.0")
        wanted = document.apps["web"].release
        assert wanted is not None
        envelope = await node.get_chunk(wanted.envelope_digest, 0)
        assert envelope is not None
        assert sha256_hex(envelope) == wanted.envelope_digest
        assert await node.get_chunk(build.release().blob_digest, 0) == b"web 1.0.0"
        await node.ping(5)
        assert "ds.n1" in notices


async def test_nothing_is_issued_twice_when_nothing_changed(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0", selector="")
    async with nats.node_session("n1") as node:
        first = await rig.wait_version(node, "n1", "1.0.0")
        bus = await rig.keeper.session()
        for _ in range(3):
            assert (await rig.desired.publish_once(bus)).fresh == ()
        again = await rig.read_desired(node, "n1")
        assert again is not None
        assert again.order == first.order


async def test_a_pause_and_a_removal_are_told(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0")
    async with nats.node_session("n1") as node:
        await rig.wait_version(node, "n1", "1.0.0")
        now = SystemClock().wall()
        await rig.database.run(lambda tx: operations.pause_app(tx, "web", AppChange(), actor="ana", at=now))
        await told_state(rig, node, AppState.PAUSED)
        await rig.database.run(lambda tx: operations.resume_app(tx, "web", AppChange(), actor="ana", at=now))
        await told_state(rig, node, AppState.PRESENT)
        await rig.database.run(lambda tx: operations.remove_app(tx, "web", AppChange(), actor="ana", at=now))
        await told_state(rig, node, AppState.ABSENT)


async def told_state(rig: Rig, node: BusSession, state: AppState) -> None:
    def holds(found: Desired | None) -> bool:
        return found is not None and found.apps["web"].state is state

    rig.feed.publish("assignments", "web")
    await until(lambda: rig.read_desired(node, "n1"), holds, f"told that web is {state}")


async def test_a_deleted_node_loses_its_key_and_a_new_one_gets_what_stands(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0")
    async with nats.node_session("n2") as node:
        await rig.wait_version(node, "n2", "1.0.0")
        await rig.database.run(lambda tx: nodes.delete_node(tx, "n2"))
        rig.feed.publish("assignments")
        await until(lambda: rig.read_desired(node, "n2"), lambda found: found is None, "the key of a deleted node is gone")
        await rig.database.run(lambda tx: build.enrol(tx, "n2"))
        rig.feed.publish("assignments")
        document = await rig.wait_version(node, "n2", "1.0.0")
        assert document.generation > 1, "the order goes on where it was"


async def test_wiped_streams_are_rebuilt_while_central_runs(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0")
    async with nats.node_session("n1") as node:
        before = await rig.wait_version(node, "n1", "1.0.0")
        bus = rig.keeper.current
        assert bus is not None
        for name in ("KV_DESIRED", "ART", "EVT"):
            await bus._session.call_api(f"STREAM.DELETE.{name}")
        await rig.publish("1.1.0")
        await rig.start_rollout("1.1.0", selector="")
        after = await rig.wait_version(node, "n1", "1.1.0")
        assert after.order > before.order
        assert await until(lambda: node.get_chunk(build.release("web", "1.1.0").blob_digest, 0), bool, "chunk") == b"web 1.1.0"
        assert not (await node.publish_event("evt.n1.agent", b"{}", "id")).duplicate


async def test_a_server_that_lost_its_disk_is_filled_again(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0")
    async with nats.node_session("n1") as node:
        before = await rig.wait_version(node, "n1", "1.0.0")
    supervising = asyncio.create_task(nats.server.run())
    assert nats.server.pid is not None
    shutil.rmtree(nats.folder / "js")
    await nats.server._process.stop(0.0)  # type: ignore[union-attr] # it runs: the pid is there

    async def restarts() -> int:
        return nats.server.restarts

    await until(restarts, bool, "server restarted")
    async with nats.node_session("n1") as node:
        after = await rig.wait_version(node, "n1", "1.0.0")
        assert after.order == before.order, "the same document, from the database"
        assert await until(lambda: node.get_chunk(build.release().blob_digest, 0), bool, "chunk") == b"web 1.0.0"
    supervising.cancel()


async def test_a_forged_key_is_replaced(nats: NatsHandle, rig: Rig) -> None:
    await rig.publish("1.0.0")
    await rig.start_rollout("1.0.0")
    async with nats.node_session("n1") as node:
        await rig.wait_version(node, "n1", "1.0.0")
        bus = await rig.keeper.session()
        await bus.put_desired("n1", b'{"forged": true}')
        rig.desired._compared = None  # the next comparison is due
        rig.feed.publish("assignments")
        await until(lambda: _is_ours(rig), bool, "our own document is back")


async def _is_ours(rig: Rig) -> bool:
    bus = await rig.keeper.session()
    issued = await rig.database.read(lambda tx: desired.get_issued(tx, "n1"))
    entry = (await bus.get_desired_keys()).get("n1")
    return issued is not None and entry is not None and entry.body == issued.envelope


async def test_a_release_whose_blob_is_gone_is_named_and_others_go_out(nats: NatsHandle, rig: Rig, tmp_path: Path) -> None:
    await rig.publish("1.0.0", app="web")
    await rig.publish("1.0.0", app="api")
    # what a damaged disk would do: the store itself never lets go of a blob that a release needs
    await asyncio.to_thread(_sqlite, tmp_path / "central.sqlite", f"DELETE FROM blobs WHERE digest = '{build.release('web').blob_digest}'")
    await rig.start_rollout("1.0.0", app="api", selector="")
    async with nats.node_session("n1") as node:
        await rig.wait_version(node, "n1", "1.0.0", app="api")
        await rig.start_rollout("1.0.0", app="web")

        async def problem() -> str:
            return rig.desired.problem

        found = await until(problem, bool, "the problem is told")
        assert "blob" in found
        document = await rig.read_desired(node, "n1")
        assert document is not None
        assert "web" not in document.apps, "no node is sent after what it cannot fetch"


async def test_a_restored_older_database_ignores_nobody_and_takes_nothing_back(
    nats: NatsHandle, database: Database, keys: Keys, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    older.mkdir()
    async with central_rig(nats, database, keys) as rig, nats.node_session("n1") as node:
        await rig.publish("1.0.0")
        await rig.start_rollout("1.0.0")
        await rig.wait_version(node, "n1", "1.0.0")
        with_copy = f"VACUUM INTO '{older / 'central.sqlite'}'"
        await asyncio.to_thread(_sqlite, tmp_path / "central.sqlite", with_copy)
        await rig.publish("2.0.0")
        await rig.start_rollout("2.0.0")
        newest = await rig.wait_version(node, "n1", "2.0.0")
    restored = await asyncio.to_thread(Database.open, sqlite_url(older / "central.sqlite"))
    async with central_rig(nats, restored, keys) as rig, nats.node_session("n1") as node:

        async def restored_at() -> object:
            return (await restored.read(meta.read_meta)).restored_at

        await until(restored_at, lambda found: found is not None, "the restore is noticed")
        raised = await until(
            lambda: rig.read_desired(node, "n1"), lambda found: found is not None and found.epoch > newest.epoch, "epoch raised"
        )
        assert raised is not None
        assert raised.order > newest.order
        assert raised.apps == newest.apps, "what the node was told stays, though this copy never heard of it"
        pins = await restored.read(assignments.list_pins)
        assert {pin.node for pin in pins} == {"n1", "n2"}
        await rig.publish("3.0.0")
        await rig.start_rollout("3.0.0")
        after = await rig.wait_version(node, "n1", "3.0.0")
        assert after.order > raised.order
    await restored.close()


def _sqlite(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


async def test_a_hundred_nodes_are_told_at_once(tmp_path: Path, keys: Keys) -> None:
    names = [f"pi-{number}" for number in range(100)]
    store = new_database(tmp_path, names)
    async with running_nats(names) as nats, central_rig(nats, store, keys) as rig, nats.node_session(names[-1]) as node:
        await until(lambda: rig.read_desired(node, names[-1]), lambda found: found is not None, "first document")
        await rig.publish("1.0.0")
        await rig.start_rollout("1.0.0")
        await rig.wait_version(node, names[-1], "1.0.0")
        bus = await rig.keeper.session()
        assert len(await bus.get_desired_keys()) == 100
        assert await bus.count_consumers() == 1
    await store.close()
