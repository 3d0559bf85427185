"""Lists: by which keys two managers' items merge, and which lists are owned whole."""

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import Obj, container, deployment, managers, service
from tests.fixtures_kubernetes import Cluster


def _pod_spec(obj: Obj) -> Obj:
    spec: Obj = obj["spec"]["template"]["spec"]
    return spec


def _partial(**pod_spec: object) -> Obj:
    """An apply of a second manager that speaks of the pod spec only."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": pod_spec}},
    }


async def _merged(cluster: Cluster, first: Obj, second: Obj) -> Obj:
    await cluster.apply(first)
    return await cluster.apply(second, "other")


async def test_containers_and_env_merge_by_name(cluster: Cluster) -> None:
    live = await _merged(
        cluster,
        deployment("web", container("web", env=[{"name": "A", "value": "1"}]), replicas=0),
        _partial(containers=[{"name": "web", "env": [{"name": "B", "value": "2"}]}, container("side", "munbon/side:1")]),
    )
    web, side = _pod_spec(live)["containers"]
    assert (web["name"], side["name"]) == ("web", "side")
    assert web["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


async def test_container_ports_merge_by_number_and_protocol(cluster: Cluster) -> None:
    ports = [{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]
    live = await _merged(
        cluster,
        deployment("web", container(ports=ports), replicas=0),
        _partial(containers=[{"name": "web", "ports": [{"containerPort": 54}]}]),
    )
    shown = [(port["containerPort"], port["protocol"]) for port in _pod_spec(live)["containers"][0]["ports"]]
    assert shown == [(53, "TCP"), (53, "UDP"), (54, "TCP")]
    owned = managers(live)[("munbon", "Apply")]["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"web"}']["f:ports"]
    assert set(owned) == {'k:{"containerPort":53,"protocol":"TCP"}', 'k:{"containerPort":53,"protocol":"UDP"}'}


async def test_mounts_merge_by_path_and_volumes_and_pull_secrets_by_name(cluster: Cluster) -> None:
    first = deployment("web", container(volumeMounts=[{"name": "a", "mountPath": "/a"}]), replicas=0)
    _pod_spec(first).update(volumes=[{"name": "a", "emptyDir": {}}], imagePullSecrets=[{"name": "one"}])
    live = await _merged(
        cluster,
        first,
        _partial(
            containers=[{"name": "web", "volumeMounts": [{"name": "b", "mountPath": "/b"}]}],
            volumes=[{"name": "b", "configMap": {"name": "c"}}],
            imagePullSecrets=[{"name": "two"}],
        ),
    )
    spec = _pod_spec(live)
    assert {mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]} == {"/a", "/b"}
    assert {volume["name"] for volume in spec["volumes"]} == {"a", "b"}
    assert spec["volumes"][1]["configMap"]["defaultMode"] == 420
    assert {secret["name"] for secret in spec["imagePullSecrets"]} == {"one", "two"}


async def test_init_containers_merge_by_name(cluster: Cluster) -> None:
    first = deployment(replicas=0)
    _pod_spec(first)["initContainers"] = [container("one", "munbon/one:1")]
    live = await _merged(cluster, first, _partial(initContainers=[container("two", "munbon/two:1")]))
    assert {each["name"] for each in _pod_spec(live)["initContainers"]} == {"one", "two"}


async def test_tolerations_and_commands_are_owned_whole(cluster: Cluster) -> None:
    first = deployment("web", container(command=["a", "b"]), replicas=0)
    _pod_spec(first)["tolerations"] = [{"key": "one", "operator": "Exists"}]
    await cluster.apply(first)
    with pytest.raises(KubeHttpError) as refused:
        await cluster.apply(
            _partial(tolerations=[{"key": "two", "operator": "Exists"}], containers=[{"name": "web", "command": ["c"]}]), "other"
        )
    fields = {cause["field"] for cause in refused.value.body["details"]["causes"]}
    assert fields == {".spec.template.spec.tolerations", '.spec.template.spec.containers[name="web"].command'}


async def test_service_ports_merge_by_port_and_protocol(cluster: Cluster) -> None:
    tcp_and_udp = [{"name": "dns", "port": 53}, {"name": "dns-udp", "port": 53, "protocol": "UDP"}]
    live = await _merged(
        cluster,
        service("web", *tcp_and_udp),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"name": "admin", "port": 81}]}},
    )
    assert [(port["port"], port["protocol"]) for port in live["spec"]["ports"]] == [(53, "TCP"), (53, "UDP"), (81, "TCP")]


async def test_finalizers_are_a_set_and_owner_references_merge_by_uid(cluster: Cluster) -> None:
    owner = await cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}

    def child(**metadata: object) -> Obj:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", **metadata}}

    await cluster.apply(child(finalizers=["example.org/one"]))
    live = await cluster.apply(child(finalizers=["example.org/two"], ownerReferences=[reference]), "other")
    assert live["metadata"]["finalizers"] == ["example.org/one", "example.org/two"]
    owned = managers(live)[("other", "Apply")]["f:metadata"]
    assert set(owned["f:ownerReferences"]) == {f'k:{{"uid":"{owner["metadata"]["uid"]}"}}'}
    assert owned["f:finalizers"] == {'v:"example.org/two"': {}}
    await cluster.kube.patch(cluster.path("ConfigMap", "child"), {"metadata": {"finalizers": None}})


async def test_items_that_only_others_know_keep_their_place(cluster: Cluster) -> None:
    env = [{"name": name, "value": "x"} for name in "ABC"]
    await cluster.apply(deployment("web", container(env=env), replicas=0), "other")
    wanted = [{"name": name, "value": "x"} for name in "CZA"]
    live = await cluster.apply(deployment("web", container(env=wanted), replicas=0))
    assert [each["name"] for each in _pod_spec(live)["containers"][0]["env"]] == ["B", "C", "Z", "A"]


async def test_an_item_twice_in_one_apply_is_refused(cluster: Cluster) -> None:
    obj = deployment("web", container(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]), replicas=0)
    with pytest.raises(KubeHttpError, match=r'containers\[name="web"\].env: duplicate entries for key \[name="A"\]') as refused:
        await cluster.apply(obj)
    assert refused.value.code == 500


async def test_reordering_my_own_items_reorders_the_list(cluster: Cluster) -> None:
    await cluster.apply(deployment("web", container("one"), container("two"), replicas=0))
    live = await cluster.apply(deployment("web", container("two"), container("one"), replicas=0))
    assert [each["name"] for each in _pod_spec(live)["containers"]] == ["two", "one"]
