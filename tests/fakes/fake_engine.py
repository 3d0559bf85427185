"""A cluster without Kubernetes: keeps to the engine's interface, plays the outcome that a test scripts for each version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.kube.errors import KubeUnavailable
from edge_agent.model import (
    Assessment,
    Change,
    ConvergeResult,
    DriftHint,
    InventoryEntry,
    InventoryPort,
    Manifest,
    PruneResult,
    Render,
    Verdict,
)
from shared.contracts.event import Cause, ObjectRef
from shared.contracts.objects import object_ref

CRASH = Cause(code="CrashLoopBackOff", message="container web, exit code 3", container="web", exit_code=3, last_log_line="no config")
NO_ROUTE = Cause(code="ImagePullBackOff", message="registry cannot be reached", blames="world")
AWAY = Cause(code="ApiUnavailable", message="no answer", blames="world")


@dataclass
class Play:
    """What a version does. `verdicts` are given one after the other, the last one for ever."""

    verdicts: list[Assessment] = field(default_factory=lambda: [Assessment(Verdict.READY)])
    stopped: Cause | None = None
    waiting: list[str] = field(default_factory=list)
    """Passes that stop at a stage, before one that applies all."""

    def next_verdict(self) -> Assessment:
        return self.verdicts.pop(0) if len(self.verdicts) > 1 else self.verdicts[0]


def ready() -> Play:
    return Play()


def crashing() -> Play:
    return Play([Assessment(Verdict.PROGRESSING, message="starting"), Assessment(Verdict.FAILED, CRASH, CRASH.message)])


def pulling(passes: int = 1_000) -> Play:
    waits = [Assessment(Verdict.PROGRESSING, NO_ROUTE, "pulling", images_ready=False) for _ in range(passes)]
    return Play([*waits, Assessment(Verdict.READY)])


def unhealthy() -> Play:
    return Play([Assessment(Verdict.PROGRESSING, message="0 of 1 ready")])


class FakeCluster:
    """Live objects by reference, and whether the API server answers. Survives the agent."""

    def __init__(self, uid: str = "cluster-1") -> None:
        self.uid = uid
        self.is_away = False
        self.live: dict[ObjectRef, tuple[str, Manifest]] = {}
        self.plays: dict[str, Play] = {}
        self.calls: list[str] = []
        self.pending_deletes: set[ObjectRef] = set()
        self.kill_at: str = ""
        """A call that ends the agent as a power cut would."""

    def versions(self, app: str) -> set[str]:
        return {version for version, found in self.live.values() if found["metadata"]["labels"]["app"] == app}

    def names(self, app: str) -> set[str]:
        return {ref.name for ref, (_, found) in self.live.items() if found["metadata"]["labels"]["app"] == app}


class PowerCut(BaseException):
    """Not an Exception: no guard may catch it."""


class FakeEngine:
    """One connection to a FakeCluster."""

    def __init__(self, cluster: FakeCluster, inventory: InventoryPort) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self.hints: asyncio.Queue[DriftHint] = asyncio.Queue()

    async def converge(self, render: Render, *, force_full: bool = False) -> ConvergeResult:
        self._note("converge", render.version)
        cluster, play = self._cluster, self._play(render.version)
        if cluster.is_away:
            return ConvergeResult(cause=AWAY)
        if play.stopped is not None:
            return ConvergeResult(cause=play.stopped)
        objects = {object_ref(found, render.namespace): found for found in render.objects}
        before = {entry.ref: entry for entry in self._inventory.load(render.app)}
        entries = {**before, **{ref: InventoryEntry(ref, "v1", created=True) for ref in objects if ref not in before}}
        self._inventory.save(render.app, tuple(entries.values()))
        self._note("apply", render.version)
        changes = [self._put(render, ref, found) for ref, found in objects.items()]
        waiting = play.waiting.pop(0) if play.waiting else ""
        return ConvergeResult(changes=tuple(changes), waiting=waiting, inventory=tuple(entries.values()))

    def _put(self, render: Render, ref: ObjectRef, found: Manifest) -> Change:
        labelled = {**found, "metadata": {**found["metadata"], "labels": {"app": render.app}}}
        known = self._cluster.live.get(ref)
        self._cluster.live[ref] = (render.version, labelled)
        if known is None:
            return Change(ref, "created")
        return Change(ref, "unchanged" if known[1] == labelled else "configured")

    async def assess(self, render: Render, *, since: datetime, now: datetime) -> Assessment:
        self._note("assess", render.version)
        assert since <= now
        if self._cluster.is_away:
            return Assessment(Verdict.PROGRESSING, AWAY, AWAY.message)
        return self._play(render.version).next_verdict()

    async def prune(self, app: str, keep: Sequence[Render]) -> PruneResult:
        self._note("prune", app)
        wanted = {object_ref(found, render.namespace) for render in keep for found in render.objects}
        return self._delete(app, [entry.ref for entry in self._inventory.load(app) if entry.ref not in wanted])

    async def discard_created(self, app: str, bad: Render, good: Render) -> PruneResult:
        self._note("discard", bad.version)
        only_bad = {object_ref(found, bad.namespace) for found in bad.objects} - {
            object_ref(found, good.namespace) for found in good.objects
        }
        return self._delete(app, [entry.ref for entry in self._inventory.load(app) if entry.ref in only_bad])

    def _delete(self, app: str, refs: Sequence[ObjectRef]) -> PruneResult:
        if self._cluster.is_away:
            return PruneResult(pending=tuple(refs), messages=("no answer",))
        pending = tuple(ref for ref in refs if ref in self._cluster.pending_deletes)
        gone = [ref for ref in refs if ref not in pending]
        for ref in gone:
            self._cluster.live.pop(ref, None)
        self._inventory.save(app, tuple(entry for entry in self._inventory.load(app) if entry.ref not in gone))
        return PruneResult(deleted=tuple(gone), pending=pending)

    async def rebuild_inventory(self, app: str | None) -> dict[str, tuple[InventoryEntry, ...]]:
        self._note("rebuild", "")
        found: dict[str, list[InventoryEntry]] = {}
        for ref, (_, live) in self._cluster.live.items():
            found.setdefault(live["metadata"]["labels"]["app"], []).append(InventoryEntry(ref, "v1", created=True))
        return {name: tuple(entries) for name, entries in found.items()}

    async def watch_changes(self, apps: Sequence[str]) -> AsyncIterator[DriftHint]:
        while True:
            yield await self.hints.get()

    def _play(self, version: str) -> Play:
        return self._cluster.plays.setdefault(version, ready())

    def _note(self, call: str, what: str) -> None:
        name = f"{call} {what}".strip()
        self._cluster.calls.append(name)
        if self._cluster.kill_at == name:
            self._cluster.kill_at = ""
            raise PowerCut(name)


class FakeClusterPort:
    """The way to a FakeCluster; see `edge_agent.loop.ports.Cluster`."""

    def __init__(self, cluster: FakeCluster, inventory: InventoryPort) -> None:
        self.cluster = cluster
        self._inventory = inventory
        self.engine: FakeEngine | None = None

    async def connect(self) -> tuple[FakeEngine, str, str]:
        await self.identify()
        self.engine = FakeEngine(self.cluster, self._inventory)
        return self.engine, self.cluster.uid, "v1.36.0"

    async def identify(self) -> str:
        if self.cluster.is_away:
            raise KubeUnavailable("no answer")
        return self.cluster.uid

    async def close(self) -> None:
        self.engine = None
