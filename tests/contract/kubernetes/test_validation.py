"""What the API refuses: unknown and immutable fields, wrong types, missing fields, names; and the discovery of what it serves."""

from typing import Any

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import Obj, config_map, container, deployment, job, service, stateful_set
from tests.fixtures_kubernetes import Cluster


async def _refused(cluster: Cluster, obj: Obj, **query: str) -> KubeHttpError:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.apply(obj, force=True, **query)
    return refused.value


def _with(obj: Obj, path: str, value: Any) -> Obj:
    """``obj`` with the field at a dotted path set."""
    here: Any = obj
    *parents, last = path.split(".")
    for key in parents:
        here = here[int(key)] if isinstance(here, list) else here.setdefault(key, {})
    here[last] = value
    return obj


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("spec.replicaz", ".spec.replicaz"),
        ("spec.template.spec.restartPolice", ".spec.template.spec.restartPolice"),
        ("spec.template.spec.containers.0.imagee", '.spec.template.spec.containers[name="web"].imagee'),
        ("sepc", ".sepc"),
        ("metadata.label", ".metadata.label"),
    ],
)
@pytest.mark.parametrize("validation", ["Strict", "Ignore"])
async def test_apply_refuses_unknown_fields_in_every_mode(cluster: Cluster, path: str, shown: str, validation: str) -> None:
    """A 500 without reason, not the 400 of the other verbs: a client must not take it for a broken server."""
    error = await _refused(cluster, _with(deployment(replicas=0), path, "x"), fieldValidation=validation)
    assert (error.code, error.reason) == (500, "")
    assert error.message == f"failed to create typed patch object (/web; apps/v1, Kind=Deployment): {shown}: field not declared in schema"
    assert await cluster.is_gone("Deployment", "web")


async def test_a_created_object_loses_unknown_fields_where_validation_is_not_strict(cluster: Cluster) -> None:
    live = await cluster.kube.create(
        cluster.path("Deployment"), _with(deployment(replicas=0), "spec.replicaz", 3), fieldValidation="Ignore"
    )
    assert "replicaz" not in live["spec"]


async def test_a_create_is_strict_where_asked(cluster: Cluster) -> None:
    obj = _with(deployment(), "spec.template.spec.containers.0.imagee", "x")
    with pytest.raises(KubeHttpError, match=r'unknown field "spec.template.spec.containers\[0\].imagee"') as refused:
        await cluster.kube.create(cluster.path("Deployment"), obj, fieldValidation="Strict")
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


async def test_a_merge_patch_is_strict_where_asked(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=0))
    with pytest.raises(KubeHttpError, match=r'unknown field "spec\.replicaz"') as refused:
        await cluster.kube.patch(cluster.path("Deployment", "web"), {"spec": {"replicaz": 3}}, fieldValidation="Strict")
    assert refused.value.code in (400, 422)


async def test_a_value_of_a_wrong_type_is_refused(cluster: Cluster) -> None:
    error = await _refused(cluster, _with(deployment(), "spec.replicas", "three"))
    assert error.code == 500
    assert ".spec.replicas: expected numeric (int or float), got string" in error.message
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.create(cluster.path("Deployment"), _with(deployment(), "spec.replicas", "three"))
    assert (refused.value.code, refused.value.reason) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (_with(deployment(), "spec.template.spec.containers.0.image", None), "spec.template.spec.containers[0].image"),
        (_with(deployment(), "spec.template.metadata.labels", {"app": "other"}), "spec.template.metadata.labels"),
        (_with(service(), "spec.ports", [{"name": "no-port"}]), "spec.ports[0].port"),
        (_with(config_map(), "data", {"no spaces": "x"}), "data[no spaces]"),
        (_with(job(), "spec.template.spec.restartPolicy", "Always"), "spec.template.spec.restartPolicy"),
    ],
)
async def test_an_invalid_object_is_refused_with_the_field(cluster: Cluster, obj: Obj, path: str) -> None:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.create(cluster.path(obj["kind"]), obj)
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert path in {cause["field"] for cause in refused.value.body["details"]["causes"]}
    assert refused.value.body["details"]["name"] == obj["metadata"]["name"]


async def test_a_name_with_capitals_is_refused(cluster: Cluster) -> None:
    error = await _refused(cluster, config_map("Settings"))
    assert error.code == 422
    assert error.body["details"]["causes"][0]["field"] == "metadata.name"


async def test_the_name_in_the_path_must_be_the_name_in_the_body(cluster: Cluster) -> None:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.apply(cluster.path("ConfigMap", "one"), config_map("two"), "munbon")
    assert refused.value.code == 400


