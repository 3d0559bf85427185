"""Runs the controllers: changes mark what is to be looked at, one callback of the event loop works it off, nothing polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from deploy.local_cluster.in_memory.controllers import deployment, garbage, job, lifecycle, parts, replica_set, sets
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.deleting import Deleting
from deploy.local_cluster.in_memory.errors import ApiError
from deploy.local_cluster.in_memory.kinds import Registry
from deploy.local_cluster.in_memory.storage import ADDED, DELETED, Change, Key, Store
from deploy.local_cluster.in_memory.writing import Writing
from shared.clock import Clock

_log = structlog.get_logger(__name__)

_AT_ONCE = 200
"""How many items one callback works off before other work of the event loop gets its turn."""
_MOST_RETRIES = 5

Item = tuple[str, str, Key]
"""Controller, kind (or empty), key."""

_BY_KIND = {
    "deployments.apps": "deployment",
    "replicasets.apps": "replica_set",
    "statefulsets.apps": "stateful_set",
    "daemonsets.apps": "daemon_set",
    "jobs.batch": "job",
    "namespaces": "namespace",
    "persistentvolumeclaims": "claim",
    "customresourcedefinitions.apiextensions.k8s.io": "definition",
    "pods": "placement",
}
_BY_OWNER = {
    "Deployment": "deployment",
    "ReplicaSet": "replica_set",
    "StatefulSet": "stateful_set",
    "DaemonSet": "daemon_set",
    "Job": "job",
}


class Controllers:
    """The controllers of one cluster."""

    def __init__(self, store: Store, writing: Writing, deleting: Deleting, registry: Callable[[], Registry], clock: Clock) -> None:
        self._clock = clock
        self._store = store
        self._graph = garbage.Graph()
        self._dirty: dict[Item, None] = {}
        self._retries: dict[Item, int] = {}
        self._timers: dict[Item, asyncio.Task[None]] = {}
        self._scheduled: asyncio.Handle | None = None
        self._closed = False
        self._hands = Hands(store, writing, deleting, registry, self._now, self._again)
        self._sync: dict[str, Callable[[Hands, Key], None]] = {
            "deployment": deployment.sync,
            "replica_set": replica_set.sync,
            "job": job.sync,
            "stateful_set": sets.sync_stateful_set,
            "daemon_set": sets.sync_daemon_set,
            "namespace": lifecycle.sync_namespace,
            "claim": lifecycle.sync_claim,
            "definition": lifecycle.sync_definition,
            "placement": lifecycle.sync_pod_placement,
            "lost_node": lifecycle.give_up_node,
        }
        store.listen(self._note)

    def close(self) -> None:
        """Stop all timers; changes are looked at no more."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._scheduled is not None:
            self._scheduled.cancel()

    def settle(self) -> None:
        """Work off everything that is to be looked at now; for callers without an event loop, and for set-up."""
        while self._dirty:
            self._step()

    def _now(self) -> datetime:
        return self._clock.wall()

    def _mark(self, controller: str, key: Key, kind_id: str = "") -> None:
        if self._closed:
            return
        self._dirty[(controller, kind_id, key)] = None
        if self._scheduled is None:
            try:
                self._scheduled = asyncio.get_running_loop().call_soon(self._run)
            except RuntimeError:
                return  # no event loop here: the caller settles

    def _run(self) -> None:
        self._scheduled = None
        for _ in range(_AT_ONCE):
            if not self._dirty:
                return
            self._step()
        if self._dirty and not self._closed:
            self._scheduled = asyncio.get_running_loop().call_soon(self._run)

    def _step(self) -> None:
        item = next(iter(self._dirty))
        del self._dirty[item]
        try:
            self._look_at(item)
        except ApiError as error:
            tries = self._retries.get(item, 0)
            if error.code == 404 or tries >= _MOST_RETRIES:
                _log.warning("controller_gave_up", controller=item[0], key=item[2], problem=error.message)
                self._retries.pop(item, None)
                return
            self._retries[item] = tries + 1
            self._dirty[item] = None
        else:
            self._retries.pop(item, None)

    def _look_at(self, item: Item) -> None:
        controller, kind_id, key = item
        if controller == "garbage":
            garbage.sync(self._hands, self._graph, key[1])
        elif controller == "owners":
            garbage.check_owners(self._hands, self._graph, kind_id, key)
        else:
            self._sync[controller](self._hands, key)

    def _again(self, controller: str, key: Key, delay_s: float) -> None:
        item = (controller, "", key)
        running = self._timers.pop(item, None)
        if running is not None:
            running.cancel()
        try:
            self._timers[item] = asyncio.get_running_loop().create_task(self._later(item, delay_s))
        except RuntimeError:
            return  # no event loop here: the next change looks again

    async def _later(self, item: Item, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._timers.pop(item, None)
        self._mark(item[0], item[2], item[1])

    def _note(self, change: Change) -> None:
        self._graph.note(change)
        key = parts.key_of(change.obj)
        metadata = change.obj["metadata"]
        controller = _BY_KIND.get(change.kind_id)
        if controller is not None and change.type != DELETED:
            self._mark(controller, key)
        reference = parts.controller_of(change.obj)
        if reference is not None and reference["kind"] in _BY_OWNER:
            self._mark(_BY_OWNER[reference["kind"]], (key[0], reference["name"]))
        if change.kind_id == "nodes":
            self._node_changed(change, key)
        elif change.kind_id == "pods":
            for name in lifecycle.claims_of(change.obj):
                self._mark("claim", (key[0], name))
        elif change.kind_id in ("storageclasses.storage.k8s.io", "persistentvolumeclaims"):
            self._wake_waiting()
        self._mark_garbage(change, key)
        if change.type == DELETED:
            self._mark_containers(change, key)
        elif change.type == ADDED and metadata.get("ownerReferences"):
            self._mark("owners", key, change.kind_id)

    def _mark_garbage(self, change: Change, key: Key) -> None:
        metadata = change.obj["metadata"]
        uid = metadata["uid"]
        if change.type == DELETED:
            for reference in metadata.get("ownerReferences") or ():
                self._mark("garbage", ("", reference["uid"]))
            if uid in self._graph.dependents:
                self._mark("garbage", ("", uid))
        elif metadata.get("deletionTimestamp") and metadata.get("finalizers"):
            self._mark("garbage", ("", uid))

    def _mark_containers(self, change: Change, key: Key) -> None:
        """Wake what waits for an object to be gone: its namespace, or its definition."""
        if key[0] and parts.is_deleting(self._store.get("namespaces", ("", key[0])) or {"metadata": {}}):
            self._mark("namespace", ("", key[0]))
        definition = self._store.get("customresourcedefinitions.apiextensions.k8s.io", ("", change.kind_id))
        if definition is not None and parts.is_deleting(definition):
            self._mark("definition", ("", change.kind_id))

    def _node_changed(self, change: Change, key: Key) -> None:
        before = parts.condition((change.before or {}).get("status"), "Ready")
        after = parts.condition(change.obj.get("status"), "Ready")
        if change.type == DELETED:
            self._mark("lost_node", key)
        if change.type == DELETED or (before or {}).get("status") != (after or {}).get("status"):
            self._wake_waiting()

    def _wake_waiting(self) -> None:
        for owner in self._store.all("daemonsets.apps"):
            self._mark("daemon_set", parts.key_of(owner))
        for pod in self._store.all("pods"):
            if not pod["spec"].get("nodeName"):
                self._mark("placement", parts.key_of(pod))
        for claim in self._store.all("persistentvolumeclaims"):
            self._mark("claim", parts.key_of(claim))
