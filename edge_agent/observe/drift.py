"""Hints that an object of ours changed: a watch by label for each kind in the inventory, metadata only, our own writes left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeError
from edge_agent.kube.watch import Watcher, WatchEvent
from edge_agent.model import DriftHint, InventoryEntry
from edge_agent.plan.access import labels_of, metadata, resource_version, text
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import LABEL_APP

SETTLE_S = 0.3
"""Hints are held so long: then the answer to our own apply is here, and many changes of one object are one hint."""
KINDS_EVERY_S = 10.0
IsOwnWrite = Callable[[str, ObjectRef, str], bool]
LoadEntries = Callable[[], Sequence[InventoryEntry]]


class DriftWatch:
    """Watches the kinds of an inventory, which may grow meanwhile.

    Args:
        kube: the cluster.
        apps: whose objects are meant.
        load_entries: the inventories of these apps, read anew every 10 s.
        is_own_write: whether a version of an object is one that we made.
    """

    def __init__(self, kube: KubeClient, apps: Sequence[str], load_entries: LoadEntries, is_own_write: IsOwnWrite) -> None:
        self._kube = kube
        self._selector = f"{LABEL_APP} in ({','.join(sorted(apps))})"
        self._load_entries = load_entries
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
        while True:
            for entry in self._load_entries():
                key = (entry.ref.group, entry.ref.kind)
                if key not in self._tasks:
                    with suppress(KubeError):  # the next round asks again
                        kind = await self._kube.discovery.served(*key, entry.api_version)
                        if kind is not None:
                            self._tasks[key] = asyncio.create_task(self._follow(kind))
            await self._kube.clock.sleep(KINDS_EVERY_S)

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


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
