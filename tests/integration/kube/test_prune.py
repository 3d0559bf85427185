"""Removing: A10, A12 to A15 of kubernetes.md 1.7, and what is never deleted."""

import asyncio

import pytest

from edge_agent.model import InventoryEntry
from tests.builders_kubernetes import claim, config_map, custom, definition, deployment, namespace, noted, service
from tests.integration.kube.conftest import Bench


async def test_what_a_release_drops_is_pruned_and_the_rest_stays(bench: Bench) -> None:
    await bench.apply(config_map(), config_map("old"), deployment())
    kept = bench.render(config_map(), deployment())
    results = await bench.prune(kept)
    assert results[0].deleted == (bench.ref("ConfigMap", "old"),)
    assert await bench.is_gone("ConfigMap", "old")
    assert bench.refs_in_inventory() == {"ConfigMap settings", "Deployment web"}
    assert (await bench.prune(kept))[0].deleted == ()


async def test_an_absent_app_leaves_nothing_but_its_data(bench: Bench) -> None:
    group = f"{bench.app}.munbon.test"
    await bench.apply(definition(group), custom(group), claim(), config_map(), deployment(), service())
    results = await bench.prune()
    kept = {ref.kind for result in results for ref in result.kept}
    assert kept == {"PersistentVolumeClaim", "CustomResourceDefinition"}
    assert await bench.is_gone("Deployment", "web")
    assert not await bench.is_gone("PersistentVolumeClaim", "data")
    assert bench.inventory.load(bench.app) == ()


async def test_a_workload_is_gone_only_when_its_pods_are(bench: Bench) -> None:
    await bench.apply(deployment())
    await bench.verdict(deployment())
    await bench.prune()
    assert await bench.cluster.items("Pod") == []


async def test_an_object_is_the_same_under_a_new_version_of_its_kind(bench: Bench) -> None:  # A10
    await bench.apply(config_map())
    [entry] = bench.inventory.load(bench.app)
    bench.inventory.kept[bench.app] = (InventoryEntry(entry.ref, "v1beta1", entry.uid, created=True),)
    assert (await bench.prune(bench.render(config_map())))[0].deleted == ()
    assert (await bench.prune())[0].deleted == (entry.ref,), "a version that is served no more is no reason to leak"


async def test_an_opt_out_on_the_live_object_alone_is_enough_and_settles_it(bench: Bench) -> None:  # A13
    await bench.apply(config_map(), service())
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}})
    first, *_ = await bench.prune()
    assert first.kept == (bench.ref("ConfigMap", "settings"),)
    assert any("helm.sh/resource-policy=keep" in message for message in first.messages)
    requests = bench.kube.requests_sent
    assert (await bench.prune())[0].kept == ()
    assert bench.kube.requests_sent == requests, "settled: not asked again"


@pytest.mark.parametrize("note", [("munbon.io/prune", "disabled"), ("argocd.argoproj.io/sync-options", "Validate=false, Prune=false")])
async def test_an_opt_out_in_the_release_is_honoured(bench: Bench, note: tuple[str, str]) -> None:
    await bench.apply(noted(config_map(), {note[0]: note[1]}))
    assert (await bench.prune())[0].kept == (bench.ref("ConfigMap", "settings"),)
    assert not await bench.is_gone("ConfigMap", "settings")


async def test_an_object_that_belongs_to_another_app_by_now_is_not_pruned(bench: Bench) -> None:  # A14
    await bench.apply(config_map())
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"metadata": {"labels": {"munbon.io/app": "another"}}})
    [result] = await bench.prune()
    assert result.kept == (bench.ref("ConfigMap", "settings"),)
    assert "belongs to app another by now" in result.messages[0]
    assert not await bench.is_gone("ConfigMap", "settings")


async def test_a_namespace_is_not_dropped_while_the_app_stands(bench: Bench) -> None:  # A15
    home = f"{bench.namespace}-home"
    await bench.apply(namespace(home), config_map())
    [result] = await bench.prune(bench.render(config_map()))
    assert [ref.kind for ref in result.kept] == ["Namespace"]
    assert "Namespace" in {entry.ref.kind for entry in bench.inventory.load(bench.app)}, "still known, for the day the app goes"
    await bench.prune()


