"""One apply pass of 100 objects against `kubectl apply --server-side` of the same objects on the same real control plane."""

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median

import yaml

from central.render.sources import kubectl_path
from deploy.harness.processes import ProcessFailed, run_program
from deploy.local_cluster import ClusterHandle, control_plane
from edge_agent.apply.engine import ApplyEngine
from edge_agent.kube.client import KubeClient
from edge_agent.model import InventoryEntry, Manifest, Render
from shared.clock import SystemClock
from shared.contracts.release import DeliveryPolicy
from tests.bench.fleet import best_real_cluster
from tests.bench.result import Result

NAMES = ("apply_100_objects_vs_kubectl_ratio",)
ROUNDS = 15
REST_S = 1.0
"""Before each measurement: the controllers still work on what was applied before."""
COUNTS = {"ConfigMap": 55, "Service": 15, "Deployment": 15, "ServiceAccount": 15}


class MemoryInventory:
    """An inventory without a disk: the disk is measured elsewhere, kubectl writes none either."""

    def __init__(self) -> None:
        self._entries: tuple[InventoryEntry, ...] = ()

    def load(self, app: str) -> tuple[InventoryEntry, ...]:
        """What was saved."""
        return self._entries

    def save(self, app: str, entries: Sequence[InventoryEntry]) -> None:
        """Keep it."""
        self._entries = tuple(entries)


async def run(wanted: frozenset[str]) -> list[Result]:
    """Median of the ratios of 15 rounds; each applies 100 new objects with both, taking turns in going first.

    Ours: open a client, discover, one `ApplyEngine.converge` that creates all 100, close. kubectl: the process, its discovery
    cache warm. "warm": our pass where client and discovery are there already, as in an agent that runs. "no_change": the pass
    after it, with the whole comparison forced.
    """
    best_real_cluster()
    async with control_plane(name="bench") as cluster:
        with tempfile.TemporaryDirectory(prefix="munbon-bench-") as folder:
            rounds = Rounds(cluster, Path(folder))
            await rounds.one(0)  # warms kubectl's discovery cache, the API server, and our imports
            rounds.forget()
            for number in range(1, ROUNDS + 1):
                await rounds.one(number)
            return [rounds.result()]


