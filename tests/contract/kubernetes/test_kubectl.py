"""The real kubectl against the same API: what an operator types, and taking over from what was typed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import yaml

from deploy.local_cluster.kube_http import JSON_PATCH
from tests.contract.kubernetes.manifests import Obj, config_map, deployment, managers
from tests.fixtures_kubernetes import Cluster

KUBECTL = Path(sys.executable).with_name("kubectl")


class Kubectl:
    """kubectl in the namespace of the test."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self._home = home
        self._config = home / "kubeconfig"
        self._config.write_text(cluster.kubeconfig)
        self._namespace = cluster.namespace

    async def __call__(self, *arguments: str, objects: list[Obj] | None = None) -> str:
        command = [str(KUBECTL), f"--kubeconfig={self._config}", f"--namespace={self._namespace}", *arguments]
        pipe = asyncio.subprocess.PIPE
        environment = {"HOME": str(self._home), "PATH": "/usr/bin:/bin"}
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environment)
        sent = yaml.safe_dump_all(objects).encode() if objects else None
        async with asyncio.timeout(60):
            told, _ = await process.communicate(sent)
        assert process.returncode == 0, told.decode()
        return told.decode()


@pytest.fixture
def kubectl(cluster: Cluster, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


async def test_server_side_apply_and_status(cluster: Cluster, kubectl: Kubectl) -> None:
    objects = [config_map(a="1"), deployment()]
    assert "deployment.apps/web serverside-applied" in await kubectl("apply", "--server-side", "-f", "-", objects=objects)
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web", "--timeout=40s")
    assert "web" in await kubectl("get", "deployments,replicasets,pods")
    assert set(managers(await cluster.get("ConfigMap", "settings"))) == {("kubectl", "Apply")}


async def test_a_typo_is_refused_by_server_side_validation(cluster: Cluster, kubectl: Kubectl) -> None:
    obj = deployment()
    obj["spec"]["replicaz"] = 1
    with pytest.raises(AssertionError, match="replicaz"):
        await kubectl("apply", "-f", "-", objects=[obj])
    assert await cluster.is_gone("Deployment", "web")


async def test_an_image_set_by_hand_conflicts_with_the_release_until_it_is_forced_back(cluster: Cluster, kubectl: Kubectl) -> None:
    await cluster.apply(deployment(replicas=0))
    await kubectl("set", "image", "deployment/web", "web=munbon/web:hand")
    live = await cluster.get("Deployment", "web")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "munbon/web:hand"
    assert ("kubectl-set", "Update") in managers(live)
    back = await cluster.apply(deployment(replicas=0), force=True)
    assert back["spec"]["template"]["spec"]["containers"][0]["image"] == "munbon/web:1.0.0"


async def test_objects_of_kubectl_apply_are_taken_over_with_their_removals(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", objects=[config_map(a="1", b="1")])
    live = await cluster.get("ConfigMap", "settings")
    assert set(managers(live)) == {("kubectl-client-side-apply", "Update")}
    entries = [{**entry, "manager": "munbon", "operation": "Apply"} for entry in live["metadata"]["managedFields"]]
    patch = [{"op": "replace", "path": "/metadata/managedFields", "value": entries}]
    await cluster.kube.patch(cluster.path("ConfigMap", "settings"), patch, JSON_PATCH)
    after = await cluster.apply(config_map(a="2"))
    assert after["data"] == {"a": "2"}
    assert "annotations" not in after["metadata"]


async def test_client_side_apply_drops_what_it_no_longer_has(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", objects=[config_map(a="1", b="1")])
    await kubectl("apply", "-f", "-", objects=[config_map(a="1")])
    assert (await cluster.get("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_delete_waits_for_the_end(cluster: Cluster, kubectl: Kubectl) -> None:
    await kubectl("apply", "--server-side", "-f", "-", objects=[deployment()])
    await kubectl("delete", "deployment/web", "--timeout=40s")
    assert await cluster.is_gone("Deployment", "web")
