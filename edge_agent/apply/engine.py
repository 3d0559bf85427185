"""ApplyEngine: what the loop calls. Each call reads the cluster anew; nothing that is remembered here is needed for rightness."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime

from edge_agent.apply import causes
from edge_agent.apply.converge import Pass
from edge_agent.apply.memory import Memory
from edge_agent.apply.rebuild import rebuild
from edge_agent.apply.removal import Removal
from edge_agent.apply.writing import Writer
from edge_agent.assess.render import assess_render
from edge_agent.kube.client import KubeClient
from edge_agent.kube.errors import KubeError
from edge_agent.model import Assessment, ConvergeResult, DriftHint, InventoryEntry, InventoryPort, PruneResult, Render, Verdict
from edge_agent.observe.drift import DriftWatch, WatchedInventory
from edge_agent.observe.snapshot import observe
from edge_agent.observe.targets import Target, refs_of, resolve_targets
from shared.clock import Clock
from shared.contracts.event import ObjectRef


class ApplyEngine:
    """Applies renders to one cluster, judges them, and removes what is wanted no more.

    Args:
        kube: the cluster.
        inventory: where it is kept what each app made; saved before the first apply.
        clock: waits and deadlines inside a pass.
    """

    def __init__(self, kube: KubeClient, inventory: InventoryPort, clock: Clock) -> None:
        self._kube = kube
        self._inventory = WatchedInventory(inventory)
        self._clock = clock
        self._writer = Writer(kube, clock)
        self._memory = Memory()

    async def converge(self, render: Render, *, force_full: bool = False) -> ConvergeResult:
        """One pass that brings the cluster towards the render; call again until `waiting` is empty. Safe after a kill at any point.

        Args:
            render: what should run.
            force_full: compare every object, also those that have not changed since they were last seen equal.
        """
        if force_full:
            self._memory.forget(render.app)
        started = self._clock.wall()

        async def assess_wave(targets: Sequence[Target]) -> Assessment:
            return await self._judge(render, targets, since=started, now=self._clock.wall())

        return await Pass(self._kube, self._inventory, self._writer, self._memory, render, assess_wave).run()

    async def assess(self, render: Render, *, since: datetime, now: datetime) -> Assessment:
        """Health of the render's objects and of the pods of their newest revisions.

        Args:
            render: what should run.
            since: when it was applied (wall time); ends of containers before that are not counted against it.
            now: wall time.
        """
        try:
            targets, unserved = await resolve_targets(self._kube, render)
            assessment = await self._judge(render, targets, since=since, now=now)
        except KubeError as error:
            cause = causes.cause_of(error, None).model_copy(update={"blames": "world"})
            return Assessment(Verdict.PROGRESSING, cause, f"the cluster cannot be read: {error}")
        if unserved and assessment.verdict is not Verdict.FAILED:
            cause = causes.unserved(unserved[0])
            return replace(assessment, verdict=Verdict.PROGRESSING, cause=cause, message=cause.message)
        return assessment

    async def _judge(self, render: Render, targets: Sequence[Target], *, since: datetime, now: datetime) -> Assessment:
        entries = {entry.ref: entry for entry in self._inventory.load(render.app)}
        asked = [target for target in targets if not target.implied]
        observed = await observe(self._kube, render.app, asked, entries)
        return assess_render([target.ref for target in asked], observed, since=since, now=now)

    async def prune(self, app: str, keep: Sequence[Render]) -> PruneResult:
        """Delete what the inventory holds and no render in `keep` names; an empty `keep` means that the app is absent.

        Call it after health, and again until nothing is pending. Claims, volumes and definitions are never deleted, a Namespace only
        with its app and when nothing of others lives in it, and nothing that is not ours or opts out.
        """
        entries = self._inventory.load(app)
        scopes = _scopes(entries)
        wanted = frozenset[ObjectRef]().union(*(refs_of(render, scopes) for render in keep))
        doomed = [entry for entry in entries if entry.ref not in wanted]
        return await self._remove(app, doomed, app_is_absent=not keep)

    async def discard_created(self, app: str, bad: Render, good: Render) -> PruneResult:
        """After going back: delete what only the bad release made. What it had adopted stays, and so does all that holds data."""
        entries = self._inventory.load(app)
        scopes = _scopes(entries)
        only_bad = refs_of(bad, scopes) - refs_of(good, scopes)
        return await self._remove(app, [entry for entry in entries if entry.created and entry.ref in only_bad], app_is_absent=False)

    async def _remove(self, app: str, doomed: Sequence[InventoryEntry], *, app_is_absent: bool) -> PruneResult:
        return await Removal(self._kube, self._inventory, app, app_is_absent).run(doomed)

    async def rebuild_inventory(self, app: str | None) -> dict[str, tuple[InventoryEntry, ...]]:
        """Inventories by app from the owner labels on the cluster, after a lost state file; saves nothing.

        Raises:
            KubeError: the cluster cannot be read.
        """
        return await rebuild(self._kube, app)

    async def watch_changes(self, apps: Sequence[str]) -> AsyncGenerator[DriftHint, None]:
        """Hints that objects of these apps changed, and not by us; ends only by cancellation (or `aclose`)."""
        async with aclosing(DriftWatch(self._kube, apps, self._inventory, self._memory.is_own_write).hints()) as hints:
            async for hint in hints:
                yield hint


def _scopes(entries: Sequence[InventoryEntry]) -> dict[tuple[str, str], bool]:
    """Which kinds live in a namespace, as the inventory knows it from the cluster."""
    return {(entry.ref.group, entry.ref.kind): bool(entry.ref.namespace) for entry in entries}
