"""The process of the agent: parts wired together, started where link and cluster may both be away, stopped within seconds."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from sdnotify import SystemdNotifier

from edge_agent.command.alarm_desk import GateWithOwnAlarms
from edge_agent.command.gate_client import GateClient
from edge_agent.command.handler import CLOCK_TOLERANCE_S, CommandHandler
from edge_agent.loop.cluster import ClusterKeeper, KubeCluster
from edge_agent.loop.loop import AgentLoop
from edge_agent.loop.node_view import NodeView, ViewParts
from edge_agent.loop.ports import Cluster
from edge_agent.loop.worker import WorkerParts
from edge_agent.main import memory
from edge_agent.main.control import ControlServer
from edge_agent.main.settings import AgentSettings
from edge_agent.receive.fetcher import Fetcher
from edge_agent.receive.follower import Follower
from edge_agent.receive.inbox import Inbox
from edge_agent.receive.shelf import Shelf
from edge_agent.report.gate_guard import GateGuard
from edge_agent.report.gate_journal import GATHER_S, GateJournalFollower
from edge_agent.report.gate_watch import GateWatch
from edge_agent.report.sender import OutboxSender
from edge_agent.report.session import SessionKeeper, SessionLimits
from edge_agent.report.status import HeartbeatSender, StatusSender, StatusSlot
from edge_agent.store.errors import StateCorrupt, StoreUnavailable
from edge_agent.store.state import FolderLock, StateStore
from shared.clock import Clock, SystemClock
from shared.contracts.envelope import TrustRoot
from shared.contracts.event import EventType
from shared.contracts.subjects import inbox_prefix
from shared.errors import Retryable
from shared.messaging.session import BusSession
from shared.messaging.settings import BusSettings
from shared.observability import configure_logging, get_logger
from shared.signing.digests import sha256_hex

STOP_S = 4.0
AGAIN_S = 0.5
"""Before a state that was damaged while in use is begun anew: a disk that damages each one is not hammered."""
AT_ONCE = 4
"""Calls to the cluster under way at once."""

_log = get_logger(__name__)


def agent_version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("munbon")
    except metadata.PackageNotFoundError:
        return "0+unknown"


class Agent:
    """All parts of one agent over one open state."""

    def __init__(
        self,
        settings: AgentSettings,
        trust: TrustRoot,
        store: StateStore,
        clock: Clock,
        draw: Callable[[], float],
        notify: Callable[[str], None],
        *,
        cluster: Cluster | None = None,
    ) -> None:
        """`cluster`: another one than the kubeconfig's."""
        self._settings = settings
        self.store = store
        self._clock = clock
        self._notify = notify
        self._began_s = clock.monotonic_s()
        self._settle_at_s = self._began_s + memory.FIRST_SETTLE_S
        self._told_problems: list[str] = []
        self.stop = asyncio.Event()
        node = settings.node
        self._gate = GateClient(settings.gate.socket, _new_id) if settings.gate is not None else None
        self._slot = StatusSlot(lambda: self.view.status())
        way = cluster or KubeCluster(settings.kubeconfig, store.inventory, clock, draw)
        self.cluster = ClusterKeeper(way, store, clock, draw, self._changed)
        shelf = Shelf(store)
        parts = WorkerParts(
            store=store,
            shelf=shelf,
            cluster=self.cluster,
            clock=clock,
            draw=draw,
            slots=asyncio.Semaphore(AT_ONCE),
            on_status=self._slot.changed,
            interlock_file=settings.gate.interlock_file if settings.gate is not None else None,
        )
        self._fetcher = fetcher = Fetcher(store, shelf, trust, clock, draw, self._changed)
        self.loop = AgentLoop(parts, fetcher, self._tick)
        self._inbox = Inbox(store, trust, node, clock, self._changed)
        self._follower = Follower(self._inbox, node, clock, draw, resync_s=settings.resync_s)
        commands = CommandHandler(store, trust, node, clock, self._beside_the_gate(trust), self._describe)
        self.view = NodeView(self._view_parts())
        beats = HeartbeatSender(self.view.heartbeat, self._slot, node, clock, interval_s=settings.heartbeat_s)
        statuses = StatusSender(self._slot, node, clock)
        sender = OutboxSender(store.outbox, node, clock, draw)
        # commands and heartbeats first: whoever waits for a node waits for these
        users: tuple[Callable[[Any], Awaitable[None]], ...] = (
            commands.run,
            self._follower.run,
            beats.run,
            sender.run,
            statuses.run,
            fetcher.run,
        )
        self.sessions = SessionKeeper(self._open_session, users, clock, draw, limits=_session_limits(settings))
        operations = {"status": self._status, "pause": lambda: self._pause(True), "resume": lambda: self._pause(False)}
        self._control = ControlServer(settings.state_dir, operations)

    def _beside_the_gate(self, trust: TrustRoot) -> GateWithOwnAlarms | None:
        """What follows the gate process of this node, and the way of commands to it; None where there is none."""
        self._journal: GateJournalFollower | None = None
        self._watch: GateWatch | None = None
        if self._gate is None:
            return None
        guard, pace_s = GateGuard(self.store, self._clock), min(GATHER_S, self._settings.heartbeat_s)
        self._journal = GateJournalFollower(self.store, self._gate, self._clock, gather_s=pace_s)
        self._watch = GateWatch(self._gate, self._clock, self._slot.changed, guard, repeat_s=pace_s)
        return GateWithOwnAlarms(self._gate, guard, trust, self._clock, CLOCK_TOLERANCE_S)

    async def run(self) -> None:
        """Work until `stop` is set; then let go of everything."""
        self._say_started()
        await self._control.start()
        works = [self.loop.run(), self.sessions.run()]
        if self._journal is not None and self._watch is not None:
            works += [self._journal.run(), self._watch.run()]
        tasks = [asyncio.ensure_future(work) for work in works]
        stopped = asyncio.create_task(self.stop.wait())
        memory.freeze()
        self._notify("READY=1")
        try:
            done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()
        finally:
            self._notify("STOPPING=1")
            for task in (stopped, *tasks):
                task.cancel()
            await asyncio.gather(stopped, *tasks, return_exceptions=True)
            await self._control.stop()
            await self.cluster.close()

    async def _open_session(self) -> BusSession:
        login, node = self._settings.nats, self._settings.node
        settings = BusSettings(
            urls=login.urls, user=login.user or node, password=login.password, name=node, inbox_prefix=inbox_prefix(node)
        )
        return await BusSession.open(settings, clock=self._clock)

    # --------------------------------------------------------------------------------------------------- what is told

    def _view_parts(self) -> ViewParts:
        return ViewParts(
            store=self.store,
            clock=self._clock,
            node=self._settings.node,
            agent_version=agent_version(),
            heartbeat_s=self._settings.heartbeat_s,
            apps=self.loop.statuses,
            cluster=lambda: self.cluster.summary,
            site=lambda: self._watch.site if self._watch is not None else None,
            problems=self._problems,
        )

    def _problems(self) -> list[str]:
        found = [*self.loop.problems(), *self._fetcher.troubles()]
        refusal = self._inbox.refusal
        if refusal is not None:
            found.append(f"desired state refused: {refusal.code}: {refusal.reason}")
        beside = (self._watch, self._journal)
        found += [problem for problem in (self._follower.problem, *(part.problem for part in beside if part is not None)) if problem]
        if self.store.desired.current is None:
            found.append("no desired state was received yet")
        return found

    def _describe(self) -> dict[str, Any]:
        apps = {app: status.phase.value for app, status in self.loop.statuses().items()}
        return {"agent_version": agent_version(), "uptime_s": self._uptime_s(), "apps": apps}

    def _status(self) -> dict[str, Any]:
        return {
            "status": self.view.status(revision=0).to_json(),
            "bus": {"connected": self.sessions.is_connected, "problem": self.sessions.problem},
            "uptime_s": self._uptime_s(),
        }

    def _pause(self, paused: bool) -> dict[str, Any]:
        self.store.set_paused(paused)
        _log.info("paused by a person on this node" if paused else "resumed by a person on this node")
        self._changed()
        return {"paused_locally": paused}

    def _uptime_s(self) -> float:
        return round(self._clock.monotonic_s() - self._began_s, 1)

    def _changed(self) -> None:
        self.loop.changed()
        self._slot.changed()

    def _tick(self) -> None:
        """The loop went round: systemd is told so, and how things are."""
        waiting = "" if self.sessions.is_connected else ", no bus"
        cluster = "" if self.cluster.engine is not None else ", no K3s"
        self._notify(f"WATCHDOG=1\nSTATUS={len(self.loop.statuses())} app(s){waiting}{cluster}")
        problems = self._problems()
        if problems != self._told_problems:
            # a full disk, or a release that can't be had, changes no app: central is to hear of it all the same
            self._told_problems = problems
            self._slot.changed()
        if self.store.is_corrupt:
            self.stop.set()
        if self._clock.monotonic_s() >= self._settle_at_s:
            self._settle_at_s = self._clock.monotonic_s() + memory.SETTLE_EVERY_S
            memory.settle()

    def _say_started(self) -> None:
        data = {"agent_version": agent_version(), "boot_id": self._clock.boot_id()}
        try:
            self.store.outbox.add(EventType.AGENT_STARTED, data)
        except Retryable as error:
            _log.warning("the start could not be noted", reason=str(error))


