"""Hints that an object of ours changed: a watch by label for each kind in the inventory, metadata only, our own writes left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeError
from edge_agent.kube.watch import Watcher, WatchEvent
from edge_agent.model import DriftHint, InventoryEntry, InventoryPort
from edge_agent.plan.access import labels_of, metadata, resource_version, text
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import LABEL_APP

SETTLE_S = 0.3
"""Hints are held so long: then the answer to our own apply is here, and many changes of one object are one hint."""
KINDS_EVERY_S = 10.0
"""Inventories are read anew so often, though nobody said that they changed."""
KINDS_AGAIN_S = 1.0
"""A kind that is not served yet is asked for again after so long, then after twice as long, and so on."""
IsOwnWrite = Callable[[str, ObjectRef, str], bool]


class WatchedInventory:
    """An inventory that says when it was saved: what an app just got is watched from its first second."""

    def __init__(self, inventory: InventoryPort) -> None:
        self._inventory = inventory
        self._bells: set[asyncio.Event] = set()

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        """As the inventory has it."""
        return self._inventory.load(app)

    def save(self, app: str, entries: Sequence[InventoryEntry]) -> None:
        """Durable before it returns, then told."""
        self._inventory.save(app, entries)
        for bell in self._bells:
            bell.set()

    @contextmanager
    def bell(self) -> Iterator[asyncio.Event]:
        """Rings at each save while the block runs."""
        made = asyncio.Event()
        self._bells.add(made)
        try:
            yield made
        finally:
            self._bells.discard(made)


class DriftWatch:
    """Watches the kinds of an inventory, which may grow meanwhile.

    Args:
        kube: the cluster.
        apps: whose objects are meant.
        inventory: of these apps; read anew whenever it is saved, and now and then.
        is_own_write: whether a version of an object is one that we made.
    """

    def __init__(self, kube: KubeClient, apps: Sequence[str], inventory: WatchedInventory, is_own_write: IsOwnWrite) -> None:
        self._kube = kube
        self._apps = tuple(sorted(apps))
        self._selector = f"{LABEL_APP} in ({','.join(self._apps)})"
        self._inventory = inventory
        self._is_own_write = is_own_write
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._pending: dict[tuple[str, ObjectRef], tuple[DriftHint, str]] = {}
        self._wake = asyncio.Event()
        self._marks: dict[ObjectRef, tuple[object, ...]] = {}

    async def hints(self) -> AsyncGenerator[DriftHint, None]:
        """Hints as they come; ends by cancellation, and then ends all watches."""
        keeper = asyncio.create_task(self._keep_watching())
        try:
            while True:
                await self._wake.wait()
                await self._kube.clock.sleep(SETTLE_S)
                self._wake.clear()
                held, self._pending = self._pending, {}
                for hint, version in held.values():
                    if hint.reason == "deleted" or not self._is_own_write(hint.app, hint.ref, version):
                        yield hint
        finally:
            await _end([keeper, *self._tasks.values()])

    async def _keep_watching(self) -> None:
        pause_s = KINDS_AGAIN_S / 2
        with self._inventory.bell() as saved:
            while True:
                saved.clear()
                # a definition that the same pass makes is served a moment after the inventory was saved
                pause_s = KINDS_EVERY_S if await self._watch_all() else min(2 * pause_s, KINDS_EVERY_S)
                if await self._rings(saved, pause_s):
                    pause_s = KINDS_AGAIN_S / 2

    async def _watch_all(self) -> bool:
        """Watch each kind of the inventories; False where one cannot be watched yet."""
        wanted = {(entry.ref.group, entry.ref.kind): entry.api_version for app in self._apps for entry in self._inventory.load(app)}
        for key, api_version in wanted.items():
            if key not in self._tasks:
                with suppress(KubeError):  # the next round asks again
                    kind = await self._kube.discovery.served(*key, api_version)
                    if kind is not None:
                        self._tasks[key] = asyncio.create_task(self._follow(kind))
        return wanted.keys() <= self._tasks.keys()

    async def _rings(self, bell: asyncio.Event, pause_s: float) -> bool:
        """Wait for the bell, at most `pause_s`; whether it rang."""
        tasks = [asyncio.create_task(bell.wait()), asyncio.create_task(self._kube.clock.sleep(pause_s))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(tasks)
        return bell.is_set()

    async def _follow(self, kind: ResourceKind) -> None:
        async for event in Watcher(self._kube, kind, label_selector=self._selector).events():
            self._take(kind, event)

    def _take(self, kind: ResourceKind, event: WatchEvent) -> None:
        details = metadata(event.object)
        ref = ObjectRef(group=kind.group, kind=kind.kind, namespace=text(details.get("namespace")), name=text(details.get("name")))
        app = text(labels_of(event.object).get(LABEL_APP))
        if event.type == "DELETED":
            self._marks.pop(ref, None)
            self._hold(DriftHint(app, ref, "deleted"), "")
            return
        # what else but status may change without a new generation: labels, annotations; and all of kinds that have none
        generation = details.get("generation")
        mark = (generation, str(details.get("labels")), str(details.get("annotations")), details.get("deletionTimestamp"))
        is_known = self._marks.get(ref) == mark
        self._marks[ref] = mark
        status_only = is_known and generation is not None
        if event.type == "ADDED" and not is_known and self._is_own_write(app, ref, resource_version(event.object)):
            return
        self._hold(DriftHint(app, ref, "status" if status_only else "changed"), resource_version(event.object))

    def _hold(self, hint: DriftHint, version: str) -> None:
        """Keep the gravest hint about an object, with its newest version."""
        held = self._pending.get((hint.app, hint.ref))
        graver = hint if held is None or hint.reason != "status" else held[0]
        self._pending[(hint.app, hint.ref)] = (graver, version)
        self._wake.set()


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
