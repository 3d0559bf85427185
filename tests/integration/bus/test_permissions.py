"""What one node may do on the bus, and that it can do nothing else; on a real nats-server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from central.bus.central_session import CentralBus
from shared.contracts import subjects
from shared.messaging.errors import BusDenied, BusNoResponder, BusUnavailable
from shared.messaging.session import BusMessage, BusSession
from shared.messaging.settings import BusSettings
from tests.fixtures_nats import NatsHandle, hashes_of, running_nats

pytestmark = pytest.mark.nats
DIGEST = "a" * 64


@pytest.fixture
async def nats() -> AsyncIterator[NatsHandle]:
    async with running_nats(["n1", "n2"]) as handle:
        yield handle


@pytest.fixture
async def central(nats: NatsHandle) -> AsyncIterator[CentralBus]:
    async with nats.central_bus() as bus:
        yield bus


@pytest.fixture
async def n1(nats: NatsHandle, central: CentralBus) -> AsyncIterator[BusSession]:
    async with nats.node_session("n1") as session:
        yield session


class Listener:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.got: list[BusMessage] = []

    async def __call__(self, message: BusMessage) -> None:
        self.got.append(message)


async def settle(*sessions: BusSession | CentralBus) -> None:
    """Twice there and back on each: what was sent before has arrived, or never will."""
    for _ in range(2):
        for session in sessions:
            await session.ping(10)


async def test_a_node_reads_its_own_key_and_is_denied_anothers(central: CentralBus, n1: BusSession) -> None:
    await central.put_desired("n1", b"for n1")
    await central.put_desired("n2", b"for n2")
    entry = await n1.get_desired("n1")
    assert entry is not None
    assert (entry.body, entry.revision) == (b"for n1", 1)
    with pytest.raises(BusDenied):
        await n1.get_desired("n2")


async def test_a_key_that_is_not_there_or_was_deleted_is_none(central: CentralBus, n1: BusSession) -> None:
    assert await n1.get_desired("n1") is None
    await central.put_desired("n1", b"x")
    await central.delete_desired("n1")
    assert await n1.get_desired("n1") is None


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.DIRECT.GET.KV_DESIRED.$KV.DESIRED.*",
        "$JS.API.DIRECT.GET.KV_DESIRED",
        "$JS.API.STREAM.INFO.KV_DESIRED",
        "$JS.API.STREAM.MSG.GET.KV_DESIRED",
        "$JS.API.CONSUMER.CREATE.KV_DESIRED",
        "$JS.API.STREAM.PURGE.KV_DESIRED",
        "$KV.DESIRED.n1",
        "$KV.DESIRED.n2",
        "evt.n2.agent",
        "art." + DIGEST + ".0",
        "ds.n2",
        "cmd.n2.ping",
    ],
)
async def test_a_node_may_not_send_there(n1: BusSession, subject: str) -> None:
    with pytest.raises(BusDenied, match="may not"):
        await n1.request(subject, b"{}", 5)
    assert n1.is_healthy, "a denied request does not cost the session"


@pytest.mark.parametrize("subject", ["ds.n2", "ds.>", "cmd.n2.>", "evt.>", "_INBOX_n2.>", "_INBOX_central.>", ">"])
async def test_a_node_hears_nothing_that_is_not_its_own(central: CentralBus, n1: BusSession, subject: str) -> None:
    heard = Listener()
    await n1.subscribe(subject, heard)
    await settle(n1)
    await central.put_desired("n2", b"secret")
    await settle(central, n1)
    assert heard.got == []
    assert any("permissions violation" in error for error in n1.errors)


async def test_a_notice_names_the_revision_and_carries_no_content(central: CentralBus, n1: BusSession) -> None:
    heard = Listener()
    await n1.subscribe(subjects.desired_notice("n1"), heard)
    await settle(n1)
    revision = await central.put_desired("n1", b"the document")
    await settle(central, n1)
    assert [message.body for message in heard.got] == [b""]
    assert heard.got[0].headers["Nats-Sequence"] == str(revision)


async def test_commands_reach_their_node_and_nobody_answers_for_one_that_is_offline(central: CentralBus, n1: BusSession) -> None:
    async def answer(message: BusMessage) -> None:
        await message.respond(b"pong " + message.body)

    await n1.subscribe(subjects.commands("n1"), answer)
    await settle(n1)
    assert await central.request("cmd.n1.ping", b"1", 5) == b"pong 1"
    with pytest.raises(BusNoResponder):
        await central.request("cmd.n2.ping", b"1", 5)


async def test_answers_that_a_node_did_not_ask_for_do_not_leave_it(central: CentralBus, n1: BusSession) -> None:
    heard = Listener()
    await central.subscribe("_INBOX_central.>", heard)
    await settle(central)
    for reply in ("_INBOX_central.x", "cmd.n2.ping"):
        await n1.publish(reply, b"forged")
    await settle(n1, central)
    assert heard.got == []


async def test_heartbeats_arrive_under_the_senders_name(central: CentralBus, n1: BusSession) -> None:
    heard = Listener()
    await central.subscribe(subjects.HEARTBEATS_WILDCARD, heard)
    await settle(central)
    await n1.publish("hb.n1", b"beat")
    await n1.publish("hb.n2", b"forged")
    await settle(n1, central)
    assert [message.subject for message in heard.got] == ["hb.n1"]


async def test_a_wrong_password_is_denied_and_a_dead_port_is_unavailable(nats: NatsHandle) -> None:
    wrong = nats.node("n1").model_copy(update={"password": nats.node("n2").password})
    with pytest.raises(BusDenied, match="refuses user 'n1'"):
        await BusSession.open(wrong)
    with pytest.raises(BusDenied):
        await BusSession.open(BusSettings(urls=(nats.url,)))
    with pytest.raises(BusUnavailable, match="cannot connect"):
        await BusSession.open(nats.node("n1", url="nats://127.0.0.1:1"))


async def test_nodes_come_and_go_without_disturbing_the_others(nats: NatsHandle, central: CentralBus, n1: BusSession) -> None:
    async with nats.node_session("n2") as n2:
        await nats.server.set_nodes(hashes_of(["n2", "n3"]))
        async with asyncio.timeout(10), nats.node_session("n3") as n3:
            assert await n3.ping(5) < 5
            await n1.wait_lost()
        assert central.is_healthy
        assert n2.is_healthy
    with pytest.raises(BusDenied):
        await BusSession.open(nats.node("n1"))


# The five injections of the security finding: the server answers to a reply subject that the sender may not publish to.


async def test_reading_with_anothers_key_as_reply_subject_does_not_overwrite_it(central: CentralBus, n1: BusSession) -> None:
    await central.put_desired("n1", b"for n1")
    await central.put_desired("n2", b"for n2")
    await n1.publish("$JS.API.DIRECT.GET.KV_DESIRED.$KV.DESIRED.n1", b"", reply="$KV.DESIRED.n2")
    await settle(n1, central)
    assert {node: entry.body for node, entry in (await central.get_desired_keys()).items()} == {"n1": b"for n1", "n2": b"for n2"}


async def test_an_event_with_anothers_subject_as_reply_stores_no_forged_event(central: CentralBus, n1: BusSession) -> None:
    await n1.publish("evt.n1.agent", b"mine", reply="evt.n2.fake")
    await settle(n1, central)
    found = await central.fetch_events(10, 1.0)
    assert [message.subject for message in found] == ["evt.n1.agent"]
    assert await central.fetch_events(10, 0.3) == []


async def test_an_event_with_a_chunk_as_reply_subject_does_not_replace_the_chunk(central: CentralBus, n1: BusSession) -> None:
    await central.upload_artifact(DIGEST, b"good")
    await n1.publish("evt.n1.agent", b"mine", reply=f"art.{DIGEST}.0")
    await settle(n1, central)
    assert await n1.get_chunk(DIGEST, 0) == b"good"


async def test_a_read_with_anothers_command_as_reply_leaves_central_alone(nats: NatsHandle, central: CentralBus, n1: BusSession) -> None:
    # it does reach n2 (the same account): which is why a command is signed, and a notice only triggers a read
    heard = Listener()
    await central.put_desired("n1", b"for n1")
    async with nats.node_session("n2") as n2:
        await n2.subscribe("cmd.n2.>", heard)
        await settle(n2)
        await n1.publish("$JS.API.DIRECT.GET.KV_DESIRED.$KV.DESIRED.n1", b"", reply="cmd.n2.reboot")
        await settle(n1, central, n2)
        assert all(message.body == b"for n1" for message in heard.got), "never more than the attacker's own document"
    assert central.is_healthy


async def test_a_trace_destination_is_refused(nats: NatsHandle, central: CentralBus) -> None:
    session = await BusSession.open(nats.node("n1").model_copy(update={"request_timeout_s": 1.0}))
    with pytest.raises(BusUnavailable):
        await session.publish_stream("evt.n1.agent", b"x", {"Nats-Trace-Dest": "cmd.n2.x"})
    assert any('permissions violation for publish to "cmd.n2.x"' in error for error in session.errors)
    assert await central.fetch_events(10, 0.3) == []
    await session.abort()


async def test_a_rollup_header_wipes_no_key(nats: NatsHandle, central: CentralBus, n1: BusSession) -> None:
    await central.put_desired("n1", b"for n1")
    await central.put_desired("n2", b"for n2")
    with pytest.raises(BusDenied):
        await n1.publish_stream("$KV.DESIRED.n1", b"x", {"Nats-Rollup": "all"})
    assert set(await central.get_desired_keys()) == {"n1", "n2"}
