"""resourceVersion: optimistic locks, lists and their pages, selectors."""

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import config_map, deployment
from tests.fixtures_kubernetes import Cluster


async def test_a_put_of_an_old_version_is_refused(cluster: Cluster) -> None:
    old = await cluster.apply(config_map(a="1"))
    await cluster.apply(config_map(a="2"))
    with pytest.raises(KubeHttpError, match="the object has been modified") as refused:
        await cluster.kube.replace(cluster.path("ConfigMap", "settings"), {**old, "data": {"a": "3"}})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")


async def test_a_put_without_version_overwrites(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="1"))
    live = await cluster.kube.replace(cluster.path("ConfigMap", "settings"), config_map(a="2"))
    assert live["data"] == {"a": "2"}


async def test_an_apply_or_patch_with_an_old_version_is_refused(cluster: Cluster) -> None:
    old = await cluster.apply(config_map(a="1"))
    await cluster.apply(config_map(a="2"))
    stale = config_map(a="3")
    stale["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    with pytest.raises(KubeHttpError) as refused:
        await cluster.apply(stale)
    assert refused.value.code == 409
    with pytest.raises(KubeHttpError) as patched:
        await cluster.kube.patch(
            cluster.path("ConfigMap", "settings"), {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"a": "4"}}
        )
    assert patched.value.code == 409


async def test_the_uid_of_another_object_is_refused(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))
    other = config_map(a="1")
    other["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(KubeHttpError, match=r"metadata\.uid: Invalid value") as applied:
        await cluster.apply(other)
    assert applied.value.code == 422
    with pytest.raises(KubeHttpError, match=r"metadata\.uid: Invalid value") as patched:
        await cluster.kube.patch(cluster.path("ConfigMap", "settings"), other)
    assert patched.value.code == 422
    with pytest.raises(KubeHttpError, match="Precondition failed: UID in precondition") as put:
        await cluster.kube.replace(cluster.path("ConfigMap", "settings"), other)
    assert put.value.code == 409


async def test_an_apply_with_a_uid_creates_nothing(cluster: Cluster) -> None:
    gone = config_map("never", a="1")
    gone["metadata"]["uid"] = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(KubeHttpError, match="uid mismatch") as refused:
        await cluster.apply(gone)
    assert refused.value.code == 409


async def test_a_change_raises_the_version_and_no_change_does_not(cluster: Cluster) -> None:
    first = await cluster.apply(config_map(a="1"))
    same = await cluster.kube.patch(cluster.path("ConfigMap", "settings"), {"data": {"a": "1"}})
    assert same["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    changed = await cluster.kube.patch(cluster.path("ConfigMap", "settings"), {"data": {"a": "2"}})
    assert changed["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
    assert changed["metadata"]["uid"] == first["metadata"]["uid"]


async def test_creating_twice_is_refused(cluster: Cluster) -> None:
    await cluster.kube.create(cluster.path("ConfigMap"), config_map(a="1"))
    with pytest.raises(KubeHttpError, match="already exists") as refused:
        await cluster.kube.create(cluster.path("ConfigMap"), config_map(a="2"))
    assert (refused.value.code, refused.value.reason) == (409, "AlreadyExists")


async def test_a_generated_name_begins_as_asked(cluster: Cluster) -> None:
    obj = config_map(a="1")
    obj["metadata"] = {"generateName": "run-"}
    made = await cluster.kube.create(cluster.path("ConfigMap"), obj)
    assert made["metadata"]["name"].startswith("run-")
    assert len(made["metadata"]["name"]) == len("run-") + 5


async def test_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    with pytest.raises(KubeHttpError, match='configmaps "nothing" not found') as missing:
        await cluster.get("ConfigMap", "nothing")
    assert (missing.value.code, missing.value.reason) == (404, "NotFound")
    assert missing.value.body["details"]["name"] == "nothing"


async def test_a_list_comes_in_pages(cluster: Cluster) -> None:
    for number in range(5):
        obj = config_map(f"page-{number}")
        obj["metadata"]["labels"] = {"set": "pages"}
        await cluster.apply(obj)
    path = cluster.path("ConfigMap")
    first = await cluster.kube.get(path, labelSelector="set=pages", limit="2")
    second = await cluster.kube.get(path, labelSelector="set=pages", limit="2", **{"continue": first["metadata"]["continue"]})
    third = await cluster.kube.get(path, labelSelector="set=pages", limit="2", **{"continue": second["metadata"]["continue"]})
    names = [[item["metadata"]["name"] for item in page["items"]] for page in (first, second, third)]
    assert names == [["page-0", "page-1"], ["page-2", "page-3"], ["page-4"]]
    assert not third["metadata"].get("continue")
    assert first["metadata"]["resourceVersion"] == third["metadata"]["resourceVersion"]


async def test_items_of_a_list_do_not_say_their_kind(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))
    listed = await cluster.kube.get(cluster.path("ConfigMap"))
    assert listed["kind"] == "ConfigMapList"
    assert all("kind" not in item for item in listed["items"])


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=edge", {"a", "b"}),
        ("tier==edge,app!=x", {"b"}),
        ("app in (x,y)", {"a", "b"}),
        ("app notin (x)", {"b", "c"}),
        ("!tier", {"c"}),
        ("tier,app=x", {"a"}),
    ],
)
async def test_label_selectors(cluster: Cluster, selector: str, found: set[str]) -> None:
    for name, labels in {"a": {"tier": "edge", "app": "x"}, "b": {"tier": "edge", "app": "y"}, "c": {"app": "z"}}.items():
        obj = config_map(name)
        obj["metadata"]["labels"] = {**labels, "story": "selectors"}
        await cluster.apply(obj)
    listed = await cluster.items("ConfigMap", labelSelector=f"story=selectors,{selector}")
    assert {item["metadata"]["name"] for item in listed} == found


async def test_a_field_selector_finds_by_name(cluster: Cluster) -> None:
    await cluster.apply(config_map("one"))
    await cluster.apply(config_map("two"))
    listed = await cluster.items("ConfigMap", fieldSelector="metadata.name=two")
    assert [item["metadata"]["name"] for item in listed] == ["two"]


async def test_objects_of_all_namespaces_are_listed_at_the_root(cluster: Cluster) -> None:
    await cluster.apply(config_map("here"))
    listed = await cluster.kube.get("/api/v1/configmaps", fieldSelector=f"metadata.name=here,metadata.namespace={cluster.namespace}")
    assert [item["metadata"]["namespace"] for item in listed["items"]] == [cluster.namespace]


async def test_a_status_write_leaves_the_spec_alone_and_the_generation_too(cluster: Cluster) -> None:
    live = await cluster.apply(deployment(replicas=0))
    body = {"spec": {"replicas": 7}, "status": {"conditions": [{"type": "Story", "status": "True"}]}}
    after = await cluster.kube.patch(cluster.path("Deployment", "web") + "/status", body)
    assert after["spec"]["replicas"] == 0
    assert after["metadata"]["generation"] == live["metadata"]["generation"]


async def test_a_status_in_an_ordinary_write_is_ignored(cluster: Cluster) -> None:
    live = await cluster.apply({**deployment(replicas=0), "status": {"replicas": 9}})
    assert live.get("status", {}).get("replicas", 0) == 0
