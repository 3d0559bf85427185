"""Fields that belong to somebody else by design: replicas of what a HorizontalPodAutoscaler of the release scales (A4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edge_agent.model import Manifest
from edge_agent.plan.access import items, mapping, metadata, text
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import FIELD_MANAGER
from shared.contracts.objects import object_ref


def autoscaled(objects: Iterable[Manifest]) -> frozenset[ObjectRef]:
    """The workloads whose replicas an autoscaler among these objects sets."""
    found = set()
    for item in objects:
        if item.get("kind") != "HorizontalPodAutoscaler":
            continue
        target = mapping(mapping(item.get("spec")).get("scaleTargetRef"))
        group = text(target.get("apiVersion")).rpartition("/")[0]
        kind, name = text(target.get("kind")), text(target.get("name"))
        if kind and name:
            found.add(ObjectRef(group=group, kind=kind, namespace=object_ref(item).namespace, name=name))
    return frozenset(found)


def without_replicas(desired: Manifest, live: Manifest) -> Manifest:
    """The object to send while an autoscaler scales it.

    Replicas that another manager owns are left out; else the live value is sent, as leaving out a field that only we own resets it
    (kubernetes.md 1.1 step 7).
    """
    current = mapping(live.get("spec")).get("replicas")
    if current is None:
        return desired
    spec = dict(mapping(desired.get("spec")))
    if _another_owns_replicas(live):
        spec.pop("replicas", None)
    else:
        spec["replicas"] = current
    return {**desired, "spec": spec}


def _another_owns_replicas(live: Manifest) -> bool:
    return any(
        "f:replicas" in mapping(mapping(entry.get("fieldsV1")).get("f:spec"))
        for entry in items(metadata(live).get("managedFields"))
        if not _is_ours(entry)
    )


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == FIELD_MANAGER and not entry.get("subresource")