async def test_the_namespace_in_the_body_must_be_that_of_the_path(cluster: Cluster) -> None:
    obj = config_map()
    obj["metadata"]["namespace"] = "elsewhere"
    assert (await _refused(cluster, obj)).code == 400


async def test_the_kind_in_the_body_must_be_that_of_the_path(cluster: Cluster) -> None:
    with pytest.raises(KubeHttpError) as refused:
        await cluster.kube.create(cluster.path("ConfigMap"), service())
    assert refused.value.code == 400


async def test_the_selector_of_a_deployment_is_immutable(cluster: Cluster) -> None:
    await cluster.apply(deployment(replicas=0))
    other = deployment(replicas=0)
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    error = await _refused(cluster, other)
    assert error.code == 422
    assert error.body["details"]["causes"][0]["field"] == "spec.selector"
    assert "field is immutable" in error.message


async def test_the_template_of_a_job_is_immutable(cluster: Cluster) -> None:
    await cluster.apply(job(suspend=True))
    error = await _refused(cluster, job(image="munbon/migrate:2.0.0"))
    assert error.code == 422
    assert "field is immutable" in error.message


async def test_most_of_a_stateful_set_is_immutable(cluster: Cluster) -> None:
    await cluster.apply(stateful_set(replicas=0))
    error = await _refused(cluster, _with(stateful_set(replicas=0), "spec.serviceName", "other"))
    assert error.code == 422
    assert "updates to statefulset spec for fields other than" in error.message
    await cluster.apply(stateful_set("store", container(image="munbon/web:2"), replicas=0))


async def test_the_address_of_a_service_is_immutable(cluster: Cluster) -> None:
    live = await cluster.apply(service())
    wanted = "10.43.255.1" if live["spec"]["clusterIP"] != "10.43.255.1" else "10.43.255.2"
    error = await _refused(cluster, _with(service(), "spec.clusterIP", wanted))
    assert error.code == 422
    assert "may not change once set" in error.message


async def test_an_immutable_config_map_keeps_its_data(cluster: Cluster) -> None:
    await cluster.apply({**config_map(a="1"), "immutable": True})
    error = await _refused(cluster, {**config_map(a="2"), "immutable": True})
    assert error.code == 422
    assert "field is immutable when `immutable` is set" in error.message


async def test_the_role_of_a_binding_is_immutable(cluster: Cluster) -> None:
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": cluster.namespace}],
    }
    await cluster.apply(binding)
    error = await _refused(cluster, _with(binding, "roleRef.name", "two"))
    assert error.code == 422
    assert error.body["details"]["causes"][0]["field"] == "roleRef"


async def test_an_unknown_kind_is_not_found(cluster: Cluster) -> None:
    code, status = await cluster.kube.raw("GET", f"/apis/apps/v1/namespaces/{cluster.namespace}/things")
    assert (code, status["message"], status["reason"]) == (404, "the server could not find the requested resource", "NotFound")


async def test_an_unknown_group_is_answered_with_text(cluster: Cluster) -> None:
    assert await cluster.kube.raw("GET", "/apis/nothing.example.org/v1/things") == (404, "404 page not found\n")


async def test_a_version_is_told_and_the_server_is_ready(cluster: Cluster) -> None:
    assert (await cluster.kube.get("/version"))["gitVersion"].startswith("v1.")
    assert await cluster.kube.get("/readyz") == "ok"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/api/v1",
            {
                "Namespace": False,
                "ConfigMap": True,
                "Secret": True,
                "Service": True,
                "ServiceAccount": True,
                "Pod": True,
                "Node": False,
                "PersistentVolumeClaim": True,
                "Event": True,
            },
        ),
        ("/apis/apps/v1", {"Deployment": True, "ReplicaSet": True, "StatefulSet": True, "DaemonSet": True}),
        ("/apis/batch/v1", {"Job": True, "CronJob": True}),
        ("/apis/networking.k8s.io/v1", {"Ingress": True, "IngressClass": False, "NetworkPolicy": True}),
        ("/apis/rbac.authorization.k8s.io/v1", {"Role": True, "RoleBinding": True, "ClusterRole": False, "ClusterRoleBinding": False}),
        ("/apis/apiextensions.k8s.io/v1", {"CustomResourceDefinition": False}),
        ("/apis/storage.k8s.io/v1", {"StorageClass": False}),
        ("/apis/scheduling.k8s.io/v1", {"PriorityClass": False}),
        ("/apis/policy/v1", {"PodDisruptionBudget": True}),
        ("/apis/autoscaling/v2", {"HorizontalPodAutoscaler": True}),
        ("/apis/coordination.k8s.io/v1", {"Lease": True}),
    ],
)
async def test_discovery_lists_the_kinds_with_their_scope(cluster: Cluster, path: str, expected: dict[str, bool]) -> None:
    listed = await cluster.kube.get(path)
    assert listed["kind"] == "APIResourceList"
    assert listed["groupVersion"] == path.split("/", 2)[2] if path != "/api/v1" else "v1"
    own = {each["kind"]: each for each in listed["resources"] if "/" not in each["name"]}
    assert {kind: own[kind]["namespaced"] for kind in expected} == expected
    assert all({"get", "list", "patch", "watch", "delete", "create"} <= set(own[kind]["verbs"]) for kind in expected)


