"""The whole agent on a real nats-server, over a fake cluster: what goes in as Desired comes home as events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from central.bus.central_session import CentralBus
from central.bus.event_puller import EventMessage
from central.bus.monitor import pick_free_port
from deploy.faults.tcp_proxy import TcpProxy
from edge_agent.main.service import Agent
from edge_agent.main.settings import AgentSettings, NatsLogin
from edge_agent.store.state import StateStore
from shared.clock import SystemClock
from shared.contracts.command import Command, CommandReply
from shared.contracts.desired import AppDesired
from shared.contracts.event import Event
from shared.contracts.status import AppPhase, Heartbeat, NodeStatus
from shared.contracts.subjects import HEARTBEATS_WILDCARD, command
from shared.messaging.session import BusMessage
from shared.signing.dsse import sign_document
from tests.builders_agent import CENTRAL, NODE, TRUST, MadeRelease, make_release, new_id, present, signed_desired
from tests.fakes.fake_engine import FakeCluster, FakeClusterPort, crashing
from tests.fixtures_nats import NatsHandle, password_of, running_nats

pytestmark = pytest.mark.nats
V1, V2 = make_release(version="1.0.0"), make_release(version="1.1.0")


class Field:
    """One agent on one bus, and what central has heard of it."""

    def __init__(self, folder: Path, nats: NatsHandle, bus: CentralBus, url: str) -> None:
        self.folder, self.nats, self.bus, self.url = folder, nats, bus, url
        self.cluster = FakeCluster()
        self.events: dict[str, Event] = {}
        self.received = 0
        self.status: NodeStatus | None = None
        self.beats: list[Heartbeat] = []
        self.generation = 0
        self.apps: dict[str, AppDesired] = {}
        self.agent: Agent | None = None
        self._task: asyncio.Task[None] | None = None
        self._store: StateStore | None = None

    async def start(self) -> None:
        login = NatsLogin(urls=(self.url,), user=NODE, password=password_of(NODE), reconnect_spread_s=0.2)  # type: ignore[arg-type]
        settings = AgentSettings(node=NODE, state_dir=self.folder, trust_root=self.folder, heartbeat_s=0.3, resync_s=2.0, nats=login)
        clock = SystemClock()
        self._store = StateStore.open(self.folder, NODE, clock, new_id)
        port = FakeClusterPort(self.cluster, self._store.inventory)
        self.agent = Agent(settings, TRUST, self._store, clock, lambda: 0.1, lambda _: None, cluster=port)
        self._task = asyncio.create_task(self.agent.run())

    async def stop(self) -> None:
        if self.agent is not None and self._task is not None and self._store is not None:
            self.agent.stop.set()
            await self._task
            self._store.close()
        self.agent = None

    async def publish(self, made: MadeRelease) -> None:
        await self.bus.upload_artifact(made.ref.envelope_digest, made.envelope)
        await self.bus.upload_artifact(made.release.blob_digest, made.blob)

    async def want(self, **apps: AppDesired) -> None:
        self.apps |= apps
        self.generation += 1
        await self.bus.put_desired(NODE, signed_desired(self.apps, self.generation))

    async def hear(self) -> None:
        for message in await self.bus.fetch_events(200, 0.3):
            self._take(message)
            await message.ack()

    def _take(self, message: EventMessage) -> None:
        self.received += 1
        if message.subject.endswith(".status"):
            status = NodeStatus.model_validate_json(message.body)
            if self.status is None or status.revision > self.status.revision:
                self.status = status
            return
        event = Event.model_validate_json(message.body)
        self.events[event.id] = event

    async def until(self, what: str, check: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(60):
                while not check():
                    await self.hear()
        except TimeoutError:
            pytest.fail(f"not within 60 s: {what}; told {self.told()}; {self.status}")

    def told(self) -> list[str]:
        ordered = sorted(self.events.values(), key=lambda event: event.sequence)
        return [event.event_type.value for event in ordered if event.event_type is not None]

    def phase(self) -> AppPhase | None:
        app = self.status.apps.get("web") if self.status is not None else None
        return app.phase if app is not None else None


@asynccontextmanager
async def a_field(folder: Path, *, port: int | None = None, url: str = "") -> AsyncIterator[Field]:
    """`port`: of the server; `url`: how the agent reaches it, if not directly."""
    async with running_nats([NODE], folder=folder / "nats", port=port) as nats, nats.central_bus() as bus:
        await bus.ensure_streams()
        field = Field(folder / "state", nats, bus, url or nats.url)

        async def beat(message: BusMessage) -> None:
            field.beats.append(Heartbeat.model_validate_json(message.body))

        await bus.subscribe(HEARTBEATS_WILDCARD, beat)
        await field.start()
        try:
            yield field
        finally:
            await field.stop()


async def test_a_release_goes_out_and_its_health_comes_home(tmp_path: Path) -> None:
    async with a_field(tmp_path) as field:
        await field.publish(V1)
        await field.want(web=present(V1))

        await field.until("Ready", lambda: field.phase() is AppPhase.READY and "ReleaseReady" in field.told())
        assert field.told() == ["AgentStarted", "DesiredAccepted", "ReleaseVerified", "ReleaseApplied", "ReleaseReady"]
        await field.until("a heartbeat with the order", lambda: field.beats and field.beats[-1].desired_generation == 1)

        field.cluster.plays["1.1.0"] = crashing()
        await field.publish(V2)
        await field.want(web=present(V2))

        await field.until("RolledBack", lambda: field.phase() is AppPhase.ROLLED_BACK and "ReleaseRolledBack" in field.told())
        assert field.cluster.versions("web") == {"1.0.0"}


async def test_a_cut_link_loses_nothing_and_the_node_catches_up(tmp_path: Path) -> None:
    port = pick_free_port()
    async with TcpProxy.to("127.0.0.1", port) as proxy, a_field(tmp_path, port=port, url=f"nats://127.0.0.1:{proxy.port}") as field:
        await field.publish(V1)
        await field.want(web=present(V1))
        await field.until("Ready", lambda: field.phase() is AppPhase.READY)
        agent = field.agent
        assert agent is not None

        await proxy.cut()
        await field.publish(V2)
        await field.want(web=present(V2))
        await field.until("the link is missed", lambda: not agent.sessions.is_connected)
        proxy.heal()

        await field.until("Ready again", lambda: field.told().count("ReleaseReady") == 2)
        await field.until("all events", lambda: agent.store.outbox.count() == 0)
        sequences = sorted(event.sequence for event in field.events.values())
        assert sequences == list(range(1, len(sequences) + 1))


async def test_a_restart_of_the_agent_goes_on_where_it_was(tmp_path: Path) -> None:
    async with a_field(tmp_path) as field:
        await field.publish(V1)
        await field.want(web=present(V1))
        await field.until("Ready", lambda: field.phase() is AppPhase.READY)
        await field.stop()
        calls = len(field.cluster.calls)

        await field.start()

        await field.until("a second start", lambda: field.told().count("AgentStarted") == 2)
        await field.until("Ready still", lambda: field.phase() is AppPhase.READY)
        assert field.told().count("ReleaseReady") == 1
        assert "apply 1.0.0" in field.cluster.calls[calls:]


async def test_a_command_is_answered_while_a_release_hangs(tmp_path: Path) -> None:
    async with a_field(tmp_path) as field:
        field.cluster.is_away = True
        await field.want(web=present(V1))
        await field.until("desired accepted", lambda: "DesiredAccepted" in field.told())
        wall = SystemClock().wall()
        asked = Command(command_id=new_id(), node=NODE, verb="ping", issued_at=wall, expires_at=wall)

        raw = await field.bus.request(command(NODE, "ping"), sign_document(asked, [CENTRAL]), 10.0)

        reply = CommandReply.model_validate_json(raw)
        assert (reply.accepted, reply.command_id) == (True, asked.command_id)


async def test_a_lost_state_is_rebuilt_from_cluster_and_central(tmp_path: Path) -> None:
    async with a_field(tmp_path) as field:
        await field.publish(V1)
        await field.want(web=present(V1))
        await field.until("Ready", lambda: field.phase() is AppPhase.READY)
        await field.stop()
        (field.folder / "state.sqlite").write_bytes(b"garbage" * 1_000)

        await field.start()

        await field.until("Ready anew", lambda: field.told().count("ReleaseReady") == 2 and "StateRebuilt" in field.told())
        assert len({event.outboxid for event in field.events.values()}) == 2
        assert "rebuild" in field.cluster.calls
        assert field.cluster.names("web") == {"web"}
