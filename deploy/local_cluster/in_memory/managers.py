"""Field managers: server-side apply and the bookkeeping of ``metadata.managedFields``. Pure, nothing changed in place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from deploy.local_cluster.in_memory import field_sets, typed
from deploy.local_cluster.in_memory.field_sets import FieldSet
from deploy.local_cluster.in_memory.schema import Type

APPLY = "Apply"
UPDATE = "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_NEVER_OWNED: FieldSet = {
    "f:apiVersion": {},
    "f:kind": {},
    "f:metadata": {
        ".": {},
        **{
            f"f:{name}": {}
            for name in (
                "name",
                "namespace",
                "creationTimestamp",
                "selfLink",
                "uid",
                "clusterName",
                "generation",
                "managedFields",
                "resourceVersion",
            )
        },
    },
}


@dataclass(frozen=True)
class Writer:
    """Who writes, how and when; ``time`` is RFC 3339."""

    manager: str
    operation: str
    api_version: str
    time: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Key of the manager: an applier is the same one in all API versions."""
        return (self.manager, self.operation, "" if self.operation == APPLY else self.api_version, self.subresource)


@dataclass(frozen=True)
class Entry:
    """One entry of ``managedFields``."""

    writer: Writer
    fields: FieldSet


Managed = dict[tuple[str, str, str, str], Entry]


@dataclass(frozen=True)
class Conflict:
    """Another manager owns fields that an apply would change."""

    writer: Writer
    fields: FieldSet

    def shown_manager(self) -> str:
        """The manager as messages show it."""
        shown = f'"{self.writer.manager}"'
        if self.writer.subresource:
            shown += f' with subresource "{self.writer.subresource}"'
        return shown + (f" using {self.writer.api_version}" if self.writer.operation == UPDATE else "")


