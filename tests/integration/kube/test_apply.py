"""Applying: A1 to A11, A16, A17, A20 of the checklist in kubernetes.md 1.7, told as stories."""

import asyncio
import copy

import pytest

from edge_agent.model import Verdict
from tests.builders_kubernetes import config_map, custom, definition, deployment, job, namespace, noted, service, stateful_set
from tests.integration.kube.conftest import Bench, actions

KUBECTL = "kubectl-client-side-apply"


async def test_a_release_is_created_and_gets_healthy(bench: Bench) -> None:
    objects = (config_map(), service(), deployment())
    result = await bench.apply(*objects)
    assert result.cause is None
    assert set(actions(result).values()) == {"created"}
    live = await bench.live("Deployment", "web")
    assert live["metadata"]["labels"] == {"munbon.io/app": bench.app, "app.kubernetes.io/managed-by": "munbon"}
    assert (await bench.verdict(*objects)).verdict is Verdict.READY
    assert result.generations[bench.ref("Deployment", "web", "apps")] == 1


async def test_a_definition_its_objects_and_a_namespace_come_in_one_release(bench: Bench) -> None:  # A1
    group = f"{bench.app}.munbon.test"
    other = f"{bench.namespace}-second"
    inside = {**config_map("inside"), "metadata": {"name": "inside", "namespace": other}}
    result = await bench.apply(custom(group), inside, namespace(other), definition(group))
    assert result.cause is None
    assert set(actions(result).values()) == {"created"}
    entry = next(entry for entry in result.inventory if entry.ref.kind == "Weir")
    assert entry.uid
    assert entry.ref.namespace == bench.namespace


async def test_a_definition_whose_names_are_taken_is_refused_at_once(bench: Bench) -> None:  # A1
    if bench.cluster.memory is not None:
        pytest.skip("the in-memory cluster accepts all names")
    group = f"{bench.app}.munbon.test"
    await bench.apply(definition(group))
    taken = definition(group)
    taken["metadata"]["name"] = f"weirs2.{group}"
    taken["spec"]["names"] = {**taken["spec"]["names"], "plural": "weirs2", "singular": "weir"}
    result = await bench.apply(taken)
    assert result.cause is not None
    assert result.cause.code == "DefinitionRefused"
    assert result.cause.blames == "release"


async def test_a_pass_without_a_change_writes_nothing(bench: Bench) -> None:  # A2
    objects = [config_map(f"settings-{number}") for number in range(6)] + [deployment(), service()]
    await bench.apply(*objects)
    await bench.verdict(*objects)
    before = {
        kind: (await bench.live(kind, name))["metadata"]["resourceVersion"] for kind, name in (("Deployment", "web"), ("Service", "web"))
    }
    await bench.apply(*objects)
    writes, requests = bench.kube.writes_sent, bench.kube.requests_sent
    result = await bench.apply(*objects)
    assert set(actions(result).values()) == {"unchanged"}
    assert bench.kube.writes_sent == writes
    assert bench.kube.requests_sent - requests <= 4, "one list of the ConfigMaps, and a look at the namespace, Deployment and Service"
    assert before == {
        kind: (await bench.live(kind, name))["metadata"]["resourceVersion"] for kind, name in (("Deployment", "web"), ("Service", "web"))
    }


async def test_after_a_restart_everything_is_compared_and_nothing_written(bench: Bench) -> None:  # A2
    objects = (config_map(), deployment(), service())
    await bench.apply(*objects)
    await bench.verdict(*objects)
    writes = bench.kube.writes_sent
    bench.new_engine()
    assert set(actions(await bench.apply(*objects)).values()) == {"unchanged"}
    assert set(actions(await bench.apply(*objects, force_full=True)).values()) == {"unchanged"}
    assert bench.kube.writes_sent == writes