def run_agent(settings: AgentSettings, trust: TrustRoot) -> int:
    """Run until SIGTERM or SIGINT; the exit code.

    Raises:
        UsageError: another agent runs on this folder, or a newer one wrote its state.
    """
    configure_logging("munbon-agent", level=settings.log_level)
    lock = FolderLock(settings.state_dir)
    return asyncio.run(_serve(settings, trust, lock))


async def _serve(settings: AgentSettings, trust: TrustRoot, lock: FolderLock) -> int:
    clock, draw, notify = SystemClock(), random.SystemRandom().random, SystemdNotifier().notify
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    try:
        while not asked.is_set():
            store = await _open_state(settings, trust, lock, clock, notify, asked)
            if store is None:
                break
            try:
                await _live(Agent(settings, trust, store, clock, draw, notify), asked)
            finally:
                store.close()
    finally:
        lock.release()
    _log.info("stopped")
    return 0


async def _live(agent: Agent, asked: asyncio.Event) -> None:
    """One life of an agent: until somebody asks it to stop, or its state must be begun anew."""
    running = asyncio.create_task(agent.run())
    stop = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
        agent.stop.set()
        async with asyncio.timeout(STOP_S):
            await running
    except TimeoutError:
        _log.warning("not everything could be let go of in time")
    except StateCorrupt as error:
        # whoever met the damage first may have ended the agent's life by it; the next one puts the file aside
        _log.error("the state file was damaged while in use", reason=str(error))
        await asyncio.wait({stop}, timeout=AGAIN_S)
    finally:
        stop.cancel()