class ApplyConflictError(Exception):
    """Fields of other managers would change and ``force`` was not given."""

    def __init__(self, conflicts: list[Conflict]) -> None:
        super().__init__(_conflict_message(conflicts))
        self.conflicts = conflicts

    def causes(self) -> list[dict[str, str]]:
        """One cause per field, naming its manager."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {conflict.shown_manager()}", "field": path}
            for conflict in self.conflicts
            for path in field_sets.paths(conflict.fields)
        ]


def _conflict_message(conflicts: list[Conflict]) -> str:
    lines = [(conflict.shown_manager(), path) for conflict in conflicts for path in field_sets.paths(conflict.fields)]
    if len(lines) == 1:
        return f"Apply failed with 1 conflict: conflict with {lines[0][0]}: {lines[0][1]}"
    parts = []
    for manager in sorted({manager for manager, _ in lines}):
        parts.append(f"conflicts with {manager}:")
        parts.extend(f"- {path}" for shown, path in lines if shown == manager)
    return f"Apply failed with {len(lines)} conflicts: " + "\n".join(parts)


def decode(managed_fields: list[dict[str, Any]] | None) -> Managed:
    """Read ``metadata.managedFields``; entries that are no entries are dropped."""
    result: Managed = {}
    for raw in managed_fields or ():
        if not raw.get("operation"):
            continue
        writer = Writer(
            raw.get("manager", ""), raw["operation"], raw.get("apiVersion", ""), raw.get("time", ""), raw.get("subresource", "")
        )
        result[writer.identity] = Entry(writer, raw.get("fieldsV1") or {})
    return result


def encode(managed: Managed) -> list[dict[str, Any]]:
    """Write ``metadata.managedFields``, in the order of the API server."""

    def order(entry: Entry) -> tuple[str, str, str, str, str]:
        writer = entry.writer
        return (writer.operation, writer.time, writer.manager, writer.api_version, writer.subresource)

    result = []
    for entry in sorted(managed.values(), key=order):
        raw = {
            "manager": entry.writer.manager,
            "operation": entry.writer.operation,
            "apiVersion": entry.writer.api_version,
            "time": entry.writer.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": entry.fields,
        }
        if entry.writer.subresource:
            raw["subresource"] = entry.writer.subresource
        result.append(raw)
    return result


def is_reset(managed_fields: list[dict[str, Any]] | None) -> bool:
    """Whether a request asks to forget all managers (an empty list, or a list of one empty entry)."""
    return managed_fields is not None and (managed_fields == [] or managed_fields == [{}])


def apply(
    kind: Type, live: dict[str, Any], config: dict[str, Any], managed: Managed, writer: Writer, force: bool, ignored: FieldSet
) -> tuple[dict[str, Any], Managed]:
    """Server-side apply of ``config`` over ``live`` (``{}`` when there is none).

    ``ignored`` are the trees that this endpoint never writes (``status``, or all but ``status``). Neither object has
    ``metadata.managedFields``.

    Returns:
        The merged object, and its managers.

    Raises:
        ApplyConflictError: other managers own fields that would change, and ``force`` is not set.
        typed.MergeKeyError: a keyed list of ``config`` misses a key or has one twice.
    """
    managed = dict(managed)
    if not managed and live:
        before = replace(writer, manager=BEFORE_FIRST_APPLY, operation=UPDATE)
        managed = _updated(kind, {}, live, {}, before, ignored)
    merged = typed.merge(kind, live, config)
    fields = field_sets.without_trees(typed.field_set(kind, config), ignored)
    last = managed.get(writer.identity)
    managed[writer.identity] = Entry(writer, fields)
    if last is not None and last.fields:
        everything: FieldSet = {}
        for entry in managed.values():
            everything = field_sets.union(everything, entry.fields)
        merged = typed.remove_disowned(kind, merged, last.fields, everything)
    change = typed.compare(kind, live, merged)
    managed = _released(managed, change, writer, force, ignored)
    own = field_sets.difference(managed[writer.identity].fields, _NEVER_OWNED)
    if own:
        managed[writer.identity] = Entry(_time_kept(writer, last, own), own)
    else:
        del managed[writer.identity]
    return merged, managed


def _time_kept(writer: Writer, last: Entry | None, fields: FieldSet) -> Writer:
    if last is not None and last.fields == fields and last.writer.api_version == writer.api_version:
        return last.writer
    return writer


def _released(managed: Managed, change: typed.Comparison, writer: Writer, force: bool, ignored: FieldSet) -> Managed:
    """The managers after others lost what was changed or removed under them."""
    written = field_sets.without_trees(field_sets.union(change.modified, change.added), ignored)
    removed = field_sets.without_trees(change.removed, ignored)
    if not written and not removed:
        return managed
    result: Managed = {}
    conflicts = []
    for identity, entry in managed.items():
        if identity == writer.identity:
            result[identity] = entry
            continue
        taken = field_sets.intersection(entry.fields, written)
        if taken:
            conflicts.append(Conflict(entry.writer, taken))
        kept = field_sets.difference(field_sets.difference(entry.fields, taken), removed)
        if kept:
            result[identity] = entry if kept == entry.fields else Entry(entry.writer, kept)
    if conflicts and not force:
        raise ApplyConflictError(conflicts)
    return result


def update(kind: Type, live: dict[str, Any], new: dict[str, Any], managed: Managed, writer: Writer, ignored: FieldSet) -> Managed:
    """Managers after a create (``live`` is ``{}``), PUT or patch other than apply made ``live`` into ``new``.

    An object whose managers were reset stays untracked until somebody applies.
    """
    if not managed and live:
        return {}
    return _updated(kind, live, new, managed, writer, ignored)


def _updated(kind: Type, live: dict[str, Any], new: dict[str, Any], managed: Managed, writer: Writer, ignored: FieldSet) -> Managed:
    change = typed.compare(kind, live, new)
    if change.is_same():
        return managed
    nobody = replace(writer, manager="", operation="")
    result = dict(_released(managed, change, nobody, True, ignored))
    gained = field_sets.without_trees(field_sets.union(change.modified, change.added), ignored)
    gained = field_sets.difference(gained, _NEVER_OWNED)
    if gained:
        previous = result.get(writer.identity)
        result[writer.identity] = Entry(writer, field_sets.union(previous.fields, gained) if previous else gained)
    return result
