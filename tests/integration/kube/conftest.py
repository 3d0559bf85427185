"""An engine on a cluster: in memory, and on the real control plane; the same stories on both."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge_agent.apply.engine import ApplyEngine
from edge_agent.kube.client import KubeClient
from edge_agent.model import Assessment, ConvergeResult, InventoryEntry, Manifest, PruneResult, Render, Verdict
from shared.clock import SystemClock
from shared.contracts.event import ObjectRef
from shared.contracts.release import DeliveryPolicy
from tests.fixtures_kubernetes import Cluster, cluster, control_plane_kubeconfig

__all__ = ["cluster", "control_plane_kubeconfig"]
_numbers = itertools.count(1)


class MemoryInventory:
    """Keeps inventories and every state they were saved in; `on_save` may raise, as a full disk or a power cut would."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[InventoryEntry, ...]] = {}
        self.saves: list[tuple[InventoryEntry, ...]] = []
        self.on_save: Callable[[], None] = lambda: None

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        return self.kept.get(app, ())

    def save(self, app: str, entries: Any) -> None:
        self.on_save()
        self.kept[app] = tuple(entries)
        self.saves.append(tuple(entries))


@dataclass
class Bench:
    """One app on one cluster."""

    cluster: Cluster
    kube: KubeClient
    app: str
    inventory: MemoryInventory = field(default_factory=MemoryInventory)
    clock: SystemClock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        self.engine = self.new_engine()

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def new_engine(self) -> ApplyEngine:
        """As after a restart of the agent: nothing remembered but the inventory."""
        self.engine = ApplyEngine(self.kube, self.inventory, self.clock)
        return self.engine

    def render(self, *objects: Manifest, version: str = "1.0.0", app: str = "", namespace: str = "") -> Render:
        return Render(app or self.app, "0" * 64, version, namespace or self.namespace, objects, DeliveryPolicy())

    async def apply(self, *objects: Manifest, force_full: bool = False) -> ConvergeResult:
        """Passes until none waits any more, or one is stopped."""
        render = self.render(*objects)
        async with asyncio.timeout(40):
            while (result := await self.engine.converge(render, force_full=force_full)).waiting:
                await asyncio.sleep(0.1)
        return result

    async def verdict(self, *objects: Manifest, since: datetime | None = None) -> Assessment:
        """The first assessment that is not progressing."""
        render = self.render(*objects)
        start = since or self.clock.wall()
        async with asyncio.timeout(40):
            while True:
                assessment = await self.engine.assess(render, since=start, now=self.clock.wall())
                if assessment.verdict is not Verdict.PROGRESSING:
                    return assessment
                await asyncio.sleep(0.2)

    async def prune(self, *keep: Render) -> list[PruneResult]:
        """Prunes until nothing is pending; all results."""
        results = []
        async with asyncio.timeout(40):
            while True:
                results.append(await self.engine.prune(self.app, keep))
                if not results[-1].pending:
                    return results
                await asyncio.sleep(0.2)

    async def live(self, kind: str, name: str) -> Manifest:
        return await self.cluster.get(kind, name)

    async def is_gone(self, kind: str, name: str) -> bool:
        return await self.cluster.is_gone(kind, name)

    def ref(self, kind: str, name: str, group: str = "") -> ObjectRef:
        return ObjectRef(group=group, kind=kind, namespace=self.namespace, name=name)

    def refs_in_inventory(self) -> set[str]:
        return {f"{entry.ref.kind} {entry.ref.name}" for entry in self.inventory.load(self.app)}


def actions(result: ConvergeResult) -> dict[str, str]:
    """Kind and name to action."""
    return {f"{change.ref.kind} {change.ref.name}": change.action for change in result.changes}


@pytest.fixture
async def bench(cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """An engine on the cluster of this test."""
    kubeconfig = tmp_path / "kubeconfig"
    if cluster.memory is not None:
        kubeconfig.write_text(yaml.safe_dump(cluster.memory.kubeconfig()))
    else:
        kubeconfig = request.getfixturevalue("control_plane_kubeconfig")
    kube = await KubeClient.open(kubeconfig)
    try:
        yield Bench(cluster, kube, f"shop-{next(_numbers)}")
    finally:
        await kube.close()
