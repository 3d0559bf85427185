"""The reading verbs of one cluster: get, list with pages, watch. No I/O but the waiting of a watch."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from deploy.local_cluster.in_memory import errors, selectors
from deploy.local_cluster.in_memory.kinds import Kind
from deploy.local_cluster.in_memory.storage import ADDED, DELETED, MODIFIED, Change, Obj, Store

_SLOW_WATCH_LIMIT = 5000
_INITIAL_END = "k8s.io/initial-events-end"


@dataclass(frozen=True)
class Selection:
    """Which objects of a kind a request speaks of."""

    kind: Kind
    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""

    def matcher(self) -> Callable[[Obj], bool]:
        """A test on objects.

        Raises:
            ApiError: 400 when a selector cannot be read.
        """
        try:
            by_label = selectors.parse_labels(self.label_selector)
            by_field = selectors.parse_fields(self.field_selector)
        except selectors.SelectorError as error:
            raise errors.bad_request(str(error)) from error
        namespace = self.namespace

        def matches(obj: Obj) -> bool:
            metadata = obj["metadata"]
            if namespace and metadata.get("namespace") != namespace:
                return False
            return by_label(metadata.get("labels") or {}) and by_field(obj)

        return matches


def _order(obj: Obj) -> tuple[str, str]:
    metadata = obj["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])


def list_objects(store: Store, selection: Selection, limit: int, token: str) -> Obj:
    """LIST: the objects in order of namespace and name, ``limit`` a page (0: all).

    A page after the first shows the objects as they are now, not as they were at the first page.

    Raises:
        ApiError: 400 for a broken selector or token, 410 when the history since the first page is compacted.
    """
    kind = selection.kind
    matches = selection.matcher()
    found = sorted((obj for obj in store.all(kind.id, selection.namespace or None) if matches(obj)), key=_order)
    version = store.version
    if token:
        version, start = _read_token(token)
        if store.is_compacted(version):
            raise errors.expired("The provided continue parameter is too old to display a consistent list result.")
        found = [obj for obj in found if _order(obj) > start]
    metadata: Obj = {"resourceVersion": str(version)}
    if limit and len(found) > limit:
        metadata["continue"] = _token(version, _order(found[limit - 1]))
        metadata["remainingItemCount"] = len(found) - limit
        found = found[:limit]
    items = found if kind.custom else [{key: value for key, value in obj.items() if key not in ("kind", "apiVersion")} for obj in found]
    return {"kind": kind.kind + "List", "apiVersion": kind.api_version, "metadata": metadata, "items": items}


def _token(version: int, start: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *start]).encode()).decode()


def _read_token(token: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(token))
        return int(version), (str(namespace), str(name))
    except ValueError as error:
        raise errors.bad_request(f"continue key is not valid: {error}") from error


class Watch:
    """One running watch. Events are queued at the write itself; reading them waits."""

    def __init__(self, store: Store, selection: Selection, query: dict[str, str], bookmark_interval_s: float) -> None:
        self._store = store
        self._kind = selection.kind
        self._matches = selection.matcher()
        self._bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
        self._bookmark_interval_s = bookmark_interval_s
        self.timeout_s = float(query.get("timeoutSeconds") or 0)
        self._queue: deque[Obj] = deque()
        self._wake = asyncio.Event()
        self._stopped = False
        self._start(query)
        self._unlisten = store.listen(self._note)

    def _start(self, query: dict[str, str]) -> None:
        version = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") in ("true", "1")
        if version in ("", "0") or initial:
            current = [obj for obj in self._store.all(self._kind.id) if self._matches(obj)]
            self._queue.extend({"type": ADDED, "object": obj} for obj in sorted(current, key=_order))
            if initial:
                self._queue.append(self._bookmark({_INITIAL_END: "true"}))
            return
        if not version.isdigit():
            raise errors.ApiError(
                500, "", f'resourceVersion: Invalid value: "{version}": strconv.ParseUint: parsing "{version}": invalid syntax'
            )
        changes = self._store.changes_since(int(version), self._kind.id)
        if changes is None:
            self._queue.append({"type": "ERROR", "object": errors.expired(f"too old resource version: {version}").status()})
            self._stopped = True
            return
        for change in changes:
            self._note(change)

    def _note(self, change: Change) -> None:
        if change.kind_id != self._kind.id or self._stopped:
            return
        event = self._event(change)
        if event is None:
            return
        self._queue.append(event)
        if len(self._queue) > _SLOW_WATCH_LIMIT:
            self._stopped = True
        self._wake.set()

    def _event(self, change: Change) -> Obj | None:
        """The event as this selection sees it: an object may come into or leave the selection by a change."""
        before = change.before is not None and self._matches(change.before)
        after = change.type != DELETED and self._matches(change.obj)
        if after:
            return {"type": MODIFIED if before else ADDED, "object": change.obj}
        if not before:
            return None
        if change.type == DELETED or change.before is None:
            return {"type": DELETED, "object": change.obj}
        metadata = {**change.before["metadata"], "resourceVersion": str(change.version)}
        return {"type": DELETED, "object": {**change.before, "metadata": metadata}}

    def _bookmark(self, annotations: dict[str, str] | None = None) -> Obj:
        metadata: Obj = {"resourceVersion": str(self._store.version)}
        if annotations:
            metadata["annotations"] = annotations
        return {"type": "BOOKMARK", "object": {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}}

    def fail(self, error: errors.ApiError) -> None:
        """End the watch with an ERROR event."""
        self._queue.append({"type": "ERROR", "object": error.status()})
        self.stop()

    def stop(self) -> None:
        """End the watch after the events that are queued."""
        self._stopped = True
        self._wake.set()

    def close(self) -> None:
        """Stop listening."""
        self.stop()
        self._unlisten()

    async def batches(self) -> AsyncIterator[list[Obj]]:
        """Events as they come, until the watch ends."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self.timeout_s if self.timeout_s else None
        next_bookmark = loop.time() + self._bookmark_interval_s
        while True:
            if self._queue:
                batch = list(self._queue)
                self._queue.clear()
                yield batch
                continue
            now = loop.time()
            if self._stopped or (ends_at is not None and now >= ends_at):
                return
            if self._bookmarks and now >= next_bookmark:
                next_bookmark = now + self._bookmark_interval_s
                yield [self._bookmark()]
                continue
            self._wake.clear()
            deadlines = [when for when in (ends_at, next_bookmark if self._bookmarks else None) if when is not None]
            try:
                async with asyncio.timeout_at(min(deadlines) if deadlines else None):
                    await self._wake.wait()
            except TimeoutError:
                continue
