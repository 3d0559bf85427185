"""Streams as central makes them: keys, chunks, events, on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from central.bus.central_session import CentralBus, chunk_count
from central.bus.event_puller import EventMessage
from central.bus.streams import StreamLimits
from shared.contracts.limits import CHUNK_BYTES
from shared.contracts.subjects import INGEST_CONSUMER, STREAM_EVENTS
from shared.messaging.errors import BusDenied, BusNoResponder, BusRefused
from shared.messaging.session import BusMessage, BusSession
from tests.fakes.until import until
from tests.fixtures_nats import NatsHandle, running_nats

pytestmark = pytest.mark.nats
DIGEST = "b" * 64
NODES = [f"n{number}" for number in range(20)]


@pytest.fixture
async def nats() -> AsyncIterator[NatsHandle]:
    async with running_nats(NODES) as handle:
        yield handle


async def is_acknowledged(central: CentralBus, *, waiting: int = 0) -> bool:
    """Whether the server has carried out the acknowledgements: it does so after it has answered a ping that came later."""
    info = await central._session.call_api(f"CONSUMER.INFO.{STREAM_EVENTS}.{INGEST_CONSUMER}")
    stream = await central._session.call_api(f"STREAM.INFO.{STREAM_EVENTS}")
    return info["num_ack_pending"] == waiting and (waiting > 0 or stream["state"]["messages"] == 0)


async def test_the_number_of_consumers_does_not_grow_with_the_nodes(nats: NatsHandle) -> None:
    async with nats.central_bus() as central:
        sessions = [await BusSession.open(nats.node(name)) for name in NODES]

        async def ignore(message: BusMessage) -> None:
            return

        for name, session in zip(NODES, sessions, strict=True):
            await session.subscribe(f"ds.{name}", ignore)
            await session.subscribe(f"cmd.{name}.>", ignore)
            await central.put_desired(name, b"x")
            assert await session.get_desired(name) is not None
            await session.publish_event(f"evt.{name}.agent", b"{}", f"id-{name}")
        assert await central.count_consumers() == 1
        await asyncio.gather(*(session.abort() for session in sessions))


async def test_an_artifact_goes_up_in_chunks_once_and_resumes(nats: NatsHandle) -> None:
    content = bytes(range(256)) * 1_000
    async with nats.central_bus() as central, nats.node_session("n0") as node:
        assert await central.upload_artifact(DIGEST, content) == chunk_count(len(content)) == 3
        assert await central.has_artifact(DIGEST, len(content))
        chunks = [await node.get_chunk(DIGEST, index) for index in range(3)]
        assert b"".join(chunk or b"" for chunk in chunks) == content
        assert await node.get_chunk(DIGEST, 3) is None
        assert await central.upload_artifact(DIGEST, content) == 0
        await central.delete_artifact(DIGEST)
        assert not await central.has_artifact(DIGEST, len(content))
        assert await central.list_artifacts() == frozenset()
        assert await central.upload_artifact(DIGEST, content) == 3


async def test_a_partial_artifact_is_not_taken_for_a_whole_one(nats: NatsHandle) -> None:
    async with nats.central_bus() as central:
        await central.upload_artifact(DIGEST, b"x" * CHUNK_BYTES)
        assert not await central.has_artifact(DIGEST, CHUNK_BYTES + 1)


async def test_the_same_message_id_is_stored_once(nats: NatsHandle) -> None:
    async with nats.central_bus() as central, nats.node_session("n1") as node:
        first = await node.publish_event("evt.n1.agent", b"{}", "same-id")
        again = await node.publish_event("evt.n1.agent", b"{}", "same-id")
        assert (first.duplicate, again.duplicate, again.sequence) == (False, True, first.sequence)
        found = await central.fetch_events(10, 1.0)
        assert len(found) == 1


async def test_a_full_event_stream_pushes_back_and_takes_events_again_once_they_are_stored(nats: NatsHandle) -> None:
    limits = StreamLimits(events_max_bytes=64 * 1024)
    async with nats.central_bus(limits) as central, nats.node_session("n1") as node:
        stored = 0
        refused: BusRefused | None = None
        while refused is None and stored < 100:
            try:
                await node.publish_event("evt.n1.gate", b"x" * 4_096, f"id-{stored}")
                stored += 1
            except BusRefused as error:
                refused = error
        assert "maximum bytes" in str(refused)
        assert 0 < stored < 100
        found: list[EventMessage] = []
        while batch := await central.fetch_events(100, 1.0):
            found += batch
        assert len(found) == stored, "nothing old was dropped for the new"
        for message in found:
            await message.ack()
        await until(lambda: is_acknowledged(central), what="room in the stream")
        assert not (await node.publish_event("evt.n1.gate", b"x" * 4_096, "after")).duplicate


async def test_what_was_fetched_and_not_acknowledged_comes_again_to_the_next_session_at_once(nats: NatsHandle) -> None:
    async with nats.node_session("n1") as node:
        async with nats.central_bus() as first:
            for number in range(30):
                await node.publish_event("evt.n1.agent", b"%d" % number, f"id-{number}")
            taken: list[EventMessage] = []
            while len(taken) < 20:
                taken += await first.fetch_events(20 - len(taken), 1.0)
            for message in taken[:5]:
                await message.ack()
            await until(lambda: is_acknowledged(first, waiting=15), what="five of them acknowledged")
        async with nats.central_bus() as second:
            found = []
            while batch := await second.fetch_events(20, 1.0):
                found += [message.body for message in batch]
                for message in batch:
                    await message.ack()
    assert found == [b"%d" % number for number in range(5, 30)]


async def test_a_batch_waits_for_the_first_message_and_then_takes_the_burst(nats: NatsHandle) -> None:
    async with nats.central_bus() as central, nats.node_session("n1") as node:
        assert await central.fetch_events(10, 0.2) == []
        waiting = asyncio.ensure_future(central.fetch_events(100, 20.0))
        await node.publish_event("evt.n1.agent", b"1", "id-1")
        found = await waiting
        assert [message.body for message in found] == [b"1"]


async def test_missing_streams_are_named_as_no_responder_and_made_anew(nats: NatsHandle) -> None:
    async with nats.central_bus() as central, nats.node_session("n1") as node:
        await central.put_desired("n1", b"x")
        for name in ("KV_DESIRED", "ART", "EVT"):
            await central._session.call_api(f"STREAM.DELETE.{name}")
        with pytest.raises(BusNoResponder):
            await central.put_desired("n1", b"x")
        with pytest.raises(BusNoResponder):
            await central.fetch_events(10, 1.0)
        with pytest.raises(BusNoResponder):
            await central.get_desired_keys()
        with pytest.raises(BusNoResponder):
            await node.publish_event("evt.n1.agent", b"x", "id")
        assert await central.ensure_streams() == ("KV_DESIRED", "ART", "EVT")
        assert await central.ensure_streams() == ()
        assert await central.put_desired("n1", b"x") == 1
        assert not (await node.publish_event("evt.n1.agent", b"x", "id")).duplicate
        assert [message.body for message in await central.fetch_events(10, 2.0)] == [b"x"]


async def test_changed_limits_are_taken_over_by_streams_that_are_there(nats: NatsHandle) -> None:
    async with nats.central_bus() as central:
        await central.put_desired("n1", b"kept")
    async with nats.central_bus(StreamLimits(events_max_bytes=123_456)) as central:
        info = await central._session.call_api("STREAM.INFO.EVT")
        assert info["config"]["max_bytes"] == 123_456
        assert (await central.get_desired_keys())["n1"].body == b"kept"


async def test_a_message_larger_than_the_server_takes_is_refused_without_harm(nats: NatsHandle) -> None:
    async with nats.central_bus(), nats.node_session("n1") as node:
        with pytest.raises(BusRefused, match="larger"):
            await node.publish_event("evt.n1.agent", b"x" * (1024**2 + 1), "id")
        with pytest.raises(BusDenied, match="cannot be sent"):
            await node.publish("evt.n1. agent", b"x")
        assert await node.ping(5) < 5
