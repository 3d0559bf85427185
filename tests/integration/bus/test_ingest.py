"""Node to database over a real nats-server: exactly once, quarantine, presence, gate plans."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from central.model import PlanDelivery
from central.publish.commands import send_command
from central.store import desired, events, gates, nodes, reports
from central.store.database import Database
from shared.clock import SystemClock
from shared.contracts.command import VERB_GATE_PLAN_SET, VERB_PING, Command, CommandReply
from shared.contracts.envelope import Role
from shared.contracts.event import Event
from shared.contracts.status import Heartbeat
from shared.errors import Retryable
from shared.messaging.errors import BusNoResponder
from shared.messaging.session import BusMessage, BusSession
from shared.signing.dsse import verify_document
from tests import builders_central as build
from tests.fixtures_bus import Keys, Rig, central_rig, until
from tests.fixtures_nats import NatsHandle

pytestmark = pytest.mark.nats


@pytest.fixture
async def rig(nats: NatsHandle, database: Database, keys: Keys) -> AsyncIterator[Rig]:
    async with central_rig(nats, database, keys) as running:
        await running.keeper.session()
        yield running


async def send(session: BusSession, event: Event, message_id: str = "") -> None:
    await session.publish_event(f"evt.{event.source}.release", event.model_dump_json().encode(), message_id or event.id)


async def stored(database: Database, count: int) -> None:
    await until(lambda: database.read(events.count_events), lambda found: found == count, f"{count} events stored")


async def test_each_event_is_stored_once_whatever_is_sent_again(nats: NatsHandle, rig: Rig) -> None:
    async with nats.node_session("n1") as node:
        for number in range(1, 21):
            await send(node, build.event("n1", number))
        for number in range(1, 21):
            # a resend after the server's duplicate window looks like this: another message id, the same event
            await send(node, build.event("n1", number), f"again-{number}")
        await stored(rig.database, 20)
        bus = await rig.keeper.session()

        async def left() -> int:
            return int((await bus._session.call_api("STREAM.INFO.EVT"))["state"]["messages"])

        await until(left, lambda count: count == 0, "all acknowledged")
        await stored(rig.database, 20)
        (state,) = await rig.database.read(lambda tx: events.list_sequences(tx, "n1"))
        assert (state.highest, state.missing) == (20, 0)


async def test_a_gap_in_the_sequence_is_seen_and_closed_by_a_late_event(nats: NatsHandle, rig: Rig) -> None:
    async with nats.node_session("n1") as node:
        for number in (1, 2, 5):
            await send(node, build.event("n1", number))
        await stored(rig.database, 3)
        (state,) = await rig.database.read(lambda tx: events.list_sequences(tx, "n1"))
        assert state.missing == 2
        for number in (3, 4):
            await send(node, build.event("n1", number))
        await stored(rig.database, 5)
        (state,) = await rig.database.read(lambda tx: events.list_sequences(tx, "n1"))
        assert state.missing == 0


async def test_what_cannot_be_read_goes_to_quarantine_and_stops_nothing(nats: NatsHandle, rig: Rig) -> None:
    async with nats.node_session("n1") as node:
        bodies = {
            "no JSON": b"\xff\x00 not json",
            "no event": b'{"kind": "Surprise"}',
            "another's": build.event("n2", 1).model_dump_json().encode(),
            "another's status": build.status("n2").model_dump_json().encode(),
            "a newer major": json.dumps({**json.loads(build.status("n1").model_dump_json()), "schema_version": "9.0"}).encode(),
            "empty": b"",
        }
        for name, body in bodies.items():
            await node.publish_event("evt.n1.agent", body, name)
        await send(node, build.event("n1", 1))
        await stored(rig.database, 1)
        listed = await until(
            lambda: rig.database.read(lambda tx: events.list_quarantined(tx)), lambda found: len(found) == len(bodies), "quarantine"
        )
        assert {message.body for message in listed} == set(bodies.values())
        assert any("n1 sent an event of 'n2'" in message.reason for message in listed)
        assert any("UnsupportedVersion" in message.reason for message in listed)
        assert await rig.database.read(lambda tx: reports.get_report(tx, "n2")) is None


async def test_the_newest_status_of_a_node_is_kept(nats: NatsHandle, rig: Rig) -> None:
    async with nats.node_session("n1") as node:
        for revision in (2, 3, 1):
            body = build.status("n1", revision=revision).model_dump_json().encode()
            await node.publish_event("evt.n1.status", body, f"status-{revision}")
        await send(node, build.event("n1", 1))
        await stored(rig.database, 1)
        report = await rig.database.read(lambda tx: reports.get_report(tx, "n1"))
        assert report is not None
        assert report.status.revision == 3


async def test_events_sent_while_central_was_away_arrive_once_it_is_back(nats: NatsHandle, database: Database, keys: Keys) -> None:
    async with central_rig(nats, database, keys) as rig, nats.node_session("n1") as node:
        await rig.keeper.session()
        await send(node, build.event("n1", 1))
        await stored(database, 1)
    async with nats.node_session("n1") as node:
        for number in range(2, 101):
            await send(node, build.event("n1", number))
    async with central_rig(nats, database, keys):
        await stored(database, 100)


async def test_nothing_is_lost_when_nats_server_is_killed_during_ingest(nats: NatsHandle, rig: Rig) -> None:
    supervising = asyncio.create_task(nats.server.run())
    sent = 0
    async with asyncio.timeout(60):
        for kill_at, end in ((50, 100), (150, 200), (250, 300)):
            while sent < kill_at:
                sent += await _send_burst(nats, sent, kill_at)
            assert nats.server._process is not None
            kill = asyncio.create_task(nats.server._process.stop(0.0))
            while sent < end:
                sent += await _send_burst(nats, sent, end)
            await kill
    await stored(rig.database, 300)
    (state,) = await rig.database.read(lambda tx: events.list_sequences(tx, "n1"))
    assert (state.highest, state.missing) == (300, 0)
    assert nats.server.restarts == 3
    supervising.cancel()


async def _send_burst(nats: NatsHandle, sent: int, until_number: int) -> int:
    """Send like an outbox: in order, each kept until it is acknowledged; gives how many were."""
    acknowledged = 0
    try:
        async with nats.node_session("n1") as node:
            for number in range(sent + 1, min(until_number, sent + 50) + 1):
                await send(node, build.event("n1", number))
                acknowledged += 1
    except Retryable:
        await asyncio.sleep(0.1)  # the outbox keeps the rest and tries again
    return acknowledged


def heartbeat(node: str, order: tuple[int, int] = (0, 0), outbox_rows: int = 0) -> bytes:
    beat = Heartbeat(
        kind="Heartbeat",
        node=node,
        at=datetime(2020, 1, 1, tzinfo=UTC),
        boot_id="boot-7",
        uptime_s=1.0,
        desired_epoch=order[0],
        desired_generation=order[1],
        interval_s=30.0,
        outbox_rows=outbox_rows,
    )
    return beat.model_dump_json().encode()


async def test_a_heartbeat_makes_a_node_seen_by_centrals_clock(nats: NatsHandle, rig: Rig) -> None:
    before = SystemClock().wall()

    async def record() -> object:
        async with nats.node_session("n1") as node:
            await node.publish("hb.n1", heartbeat("n1"))
            await node.publish("hb.n1", heartbeat("n2"))
            await node.publish("hb.n1", b"not json")
            await node.ping(5)
        return await rig.database.read(lambda tx: nodes.get_node(tx, "n1").last_seen)

    await until(record, lambda seen: seen is not None, "n1 is seen")
    seen = await rig.database.read(lambda tx: nodes.get_node(tx, "n1"))
    assert seen.last_seen is not None
    assert seen.last_seen >= before, "not the node's own clock"
    assert seen.boot_id == "boot-7"
    assert (await rig.database.read(lambda tx: nodes.get_node(tx, "n2"))).last_seen is None


async def test_an_outbox_that_drained_is_seen_before_the_next_status(nats: NatsHandle, rig: Rig) -> None:
    """The status came while events waited; the heartbeat after it says that they are gone, and is kept at once."""

    async def waiting() -> int | None:
        return await rig.database.read(lambda tx: nodes.get_node(tx, "n1").outbox_rows)

    async with nats.node_session("n1") as node:
        await node.publish("hb.n1", heartbeat("n1", outbox_rows=7))
        await until(waiting, lambda rows: rows == 7, "seven events wait")
        with rig.feed.subscribe({"nodes"}) as changes:
            await node.publish("hb.n1", heartbeat("n1"))
            await until(waiting, lambda rows: rows == 0, "none waits", limit_s=5)
            assert {change.key for change in await changes.next_changes(5)} == {"n1"}


async def test_a_node_that_lags_behind_is_told_again(nats: NatsHandle, rig: Rig) -> None:
    heard = asyncio.Event()

    async def note(message: BusMessage) -> None:
        heard.set()

    async with nats.node_session("n1") as node:
        issued = await until(lambda: rig.database.read(desired.highest_orders), lambda found: "n1" in found, "issued")
        await until(lambda: rig.read_desired(node, "n1"), lambda found: found is not None, "put")
        await node.subscribe("ds.n1", note)
        await node.ping(5)
        assert issued["n1"] == (1, 1)

        async def beat() -> bool:
            await node.publish("hb.n1", heartbeat("n1"))
            return heard.is_set()

        await until(beat, bool, "a notice")


class GateNode:
    """A node that answers commands the way the agent does."""

    def __init__(self, keys: Keys, *, accepts: bool = True, code: str = "") -> None:
        self.keys, self.accepts, self.code = keys, accepts, code
        self.commands: list[Command] = []

    async def __call__(self, message: BusMessage) -> None:
        command = verify_document(message.body, Command, self.keys.trust, Role.COMMAND).document
        self.commands.append(command)
        reply = CommandReply(kind="CommandReply", command_id=command.command_id, node=command.node, accepted=self.accepts, code=self.code)
        await message.respond(reply.model_dump_json().encode())


async def test_a_command_is_signed_for_one_node_and_answered(nats: NatsHandle, rig: Rig) -> None:
    agent = GateNode(rig.keys)
    async with nats.node_session("n1") as node:
        await node.subscribe("cmd.n1.>", agent)
        await node.ping(5)
        reply = await send_command(rig.keeper, rig.keys.signer, "n1", VERB_PING, {"a": 1}, actor="ana", timeout_s=5, clock=SystemClock())
        assert reply.accepted
        assert (agent.commands[0].node, agent.commands[0].actor, agent.commands[0].payload) == ("n1", "ana", {"a": 1})
    with pytest.raises(BusNoResponder):
        await send_command(rig.keeper, rig.keys.signer, "n2", VERB_PING, {}, actor="ana", timeout_s=5, clock=SystemClock())


async def test_a_gate_plan_waits_for_its_node_and_is_delivered_when_it_is_there(nats: NatsHandle, rig: Rig) -> None:
    await rig.database.run(lambda tx: gates.add_plan(tx, build.gate_plan("north", 1, "n1")))
    outcome = await rig.gate_plans.deliver(build.gate_plan("north", 1, "n1"), 5.0)
    assert (outcome.delivery, outcome.code) == (PlanDelivery.PENDING, "NodeOffline")
    agent = GateNode(rig.keys)
    async with nats.node_session("n1") as node:
        await node.subscribe("cmd.n1.>", agent)
        await node.ping(5)
        rig.feed.publish("gates", "north")

        async def delivery() -> PlanDelivery | None:
            plan = await rig.database.read(lambda tx: gates.get_plan(tx, "north"))
            return plan.delivery if plan else None

        await until(delivery, lambda found: found is PlanDelivery.ACCEPTED, "plan accepted")
    assert agent.commands[0].verb == VERB_GATE_PLAN_SET
    assert agent.commands[0].payload["envelope"] == json.loads(build.gate_plan("north", 1, "n1").envelope)


async def test_a_refused_gate_plan_is_refused_and_an_unreachable_gate_leaves_it_pending(nats: NatsHandle, rig: Rig) -> None:
    for accepts, code, expected in ((False, "GateUnreachable", PlanDelivery.PENDING), (False, "PlanRefused", PlanDelivery.REFUSED)):
        async with nats.node_session("n1") as node:
            await node.subscribe("cmd.n1.>", GateNode(rig.keys, accepts=accepts, code=code))
            await node.ping(5)
            outcome = await rig.gate_plans.deliver(build.gate_plan("north", 1, "n1"), 5.0)
            assert (outcome.delivery, outcome.code) == (expected, code)
