"""Whether an apply would change anything: the live object against the answer to a dry-run (kubernetes.md 1.1 step 6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.model import Manifest
from edge_agent.plan.access import metadata

_COMPARED = ("labels", "annotations", "finalizers", "ownerReferences")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_UNSET: tuple[Any, ...] = (None, {}, [])


def differs(live: Manifest, wanted: Manifest) -> bool:
    """Whether labels, annotations, finalizers, owners, or anything but `metadata` and `status` would change."""
    if any(_metadata_field(live, field) != _metadata_field(wanted, field) for field in _COMPARED):
        return True
    return _content(live) != _content(wanted)


def _metadata_field(manifest: Manifest, field: str) -> Any:
    value = metadata(manifest).get(field)
    if field == "annotations" and isinstance(value, Mapping):
        value = {key: text for key, text in value.items() if key != _LAST_APPLIED}
    return None if value in _UNSET else value


def _content(manifest: Manifest) -> dict[str, Any]:
    # lists leave out kind and apiVersion of built-in kinds: identity is not content
    return {key: value for key, value in manifest.items() if key not in ("metadata", "status", "kind", "apiVersion")}
