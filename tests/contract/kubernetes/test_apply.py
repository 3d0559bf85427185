"""Server-side apply: what is created, kept, removed and refused."""

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import config_map, container, deployment, managers, service
from tests.fixtures_kubernetes import Cluster


async def test_the_first_apply_creates_and_the_second_changes_nothing(cluster: Cluster) -> None:
    path = cluster.path("ConfigMap", "settings")
    code, first = await cluster.kube.raw(
        "PATCH", path, config_map(a="1"), content_type="application/apply-patch+yaml", fieldManager="munbon"
    )
    assert code == 201
    again = await cluster.apply(config_map(a="1"))
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert again["metadata"]["managedFields"] == first["metadata"]["managedFields"]
    assert managers(again) == {("munbon", "Apply"): {"f:data": {"f:a": {}}}}


async def test_applying_a_deployment_twice_bumps_neither_version_nor_generation(cluster: Cluster) -> None:
    obj = deployment("web", container(ports=[{"containerPort": 80}], env=[{"name": "A", "value": "1"}]), replicas=0)
    await cluster.apply(obj)
    settled = await cluster.until_object(
        "Deployment",
        "web",
        "observed",
        lambda o: (
            o.get("status", {}).get("observedGeneration") == 1
            and any(c["type"] == "Available" for c in o["status"].get("conditions", ()))
            and any(c.get("reason") == "NewReplicaSetAvailable" for c in o["status"]["conditions"])
        ),
    )
    again = await cluster.apply(obj)
    assert again["metadata"]["resourceVersion"] == settled["metadata"]["resourceVersion"]
    assert again["metadata"]["generation"] == 1


async def test_a_spec_change_raises_the_generation_and_a_label_does_not(cluster: Cluster) -> None:
    obj = deployment(replicas=0)
    await cluster.apply(obj)
    obj["metadata"]["labels"] = {"tier": "edge"}
    assert (await cluster.apply(obj))["metadata"]["generation"] == 1
    obj["spec"]["template"]["spec"]["containers"][0]["image"] = "munbon/web:1.1.0"
    assert (await cluster.apply(obj))["metadata"]["generation"] == 2


async def test_a_field_that_is_no_longer_sent_is_removed(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1", b="2"))
    assert (await cluster.apply(config_map(b="2")))["data"] == {"b": "2"}


async def test_the_last_field_of_a_map_takes_the_map_with_it(cluster: Cluster) -> None:
    obj = config_map(a="1")
    obj["metadata"]["labels"] = {"tier": "edge"}
    await cluster.apply(obj)
    bare = await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}})
    assert "data" not in bare
    assert "labels" not in bare["metadata"]


async def test_fields_of_another_manager_stay_when_mine_go(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))
    await cluster.apply(config_map(b="2"), "other")
    both = await cluster.get("ConfigMap", "settings")
    assert both["data"] == {"a": "1", "b": "2"}
    assert (await cluster.apply({**config_map(), "data": {}}))["data"] == {"b": "2"}


async def test_a_shared_field_stays_until_its_last_owner_lets_go(cluster: Cluster) -> None:
    await cluster.apply(config_map(a="1"))
    await cluster.apply(config_map(a="1"), "other")
    assert (await cluster.apply(config_map(c="3")))["data"] == {"a": "1", "c": "3"}
    assert (await cluster.apply({**config_map(), "data": {}}, "other"))["data"] == {"c": "3"}


async def test_a_dropped_container_goes_and_defaults_of_the_kept_one_stay(cluster: Cluster) -> None:
    await cluster.apply(deployment("web", container("web"), container("side", "munbon/side:1"), replicas=0))
    live = await cluster.apply(deployment("web", container("web"), replicas=0))
    (only,) = live["spec"]["template"]["spec"]["containers"]
    assert only["name"] == "web"
    assert only["terminationMessagePath"] == "/dev/termination-log"


async def test_a_dropped_optional_field_goes_back_to_its_default(cluster: Cluster) -> None:
    obj = deployment(replicas=0)
    obj["spec"]["revisionHistoryLimit"] = 2
    obj["spec"]["strategy"] = {"type": "Recreate"}
    await cluster.apply(obj)
    live = await cluster.apply(deployment(replicas=0))
    assert live["spec"]["revisionHistoryLimit"] == 10
    assert live["spec"]["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


async def test_defaults_are_filled_in_but_owned_by_nobody(cluster: Cluster) -> None:
    live = await cluster.apply(deployment(replicas=0))
    assert live["spec"]["progressDeadlineSeconds"] == 600
    owned = managers(live)[("munbon", "Apply")]["f:spec"]
    assert "f:progressDeadlineSeconds" not in owned
    assert owned["f:selector"] == {}


async def test_defaults_of_a_created_object_belong_to_its_creator(cluster: Cluster) -> None:
    live = await cluster.kube.create(cluster.path("Deployment"), deployment(replicas=0), fieldManager="maker")
    owned = managers(live)[("maker", "Update")]["f:spec"]
    assert owned["f:progressDeadlineSeconds"] == {}
    assert owned["f:strategy"]["f:rollingUpdate"] == {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}


async def test_dry_run_answers_as_if_and_stores_nothing(cluster: Cluster) -> None:
    shown = await cluster.apply(deployment(replicas=3), dryRun="All")
    assert shown["spec"]["progressDeadlineSeconds"] == 600
    assert "resourceVersion" not in shown["metadata"]
    assert await cluster.is_gone("Deployment", "web")
    stored = await cluster.apply(config_map(a="1"))
    changed = await cluster.apply(config_map(a="2"), dryRun="All")
    assert changed["data"] == {"a": "2"}
    assert (await cluster.get("ConfigMap", "settings")) == stored


async def test_dry_run_of_no_change_has_the_live_version(cluster: Cluster) -> None:
    stored = await cluster.apply(config_map(a="1"))
    shown = await cluster.apply(config_map(a="1"), dryRun="All", force=True)
    assert shown["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


async def test_apply_needs_a_field_manager(cluster: Cluster) -> None:
    code, status = await cluster.kube.raw(
        "PATCH", cluster.path("ConfigMap", "x"), config_map("x"), content_type="application/apply-patch+yaml"
    )
    assert code in (400, 422)
    assert "fieldManager" in status["message"]


async def test_apply_refuses_managed_fields_in_the_body(cluster: Cluster) -> None:
    obj = config_map(a="1")
    obj["metadata"]["managedFields"] = [
        {"manager": "me", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}
    ]
    with pytest.raises(KubeHttpError, match="managedFields must be nil") as refused:
        await cluster.apply(obj)
    assert refused.value.code == 400


async def test_string_data_of_a_secret_becomes_data(cluster: Cluster) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "x"}}
    live = await cluster.apply(secret)
    assert live["data"] == {"a": "eA=="}
    assert "stringData" not in live
    assert live["type"] == "Opaque"


async def test_a_service_keeps_its_address_over_applies(cluster: Cluster) -> None:
    first = await cluster.apply(service())
    again = await cluster.apply(service("web", {"port": 81}))
    assert first["spec"]["clusterIP"]
    assert again["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert [port["port"] for port in again["spec"]["ports"]] == [81]
    assert again["spec"]["ports"][0]["targetPort"] == 81


async def test_an_explicit_null_counts_as_not_set(cluster: Cluster) -> None:
    obj = deployment(replicas=0)
    obj["spec"]["minReadySeconds"] = None
    live = await cluster.apply(obj)
    assert "minReadySeconds" not in live["spec"]
