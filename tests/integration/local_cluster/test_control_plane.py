"""The control plane as tests use it: ready, restarted, installed anew, with fewer rights."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp
import pytest

from deploy.harness.processes import run_program
from deploy.local_cluster import control_plane
from deploy.local_cluster.kube_http import KubeHttp, KubeHttpError

pytestmark = pytest.mark.control_plane
NOTE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {"level": "2.4 m"}}
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def test_it_takes_pods_and_runs_controllers_as_soon_as_it_is_ready() -> None:
    labels = {"app": "gate-ui"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "ui", "image": "docker.io/munbon/gate-ui:1.0.0"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gate-ui"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
    }
    async with control_plane() as cluster, cluster.client() as kube:
        alone = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "alone"}}
        await kube.request("POST", "/api/v1/namespaces/default/pods", alone)
        await kube.request("POST", "/apis/apps/v1/namespaces/default/deployments", deployment)
        names: set[str] = set()
        while not any(name.startswith("gate-ui-") for name in names):
            names = {each["metadata"]["name"] for each in (await kube.get("/api/v1/namespaces/default/pods"))["items"]}
        assert "alone" in names


async def test_kubectl_gets_in_with_token_and_with_certificate() -> None:
    kubectl = str(Path(sys.executable).parent / "kubectl")
    async with control_plane() as cluster:
        for kubeconfig in (cluster.kubeconfig, cluster.certificate_kubeconfig):
            code, output, errors = await run_program([kubectl, "--kubeconfig", str(kubeconfig), "auth", "can-i", "*", "*"])
            assert (code, output.strip()) == (0, "yes"), errors


async def test_a_restart_keeps_objects_identity_and_address() -> None:
    async with control_plane() as cluster:
        uid = await cluster.kube_system_uid()
        async with cluster.client() as kube:
            await kube.request("POST", CONFIG_MAPS, NOTE)
        await cluster.restart()
        async with cluster.client() as kube:
            assert (await kube.get(f"{CONFIG_MAPS}/note"))["data"] == NOTE["data"]
        assert await cluster.kube_system_uid() == uid


async def test_installed_anew_it_is_another_cluster_at_the_same_address() -> None:
    async with control_plane() as cluster:
        uid, token = await cluster.kube_system_uid(), cluster.token
        async with cluster.client() as kube:
            await kube.request("POST", CONFIG_MAPS, NOTE)
        await cluster.reinstall()
        assert await cluster.kube_system_uid() != uid
        assert cluster.token == token
        async with cluster.client() as kube:
            with pytest.raises(KubeHttpError) as missing:
                await kube.get(f"{CONFIG_MAPS}/note")
        assert missing.value.code == 404


async def test_installed_anew_with_a_new_authority_it_turns_old_clients_away() -> None:
    async with control_plane() as cluster:
        token = cluster.token
        async with cluster.client() as old:
            await old.get("/api/v1/namespaces/default")
            await cluster.reinstall(keep_identity=False)
            with pytest.raises(aiohttp.ClientError):
                await old.get("/api/v1/namespaces/default")
        assert cluster.token != token
        assert await cluster.kube_system_uid()


async def test_a_stopped_cluster_refuses_connections_until_it_is_started() -> None:
    async with control_plane() as cluster:
        await cluster.stop()
        async with cluster.client() as kube:
            with pytest.raises(aiohttp.ClientError):
                await kube.get("/api/v1/namespaces/default")
        await cluster.start()
        assert await cluster.kube_system_uid()


async def test_a_kept_state_folder_is_taken_up_again(tmp_path: Path) -> None:
    async with control_plane(state_dir=tmp_path / "k") as first:
        uid = await first.kube_system_uid()
    assert (tmp_path / "k" / "state.db").exists()
    async with control_plane(state_dir=tmp_path / "k") as second:
        assert await second.kube_system_uid() == uid


async def test_a_second_token_has_only_the_rights_of_its_groups() -> None:
    async with control_plane() as cluster:
        token = await cluster.make_token("visitor", groups=["visitors"])
        async with cluster.client() as admin, KubeHttp(cluster.server_url, token, admin._tls) as visitor:
            with pytest.raises(KubeHttpError) as refused:
                await visitor.get(CONFIG_MAPS)
        assert refused.value.code == 403


async def test_two_run_beside_each_other() -> None:
    async with control_plane() as one, control_plane() as other:
        assert one.server_url != other.server_url
        assert await one.kube_system_uid() != await other.kube_system_uid()
