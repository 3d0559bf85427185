"""What the loop needs of the cluster; see `edge_agent.apply.engine.ApplyEngine`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from edge_agent.model import Assessment, ConvergeResult, DriftHint, InventoryEntry, PruneResult, Render


class Engine(Protocol):
    """One cluster."""

    async def converge(self, render: Render, *, force_full: bool = False) -> ConvergeResult: ...
    async def assess(self, render: Render, *, since: datetime, now: datetime) -> Assessment: ...
    async def prune(self, app: str, keep: Sequence[Render]) -> PruneResult: ...
    async def discard_created(self, app: str, bad: Render, good: Render) -> PruneResult: ...
    async def rebuild_inventory(self, app: str | None) -> dict[str, tuple[InventoryEntry, ...]]: ...
    def watch_changes(self, apps: Sequence[str]) -> AsyncIterator[DriftHint]: ...


class Cluster(Protocol):
    """Which cluster there is, and the way to it."""

    async def connect(self) -> tuple[Engine, str, str]:
        """Engine, uid and version.

        Raises:
            KubeError: it cannot be reached.
        """
        ...

    async def identify(self) -> str:
        """The uid of the cluster that answers now.

        Raises:
            KubeError: it cannot be reached.
        """
        ...

    async def close(self) -> None: ...
