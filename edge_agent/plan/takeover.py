"""Takes fields over from kubectl's managers, so that what leaves the manifest leaves the object (kubernetes.md 1.1 step 5, A3).

Fields that `kubectl apply`, `create` or `edit` wrote belong to a manager of that name; a server-side apply that no longer sends
them would leave them. Their field sets are merged into ours first; the apply then removes what it does not send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.model import Manifest
from edge_agent.plan.access import items, mapping, metadata, resource_version, text
from shared.contracts.metadata import FIELD_MANAGER

_KUBECTL = "kubectl"
_KEPT = frozenset({"kubectl-rollout"})
"""`kubectl rollout restart` is an action and no drift: undoing its annotation would restart everything once more."""
_CLUSTER_PARTS = ("kube-controller-manager", "kube-scheduler", "kubelet", "k3s", "cloud-controller-manager")
_BEFORE_FIRST_APPLY = "before-first-apply"


def takeover_patch(live: Manifest) -> list[dict[str, Any]] | None:
    """A JSON patch that hands fields to our manager; None when there is nothing to take over.

    It holds the resourceVersion, so it fails with a conflict when the object changed since it was read.
    """
    entries = items(metadata(live).get("managedFields"))
    if not any(_is_taken(entry) for entry in entries):
        return None
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": _merged(live, entries)},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version(live)},
    ]


def has_other_writers(live: Manifest) -> bool:
    """Whether somebody but us and the cluster's own controllers wrote content: anything outside of metadata and status."""
    return any(_is_foreign_content(entry) for entry in items(metadata(live).get("managedFields")))


def _is_foreign_content(entry: Mapping[str, Any]) -> bool:
    manager = text(entry.get("manager"))
    if entry.get("subresource") or manager == FIELD_MANAGER or manager.startswith(_CLUSTER_PARTS):
        return False
    return bool(set(mapping(entry.get("fieldsV1"))) - {"f:metadata", "f:status"})


def _merged(live: Manifest, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    fields: dict[str, Any] = {}
    ours: Mapping[str, Any] = {}
    for entry in entries:
        own = _is_ours(entry)
        if own or _is_taken(entry):
            fields = _union(fields, mapping(entry.get("fieldsV1")))
            ours = entry if own or not ours else ours
        else:
            kept.append(dict(entry))
    merged = {
        "manager": FIELD_MANAGER,
        "operation": "Apply",
        "apiVersion": text(ours.get("apiVersion")) or text(live.get("apiVersion")),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if ours.get("time"):
        merged["time"] = ours["time"]
    return [*kept, merged]


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource")


def _is_taken(entry: Mapping[str, Any]) -> bool:
    """Managers whose fields become ours; never those of a sub-resource such as status or scale."""
    manager, operation = text(entry.get("manager")), entry.get("operation")
    if entry.get("subresource") or manager in _KEPT:
        return False
    if manager.startswith(_KUBECTL):
        return True
    return operation == "Update" and manager in (_BEFORE_FIRST_APPLY, FIELD_MANAGER)


def _union(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(left)
    for key, value in right.items():
        before = merged.get(key)
        merged[key] = _union(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged
