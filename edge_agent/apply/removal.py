"""Deletes what is wanted no more: by UID, after health, in the reverse of the order of applying; never data, never what is not ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edge_agent.apply.emptiness import Emptiness, namespace_content
from edge_agent.kube.client import KubeClient, Propagation
from edge_agent.kube.errors import KubeConflict, KubeError
from edge_agent.model import InventoryEntry, InventoryPort, PruneResult
from edge_agent.observe.reading import in_parallel
from edge_agent.plan.access import is_terminating, uid
from edge_agent.plan.decide import owner_of
from edge_agent.plan.keep import is_namespace, is_protected, opt_out
from edge_agent.plan.stages import removal_bands
from shared.contracts.event import ObjectRef

_FOREGROUND = frozenset({"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"})
"""Gone means: its pods too."""


@dataclass(frozen=True)
class Fate:
    """What became of one object. `leaves`: it leaves the inventory."""

    ref: ObjectRef
    outcome: Literal["deleted", "kept", "pending"]
    leaves: bool
    message: str = ""


@dataclass
class Removal:
    """One removal of some of an app's objects."""

    kube: KubeClient
    inventory: InventoryPort
    app: str
    app_is_absent: bool
    fates: list[Fate] = field(default_factory=list)

    async def run(self, doomed: Sequence[InventoryEntry]) -> PruneResult:
        """Delete these, band by band; what the cluster refuses stays in the inventory and is tried again (A12)."""
        entries = {entry.ref: entry for entry in doomed}
        for band in removal_bands(list(entries)):
            self.fates += await self._remove_band([entries[ref] for ref in band])
        gone = {fate.ref for fate in self.fates if fate.leaves}
        if gone:
            self.inventory.save(self.app, tuple(entry for entry in self.inventory.load(self.app) if entry.ref not in gone))
        return PruneResult(
            deleted=self._refs("deleted"),
            kept=self._refs("kept"),
            pending=self._refs("pending"),
            messages=tuple(f"{fate.ref}: {fate.message}" for fate in self.fates if fate.message),
        )

    def _refs(self, outcome: str) -> tuple[ObjectRef, ...]:
        return tuple(fate.ref for fate in self.fates if fate.outcome == outcome)

    async def _remove_band(self, entries: Sequence[InventoryEntry]) -> list[Fate]:
        fates = []
        for entry, result in zip(entries, await in_parallel(self._remove, entries), strict=True):
            if isinstance(result, KubeError):
                fates.append(Fate(entry.ref, "pending", leaves=False, message=str(result)))
            elif isinstance(result, Exception):
                raise result
            else:
                fates.append(result)
        return fates

    async def _remove(self, entry: InventoryEntry) -> Fate:
        """One object.

        Raises:
            KubeError: the cluster refuses, or does not answer.
        """
        ref = entry.ref
        kind = await self.kube.discovery.served(ref.group, ref.kind, entry.api_version)
        live = await self.kube.get(kind, ref.namespace, ref.name, metadata_only=True) if kind is not None else None
        if kind is None or live is None:
            return Fate(ref, "deleted", leaves=True)
        owner = owner_of(live, self.app, entry)
        if owner != self.app:
            return Fate(ref, "kept", leaves=True, message=f"belongs to app {owner} by now" if owner else "is not ours any more")
        if is_terminating(live):
            return Fate(ref, "pending", leaves=False, message="is being deleted")
        if words := opt_out(live):
            return Fate(ref, "kept", leaves=True, message=f"kept, as {words} says")
        if is_protected(ref, self.app_is_absent):
            return Fate(ref, "kept", leaves=self.app_is_absent, message="kept, as deleting it would delete data or what others made")
        if is_namespace(ref) and (fate := await self._namespace_in_use(ref)) is not None:
            return fate
        propagation: Propagation = "Foreground" if ref.kind in _FOREGROUND else "Background"
        try:
            is_gone = await self.kube.delete(kind, ref.namespace, ref.name, uid=uid(live), propagation=propagation)
        except KubeConflict:
            return Fate(ref, "pending", leaves=False, message="was replaced while it was being deleted; looked at again")
        return Fate(ref, "deleted", leaves=True) if is_gone else Fate(ref, "pending", leaves=False, message="is being deleted")

    async def _namespace_in_use(self, ref: ObjectRef) -> Fate | None:
        """A Namespace goes only when nothing of others lives in it (A15), and after all of ours is gone."""
        if any(fate.outcome == "pending" for fate in self.fates):
            return Fate(ref, "pending", leaves=False, message="waits until its objects are gone")
        state, example = await namespace_content(self.kube, ref.name, self.app)
        if state is Emptiness.OURS:
            return Fate(ref, "pending", leaves=False, message=f"waits until {example} is gone")
        if state is Emptiness.FOREIGN:
            return Fate(ref, "kept", leaves=True, message=f"kept, as others live in it ({example})")
        return None
