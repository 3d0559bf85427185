"""The inventory from the cluster itself, after the state file was lost."""

from __future__ import annotations

from edge_agent.kube.client import KubeClient, Listing
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeRefused
from edge_agent.model import InventoryEntry, Manifest
from edge_agent.observe.reading import in_parallel
from edge_agent.plan.access import items, labels_of, metadata, text, uid
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import FIELD_MANAGER, LABEL_APP

_COPIES_LABELS = frozenset({"Endpoints", "EndpointSlice", "Event"})
"""Kinds to which Kubernetes copies the labels of our objects."""


async def rebuild(kube: KubeClient, app: str | None) -> dict[str, tuple[InventoryEntry, ...]]:
    """Every object with an owner label that our field manager applied, by app.

    Raises:
        KubeError: the cluster cannot be read.
    """
    kinds = [kind for kind in await kube.discovery.all_preferred() if "list" in kind.verbs and kind.kind not in _COPIES_LABELS]
    selector = f"{LABEL_APP}={app}" if app else LABEL_APP

    async def read(kind: ResourceKind) -> Listing:
        return await kube.list(kind, label_selector=selector, metadata_only=True)

    found: dict[str, dict[str, InventoryEntry]] = {}
    for kind, result in zip(kinds, await in_parallel(read, kinds), strict=True):
        if isinstance(result, KubeRefused):  # a kind that went away, or cannot be listed
            continue
        if isinstance(result, Exception):
            raise result
        for item in result.items:
            if _is_applied_by_us(item):
                # one object may be served under two groups: its UID tells (kubernetes.md 1.2)
                found.setdefault(text(labels_of(item)[LABEL_APP]), {}).setdefault(uid(item), _entry(kind, item))
    return {name: tuple(entries.values()) for name, entries in sorted(found.items())}


def _is_applied_by_us(item: Manifest) -> bool:
    if items(metadata(item).get("ownerReferences")):
        return False
    return any(entry.get("manager") == FIELD_MANAGER for entry in items(metadata(item).get("managedFields")))


def _entry(kind: ResourceKind, item: Manifest) -> InventoryEntry:
    details = metadata(item)
    ref = ObjectRef(group=kind.group, kind=kind.kind, namespace=text(details.get("namespace")), name=text(details.get("name")))
    return InventoryEntry(ref, kind.api_version, uid(item), created=True)