async def test_a_namespace_in_which_others_live_stays(bench: Bench) -> None:  # A15
    home = f"{bench.namespace}-home"
    await bench.apply(namespace(home), {**config_map(), "metadata": {"name": "settings", "namespace": home}})
    await bench.cluster.kube.create(f"/api/v1/namespaces/{home}/configmaps", config_map("theirs"))
    results = await bench.prune()
    assert [ref.kind for result in results for ref in result.kept] == ["Namespace"]
    assert any("theirs" in message for message in results[-1].messages)
    assert (await bench.cluster.kube.get(f"/api/v1/namespaces/{home}"))["status"]["phase"] == "Active"


async def test_an_empty_namespace_goes_with_its_app(bench: Bench) -> None:
    home = f"{bench.namespace}-home"
    await bench.apply(namespace(home), {**config_map(), "metadata": {"name": "settings", "namespace": home}})
    await bench.prune()
    code, _ = await bench.cluster.kube.raw("GET", f"/api/v1/namespaces/{home}")
    assert code == 404


async def test_a_finalizer_keeps_an_object_pending_until_it_lets_go(bench: Bench) -> None:
    held = config_map()
    held["metadata"]["finalizers"] = ["munbon.test/hold"]
    await bench.apply(held)
    first = await bench.engine.prune(bench.app, ())
    assert first.pending == (bench.ref("ConfigMap", "settings"),)
    assert bench.refs_in_inventory() == {"ConfigMap settings"}
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"metadata": {"finalizers": None}})
    assert (await bench.prune())[-1].pending == ()
    assert bench.inventory.load(bench.app) == ()


async def test_going_back_deletes_what_only_the_bad_release_made(bench: Bench) -> None:
    good = bench.render(config_map(), deployment())
    await bench.apply(*good.objects)
    bad = bench.render(config_map(a="2"), deployment(), config_map("new"), claim(), version="1.1.0")
    await bench.apply(*bad.objects)
    await bench.apply(*good.objects)
    result = await bench.engine.discard_created(bench.app, bad, good)
    assert result.deleted == (bench.ref("ConfigMap", "new"),)
    assert [ref.kind for ref in result.kept] == ["PersistentVolumeClaim"]
    assert not await bench.is_gone("Deployment", "web")


async def test_an_inventory_is_rebuilt_from_labels_alone(bench: Bench) -> None:
    await bench.apply(config_map(), service(), deployment())
    await bench.verdict(deployment())
    rebuilt = await bench.engine.rebuild_inventory(bench.app)
    before = {entry.ref: entry.uid for entry in bench.inventory.load(bench.app)}
    assert {entry.ref: entry.uid for entry in rebuilt[bench.app]} == before, "and nothing that only copies our labels"
    assert bench.app in await bench.engine.rebuild_inventory(None)


@pytest.mark.control_plane
async def test_a_delete_that_a_policy_refuses_stays_in_the_inventory_and_is_tried_again(bench: Bench) -> None:  # A12
    if bench.cluster.memory is not None:
        pytest.skip("the in-memory cluster has no admission policies")
    await bench.apply(config_map())
    await _forbid_deletes(bench)
    kind = (await bench.kube.discovery.resolve([("v1", "ConfigMap")]))[("v1", "ConfigMap")]
    try:
        await _until_forbidden(bench)
        result = await bench.engine.prune(bench.app, ())
        assert result.pending == (bench.ref("ConfigMap", "settings"),)
        assert "no deletes today" in result.messages[0]
        assert bench.refs_in_inventory() == {"ConfigMap settings"}
    finally:
        await bench.cluster.kube.delete(f"{_POLICIES}bindings/{bench.namespace}")
        await bench.cluster.kube.delete(f"{_POLICIES.removesuffix('y')}ies/{bench.namespace}")
    await bench.prune()
    assert await bench.kube.get(kind, bench.namespace, "settings") is None


_POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicy"


async def _forbid_deletes(bench: Bench) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["DELETE"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": bench.namespace},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "no deletes today"}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": bench.namespace}}
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": bench.namespace},
        "spec": {"policyName": bench.namespace, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}},
    }
    await bench.cluster.kube.create(f"{_POLICIES.removesuffix('y')}ies", policy)
    await bench.cluster.kube.create(f"{_POLICIES}bindings", binding)


async def _until_forbidden(bench: Bench) -> None:
    """A policy is heeded a moment after it was made."""
    path = bench.cluster.path("ConfigMap")
    async with asyncio.timeout(30):
        while True:
            await bench.cluster.kube.raw("POST", path, config_map("probe"))
            code, _ = await bench.cluster.kube.raw("DELETE", f"{path}/probe")
            if code in (403, 422):
                return
            await asyncio.sleep(0.2)
