"""How new a cached answer has to be so that it shows what we wrote ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.kube.discovery import ResourceKind

_ANY = 0


class OwnWrites:
    """The newest resourceVersion that the API server gave us for a write of each kind.

    A plain list waits until the server's watch cache has proof that it is the newest state of the database, 0.1 to 0.7 s on kine;
    one that need not be older than our own last write of the kind is answered at once.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], int] = {}

    def note(self, kind: ResourceKind, written: Mapping[str, Any]) -> None:
        """We wrote this object, or saw it equal in a dry-run."""
        version = str((written.get("metadata") or {}).get("resourceVersion", ""))
        if version.isdecimal():
            key = (kind.group, kind.plural)
            self._newest[key] = max(self._newest.get(key, _ANY), int(version))

    def query(self, kind: ResourceKind) -> dict[str, str]:
        """What a list of the kind asks for."""
        return {"resourceVersion": str(self._newest.get((kind.group, kind.plural), _ANY)), "resourceVersionMatch": "NotOlderThan"}

    def forget(self) -> None:
        """The server says it is not that far: another database has begun to count anew."""
        self._newest.clear()
