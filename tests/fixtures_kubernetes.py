"""A Kubernetes API with a scripted node for tests: in memory, or the real control plane, behind one handle.

Import the fixtures into a folder's conftest.py. One real control plane serves the whole run; each test gets a namespace and a
node of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local_cluster import control_plane
from deploy.local_cluster.fake_kubelet import FakeKubelet
from deploy.local_cluster.in_memory import InMemoryCluster, InMemoryServer
from deploy.local_cluster.kube_http import KubeHttp
from deploy.local_cluster.pod_script import Script

RUNNING = "MUNBON_TEST_KUBECONFIG"
"""Environment: kubeconfig of a throw-away control plane that runs already; the tests then start none, and leave namespaces in it."""
FLAVOURS = ("in_memory", pytest.param("control_plane", marks=pytest.mark.control_plane))
_numbers = itertools.count(1)
Obj = dict[str, Any]
_CORE = {
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "Pod": "pods",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
_GROUPS = {
    "Deployment": "apps/v1/deployments",
    "ReplicaSet": "apps/v1/replicasets",
    "StatefulSet": "apps/v1/statefulsets",
    "DaemonSet": "apps/v1/daemonsets",
    "Job": "batch/v1/jobs",
    "CronJob": "batch/v1/cronjobs",
    "Ingress": "networking.k8s.io/v1/ingresses",
    "Role": "rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "rbac.authorization.k8s.io/v1/rolebindings",
}


@dataclass
class Cluster:
    """One API with a namespace for this test, and the node that plays its pods."""

    flavour: str
    kube: KubeHttp
    namespace: str
    kubelet: FakeKubelet
    kubeconfig: str
    memory: InMemoryCluster | None = None

    @property
    def script(self) -> Script:
        return self.kubelet.script

    def path(self, kind: str, name: str = "") -> str:
        """Path of a namespaced object of a built-in kind, or of their collection."""
        root = f"/api/v1/namespaces/{self.namespace}/{_CORE[kind]}" if kind in _CORE else self._grouped(kind)
        return f"{root}/{name}" if name else root

    def _grouped(self, kind: str) -> str:
        group, version, plural = _GROUPS[kind].split("/")
        return f"/apis/{group}/{version}/namespaces/{self.namespace}/{plural}"

    async def apply(self, obj: Obj, manager: str = "munbon", *, force: bool = False, **query: str) -> Obj:
        """Server-side apply of an object of a built-in namespaced kind."""
        return await self.kube.apply(self.path(obj["kind"], obj["metadata"]["name"]), obj, manager, force=force, **query)

    async def get(self, kind: str, name: str) -> Obj:
        got: Obj = await self.kube.get(self.path(kind, name))
        return got

    async def items(self, kind: str, **query: str) -> list[Obj]:
        listed: list[Obj] = (await self.kube.get(self.path(kind), **query))["items"]
        return listed

    async def is_gone(self, kind: str, name: str) -> bool:
        code, _ = await self.kube.raw("GET", self.path(kind, name))
        return code == 404

    async def until(self, what: str, check: Callable[[], Awaitable[Any]], within_s: float = 40.0) -> Any:
        """Wait until ``check`` gives something true, and return it."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await check()):
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            pytest.fail(f"not within {within_s:g} s: {what}")

    async def until_object(self, kind: str, name: str, what: str, check: Callable[[Obj], Any]) -> Obj:
        """Wait until an object is as ``check`` wants it, and return it."""

        async def look() -> Obj | None:
            code, obj = await self.kube.raw("GET", self.path(kind, name))
            return obj if code == 200 and check(obj) else None

        found: Obj = await self.until(f"{kind} {name} {what}", look)
        return found


@pytest.fixture(scope="session")
def control_plane_kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Kubeconfig of the one real control plane of this run."""
    given = os.environ.get(RUNNING)
    if given:
        yield Path(given)
        return
    if importlib.util.find_spec("tests.fixtures_cluster") is not None:
        importlib.import_module("tests.fixtures_cluster").require_control_plane()
    with _kept_open(control_plane(name="tests")) as handle:
        yield handle.kubeconfig


@contextmanager
def _kept_open(opening: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
    """Hold an asynchronous context open over many tests, in an event loop of its own: each test has another one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="session-cluster", daemon=True)
    thread.start()
    try:
        handle = asyncio.run_coroutine_threadsafe(opening.__aenter__(), loop).result()
        try:
            yield handle
        finally:
            asyncio.run_coroutine_threadsafe(opening.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def in_memory_cluster() -> AsyncIterator[Cluster]:
    """An in-memory cluster over HTTP, with its node."""
    async with InMemoryServer() as server:
        memory = server.add("test", InMemoryCluster(bookmark_interval_s=0.2))
        async with KubeHttp(memory.server_url) as kube, FakeKubelet(kube, "node-memory") as kubelet:
            memory.serve_logs(kubelet.log_of)
            await kube.create("/api/v1/namespaces", {"metadata": {"name": "test"}})
            yield Cluster("in_memory", kube, "test", kubelet, yaml.safe_dump(memory.kubeconfig()), memory)


@asynccontextmanager
async def control_plane_cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """A namespace and a node of their own on the real control plane; nothing runs there afterwards."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    async with KubeHttp.from_kubeconfig(kubeconfig) as kube:
        await kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
        async with FakeKubelet(kube, f"node-{name}", serves_logs=True) as kubelet:
            cluster = Cluster("control_plane", kube, name, kubelet, kubeconfig.read_text())
            await cluster.until("default service account", lambda: _exists(cluster, "ServiceAccount", "default"))
            try:
                yield cluster
            finally:
                await _clear(cluster)


async def _exists(cluster: Cluster, kind: str, name: str) -> bool:
    return not await cluster.is_gone(kind, name)


_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")


async def _clear(cluster: Cluster) -> None:
    """Delete the workloads, the pods and the node. The namespace stays: ending one takes the real controllers several seconds."""
    # version 0: as the cache of the server has it; a list that is up to date waits for the database by up to a second
    options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
    for kind in _WORKLOADS:
        paths = [cluster.path(kind, item["metadata"]["name"]) for item in await cluster.items(kind, resourceVersion="0")]
        await asyncio.gather(*(cluster.kube.raw("DELETE", path, options) for path in paths))
    await cluster.kube.raw("DELETE", f"/api/v1/nodes/{cluster.kubelet.node_name}")


@pytest.fixture(params=FLAVOURS)
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    """The cluster of this test: the same story is told on each flavour."""
    if request.param == "in_memory":
        async with in_memory_cluster() as made:
            yield made
    else:
        async with control_plane_cluster(request.getfixturevalue("control_plane_kubeconfig")) as made:
            yield made
