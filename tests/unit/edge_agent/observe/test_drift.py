"""Hints of drift, on the in-memory cluster with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml

from edge_agent.kube.client import KubeClient
from edge_agent.model import DriftHint, InventoryEntry
from edge_agent.observe.drift import KINDS_EVERY_S, SETTLE_S, DriftWatch, WatchedInventory
from shared.contracts.event import ObjectRef
from tests.builders_kubernetes import config_map
from tests.fakes.fake_clock import FakeClock
from tests.fixtures_kubernetes import Cluster, in_memory_cluster

APP = "shop"


class Kept:
    """An inventory in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[InventoryEntry, ...]] = {}

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        return self.entries.get(app, ())

    def save(self, app: str, entries: object) -> None:
        self.entries[app] = tuple(entries)  # type: ignore[arg-type]  # a sequence of entries


class Bench:
    """A watch over one app, its hints, and a clock that stands still unless the test moves it."""

    def __init__(self, cluster: Cluster, kube: KubeClient, clock: FakeClock) -> None:
        self.cluster, self.clock = cluster, clock
        self.inventory = WatchedInventory(Kept())
        self.own: set[str] = set()
        self.hints: list[DriftHint] = []
        watch = DriftWatch(kube, [APP], self.inventory, lambda _app, _ref, version: version in self.own)
        self._task = asyncio.create_task(self._collect(watch))

    async def _collect(self, watch: DriftWatch) -> None:
        async with aclosing(watch.hints()) as hints:
            async for hint in hints:
                self.hints.append(hint)  # each as it comes, not all at the end

    async def apply(self, name: str = "settings") -> ObjectRef:
        """As a pass does it: into the inventory first, then to the cluster."""
        ref = ObjectRef(kind="ConfigMap", namespace=self.cluster.namespace, name=name)
        self.inventory.save(APP, [InventoryEntry(ref, "v1", "uid", created=True)])
        manifest = config_map(name, a="1")
        manifest["metadata"]["labels"] = {"munbon.io/app": APP}
        made = await self.cluster.apply(manifest)
        self.own.add(made["metadata"]["resourceVersion"])
        return ref

    async def until(self, wanted: DriftHint, within_s: float) -> float:
        """Seconds of the watch's clock until a hint is there; fails where it takes longer than `within_s`."""
        began_s = self.clock.monotonic_s()
        async with asyncio.timeout(20):
            while wanted not in self.hints:
                # the cluster answers in real time: the clock goes on slowly, and not further than allowed
                if self.clock.monotonic_s() - began_s < within_s:
                    await self.clock.advance(SETTLE_S / 20)
                await asyncio.sleep(0.01)
        return self.clock.monotonic_s() - began_s

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with in_memory_cluster() as cluster:
        assert cluster.memory is not None
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(cluster.memory.kubeconfig()))
        clock = FakeClock()
        kube = await KubeClient.open(path, clock)
        made = Bench(cluster, kube, clock)
        await clock.settle()
        yield made
        await made.stop()
        await kube.close()


async def test_a_change_by_hand_in_an_apps_first_seconds_is_hinted_at_in_time(bench: Bench) -> None:
    ref = await bench.apply()
    await bench.cluster.kube.patch(bench.cluster.path("ConfigMap", ref.name), {"data": {"a": "9"}})

    waited_s = await bench.until(DriftHint(APP, ref, "changed"), within_s=KINDS_EVERY_S / 4)

    assert waited_s < KINDS_EVERY_S / 4


async def test_what_was_changed_before_the_watch_stood_is_found_by_its_first_list(bench: Bench) -> None:
    ref = await bench.apply()
    bench.own.clear()  # somebody wrote after us, and the watch sees only the outcome

    await bench.until(DriftHint(APP, ref, "changed"), within_s=KINDS_EVERY_S / 4)


async def test_an_inventory_that_could_not_be_saved_rings_no_bell() -> None:
    class Full(Kept):
        def save(self, app: str, entries: object) -> None:
            raise OSError("disk full")

    inventory = WatchedInventory(Full())
    with inventory.bell() as bell:
        with pytest.raises(OSError, match="disk full"):
            inventory.save(APP, [])
        assert not bell.is_set()
    quiet = WatchedInventory(Kept())
    with quiet.bell() as bell:
        quiet.save(APP, [])
        assert bell.is_set()