class Rounds:
    """The rounds on one cluster and their times in seconds."""

    def __init__(self, cluster: ClusterHandle, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self.times: dict[str, list[float]] = {}
        self.requests = 0

    def forget(self) -> None:
        """Times so far do not count."""
        self.times.clear()

    async def one(self, number: int) -> None:
        """Both apply the same objects into new namespaces of their own."""
        steps: list[tuple[str, Callable[[str], Awaitable[None]]]] = [("kubectl", self._kubectl), ("ours", self._ours)]
        for name, step in steps if number % 2 else reversed(steps):
            namespace = f"{name}-{number}"
            await self._make_namespace(namespace)
            await step(namespace)
        await self._make_namespace(f"warm-{number}")
        await self._warm(f"warm-{number}")

    async def _make_namespace(self, name: str) -> None:
        async with self._cluster.client() as kube:
            await kube.request("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
            while (await kube.raw("GET", account))[0] != 200:
                await asyncio.sleep(0.05)
        await asyncio.sleep(REST_S)

    async def _kubectl(self, namespace: str) -> None:
        file = self._folder / f"{namespace}.yaml"
        file.write_text(yaml.safe_dump_all(objects(namespace), sort_keys=False), encoding="utf-8")
        places = ["--kubeconfig", str(self._cluster.kubeconfig), "--cache-dir", str(self._folder / "cache")]
        with self._timed("kubectl"):
            code, _, errors = await run_program([kubectl_path(), *places, "apply", "--server-side", "-f", str(file)])
        if code != 0:
            raise ProcessFailed(f"ended with {code}: {errors.strip()}", subject="kubectl apply")

    async def _ours(self, namespace: str) -> None:
        with self._timed("ours"):
            kube = await KubeClient.open(self._cluster.kubeconfig, SystemClock())
            await converge(kube, ApplyEngine(kube, MemoryInventory(), SystemClock()), namespace, changed=True)
            self.requests = kube.requests_sent
            await kube.close()

    async def _warm(self, namespace: str) -> None:
        kube = await KubeClient.open(self._cluster.kubeconfig, SystemClock())
        engine = ApplyEngine(kube, MemoryInventory(), SystemClock())
        await kube.discovery.refresh()
        with self._timed("warm"):
            await converge(kube, engine, namespace, changed=True)
        with self._timed("no_change"):
            await converge(kube, engine, namespace, changed=False)
        with self._timed("no_change_forced"):
            await converge(kube, engine, namespace, changed=False, force_full=True)
        await kube.close()

    def _timed(self, name: str) -> "Timer":
        return Timer(self.times.setdefault(name, []))

    def result(self) -> Result:
        """The median ratio; the times stand in the params."""
        ratios = [ours / theirs for ours, theirs in zip(self.times["ours"], self.times["kubectl"], strict=True)]
        params = {
            "goal": 0.6,
            "runs": ROUNDS,
            "objects": sum(COUNTS.values()),
            "worst": round(max(ratios), 2),
            "of_medians": round(median(self.times["ours"]) / median(self.times["kubectl"]), 2),
            **{f"{name}_s": round(median(times), 3) for name, times in self.times.items()},
            "requests": self.requests,
            "cluster": "control plane",
            "load_of_machine": round(os.getloadavg()[0], 1),
        }
        return Result("apply_100_objects_vs_kubectl_ratio", round(median(ratios), 3), "ratio", "lower", params)


class Timer:
    """Adds the seconds of a block to a list."""

    def __init__(self, into: list[float]) -> None:
        self._into = into
        self._started_s = 0.0

    def __enter__(self) -> None:
        self._started_s = time.perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._into.append(time.perf_counter() - self._started_s)


async def converge(kube: KubeClient, engine: ApplyEngine, namespace: str, *, changed: bool, force_full: bool = False) -> None:
    """One pass that must end well and do what is expected.

    Raises:
        ProcessFailed: it did something else.
    """
    render = Render(namespace, f"sha256:{'0' * 64}", "1.0.0", namespace, tuple(objects(namespace)), DeliveryPolicy())
    found = await engine.converge(render, force_full=force_full)
    actions = {change.action for change in found.changes}
    if found.waiting or found.cause or len(found.changes) != len(render.objects) or actions != {"created" if changed else "unchanged"}:
        raise ProcessFailed(f"{found.cause} {found.waiting} {len(found.changes)} {actions}", subject="converge")


def objects(namespace: str) -> list[Manifest]:
    """100 objects of an ordinary app; Deployments of no replicas, so that controllers do not measure themselves."""
    made: list[Manifest] = []
    for kind, count in COUNTS.items():
        for number in range(count):
            head = {"name": f"{kind.lower()}-{number:02d}", "namespace": namespace, "labels": {"app": "bench"}}
            made.append({"apiVersion": "apps/v1" if kind == "Deployment" else "v1", "kind": kind, "metadata": head, **body(kind, number)})
    return made


def body(kind: str, number: int) -> Manifest:
    """What a kind has beside its metadata."""
    labels = {"app": f"bench-{number}"}
    if kind == "ConfigMap":
        return {"data": {f"key-{line:02d}": f"value {line} of {number}" for line in range(20)}}
    if kind == "Service":
        return {"spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}
    if kind == "ServiceAccount":
        return {"automountServiceAccountToken": False}
    container = {
        "name": "web",
        "image": "docker.io/munbon/gate-ui:1.0.0",
        "env": [{"name": f"NAME_{index}", "value": str(index)} for index in range(5)],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {"spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}
