"""One object: try, then write. Every step may be repeated, and a crash between two of them leaves nothing that the next pass misreads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.apply.causes import is_immutable
from edge_agent.kube.client import JSON_PATCH, Applied, KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeConflict, KubeRefused
from edge_agent.model import Manifest
from edge_agent.observe.targets import Target
from edge_agent.plan.access import uid
from edge_agent.plan.autoscaled import without_replicas
from edge_agent.plan.compare import differs
from edge_agent.plan.decide import may_recreate
from edge_agent.plan.takeover import takeover_patch
from shared.clock import Clock

_GONE_POLL_S = 0.1
_GONE_WITHIN_S = 5.0
_TAKEOVER_TRIES = 3


class Outcome(StrEnum):
    """What a trial says has to be done."""

    CREATE = "create"
    CONFIGURE = "configure"
    SAME = "same"
    RECREATE = "recreate"


@dataclass(frozen=True)
class Trial:
    """Answer to a dry-run; `live` is what it was compared with."""

    outcome: Outcome
    live: Manifest | None = None


class StillThere(Exception):
    """The object that must go first is not gone yet; a later pass goes on."""


class Writer:
    """Tries and writes single objects of one cluster."""

    def __init__(self, kube: KubeClient, clock: Clock) -> None:
        self._kube = kube
        self.clock = clock

    async def try_create(self, target: Target) -> Trial:
        """Dry-run of an object that is not there.

        Raises:
            KubeError: the server would refuse it.
        """
        await self._kube.apply(_kind(target), target.manifest, force=False, dry_run=True)
        return Trial(Outcome.CREATE)

    async def try_configure(self, target: Target, live: Manifest, *, is_autoscaled: bool) -> Trial:
        """Dry-run of an object that is there and ours, compared with what is live.

        Raises:
            KubeError: the server would refuse it.
        """
        payload = without_replicas(target.manifest, live) if is_autoscaled else target.manifest
        try:
            wanted = await self._kube.apply(_kind(target), payload, force=True, dry_run=True)
        except KubeRefused as error:
            if is_immutable(error) and may_recreate(target.manifest, live):
                return Trial(Outcome.RECREATE, live)
            raise
        if takeover_patch(live) is not None or differs(live, wanted.object):
            return Trial(Outcome.CONFIGURE, live)
        return Trial(Outcome.SAME, live)

    async def create(self, target: Target) -> Applied:
        """Create by server-side apply; without force, so that what appeared meanwhile is not overwritten.

        Raises:
            KubeError: refused.
        """
        return await self._kube.apply(_kind(target), target.manifest, force=False)

    async def step_back(self, target: Target) -> None:
        """Give up all fields that we own of an object: those that only we set go, and it is as it was.

        Raises:
            KubeError: refused.
        """
        identity = {"name": target.ref.name} | ({"namespace": target.ref.namespace} if target.ref.namespace else {})
        bare = {"apiVersion": target.manifest["apiVersion"], "kind": target.manifest["kind"], "metadata": identity}
        await self._kube.apply(_kind(target), bare, force=False)

    async def overwrite(self, target: Target) -> Applied:
        """Apply over our own object that nobody else touched since we last applied it.

        Raises:
            KubeError: refused.
            StillThere: it has to be created anew, and a finalizer holds it.
        """
        try:
            return await self._kube.apply(_kind(target), target.manifest, force=True)
        except KubeRefused as error:
            live = await self._kube.get(_kind(target), target.ref.namespace, target.ref.name) if is_immutable(error) else None
            if live is None or not may_recreate(target.manifest, live):
                raise
            return await self.recreate(target, live)

    async def configure(self, target: Target, live: Manifest, *, is_autoscaled: bool) -> Applied:
        """Apply over our own object; first takes over what kubectl's managers own.

        Raises:
            KubeError: refused.
        """
        live = await self._take_over(target, live)
        payload = without_replicas(target.manifest, live) if is_autoscaled else target.manifest
        return await self._kube.apply(_kind(target), payload, force=True)

    async def recreate(self, target: Target, live: Manifest) -> Applied:
        """Delete exactly this object and create it anew.

        Raises:
            KubeError: refused.
            StillThere: a finalizer holds it (A8).
        """
        kind = _kind(target)
        await self._kube.delete(kind, target.ref.namespace, target.ref.name, uid=uid(live), propagation="Background")
        deadline_s = self.clock.monotonic_s() + _GONE_WITHIN_S
        while await self._kube.get(kind, target.ref.namespace, target.ref.name, metadata_only=True) is not None:
            if self.clock.monotonic_s() >= deadline_s:
                raise StillThere(f"{target.ref} is being deleted, to be created anew")
            await self.clock.sleep(_GONE_POLL_S)
        return await self.create(target)

    async def _take_over(self, target: Target, live: Manifest) -> Manifest:
        """Move kubectl's field sets to our manager; read again where somebody else wrote in between.

        Raises:
            KubeError: refused.
        """
        kind, ref = _kind(target), target.ref
        for _ in range(_TAKEOVER_TRIES):
            patch = takeover_patch(live)
            if patch is None:
                return live
            try:
                return await self._kube.patch(kind, ref.namespace, ref.name, patch, JSON_PATCH)
            except KubeConflict:
                live = await self._kube.get(kind, ref.namespace, ref.name) or live
        raise KubeConflict("is written too often by others to be taken over", subject=str(ref), status=409)


def _kind(target: Target) -> ResourceKind:
    if target.kind is None:
        raise ValueError(f"{target.ref} has no kind yet: it is written after its definition")
    return target.kind