async def test_a_field_that_leaves_the_release_leaves_the_object(bench: Bench) -> None:
    await bench.apply(config_map(a="1", b="2"))
    await bench.apply(config_map(a="1"))
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_what_kubectl_applied_is_taken_over_with_all_its_fields(bench: Bench) -> None:  # A3
    path = bench.cluster.path("ConfigMap")
    made = config_map(a="1", old="2")
    notes = {"munbon.io/adopt": bench.app, "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    await bench.cluster.kube.create(path, noted(made, notes), fieldManager=KUBECTL)
    result = await bench.apply(config_map(a="1"))
    assert actions(result) == {"ConfigMap settings": "configured"}
    live = await bench.live("ConfigMap", "settings")
    assert live["data"] == {"a": "1"}
    assert KUBECTL not in {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert not result.inventory[0].created


async def test_a_change_made_by_hand_is_put_back_also_what_was_added(bench: Bench) -> None:
    await bench.apply(config_map(a="1"))
    await bench.cluster.kube.patch(
        bench.cluster.path("ConfigMap", "settings"), {"data": {"a": "9", "added": "x"}}, fieldManager="kubectl-edit"
    )
    assert actions(await bench.apply(config_map(a="1"))) == {"ConfigMap settings": "configured"}
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_replicas_that_an_autoscaler_sets_are_left_alone(bench: Bench) -> None:  # A4
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 5}
    autoscaler = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": spec}
    objects = (deployment(), autoscaler)
    await bench.apply(*objects)
    await bench.cluster.kube.patch(bench.cluster.path("Deployment", "web"), {"spec": {"replicas": 3}}, fieldManager="autoscaler")
    for _ in range(2):
        result = await bench.apply(*objects, force_full=True)
        assert result.cause is None
        assert (await bench.live("Deployment", "web"))["spec"]["replicas"] == 3
    await bench.apply(deployment(image="docker.io/munbon/web:1.1.0"), autoscaler)
    live = await bench.live("Deployment", "web")
    assert live["spec"]["replicas"] == 3
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("1.1.0")


async def test_ports_without_protocol_and_one_port_for_tcp_and_udp(bench: Bench) -> None:  # A5
    both = service("dns", {"name": "tcp", "port": 53}, {"name": "udp", "port": 53, "protocol": "UDP"})
    web = deployment()
    containers = web["spec"]["template"]["spec"]["containers"]
    containers.append(
        {**copy.deepcopy(containers[0]), "name": "second", "ports": [{"containerPort": 9000}, {"containerPort": 9000, "protocol": "UDP"}]}
    )
    assert (await bench.apply(both, web)).cause is None
    assert (await bench.apply(both, web, force_full=True)).cause is None
    assert [port["protocol"] for port in (await bench.live("Service", "dns"))["spec"]["ports"]] == ["TCP", "UDP"]


async def test_string_data_that_leaves_the_secret_leaves_its_data(bench: Bench) -> None:  # A6
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "one", "b": "two"}}
    await bench.apply(secret)
    await bench.apply({**secret, "stringData": {"a": "three"}})
    assert (await bench.live("Secret", "key"))["data"] == {"a": "dGhyZWU="}


async def test_an_immutable_change_is_refused_by_name_and_changes_nothing(bench: Bench) -> None:  # A7
    await bench.apply(job(), config_map(a="1"))
    result = await bench.apply(job(image="docker.io/munbon/migrate:2.0.0"), config_map(a="2"))
    assert result.cause is not None
    assert (result.cause.code, result.cause.blames) == ("Immutable", "release")
    assert result.cause.object == bench.ref("Job", "migrate", "batch")
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_an_immutable_change_may_recreate_where_an_annotation_says_so(bench: Bench) -> None:  # A7
    first = noted(job(), {"munbon.io/force": "recreate"})
    await bench.apply(first)
    before = await bench.live("Job", "migrate")
    second = noted(job(image="docker.io/munbon/migrate:2.0.0"), {"munbon.io/force": "recreate"})
    assert (await bench.apply(second)).cause is None
    after = await bench.live("Job", "migrate")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert bench.inventory.load(bench.app)[0].uid == after["metadata"]["uid"]


async def test_a_recreate_that_a_finalizer_holds_up_waits_and_leaves_no_orphan(bench: Bench) -> None:  # A8
    force = {"munbon.io/force": "recreate"}
    held = noted(job(suspend=True), force)
    held["metadata"]["finalizers"] = ["munbon.test/hold"]
    await bench.apply(held)
    path = bench.cluster.path("Job", "migrate")
    changed = noted(job(image="docker.io/munbon/migrate:2.0.0", suspend=True), force)
    changed["metadata"]["finalizers"] = ["munbon.test/hold"]
    result = await bench.engine.converge(bench.render(changed))
    assert "is being deleted" in result.waiting
    assert bench.refs_in_inventory() == {"Job migrate"}
    await bench.cluster.kube.patch(path, {"metadata": {"finalizers": None}}, fieldManager="somebody")
    assert actions(await bench.apply(changed)) == {"Job migrate": "created"}
    assert (await bench.live("Job", "migrate"))["spec"]["template"]["spec"]["containers"][0]["image"].endswith("2.0.0")


async def test_the_immutable_parts_of_a_selector_and_of_a_stateful_set_are_refused(bench: Bench) -> None:  # A7
    await bench.apply(deployment(), stateful_set())
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    for changed in (other, stateful_set(serviceName="renamed")):
        result = await bench.apply(changed)
        assert result.cause is not None
        assert (result.cause.code, result.cause.blames) == ("Immutable", "release")


