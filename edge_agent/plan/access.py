"""Safe reads of untyped objects: a wrong type is nothing, never an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Map = Mapping[str, Any]


def mapping(value: Any) -> Map:
    """The value, or an empty mapping."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Map]:
    """The mappings in a list, or none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def text(value: Any) -> str:
    """The value, or an empty text."""
    return value if isinstance(value, str) else ""


def metadata(manifest: Map) -> Map:
    """`metadata` of an object."""
    return mapping(manifest.get("metadata"))


def labels_of(manifest: Map) -> Map:
    """Labels of an object."""
    return mapping(metadata(manifest).get("labels"))


def annotations_of(manifest: Map) -> Map:
    """Annotations of an object."""
    return mapping(metadata(manifest).get("annotations"))


def uid(manifest: Map) -> str:
    """UID of a live object."""
    return text(metadata(manifest).get("uid"))


def resource_version(manifest: Map) -> str:
    """Version of a live object: opaque, only to be compared for equality."""
    return text(metadata(manifest).get("resourceVersion"))


def is_terminating(manifest: Map) -> bool:
    """Whether it is being deleted."""
    return bool(metadata(manifest).get("deletionTimestamp"))
