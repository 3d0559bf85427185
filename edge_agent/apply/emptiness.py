"""What still lives in a namespace."""

from __future__ import annotations

from enum import StrEnum

from edge_agent.kube.client import KubeClient, Listing
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeNotFound, KubeRefused
from edge_agent.model import Manifest
from edge_agent.observe.reading import in_parallel
from edge_agent.plan.access import items, labels_of, metadata, text
from shared.contracts.metadata import LABEL_APP
from shared.contracts.objects import object_ref

_MADE_BY_KUBERNETES = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
_PASSING = frozenset({"Event", "Lease", "Endpoints", "EndpointSlice", "PodMetrics"})


class Emptiness(StrEnum):
    """Whose objects are left."""

    EMPTY = "empty"
    OURS = "ours"
    """Only ours, or what ours own: they are about to go."""
    FOREIGN = "foreign"


async def namespace_content(kube: KubeClient, namespace: str, app: str) -> tuple[Emptiness, str]:
    """Whose objects live in a namespace, with an example.

    Raises:
        KubeError: the cluster cannot be read; doubt never deletes.
    """
    kinds = [
        kind for kind in await kube.discovery.all_preferred() if kind.namespaced and "list" in kind.verbs and kind.kind not in _PASSING
    ]

    async def read(kind: ResourceKind) -> Listing:
        return await kube.list(kind, namespace, metadata_only=True)

    ours = ""
    for kind, result in zip(kinds, await in_parallel(read, kinds), strict=True):
        if isinstance(result, KubeNotFound) or (isinstance(result, KubeRefused) and result.status == 405):
            continue
        if isinstance(result, Exception):
            raise result
        for item in result.items:
            named = object_ref({**item, "apiVersion": kind.api_version, "kind": kind.kind})
            if (kind.kind, named.name) in _MADE_BY_KUBERNETES:
                continue
            if not _is_ours(item, app):
                return Emptiness.FOREIGN, str(named)
            ours = ours or str(named)
    return (Emptiness.OURS, ours) if ours else (Emptiness.EMPTY, "")


def _is_ours(item: Manifest, app: str) -> bool:
    return text(labels_of(item).get(LABEL_APP)) == app or bool(items(metadata(item).get("ownerReferences")))
