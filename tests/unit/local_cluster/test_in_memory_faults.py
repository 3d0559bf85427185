"""What only the in-memory cluster can do on demand: lose its history, end watches, be down, ask for a token."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deploy.local_cluster.in_memory import Answer, InMemoryCluster, InMemoryServer, Request
from deploy.local_cluster.in_memory.reading import Watch
from deploy.local_cluster.kube_http import KubeHttp, KubeHttpError

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def a_config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


async def test_a_compacted_history_ends_watches_and_pages_with_410() -> None:
    async with InMemoryServer() as server:
        cluster = server.add("one")
        async with KubeHttp(cluster.server_url) as kube:
            for name in ("a", "b"):
                await kube.create(CONFIG_MAPS, a_config_map(name))
            page = await kube.get(CONFIG_MAPS, limit="1")
            version = page["metadata"]["resourceVersion"]
            await kube.create(CONFIG_MAPS, a_config_map("c"))
            cluster.compact()
            async with kube.watch(CONFIG_MAPS, {"resourceVersion": version}) as events:
                told = [event async for event in events]
            assert [(event["type"], event["object"]["code"]) for event in told] == [("ERROR", 410)]
            with pytest.raises(KubeHttpError) as refused:
                await kube.get(CONFIG_MAPS, limit="1", **{"continue": page["metadata"]["continue"]})
            assert (refused.value.code, refused.value.reason) == (410, "Expired")


async def test_a_watch_falls_behind_the_history_by_itself() -> None:
    async with InMemoryServer() as server:
        cluster = server.add("one", InMemoryCluster(history_limit=10))
        async with KubeHttp(cluster.server_url) as kube:
            version = (await kube.get(CONFIG_MAPS))["metadata"]["resourceVersion"]
            for number in range(12):
                await kube.create(CONFIG_MAPS, a_config_map(f"c{number}"))
            async with kube.watch(CONFIG_MAPS, {"resourceVersion": version}) as events:
                assert [event["type"] async for event in events] == ["ERROR"]


async def test_cut_watches_end_and_a_new_one_goes_on_from_the_same_version() -> None:
    async with InMemoryServer() as server:
        cluster = server.add("one")
        async with KubeHttp(cluster.server_url) as kube:
            version = (await kube.get(CONFIG_MAPS))["metadata"]["resourceVersion"]
            async with kube.watch(CONFIG_MAPS, {"resourceVersion": version}) as events:
                server.cut_watches("one")
                async with asyncio.timeout(10):
                    assert [event async for event in events] == []
            await kube.create(CONFIG_MAPS, a_config_map("late"))
            async with kube.watch(CONFIG_MAPS, {"resourceVersion": version}) as events, asyncio.timeout(10):
                assert (await anext(events))["object"]["metadata"]["name"] == "late"


async def test_a_cluster_that_is_down_answers_503_until_it_is_back() -> None:
    async with InMemoryServer() as server:
        cluster = server.add("one")
        async with KubeHttp(cluster.server_url) as kube:
            cluster.is_down = True
            assert (await kube.raw("GET", "/readyz"))[0] == 503
            cluster.is_down = False
            assert (await kube.raw("GET", "/readyz"))[0] == 200


async def test_a_token_is_asked_for() -> None:
    async with InMemoryServer() as server:
        cluster = server.add("one", InMemoryCluster(token="secret"))
        async with KubeHttp(cluster.server_url) as stranger, KubeHttp.from_kubeconfig(cluster.kubeconfig()) as known:
            assert (await stranger.raw("GET", "/version"))[0] == 401
            assert (await known.raw("GET", "/version"))[0] == 200


async def test_clusters_of_one_server_share_nothing() -> None:
    async with InMemoryServer() as server:
        one, two = server.add("one"), server.add("two")
        async with KubeHttp(one.server_url) as first, KubeHttp(two.server_url) as second:
            await first.create(CONFIG_MAPS, a_config_map("only-here"))
            assert (await second.raw("GET", f"{CONFIG_MAPS}/only-here"))[0] == 404
            system = [await kube.get("/api/v1/namespaces/kube-system") for kube in (first, second)]
            assert system[0]["metadata"]["uid"] != system[1]["metadata"]["uid"]
        server.remove("two")
        async with KubeHttp(two.server_url) as gone:
            assert (await gone.raw("GET", "/version"))[0] == 404


async def test_a_name_is_served_once() -> None:
    async with InMemoryServer() as server:
        server.add("one")
        with pytest.raises(ValueError, match="'one' is already served"):
            server.add("one")


def test_a_cluster_answers_without_sockets_and_without_an_event_loop() -> None:
    cluster = InMemoryCluster()
    answer = cluster.handle(Request("POST", CONFIG_MAPS, body=json.dumps(a_config_map("x")).encode()))
    assert isinstance(answer, Answer)
    assert answer.code == 201
    assert [obj["metadata"]["name"] for obj in cluster.objects("configmaps", "default")] == ["kube-root-ca.crt", "x"]


def test_a_claim_is_bound_as_its_class_says() -> None:
    cluster = InMemoryCluster()
    for name, mode in (("now", "Immediate"), ("later", "WaitForFirstConsumer")):
        storage_class = {"metadata": {"name": name}, "provisioner": "x", "volumeBindingMode": mode}
        cluster.handle(Request("POST", "/apis/storage.k8s.io/v1/storageclasses", body=json.dumps(storage_class).encode()))
        claim = {
            "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": name, "resources": {"requests": {"storage": "1Gi"}}},
        }
        cluster.handle(Request("POST", "/api/v1/namespaces/default/persistentvolumeclaims", body=json.dumps(claim).encode()))
    cluster.settle()
    phases = {obj["metadata"]["name"]: obj["status"]["phase"] for obj in cluster.objects("persistentvolumeclaims")}
    assert phases == {"now": "Bound", "later": "Pending"}
    pod = {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "later"}}]},
    }
    cluster.handle(Request("POST", "/api/v1/namespaces/default/pods", body=json.dumps(pod).encode()))
    cluster.settle()
    assert {obj["status"]["phase"] for obj in cluster.objects("persistentvolumeclaims")} == {"Bound"}


async def test_a_slow_reader_of_a_watch_loses_it_rather_than_filling_memory() -> None:
    cluster = InMemoryCluster()
    watch = cluster.handle(Request("GET", CONFIG_MAPS, {"watch": "true", "resourceVersion": str(cluster.store.version)}))
    assert isinstance(watch, Watch)
    for number in range(5005):
        cluster.handle(Request("PUT", f"{CONFIG_MAPS}/x", body=json.dumps({**a_config_map("x"), "data": {"n": str(number)}}).encode()))
    seen = [event async for batch in watch.batches() for event in batch]
    watch.close()
    assert len(seen) == 5001
