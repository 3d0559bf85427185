"""The real program with a real nats-server; the node is played by its half of the bus."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from shared.clock import SystemClock
from shared.contracts.codec import decode
from shared.contracts.command import Command, CommandReply
from shared.contracts.desired import AppDesired, Desired
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.event import Event, EventType, wire_type
from shared.contracts.limits import CHUNK_BYTES
from shared.contracts.status import AppPhase, AppStatus, Heartbeat, NodeStatus
from shared.contracts.subjects import commands, event, heartbeat, inbox_prefix
from shared.errors import MunbonError
from shared.messaging.session import BusMessage, BusSession
from shared.messaging.settings import BusSettings
from shared.signing.digests import sha256_hex
from shared.signing.dsse import verify_document
from tests.fixtures_api import make_plan, make_release, seal
from tests.fixtures_central import CentralHandle, running_central

pytestmark = pytest.mark.nats


class PlayedNode:
    """Does by hand what an agent does: reads its Desired, fetches, reports."""

    def __init__(self, name: str, session: BusSession, trust: TrustRoot) -> None:
        self.name, self.session, self.trust = name, session, trust
        self.outbox = uuid4().hex
        self.revision = 0
        self.sequence = 0

    async def desired(self) -> Desired | None:
        entry = await self.session.get_desired(self.name)
        return None if entry is None else verify_document(entry.body, Desired, self.trust, Role.DESIRED).document

    async def wait_for(self, app: str, version: str) -> Desired:
        async with asyncio.timeout(20):
            while True:
                document = await self.desired()
                wanted = document.apps.get(app) if document is not None else None
                if document is not None and wanted is not None and wanted.release is not None and wanted.release.version == version:
                    return document
                await asyncio.sleep(0.05)

    async def fetch(self, digest: str, size: int) -> bytes:
        parts = [await self.session.get_chunk(digest, index) for index in range(-(-size // CHUNK_BYTES))]
        return b"".join(part or b"" for part in parts)

    async def beat(self, order: tuple[int, int] = (0, 0)) -> None:
        now = SystemClock().wall()
        body = Heartbeat(node=self.name, at=now, boot_id="boot", uptime_s=1.0, desired_epoch=order[0], desired_generation=order[1])
        await self.session.publish(heartbeat(self.name), body.model_dump_json().encode())

    async def report(self, document: Desired, app: str, phase: AppPhase) -> None:
        self.revision += 1
        wanted: AppDesired = document.apps[app]
        assert wanted.release is not None
        now = SystemClock().wall()
        release = wanted.release
        app_status = AppStatus(
            phase=phase, desired=wanted, since=now, running_version=release.version, running_digest=release.release_digest
        )
        status = NodeStatus(
            node=self.name,
            outboxid=self.outbox,
            revision=self.revision,
            at=now,
            boot_id="boot",
            agent_version="0.1.0",
            desired_epoch=document.epoch,
            desired_generation=document.generation,
            apps={app: app_status},
        )
        await self.session.publish_event(event(self.name, "status"), status.model_dump_json().encode(), uuid4().hex)

    async def tell(self, kind: EventType) -> None:
        self.sequence += 1
        body = Event(
            id=uuid4().hex,
            source=self.name,
            type=wire_type(kind),
            time=datetime.now(UTC),
            outboxid=self.outbox,
            sequence=self.sequence,
            monotonictime=1.0,
            bootid="boot",
        )
        await self.session.publish_event(event(self.name, "release"), body.model_dump_json().encode(), body.id)


@asynccontextmanager
async def played_node(central: CentralHandle, name: str) -> AsyncIterator[PlayedNode]:
    enrolment = central.enrolments[name]
    settings = BusSettings(
        urls=(enrolment.nats_url,),
        user=enrolment.nats_user,
        password=SecretStr(enrolment.nats_password),
        name=name,
        inbox_prefix=inbox_prefix(name),
    )
    session = await BusSession.open(settings)
    try:
        yield PlayedNode(name, session, TrustRoot.model_validate(enrolment.trust_root))
    finally:
        await session.abort()


async def publish(central: CentralHandle, app: str, version: str, greeting: str = "hello") -> None:
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"greeting": greeting}}]
    release, blob = make_release(app, version, objects=objects)
    (await central.client.put(f"blobs/{sha256_hex(blob)}", content=blob)).raise_for_status()
    await central.request("POST", "releases", body={"envelope": seal(release, central.operator_key)})


async def roll_out(central: CentralHandle, app: str, version: str) -> dict[str, Any]:
    return dict(await central.request("POST", "rollouts", body={"app": app, "version": version}))


async def wait_for_phase(central: CentralHandle, rollout_id: str, phase: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            view = await central.get(f"rollouts/{rollout_id}")
            if view["phase"] == phase:
                return dict(view)
            await asyncio.sleep(0.05)


async def wait_for_status(central: CentralHandle, field: str, value: int) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            status = await central.get("status")
            if status[field] == value:
                return dict(status)
            await asyncio.sleep(0.05)


async def test_a_release_travels_to_the_node_and_its_word_comes_home(tmp_path: Path) -> None:
    async with running_central(tmp_path, nodes=["pi-1"]) as central, played_node(central, "pi-1") as node:
        await publish(central, "weather", "1.0.0")
        await node.beat()
        rollout = await roll_out(central, "weather", "1.0.0")
        document = await node.wait_for("weather", "1.0.0")
        release = document.apps["weather"].release
        assert release is not None
        envelope = await node.fetch(release.envelope_digest, release.envelope_size_bytes)
        assert sha256_hex(envelope) == release.envelope_digest
        await node.beat(document.order)
        await node.tell(EventType.RELEASE_READY)
        await node.report(document, "weather", AppPhase.READY)
        view = await wait_for_phase(central, rollout["rollout_id"], "Succeeded")
        assert (view["ready"], view["nodes"][0]["version"]) == (1, "1.0.0")
        [stored] = await central.get("nodes/pi-1/events")
        assert stored["type"] == wire_type(EventType.RELEASE_READY)
        status = await wait_for_status(central, "nodes_online", 1)
        assert (status["events_stored"], status["sequence_gaps"]) == (1, 0)
        assert (await central.get("releases/weather/1.0.0"))["nodes_ready"] == 1


async def test_a_node_added_later_is_told_what_stands_and_a_replaced_one_too(tmp_path: Path) -> None:
    async with running_central(tmp_path) as central:
        await publish(central, "weather", "1.0.0")
        await roll_out(central, "weather", "1.0.0")
        await central.add_node("pi-late")
        async with played_node(central, "pi-late") as node:
            await node.wait_for("weather", "1.0.0")
            await central.add_node("pi-late", replace=True)
            with contextlib.suppress(MunbonError):
                async with asyncio.timeout(20):
                    while node.session.is_healthy:
                        await asyncio.sleep(0.05)
            assert not node.session.is_healthy
        async with played_node(central, "pi-late") as node:
            await node.wait_for("weather", "1.0.0")


async def test_killed_centrals_lose_nothing_and_go_on(tmp_path: Path) -> None:
    async with running_central(tmp_path, nodes=["pi-1"]) as central, played_node(central, "pi-1") as node:
        await publish(central, "weather", "1.0.0")
        await roll_out(central, "weather", "1.0.0")
        document = await node.wait_for("weather", "1.0.0")
        await central.kill()
        for _ in range(20):
            await node.tell(EventType.DRIFT_CORRECTED)
        await node.report(document, "weather", AppPhase.READY)
        await central.start()
        await wait_for_status(central, "events_stored", 20)
        assert [view["sequence"] for view in await central.get("nodes/pi-1/events", limit=1000)] == list(range(1, 21))
        await publish(central, "weather", "1.1.0", "again")
        await roll_out(central, "weather", "1.1.0")
        newer = await node.wait_for("weather", "1.1.0")
        assert newer.order > document.order


async def test_a_gate_plan_is_carried_to_the_node_and_its_answer_is_kept(tmp_path: Path) -> None:
    async with running_central(tmp_path, nodes={"pi-1": {"site": "north"}}) as central:
        envelope = seal(make_plan(generation=1), central.operator_key)
        waiting = await central.request("PUT", "gates/north/plan", body={"envelope": envelope})
        assert waiting["delivery"] == "pending"
        async with played_node(central, "pi-1") as node:
            answered: list[Command] = []

            async def answer(message: BusMessage) -> None:
                command = verify_document(message.body, Command, node.trust, Role.COMMAND).document
                answered.append(command)
                reply = CommandReply(command_id=command.command_id, node="pi-1", accepted=True)
                await message.respond(reply.model_dump_json().encode())

            await node.session.subscribe(commands("pi-1"), answer)
            await node.beat()
            async with asyncio.timeout(60):
                while (await central.get("gates/north/plan"))["delivery"] != "accepted":
                    await asyncio.sleep(0.1)
            assert answered[0].payload == {"envelope": envelope}
            again = seal(make_plan(generation=2), central.operator_key)
            now = await central.request("PUT", "gates/north/plan", body={"envelope": again})
            assert (now["delivery"], now["generation"]) == ("accepted", 2)
            assert decode(answered[-1].model_dump_json().encode(), Command).actor == "dev-operator"
