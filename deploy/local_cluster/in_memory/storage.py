"""Objects of one cluster, their history, and who listens. No I/O, no time; objects are never changed in place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Obj = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"


class Change(NamedTuple):
    """One write: ``obj`` is the object after it (for DELETED: its last state with the version of the delete)."""

    version: int
    kind_id: str
    type: str
    obj: Obj
    before: Obj | None


class Store:
    """Objects by kind and key, with one version counter for all.

    ``history_limit`` is how many changes are kept for watches that start in the past; older ones are compacted.
    """

    def __init__(self, history_limit: int) -> None:
        self.version = 1
        self._objects: dict[str, dict[Key, Obj]] = {}
        self._history: deque[Change] = deque(maxlen=history_limit)
        self._dropped_up_to = 0
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``listener`` at each change, at once and in order; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def get(self, kind_id: str, key: Key) -> Obj | None:
        """The object, or None."""
        return self._objects.get(kind_id, {}).get(key)

    def all(self, kind_id: str, namespace: str | None = None) -> list[Obj]:
        """Objects of a kind (in one namespace, when given), in no order."""
        objects = self._objects.get(kind_id, {})
        if namespace is None:
            return list(objects.values())
        return [obj for key, obj in objects.items() if key[0] == namespace]

    def kinds(self) -> list[str]:
        """Kinds of which there are objects."""
        return [kind_id for kind_id, objects in self._objects.items() if objects]

    def put(self, kind_id: str, obj: Obj) -> Obj:
        """Store ``obj`` under a new version, which is written into its (fresh) metadata."""
        self.version += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.version)
        key = (metadata.get("namespace", ""), metadata["name"])
        objects = self._objects.setdefault(kind_id, {})
        before = objects.get(key)
        objects[key] = obj
        self._record(Change(self.version, kind_id, MODIFIED if before is not None else ADDED, obj, before))
        return obj

    def remove(self, kind_id: str, key: Key) -> Obj:
        """Take the object out; returns its last state, under the version of the delete.

        Raises:
            KeyError: there is no such object.
        """
        before = self._objects[kind_id].pop(key)
        self.version += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
        self._record(Change(self.version, kind_id, DELETED, last, before))
        return last

    def _record(self, change: Change) -> None:
        if len(self._history) == self._history.maxlen:
            self._dropped_up_to = self._history[0].version
        self._history.append(change)
        for listener in list(self._listeners):
            listener(change)

    def changes_since(self, version: int, kind_id: str) -> Iterable[Change] | None:
        """Changes of a kind after ``version``; None when they are compacted."""
        if version < self._dropped_up_to:
            return None
        return [change for change in self._history if change.version > version and change.kind_id == kind_id]

    def is_compacted(self, version: int) -> bool:
        """Whether the state at ``version`` can no longer be told."""
        return version < self._dropped_up_to

    def compact(self) -> None:
        """Forget all history up to now."""
        self._history.clear()
        self._dropped_up_to = self.version
