"""Two nodes do not disturb each other, and no node leaves anything on the machine."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from deploy.local_cluster import ClusterHandle, cgroups, cleanup, full_node, kernel_settings, records
from deploy.local_cluster.images import BUSYBOX_IMAGE
from deploy.local_cluster.kube_http import KubeHttp
from deploy.local_cluster.records import Record
from tests.integration.local_cluster.killed_runs import all_gone, held_cluster, until

pytestmark = pytest.mark.full_node
PODS = "/api/v1/namespaces/default/pods"
SLEEPER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "sleeper"},
    "spec": {"containers": [{"name": "main", "image": BUSYBOX_IMAGE, "command": ["sleep", "600"]}]},
}


def record_of(cluster: ClusterHandle) -> Record:
    (found,) = (each for each in records.read_records() if each.instance == cluster.instance)
    return found


def settings() -> dict[str, str]:
    return {name: Path("/proc/sys", name).read_text() for name in kernel_settings.CHANGED_BY_KUBELET if Path("/proc/sys", name).exists()}


async def run_sleeper(kubeconfig: Path) -> None:
    async with KubeHttp.from_kubeconfig(kubeconfig) as kube, asyncio.timeout(60):
        await kube.request("POST", PODS, SLEEPER)
        while (await kube.get(f"{PODS}/sleeper"))["status"]["phase"] != "Running":
            await asyncio.sleep(0.1)


async def restarts(cluster: ClusterHandle) -> int:
    async with cluster.client() as kube:
        return int((await kube.get(f"{PODS}/sleeper"))["status"]["containerStatuses"][0]["restartCount"])


async def test_two_nodes_run_pods_beside_each_other_and_leave_nothing() -> None:
    others = any(each.kind == "full_node" for each in records.read_records())
    before = settings()
    async with full_node("pi-north") as north, full_node("pi-south") as south:
        made = [record_of(north), record_of(south)]
        await asyncio.gather(run_sleeper(north.kubeconfig), run_sleeper(south.kubeconfig))
        assert north.node_address != south.node_address
        # Longer than a kubelet's clean-up of pods that it does not know: they must not take each other's for orphans
        await asyncio.sleep(5)
        assert [await restarts(north), await restarts(south)] == [0, 0]
    assert [cleanup.leftovers(each) for each in made] == [[], []]
    assert not any(each.path.exists() for each in made)
    assert others or settings() == before
    assert not Path("/var/lib/kubelet/device-plugins/kubelet.sock").exists() or others


async def test_kill_9_of_the_run_leaves_containers_that_the_next_start_removes() -> None:
    async with held_cluster('full_node("pi-lost")') as (process, record):
        await run_sleeper(Path(record.state_dir) / "kubeconfig.yaml")
        process.kill()
        await process.wait()
        await until(lambda: not any(records.is_alive(each) for each in record.processes), "its own processes end with it")
    assert cgroups.processes(record.cgroup), "the shim and its container are nobody's children, and live on"
    async with full_node("pi-next"):
        assert cleanup.leftovers(record) == []
        assert all_gone(record)
        assert not record.path.exists()
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert record.netns not in namespaces


async def test_an_error_in_the_block_leaves_nothing() -> None:
    made: list[Record] = []

    async def fail_inside() -> None:
        async with full_node("pi-north") as cluster:
            made.extend(each for each in records.read_records() if each.instance == cluster.instance)
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        await fail_inside()
    (record,) = made
    assert cleanup.leftovers(record) == []
    assert not record.path.exists()
