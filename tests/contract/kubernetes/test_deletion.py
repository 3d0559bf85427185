"""Deletion: finalizers, propagation, preconditions, namespaces, garbage."""

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import Obj, config_map, deployment, job, owned_by
from tests.fixtures_kubernetes import Cluster

FINALIZER = "example.org/hold"


def _held(name: str = "held") -> Obj:
    obj = config_map(name)
    obj["metadata"]["finalizers"] = [FINALIZER]
    return obj


async def test_an_object_without_finalizers_is_gone_at_once(cluster: Cluster) -> None:
    live = await cluster.apply(config_map())
    answer = await cluster.kube.delete(cluster.path("ConfigMap", "settings"))
    assert (answer["kind"], answer["status"], answer["details"]["uid"]) == ("Status", "Success", live["metadata"]["uid"])
    assert await cluster.is_gone("ConfigMap", "settings")


async def test_deleting_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.delete(cluster.path("ConfigMap", "settings"))
    assert refused.value.code == 404


async def test_a_finalizer_holds_the_object_until_it_is_taken_off(cluster: Cluster) -> None:
    await cluster.apply(_held())
    marked = await cluster.kube.delete(cluster.path("ConfigMap", "held"))
    assert marked["metadata"]["deletionTimestamp"]
    again = await cluster.kube.delete(cluster.path("ConfigMap", "held"))
    assert again["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    await cluster.kube.patch(cluster.path("ConfigMap", "held"), {"metadata": {"finalizers": None}})
    assert await cluster.is_gone("ConfigMap", "held")


async def test_an_object_that_is_being_deleted_can_still_be_changed_but_gets_no_new_finalizer(cluster: Cluster) -> None:
    await cluster.apply(_held())
    await cluster.kube.delete(cluster.path("ConfigMap", "held"))
    changed = await cluster.kube.patch(cluster.path("ConfigMap", "held"), {"data": {"a": "1"}})
    assert changed["data"] == {"a": "1"}
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.patch(cluster.path("ConfigMap", "held"), {"metadata": {"finalizers": [FINALIZER, "example.org/more"]}})
    assert refused.value.code == 422
    await cluster.kube.patch(cluster.path("ConfigMap", "held"), {"metadata": {"finalizers": None}})


async def test_a_uid_precondition_protects_the_successor(cluster: Cluster) -> None:
    first = await cluster.apply(config_map())
    await cluster.kube.delete(cluster.path("ConfigMap", "settings"))
    second = await cluster.apply(config_map())
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    with pytest.raises(KubeHttpError, match="the UID in the precondition") as refused:
        await cluster.kube.delete(cluster.path("ConfigMap", "settings"), {"preconditions": {"uid": first["metadata"]["uid"]}})
    assert (refused.value.code, refused.value.reason) == (409, "Conflict")
    await cluster.kube.delete(cluster.path("ConfigMap", "settings"), {"preconditions": {"uid": second["metadata"]["uid"]}})
    assert await cluster.is_gone("ConfigMap", "settings")


async def test_a_version_precondition(cluster: Cluster) -> None:
    first = await cluster.apply(config_map(a="1"))
    await cluster.apply(config_map(a="2"))
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.delete(
            cluster.path("ConfigMap", "settings"), {"preconditions": {"resourceVersion": first["metadata"]["resourceVersion"]}}
        )
    assert refused.value.code == 409


async def test_a_dry_run_delete_deletes_nothing(cluster: Cluster) -> None:
    await cluster.apply(config_map())
    await cluster.kube.delete(cluster.path("ConfigMap", "settings"), {"dryRun": ["All"]})
    assert not await cluster.is_gone("ConfigMap", "settings")


async def test_background_deletion_takes_the_dependents_later(cluster: Cluster) -> None:
    owner = await cluster.apply(config_map("owner"))
    await cluster.apply(owned_by(owner, config_map("child")))
    await cluster.kube.delete(cluster.path("ConfigMap", "owner"), {"propagationPolicy": "Background"})
    assert await cluster.is_gone("ConfigMap", "owner")
    await cluster.until("the child is gone", lambda: cluster.is_gone("ConfigMap", "child"))


async def test_foreground_deletion_waits_for_blocking_dependents(cluster: Cluster) -> None:
    owner = await cluster.apply(config_map("owner"))
    child = owned_by(owner, _held("child"), blockOwnerDeletion=True)
    await cluster.apply(child)
    marked = await cluster.kube.delete(cluster.path("ConfigMap", "owner"), {"propagationPolicy": "Foreground"})
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]
    await cluster.until_object("ConfigMap", "child", "is being deleted", lambda o: o["metadata"].get("deletionTimestamp"))
    assert not await cluster.is_gone("ConfigMap", "owner")
    await cluster.kube.patch(cluster.path("ConfigMap", "child"), {"metadata": {"finalizers": None}})
    await cluster.until("both are gone", lambda: cluster.is_gone("ConfigMap", "owner"))
    assert await cluster.is_gone("ConfigMap", "child")


async def test_orphaning_lets_the_dependents_live(cluster: Cluster) -> None:
    owner = await cluster.apply(config_map("owner"))
    await cluster.apply(owned_by(owner, config_map("child")))
    await cluster.kube.delete(cluster.path("ConfigMap", "owner"), {"propagationPolicy": "Orphan"})
    await cluster.until("the owner is gone", lambda: cluster.is_gone("ConfigMap", "owner"))
    child = await cluster.get("ConfigMap", "child")
    assert "ownerReferences" not in child["metadata"]