async def _open_state(
    settings: AgentSettings, trust: TrustRoot, lock: FolderLock, clock: Clock, notify: Callable[[str], None], asked: asyncio.Event
) -> StateStore | None:
    """The state, as soon as the disk gives it; None where the agent is asked to stop before."""
    ready = False
    while not asked.is_set():
        try:
            lock.acquire()
            # a document that was refused is looked at anew by another version, and after other keys were installed
            judge = f"{agent_version()} {sha256_hex(trust.model_dump_json().encode())}"
            return StateStore.open(
                settings.state_dir,
                settings.node,
                clock,
                _new_id,
                agent_version=judge,
                max_outbox_bytes=int(settings.outbox_max_mb * 1e6),
            )
        except StoreUnavailable as error:
            _log.error("the state cannot be opened, will be tried again", reason=str(error))
            notify(f"{'' if ready else 'READY=1' + chr(10)}WATCHDOG=1\nSTATUS={error}")
            ready = True
            waited = asyncio.create_task(asked.wait())
            await asyncio.wait({waited}, timeout=5.0)
            waited.cancel()
    return None


def _new_id() -> str:
    return secrets.token_hex(16)


def _session_limits(settings: AgentSettings) -> SessionLimits:
    nats = settings.nats
    return SessionLimits(spread_s=nats.reconnect_spread_s, dead_s=nats.dead_link_s, quiet_s=nats.dead_link_s / 2.5)
