"""Gets a StatefulSet going again whose broken pod blocks every later revision, the one that goes back included.

With ordered pods the controller waits for a pod to get ready before it replaces it, which a pod of a bad revision never does
(Kubernetes documents it as a known issue: such pods must be deleted by hand).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeConflict
from edge_agent.model import Manifest
from edge_agent.observe.targets import Target
from edge_agent.plan.access import uid
from edge_agent.plan.stuck import is_observed, may_have_stuck_pods, stuck_pods
from shared.clock import Clock
from shared.contracts.event import ObjectRef
from shared.contracts.objects import object_ref

_POD = ResourceKind("", "v1", "Pod", "pods", True)
_POLL_S = 0.1
_OBSERVED_WITHIN_S = 2.0


@dataclass(frozen=True)
class Unblocked:
    """`waiting`: the controller has not seen the newest spec yet."""

    deleted: tuple[ObjectRef, ...] = ()
    waiting: str = ""


class Unblocker:
    """Deletes broken pods of outdated revisions, by UID."""

    def __init__(self, kube: KubeClient, clock: Clock) -> None:
        self._kube = kube
        self._clock = clock

    async def unblock(self, target: Target) -> Unblocked:
        """Delete the stuck pods of one StatefulSet; nothing while it is well.

        Raises:
            KubeError: the cluster refuses, or cannot be read.
        """
        live = await self._read_observed(target)
        if live is None:
            return Unblocked()
        if not is_observed(live):
            return Unblocked(waiting=f"{target.ref} has not been seen by its controller")
        if not may_have_stuck_pods(live):
            return Unblocked()
        pods = (await self._kube.list(_POD, target.ref.namespace)).items
        return Unblocked(tuple([await self._delete(pod) for pod in stuck_pods(live, pods)]))

    async def _read_observed(self, target: Target) -> Manifest | None:
        """The StatefulSet once its controller has seen the newest spec, or as it is after 2 s."""
        if target.kind is None:
            return None
        deadline_s = self._clock.monotonic_s() + _OBSERVED_WITHIN_S
        while True:
            live = await self._kube.get(target.kind, target.ref.namespace, target.ref.name)
            if live is None or is_observed(live) or self._clock.monotonic_s() >= deadline_s:
                return live
            await self._clock.sleep(_POLL_S)

    async def _delete(self, pod: Manifest) -> ObjectRef:
        ref = object_ref({**pod, "apiVersion": "v1", "kind": "Pod"})
        with suppress(KubeConflict):  # another pod of that name by now: it was replaced without us
            await self._kube.delete(_POD, ref.namespace, ref.name, uid=uid(pod))
        return ref