async def test_a_dependent_with_another_living_owner_stays(cluster: Cluster) -> None:
    one = await cluster.apply(config_map("one"))
    two = await cluster.apply(config_map("two"))
    child = owned_by(one, config_map("child"))
    child["metadata"]["ownerReferences"] += owned_by(two, config_map("x"))["metadata"]["ownerReferences"]
    await cluster.apply(child)
    await cluster.kube.delete(cluster.path("ConfigMap", "one"), {"propagationPolicy": "Background"})
    left = await cluster.until_object("ConfigMap", "child", "has one owner", lambda o: len(o["metadata"]["ownerReferences"]) == 1)
    assert left["metadata"]["ownerReferences"][0]["name"] == "two"


async def test_a_dependent_of_an_owner_that_never_was_is_collected(cluster: Cluster) -> None:
    ghost: Obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "00000000-0000-4000-8000-000000000001"}}
    await cluster.apply(owned_by(ghost, config_map("child")))
    await cluster.until("the child is gone", lambda: cluster.is_gone("ConfigMap", "child"))


async def test_a_deleted_deployment_takes_replica_sets_and_pods_with_it(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=2))

    async def two_pods() -> bool:
        return len(await cluster.items("Pod")) == 2

    await cluster.until("two pods", two_pods)
    await cluster.kube.delete(cluster.path("Deployment", "web"))

    async def nothing_left() -> bool:
        return not await cluster.items("ReplicaSet") and not await cluster.items("Pod")

    await cluster.until("nothing left", nothing_left)


async def test_jobs_leave_their_pods_unless_told_otherwise(cluster: Cluster) -> None:
    await cluster.apply(job("kept"))
    await cluster.until_object("Job", "kept", "is complete", lambda o: o.get("status", {}).get("succeeded") == 1)
    await cluster.kube.delete(cluster.path("Job", "kept"))
    await cluster.until("the job is gone", lambda: cluster.is_gone("Job", "kept"))
    (pod,) = await cluster.items("Pod")
    assert "ownerReferences" not in pod["metadata"]


async def test_a_collection_is_deleted_by_selector(cluster: Cluster) -> None:
    for name, label in (("a", "yes"), ("b", "yes"), ("c", "no")):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"go": label}
        await cluster.apply(obj)
    await cluster.kube.delete(cluster.path("ConfigMap"), None, labelSelector="go=yes")
    assert {item["metadata"]["name"] for item in await cluster.items("ConfigMap", labelSelector="go")} == {"c"}


async def _namespace(cluster: Cluster, obj: Obj) -> str:
    """A second namespace with one object in it; its path."""
    path = f"/api/v1/namespaces/{cluster.namespace}-second"
    await cluster.kube.create("/api/v1/namespaces", {"metadata": {"name": path.rpartition("/")[2]}})
    await cluster.kube.create(f"{path}/configmaps", obj)
    return path


async def test_a_namespace_goes_with_all_that_is_in_it(cluster: Cluster) -> None:
    path = await _namespace(cluster, config_map("inside"))
    await cluster.kube.delete(path)

    async def is_gone() -> bool:
        return (await cluster.kube.raw("GET", path))[0] == 404

    await cluster.until("the namespace is gone", is_gone, within_s=120)
    assert (await cluster.kube.raw("GET", f"{path}/configmaps/inside"))[0] == 404


async def test_a_namespace_that_still_holds_something_ends_but_takes_nothing_new(cluster: Cluster) -> None:
    path = await _namespace(cluster, _held("held"))
    marked = await cluster.kube.delete(path)
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["status"]["phase"] == "Terminating"

    async def is_marked() -> bool:
        held = await cluster.kube.get(f"{path}/configmaps/held")
        return bool(held["metadata"].get("deletionTimestamp"))

    await cluster.until("the content is being deleted", is_marked, within_s=120)
    with pytest.raises(KubeHttpError, match="because it is being terminated") as refused:
        await cluster.kube.create(f"{path}/configmaps", config_map("late"))
    assert refused.value.code == 403
    assert refused.value.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    await cluster.kube.patch(f"{path}/configmaps/held", {"metadata": {"finalizers": None}})


async def test_nothing_is_created_in_a_namespace_that_is_not_there(cluster: Cluster) -> None:
    obj = config_map()
    path = "/api/v1/namespaces/nowhere/configmaps/settings"
    for attempt in (cluster.kube.apply(path, obj, "munbon"), cluster.kube.apply(path, obj, "munbon", dryRun="All")):
        with pytest.raises(KubeHttpError, match='namespaces "nowhere" not found') as refused:
            await attempt
        assert refused.value.code == 404
        assert refused.value.body["details"]["kind"] == "namespaces"


async def test_a_new_namespace_is_active_and_labelled(cluster: Cluster) -> None:
    live = await cluster.kube.get(f"/api/v1/namespaces/{cluster.namespace}")
    assert live["status"]["phase"] == "Active"
    assert live["metadata"]["labels"]["kubernetes.io/metadata.name"] == cluster.namespace
    assert live["spec"]["finalizers"] == ["kubernetes"]


async def test_every_cluster_has_its_system_namespace_with_a_uid(cluster: Cluster) -> None:
    system = await cluster.kube.get("/api/v1/namespaces/kube-system")
    assert len(system["metadata"]["uid"]) == 36
