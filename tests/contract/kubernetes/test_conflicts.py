"""Field managers: conflicts, force, takeover from kubectl, and changes by hand."""

import json

import pytest

from deploy.local_cluster.kube_http import JSON_PATCH, STRATEGIC, KubeHttpError
from tests.contract.kubernetes.manifests import Obj, config_map, container, deployment, managers
from tests.fixtures_kubernetes import Cluster

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


async def _conflict(cluster: Cluster, obj: Obj, manager: str = "munbon") -> KubeHttpError:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.apply(obj, manager)
    assert refused.value.code == 409
    assert refused.value.reason == "Conflict"
    return refused.value


async def test_a_conflict_names_the_manager_and_the_field(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=0), "other")
    error = await _conflict(cluster, deployment("web", container(image="munbon/web:2"), replicas=0))
    (cause,) = error.body["details"]["causes"]
    assert cause["reason"] == "FieldManagerConflict"
    assert cause["message"] == 'conflict with "other"'
    assert cause["field"] == '.spec.template.spec.containers[name="web"].image'
    assert error.message == f"Apply failed with 1 conflict: {cause['message']}: {cause['field']}"


async def test_several_conflicts_are_told_one_by_one(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="1"), "first")
    await cluster.apply(config_map(c="1"), "second")
    error = await _conflict(cluster, config_map(a="2", b="2", c="2"))
    told = {(cause["message"], cause["field"]) for cause in error.body["details"]["causes"]}
    assert told == {('conflict with "first"', ".data.a"), ('conflict with "first"', ".data.b"), ('conflict with "second"', ".data.c")}
    assert "Apply failed with 3 conflicts" in error.message


async def test_a_conflict_changes_nothing(cluster: Cluster) -> None:
    stored = await cluster.apply(config_map(a="1"), "other")
    await _conflict(cluster, config_map(a="2", b="2"))
    assert await cluster.get("ConfigMap", "settings") == stored


async def test_the_same_value_is_shared_and_no_conflict(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"), "other")
    live = await cluster.apply(config_map(a="1"))
    assert set(managers(live)) == {("other", "Apply"), ("munbon", "Apply")}


async def test_force_takes_the_field_from_its_manager(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="1"), "other")
    live = await cluster.apply(config_map(a="2"), force=True)
    assert live["data"] == {"a": "2", "b": "1"}
    assert managers(live) == {("other", "Apply"): {"f:data": {"f:b": {}}}, ("munbon", "Apply"): {"f:data": {"f:a": {}}}}


async def test_a_manager_without_fields_leaves_no_entry(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"), "other")
    live = await cluster.apply(config_map(a="2"), force=True)
    assert ("munbon", "Apply") in managers(live)
    assert managers(live).get(("other", "Apply"), {}) in ({}, {"f:data": {}})


async def test_a_change_by_hand_conflicts_and_force_puts_it_back(cluster: Cluster) -> None:
    obj = deployment(replicas=0)
    await cluster.apply(obj)
    path = cluster.path("Deployment", "web")
    await cluster.kube.patch(path, {"spec": {"revisionHistoryLimit": 3}}, fieldManager="hand")
    obj["spec"]["revisionHistoryLimit"] = 5
    error = await _conflict(cluster, obj)
    assert error.body["details"]["causes"][0]["message"].startswith('conflict with "hand" using apps/v1')
    assert (await cluster.apply(obj, force=True))["spec"]["revisionHistoryLimit"] == 5


async def test_a_patch_by_hand_takes_what_it_changes_and_only_that(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="1"))
    live = await cluster.kube.patch(cluster.path("ConfigMap", "settings"), {"data": {"a": "9", "b": "1"}}, fieldManager="hand")
    assert managers(live) == {("munbon", "Apply"): {"f:data": {"f:b": {}}}, ("hand", "Update"): {"f:data": {"f:a": {}}}}


async def test_a_field_deleted_by_hand_comes_back_without_conflict(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="1"))
    await cluster.kube.patch(cluster.path("ConfigMap", "settings"), {"data": {"a": None}}, fieldManager="hand")
    assert (await cluster.apply(config_map(a="1", b="1")))["data"] == {"a": "1", "b": "1"}


async def _client_side_applied(cluster: Cluster) -> Obj:
    obj = config_map(a="1", b="1")
    obj["metadata"]["annotations"] = {LAST_APPLIED: json.dumps(config_map(a="1", b="1"))}
    return await cluster.kube.create(cluster.path("ConfigMap"), obj, fieldManager="kubectl-client-side-apply")


async def test_after_kubectl_apply_a_dropped_field_stays_until_the_manager_is_taken_over(cluster: Cluster) -> None:
    await _client_side_applied(cluster)
    assert (await cluster.apply(config_map(a="2"), force=True))["data"] == {"a": "2", "b": "1"}


async def test_takeover_from_kubectl_by_rewriting_its_manager_makes_removals_work(cluster: Cluster) -> None:
    live = await _client_side_applied(cluster)
    entries = [{**entry, "manager": "munbon", "operation": "Apply"} for entry in live["metadata"]["managedFields"]]
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": entries},
        {"op": "remove", "path": "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"},
    ]
    await cluster.kube.patch(cluster.path("ConfigMap", "settings"), patch, JSON_PATCH, fieldManager="munbon")
    after = await cluster.apply(config_map(a="2"))
    assert after["data"] == {"a": "2"}
    assert set(managers(after)) == {("munbon", "Apply")}


async def test_cleared_managers_come_back_as_before_first_apply(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))
    cleared = await cluster.kube.patch(
        cluster.path("ConfigMap", "settings"), [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}], JSON_PATCH
    )
    assert "managedFields" not in cleared["metadata"]
    after = await cluster.apply(config_map(b="2"))
    assert managers(after)[("before-first-apply", "Update")] == {"f:data": {".": {}, "f:a": {}}}


async def test_a_strategic_patch_merges_containers_by_name(cluster: Cluster) -> None:
    await cluster.apply(deployment("web", container("web"), container("side", "munbon/side:1"), replicas=0))
    patch = {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "munbon/web:9"}, {"name": "side", "$patch": "delete"}]}}}
    }
    live = await cluster.kube.patch(cluster.path("Deployment", "web"), patch, STRATEGIC)
    assert [(each["name"], each["image"]) for each in live["spec"]["template"]["spec"]["containers"]] == [("web", "munbon/web:9")]


async def test_fields_of_a_controller_are_its_own_under_the_status(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=0))
    live = await cluster.until_object("Deployment", "web", "has a status", lambda o: o.get("status", {}).get("observedGeneration"))
    by_status = [entry for entry in live["metadata"]["managedFields"] if entry.get("subresource") == "status"]
    assert [entry["manager"] for entry in by_status] == ["kube-controller-manager"]
    await cluster.apply(deployment(replicas=0))