async def test_an_object_held_by_a_finalizer_is_waited_for_and_then_made_anew(bench: Bench) -> None:  # A8, A9
    await bench.apply(config_map(a="1"))
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"metadata": {"finalizers": ["munbon.test/hold"]}}, fieldManager="somebody")
    await bench.cluster.kube.delete(path)
    result = await bench.engine.converge(bench.render(config_map(a="2")))
    assert result.waiting == f"ConfigMap {bench.namespace}/settings is being deleted"
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}
    await bench.cluster.kube.patch(path, {"metadata": {"finalizers": None}}, fieldManager="somebody")
    assert actions(await bench.apply(config_map(a="2"))) == {"ConfigMap settings": "created"}


async def test_a_typo_in_one_object_leaves_all_others_unapplied(bench: Bench) -> None:  # A17, A20
    wrong = deployment()
    wrong["spec"]["replikas"] = 2
    result = await bench.apply(config_map(), service(), wrong)
    assert result.cause is not None
    assert (result.cause.code, result.cause.blames) == ("Refused", "release")
    assert "replikas" in result.cause.message
    assert await bench.is_gone("ConfigMap", "settings")


async def test_of_many_new_objects_those_before_the_bad_one_are_known(bench: Bench) -> None:  # A20
    wrong = deployment("bad")
    wrong["spec"]["replikas"] = 2
    many = [config_map(f"settings-{number}") for number in range(25)]
    result = await bench.apply(*many, wrong)
    assert result.cause is not None
    made = [entry for entry in bench.inventory.load(bench.app) if entry.uid]
    assert len(made) == 25
    discarded = await bench.engine.discard_created(bench.app, bench.render(*many, wrong), bench.render(many[0]))
    assert len(discarded.deleted) == 25, "24 ConfigMaps, and the Deployment that never came"
    assert await bench.is_gone("ConfigMap", "settings-1")
    assert not await bench.is_gone("ConfigMap", "settings-0")


async def test_a_kind_that_nobody_serves_is_named_before_any_change(bench: Bench) -> None:  # A16
    typo = {"apiVersion": "apps/v1", "kind": "Deploymnet", "metadata": {"name": "web"}}
    result = await bench.apply(config_map(), typo)
    assert result.cause is not None
    assert (result.cause.code, result.cause.blames) == ("UnknownKind", "release")
    strange = custom("nowhere.munbon.test")
    result = await bench.apply(config_map(), strange)
    assert result.cause is not None
    assert (result.cause.code, result.cause.blames) == ("UnknownKind", "world")
    assert await bench.is_gone("ConfigMap", "settings")


async def test_a_cluster_scoped_object_with_a_namespace_is_normalised(bench: Bench) -> None:  # A16
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": bench.app, "namespace": "x"},
        "rules": [],
    }
    result = await bench.apply(role)
    assert result.cause is None
    assert result.inventory[0].ref.namespace == ""
    await bench.prune()


async def test_the_namespace_of_a_release_is_made_where_it_is_missing(bench: Bench) -> None:
    home = f"{bench.namespace}-home"
    result = await bench.engine.converge(bench.render(config_map(), namespace=home))
    assert actions(result) == {f"Namespace {home}": "created", "ConfigMap settings": "created"}
    assert (await bench.prune())[-1].kept == ()


async def test_a_pass_that_dies_between_apply_and_inventory_is_known_to_the_next(bench: Bench) -> None:  # A11
    saves = iter([None, RuntimeError("power cut")])

    def cut() -> None:
        error = next(saves, None)
        if error is not None:
            raise error

    bench.inventory.on_save = cut
    with pytest.raises(RuntimeError, match="power cut"):
        await bench.engine.converge(bench.render(config_map()))
    assert not await bench.is_gone("ConfigMap", "settings")
    assert bench.refs_in_inventory() == {"ConfigMap settings"}, "the union was saved first"
    bench.new_engine()
    assert (await bench.prune())[-1].pending == ()
    assert await bench.is_gone("ConfigMap", "settings")


async def test_a_finished_job_with_a_time_to_live_does_not_run_again(bench: Bench) -> None:
    migrate = job(ttlSecondsAfterFinished=0)
    await bench.apply(migrate)
    await bench.cluster.until("the Job is gone", lambda: bench.is_gone("Job", "migrate"))
    assert actions(await bench.apply(migrate)) == {"Job migrate": "skipped"}
    assert (await bench.verdict(migrate)).verdict is Verdict.READY
    changed = job(image="docker.io/munbon/migrate:2.0.0", ttlSecondsAfterFinished=0)
    assert actions(await bench.apply(changed)) == {"Job migrate": "created"}


async def test_two_passes_at_once_end_in_the_same_state(bench: Bench) -> None:
    render = bench.render(config_map(), deployment())
    results = await asyncio.gather(bench.engine.converge(render), bench.engine.converge(render))
    assert all(result.cause is None for result in results)
    assert set(actions(await bench.apply(config_map(), deployment())).values()) == {"unchanged"}