async def test_discovery_lists_the_groups_with_their_preferred_version(cluster: Cluster) -> None:
    groups = {each["name"]: each["preferredVersion"]["groupVersion"] for each in (await cluster.kube.get("/apis"))["groups"]}
    assert groups["apps"] == "apps/v1"
    assert groups["batch"] == "batch/v1"
    assert groups["autoscaling"] == "autoscaling/v2"
    assert (await cluster.kube.get("/api"))["versions"] == ["v1"]


SIMPLE: list[tuple[str, Obj]] = [
    (
        "/apis/storage.k8s.io/v1/storageclasses",
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "example.org/none"},
    ),
    (
        "/apis/networking.k8s.io/v1/ingressclasses",
        {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "spec": {"controller": "example.org/none"}},
    ),
    ("/apis/scheduling.k8s.io/v1/priorityclasses", {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "value": 10}),
    (
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
        },
    ),
    (
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "User", "name": "someone"}],
        },
    ),
    (
        "/apis/networking.k8s.io/v1/namespaces/{ns}/networkpolicies",
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "spec": {"podSelector": {}}},
    ),
    (
        "/apis/networking.k8s.io/v1/namespaces/{ns}/ingresses",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "spec": {
                "rules": [
                    {
                        "host": "a.example",
                        "http": {
                            "paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]
                        },
                    }
                ]
            },
        },
    ),
    (
        "/apis/policy/v1/namespaces/{ns}/poddisruptionbudgets",
        {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "a"}}}},
    ),
    (
        "/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers",
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}},
        },
    ),
    (
        "/apis/batch/v1/namespaces/{ns}/cronjobs",
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "spec": {
                "schedule": "0 0 1 1 *",
                "jobTemplate": {"spec": job()["spec"] | {"template": {"spec": {"restartPolicy": "Never", "containers": [container()]}}}},
            },
        },
    ),
    (
        "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}],
        },
    ),
    ("/api/v1/namespaces/{ns}/serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": [{"name": "pull"}]}),
    (
        "/api/v1/namespaces/{ns}/persistentvolumeclaims",
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "none"},
        },
    ),
    (
        "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases",
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": "me", "leaseDurationSeconds": 10}},
    ),
    ("/apis/apps/v1/namespaces/{ns}/statefulsets", stateful_set(replicas=0)),
]


@pytest.mark.parametrize(("path", "obj"), SIMPLE, ids=[obj["kind"] for _, obj in SIMPLE])
async def test_each_kind_can_be_applied_twice_read_and_deleted(cluster: Cluster, path: str, obj: Obj) -> None:
    name = f"{cluster.namespace}-{obj['kind'].lower()}"
    path = f"{path.format(ns=cluster.namespace)}/{name}"
    named = {**obj, "metadata": {"name": name}}
    if obj["kind"] == "StatefulSet":
        named["spec"] = {**obj["spec"], "serviceName": name}
    await cluster.kube.apply(path, named, "munbon", fieldValidation="Strict")
    try:
        again = await cluster.kube.apply(path, named, "munbon", fieldValidation="Strict")
        read = await cluster.kube.get(path)
        assert (again["kind"], again["apiVersion"]) == (obj["kind"], obj["apiVersion"])
        assert again["metadata"].get("generation", 1) == 1
        assert read["metadata"]["uid"] == again["metadata"]["uid"]
    finally:
        await cluster.kube.delete(path, {"propagationPolicy": "Background"})

    async def is_gone() -> bool:
        return (await cluster.kube.raw("GET", path))[0] == 404

    await cluster.until(f"{obj['kind']} is gone", is_gone)
