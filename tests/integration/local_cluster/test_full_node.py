"""A full node runs what a Pi runs: pods, Services, crashes, missing images, power cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local_cluster import ClusterHandle, full_node
from deploy.local_cluster.handle import NoAnswer
from deploy.local_cluster.images import BUSYBOX_IMAGE, DEMO_APP, Image, write_image
from deploy.local_cluster.kube_http import KubeHttp

pytestmark = [pytest.mark.full_node, pytest.mark.asyncio(loop_scope="module")]
PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node() -> AsyncIterator[ClusterHandle]:
    async with full_node("pi-north") as cluster:
        yield cluster


def pod(name: str, image: str, *command: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, **({"command": list(command)} if command else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"terminationGracePeriodSeconds": 1, "restartPolicy": "Always", "containers": [container], **spec},
    }


async def create_web(kube: KubeHttp, name: str) -> tuple[str, int]:
    """A Deployment and its Service; its cluster address and its node port."""
    labels = {"app": name}
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}
    container = {"name": "ui", "image": f"{DEMO_APP}:1.0.0", "readinessProbe": probe}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}
    await kube.request(
        "POST",
        DEPLOYMENTS,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
    )
    service = await kube.request(
        "POST",
        SERVICES,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"type": "NodePort", "selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
    )
    return service["spec"]["clusterIP"], service["spec"]["ports"][0]["nodePort"]


async def await_answer(cluster: ClusterHandle, url: str) -> str:
    async with asyncio.timeout(60):
        while True:
            try:
                return await cluster.get_inside(url)
            except NoAnswer:
                await asyncio.sleep(0.1)


async def await_container(kube: KubeHttp, name: str, state: str, *reasons: str) -> dict[str, Any]:
    """Wait until the pod's container is in `state` for one of `reasons`; gives its status."""
    async with asyncio.timeout(60):
        while True:
            for status in (await kube.get(f"{PODS}/{name}"))["status"].get("containerStatuses", []):
                if state in status["state"] and (not reasons or status["state"][state].get("reason") in reasons):
                    return dict(status)
            await asyncio.sleep(0.1)


async def test_real_pods_answer_through_their_service(node: ClusterHandle) -> None:
    async with node.client() as kube:
        address, port = await create_web(kube, "web")
        assert await await_answer(node, f"http://{address}/") == "gate-ui 1.0.0\n"
    async with aiohttp.ClientSession() as outside, outside.get(f"http://{node.node_address}:{port}/") as answer:
        assert await answer.text() == "gate-ui 1.0.0\n"


async def test_a_pod_reaches_a_service_of_its_own_node(node: ClusterHandle) -> None:
    async with node.client() as kube:
        address, _ = await create_web(kube, "neighbour")
        ask = f"until fetch {address} 80 / | grep gate-ui; do sleep 0.2; done; sleep 600"
        await kube.request("POST", PODS, pod("asker", BUSYBOX_IMAGE, "sh", "-c", ask))
        await await_container(kube, "asker", "running")
        async with asyncio.timeout(60):
            while "gate-ui 1.0.0" not in str(await kube.get(f"{PODS}/asker/log")):
                await asyncio.sleep(0.2)


async def test_a_crash_loop_shows_exit_code_and_last_words(node: ClusterHandle) -> None:
    async with node.client() as kube:
        await kube.request("POST", PODS, pod("broken", f"{DEMO_APP}:1.1.0", "sh", "-c", "echo valve table missing >&2; exit 3"))
        status = await await_container(kube, "broken", "waiting", "CrashLoopBackOff")
        assert status["lastState"]["terminated"]["exitCode"] == 3
        assert "valve table missing" in str(await kube.get(f"{PODS}/broken/log"))


async def test_an_image_that_is_nowhere_fails_at_once(node: ClusterHandle) -> None:
    async with node.client() as kube:
        await kube.request("POST", PODS, pod("nowhere", "registry.invalid/munbon/none:9.9.9"))
        status = await await_container(kube, "nowhere", "waiting", "ErrImagePull", "ImagePullBackOff")
        assert "none:9.9.9" in status["state"]["waiting"]["message"]


async def test_an_image_of_our_own_making_runs(node: ClusterHandle, tmp_path: Path) -> None:
    static = Path("/bin/busybox").read_bytes()
    name = "docker.io/munbon/level-logger:0.1.0"
    image = Image(name, {"bin/busybox": static, "level.txt": b"2.4 m\n"}, command=("/bin/busybox", "tail", "-f", "/level.txt"))
    await node.import_image(write_image(tmp_path / "own.tar", image))
    async with node.client() as kube:
        await kube.request("POST", PODS, pod("own", name))
        await await_container(kube, "own", "running")
        async with asyncio.timeout(30):
            while "2.4 m" not in str(await kube.get(f"{PODS}/own/log")):
                await asyncio.sleep(0.1)


async def test_after_a_power_cut_the_same_pods_serve_again(node: ClusterHandle) -> None:
    async with node.client() as kube:
        address, _ = await create_web(kube, "survivor")
        await await_answer(node, f"http://{address}/")
    await node.stop()
    with pytest.raises(NoAnswer):
        await node.get_inside(f"http://{address}/")
    await node.start()
    assert await await_answer(node, f"http://{address}/") == "gate-ui 1.0.0\n"


async def test_installed_anew_the_node_is_empty_and_works(node: ClusterHandle) -> None:
    uid = await node.kube_system_uid()
    await node.reinstall(keep_identity=False)
    assert await node.kube_system_uid() != uid
    async with node.client() as kube:
        assert (await kube.get(DEPLOYMENTS))["items"] == []
        address, _ = await create_web(kube, "web")
        assert await await_answer(node, f"http://{address}/") == "gate-ui 1.0.0\n"
