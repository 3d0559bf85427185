"""The Kubernetes of one node, of three kinds behind one handle: in memory, a real control plane with a scripted node, a full node."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from deploy.harness.processes import ProcessFailed
from deploy.local_cluster.fake_kubelet import FakeKubelet
from deploy.local_cluster.handle import ClusterHandle
from deploy.local_cluster.in_memory import InMemoryCluster, InMemoryServer
from deploy.local_cluster.kube_http import KubeHttp, KubeHttpError

ClusterKind = Literal["memory", "control_plane", "full", "k3s"]
Obj = dict[str, Any]
_PLURALS = {
    "ConfigMap": "/api/v1/{}configmaps",
    "Secret": "/api/v1/{}secrets",
    "Service": "/api/v1/{}services",
    "Pod": "/api/v1/{}pods",
    "Namespace": "/api/v1/namespaces",
    "Deployment": "/apis/apps/v1/{}deployments",
    "ReplicaSet": "/apis/apps/v1/{}replicasets",
    "Job": "/apis/batch/v1/{}jobs",
}
_READ_PAGE = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode(), end='')"
_CLUSTER_WIDE = ("Namespace",)


@dataclass
class Steering:
    """How a kind of cluster is taken away, brought back and made anew."""

    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]
    reinstall: Callable[[], Awaitable[None]]


@dataclass
class NodeCluster:
    """The cluster of one node, as a story reads and disturbs it.

    Attributes:
        kubelet: plays the pods; None on a full node, where they are real.
        handle: of a real cluster; None in memory.
    """

    name: str
    kind: ClusterKind
    kubeconfig: Path
    kube: KubeHttp
    steering: Steering = field(repr=False)
    kubelet: FakeKubelet | None = None
    handle: ClusterHandle | None = None

    def path(self, kind: str, name: str = "", namespace: str = "default") -> str:
        """API path of an object of a usual kind, or of its collection."""
        place = "" if kind in _CLUSTER_WIDE else f"namespaces/{namespace}/"
        root = _PLURALS[kind].format(place)
        return f"{root}/{name}" if name else root

    async def find(self, kind: str, name: str, namespace: str = "default") -> Obj | None:
        """One object, or None."""
        code, found = await self.kube.raw("GET", self.path(kind, name, namespace))
        if code == 404:
            return None
        if code >= 400:
            raise KubeHttpError(code, found if isinstance(found, dict) else {}, f"GET {kind} {name}")
        return dict(found)

    async def items(self, kind: str, namespace: str = "default", **query: str) -> list[Obj]:
        """All objects of a kind in a namespace."""
        return list((await self.kube.get(self.path(kind, namespace=namespace), **query))["items"])

    async def names(self, kind: str, app: str, namespace: str = "default") -> set[str]:
        """Names of the objects that carry Munbon's label of an app."""
        return {each["metadata"]["name"] for each in await self.items(kind, namespace, labelSelector=f"munbon.io/app={app}")}

    async def ready_replicas(self, app: str, namespace: str = "default") -> int:
        """Ready pods of a Deployment; 0 where it is not there."""
        found = await self.find("Deployment", app, namespace)
        return int((found or {}).get("status", {}).get("readyReplicas", 0))

    async def read_page(self, app: str, namespace: str = "default") -> str:
        """What the pods of a full node answer through their Service.

        Raises:
            ProcessFailed: no Service, or no answer.
        """
        service = await self.find("Service", app, namespace)
        if self.handle is None or service is None:
            raise ProcessFailed("no Service that answers", subject=f"{app} on {self.name}")
        address = service["spec"]["clusterIP"]
        code, page, errors = await self.handle.run_inside(sys.executable, "-c", _READ_PAGE, f"http://{address}/")
        if code != 0:
            raise ProcessFailed(f"http://{address}/ ended with {code}: {errors.strip()}", subject=f"{app} on {self.name}")
        return page

    async def kube_system_uid(self) -> str:
        """The cluster's identity."""
        return str((await self.kube.get("/api/v1/namespaces/kube-system"))["metadata"]["uid"])

    async def stop(self) -> None:
        """It goes away; its state stays."""
        await self.steering.stop()

    async def start(self) -> None:
        """It comes back with its state."""
        await self.steering.start()

    async def reinstall(self) -> None:
        """It is made anew and empty at the same address, with another kube-system UID."""
        await self.steering.reinstall()
        if self.kubelet is not None:
            await self.kubelet.stop()
            await self.kubelet.start()


@asynccontextmanager
async def memory_cluster(server: InMemoryServer, name: str, folder: Path) -> AsyncIterator[NodeCluster]:
    """An in-memory cluster with a scripted node."""
    held = [server.add(name, InMemoryCluster(bookmark_interval_s=1.0))]
    kubeconfig = folder / "kubeconfig"
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig.write_text(yaml.safe_dump(held[0].kubeconfig()))

    async def set_down(is_down: bool) -> None:
        held[0].is_down = is_down
        if is_down:
            server.cut_watches(name)

    async with KubeHttp(held[0].server_url) as kube, FakeKubelet(kube, name) as kubelet:
        held[0].serve_logs(kubelet.log_of)

        async def reinstall() -> None:
            server.remove(name)
            held[0] = server.add(name, InMemoryCluster(bookmark_interval_s=1.0))
            held[0].serve_logs(kubelet.log_of)

        steering = Steering(stop=lambda: set_down(True), start=lambda: set_down(False), reinstall=reinstall)
        try:
            yield NodeCluster(name, "memory", kubeconfig, kube, steering, kubelet)
        finally:
            server.remove(name)


@asynccontextmanager
async def control_plane_cluster(name: str) -> AsyncIterator[NodeCluster]:
    """A real control plane of this node's own, with a scripted node."""
    launcher = importlib.import_module("deploy.local_cluster")
    async with AsyncExitStack() as stack:
        handle: ClusterHandle = await stack.enter_async_context(launcher.control_plane(name=name))
        kube = await stack.enter_async_context(handle.client())
        kubelet = await stack.enter_async_context(FakeKubelet(kube, name, serves_logs=True))
        steering = Steering(handle.stop, handle.start, lambda: handle.reinstall(keep_identity=True))
        yield NodeCluster(name, "control_plane", handle.kubeconfig, kube, steering, kubelet, handle)


@asynccontextmanager
async def full_node_cluster(name: str) -> AsyncIterator[NodeCluster]:
    """A node with real containers, in a network namespace of its own; the test images are on it.

    Raises:
        ProcessFailed: this machine has no launcher for it.
    """
    launcher = importlib.import_module("deploy.local_cluster")
    full_node = getattr(launcher, "full_node", None)
    if full_node is None:
        raise ProcessFailed("the launcher of full nodes is not here", subject=name)
    async with AsyncExitStack() as stack:
        handle: ClusterHandle = await stack.enter_async_context(full_node(name))
        kube = await stack.enter_async_context(handle.client())
        steering = Steering(handle.stop, handle.start, lambda: handle.reinstall(keep_identity=True))
        yield NodeCluster(name, "full", handle.kubeconfig, kube, steering, None, handle)


def open_cluster(kind: ClusterKind, name: str, folder: Path, memory: InMemoryServer) -> Any:
    """The cluster of a node, as an asynchronous context."""
    if kind == "memory":
        return memory_cluster(memory, name, folder)
    return control_plane_cluster(name) if kind == "control_plane" else full_node_cluster(name)
