"""Our own watch loop (kubernetes.md 5): list, watch with bookmarks, relist on 410, never silent for long, jittered backoff."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.errors import KubeError, KubeExpired, error_from
from edge_agent.model import Manifest
from shared.backoff import full_jitter_s

SILENCE_S = 75.0
"""Bookmarks come about every 60 s; longer silence means that the path is dead."""
WATCH_S = 280
LONGEST_BACKOFF_S = 30.0
RECONNECT_PAUSE_S = 0.1
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class WatchEvent:
    """An object came, changed or went. After a relist, what was missed is told the same way."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Manifest


class Watcher:
    """Objects of one kind by label, for as long as it is iterated. Knows names and versions, keeps no objects."""

    def __init__(
        self,
        kube: KubeClient,
        kind: ResourceKind,
        *,
        namespace: str = "",
        label_selector: str = "",
        metadata_only: bool = True,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._kube = kube
        self._kind = kind
        self._namespace = namespace
        self._label_selector = label_selector
        self._metadata_only = metadata_only
        self._silence_s = silence_s
        self._known: dict[tuple[str, str], Manifest] = {}
        self._version = ""
        self._failures = 0

    async def events(self) -> AsyncIterator[WatchEvent]:
        """Everything that is there, then every change; ends only by cancellation."""
        while True:
            try:
                if not self._version:
                    for event in await self._relist():
                        yield event
                async for event in self._watch():
                    yield event
                await self._kube.clock.sleep(RECONNECT_PAUSE_S)
            except KubeExpired:
                self._version = ""
                await self._back_off()
            except KubeError as error:
                _log.debug("watch_broken", kind=self._kind.kind, error=str(error), failures=self._failures)
                await self._back_off()

    async def _back_off(self) -> None:
        delay_s = full_jitter_s(self._failures, self._kube.unit(), base_s=1.0, cap_s=LONGEST_BACKOFF_S)
        self._failures += 1
        await self._kube.clock.sleep(max(RECONNECT_PAUSE_S, delay_s))

    async def _relist(self) -> list[WatchEvent]:
        listing = await self._kube.list(self._kind, self._namespace, label_selector=self._label_selector, metadata_only=self._metadata_only)
        now = {_key(item): item for item in listing.items}
        events = [WatchEvent("DELETED", gone) for key, gone in self._known.items() if key not in now]
        for key, item in now.items():
            before = self._known.get(key)
            if before is None:
                events.append(WatchEvent("ADDED", item))
            elif _version(before) != _version(item):
                events.append(WatchEvent("MODIFIED", item))
        self._known = {key: _stub(item) for key, item in now.items()}
        self._version = listing.resource_version
        self._failures = 0
        return events

    async def _watch(self) -> AsyncIterator[WatchEvent]:
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": self._version, "timeoutSeconds": str(WATCH_S)}
        if self._label_selector:
            query["labelSelector"] = self._label_selector
        opened = self._kube.stream(self._kind, self._namespace, query, metadata_only=self._metadata_only, silence_s=self._silence_s)
        async with opened as lines:
            async for line in lines:
                event = self._understand(line)
                self._failures = 0
                if event is not None:
                    yield event

    def _understand(self, line: bytes) -> WatchEvent | None:
        """One line of the stream; notes the version that it brings.

        Raises:
            KubeError: the line is an error; KubeExpired (410) asks for a new list.
        """
        try:
            parsed = json.loads(line)
        except ValueError as error:
            raise KubeExpired("the watch sent a broken line", subject=self._kind.kind) from error
        kind, item = parsed.get("type"), parsed.get("object") or {}
        if kind == "ERROR":
            raise error_from(int(item.get("code") or 500), item, f"watch of {self._kind.kind}")
        self._version = _version(item) or self._version
        if kind not in ("ADDED", "MODIFIED", "DELETED"):
            return None
        if kind == "DELETED":
            self._known.pop(_key(item), None)
        else:
            self._known[_key(item)] = _stub(item)
        return WatchEvent(kind, item)


def _metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _key(item: Manifest) -> tuple[str, str]:
    found = _metadata(item)
    return str(found.get("namespace", "")), str(found.get("name", ""))


def _version(item: Manifest) -> str:
    return str(_metadata(item).get("resourceVersion", ""))


def _stub(item: Manifest) -> Manifest:
    """What a later DELETED must still tell: who it was."""
    found = _metadata(item)
    kept = ("name", "namespace", "uid", "resourceVersion", "generation", "labels")
    return {"metadata": {key: found[key] for key in kept if key in found}}
