"""The fake kubelet keeps up with its cluster whatever happens to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from deploy.local_cluster.fake_kubelet import FakeKubelet
from deploy.local_cluster.in_memory import InMemoryCluster, InMemoryServer
from deploy.local_cluster.kube_http import KubeHttp
from deploy.local_cluster.pod_script import CrashLoopBackOff, Script

PODS = "/api/v1/namespaces/default/pods"


def a_pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}


@asynccontextmanager
async def a_node(script: Script | None = None) -> AsyncIterator[tuple[InMemoryServer, InMemoryCluster, KubeHttp, FakeKubelet]]:
    async with InMemoryServer() as server:
        cluster = server.add("one")
        async with KubeHttp(cluster.server_url) as kube, FakeKubelet(kube, "node", script, lease_interval_s=0.05) as kubelet:
            yield server, cluster, kube, kubelet


def phases(cluster: InMemoryCluster) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in cluster.objects("pods")}


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not check():
            await asyncio.sleep(0.01)


async def test_pods_run_and_end() -> None:
    async with a_node() as (_, cluster, kube, _kubelet):
        await kube.create(PODS, a_pod("a"))
        await until(lambda: phases(cluster) == {"a": "Running"})
        await kube.delete(f"{PODS}/a")
        await until(lambda: phases(cluster) == {})


async def test_it_goes_on_after_lost_watches_lost_history_and_an_outage() -> None:
    async with a_node() as (server, cluster, kube, _kubelet):
        cluster.is_down = True
        server.cut_watches("one")
        cluster.compact()
        await asyncio.sleep(0.1)
        cluster.is_down = False
        cluster.compact()
        await kube.create(PODS, a_pod("a"))
        await until(lambda: phases(cluster) == {"a": "Running"})


async def test_a_new_kubelet_takes_over_the_node_with_its_pods() -> None:
    async with a_node() as (_, cluster, kube, kubelet):
        await kube.create(PODS, a_pod("a"))
        await until(lambda: phases(cluster) == {"a": "Running"})
        await kubelet.stop()
        await kube.delete(f"{PODS}/a")
        async with FakeKubelet(kube, "node"):
            await until(lambda: phases(cluster) == {})


async def test_a_successor_of_the_same_name_gets_its_own_status() -> None:
    script = Script(CrashLoopBackOff(restart_delay_s=0.05, longest_delay_s=0.05))
    async with a_node(script) as (_, cluster, kube, _kubelet):
        await kube.create(PODS, a_pod("a"))
        await until(lambda: cluster.objects("pods")[0]["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 2)
        await kube.delete(f"{PODS}/a", {"gracePeriodSeconds": 0})
        script.default = CrashLoopBackOff(restart_delay_s=300)
        made = await kube.create(PODS, a_pod("a"))
        await until(lambda: bool(cluster.objects("pods")[0]["status"].get("containerStatuses")))
        await asyncio.sleep(0.2)
        status = cluster.objects("pods")[0]
        assert status["metadata"]["uid"] == made["metadata"]["uid"]
        assert status["status"]["containerStatuses"][0]["restartCount"] <= 1


async def test_the_lease_is_renewed_and_the_node_may_turn_unready() -> None:
    async with a_node() as (_, cluster, kube, kubelet):
        first = cluster.objects("leases.coordination.k8s.io")[0]["spec"]["renewTime"]
        await until(lambda: cluster.objects("leases.coordination.k8s.io")[0]["spec"]["renewTime"] > first)
        await kubelet.set_node_ready(False)
        await kube.create(PODS, a_pod("a"))
        await asyncio.sleep(0.1)
        assert phases(cluster) == {"a": "Pending"}
        await kubelet.set_node_ready(True)
        await until(lambda: phases(cluster) == {"a": "Running"})
