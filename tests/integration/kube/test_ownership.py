"""Whose an object is: A14, A18 and A19 of kubernetes.md 1.7, and scenario "a foreign object of the same name is not taken over"."""

import asyncio

import pytest

from edge_agent.kube.client import Applied
from edge_agent.kube.errors import KubeConflict
from edge_agent.model import Change
from edge_agent.observe.targets import Target
from shared.contracts.event import Cause
from tests.builders_kubernetes import config_map, deployment, noted, service
from tests.integration.kube.conftest import Bench, actions


async def test_a_foreign_object_of_the_same_name_stops_the_release_before_any_change(bench: Bench) -> None:
    await bench.cluster.kube.create(bench.cluster.path("ConfigMap"), config_map(mine="yes"))
    result = await bench.apply(config_map(a="1"), deployment())
    assert result.cause is not None
    assert (result.cause.code, result.cause.blames) == ("ForeignObject", "release")
    assert f"munbon.io/adopt={bench.app}" in result.cause.message
    assert result.changes == (Change(bench.ref("ConfigMap", "settings"), "conflict"),)
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"mine": "yes"}
    assert await bench.is_gone("Deployment", "web")
    assert bench.inventory.saves == []


async def test_an_object_of_another_app_is_not_taken_over(bench: Bench) -> None:  # A14
    other = bench.render(config_map(a="theirs"), app=f"{bench.app}-other")
    await bench.engine.converge(other)
    result = await bench.apply(config_map(a="ours"))
    assert result.cause is not None
    assert f"belongs to app {bench.app}-other" in result.cause.message


async def test_adoption_by_annotation_keeps_the_object_and_its_uid(bench: Bench) -> None:
    made = await bench.cluster.kube.create(bench.cluster.path("ConfigMap"), noted(config_map(a="old"), {"munbon.io/adopt": bench.app}))
    assert (await bench.apply(config_map(a="new"))).cause is None
    live = await bench.live("ConfigMap", "settings")
    assert live["metadata"]["uid"] == made["metadata"]["uid"]
    assert live["data"] == {"a": "new"}
    discarded = await bench.engine.discard_created(bench.app, bench.render(config_map()), bench.render(service()))
    assert discarded.deleted == (), "it stood before the release: going back leaves it"


async def test_an_adoption_for_another_app_is_none_for_us(bench: Bench) -> None:
    await bench.cluster.kube.create(bench.cluster.path("ConfigMap"), noted(config_map(), {"munbon.io/adopt": "somebody-else"}))
    result = await bench.apply(config_map())
    assert result.cause is not None
    assert result.cause.code == "ForeignObject"


async def test_an_object_of_ours_whose_label_was_taken_away_is_still_ours(bench: Bench) -> None:
    await bench.apply(config_map(a="1"))
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.patch(path, {"metadata": {"labels": {"munbon.io/app": None}}}, fieldManager="kubectl-label")
    result = await bench.apply(config_map(a="1"))
    assert actions(result) == {"ConfigMap settings": "configured"}
    assert (await bench.live("ConfigMap", "settings"))["metadata"]["labels"]["munbon.io/app"] == bench.app


async def test_an_object_that_somebody_else_made_anew_is_not_ours_any_more(bench: Bench) -> None:
    await bench.apply(config_map(a="1"))
    path = bench.cluster.path("ConfigMap", "settings")
    await bench.cluster.kube.delete(path)
    await bench.cluster.kube.create(bench.cluster.path("ConfigMap"), config_map(a="theirs"))
    result = await bench.apply(config_map(a="1"))
    assert result.cause is not None
    assert result.cause.code == "ForeignObject"
    assert (await bench.prune())[-1].kept == (bench.ref("ConfigMap", "settings"),)
    assert not await bench.is_gone("ConfigMap", "settings")


async def test_a_field_that_another_manager_forced_is_taken_back(bench: Bench) -> None:  # A19: over our own objects we force
    await bench.apply(config_map(a="1"))
    await bench.cluster.apply({**config_map(a="2"), "metadata": {"name": "settings"}}, "somebody", force=True)
    assert (await bench.apply(config_map(a="1"))).cause is None
    assert (await bench.live("ConfigMap", "settings"))["data"] == {"a": "1"}


async def test_an_apply_without_force_names_manager_and_field(bench: Bench) -> None:  # A19
    await bench.apply(config_map(a="1"))
    kind = (await bench.kube.discovery.resolve([("v1", "ConfigMap")]))[("v1", "ConfigMap")]
    manifest = config_map(a="2")
    manifest["metadata"]["namespace"] = bench.namespace
    with pytest.raises(KubeConflict) as caught:
        await bench.kube.apply(kind, manifest, force=False, manager="somebody")
    assert "munbon" in caught.value.message
    assert ".data.a" in str(caught.value.details)


@pytest.mark.control_plane
async def test_a_webhook_that_does_not_answer_is_the_worlds_fault_and_nothing_is_applied(bench: Bench) -> None:  # A18
    if bench.cluster.memory is not None:
        pytest.skip("the in-memory cluster has no webhooks")
    await make_webhook(bench, side_effects="None")
    try:
        result = await _until_stopped(bench)
        assert (result.code, result.blames) == ("WebhookUnavailable", "world")
    finally:
        await bench.cluster.kube.delete(_webhook_path(bench))
    assert await bench.is_gone("ConfigMap", "settings")
    assert (await bench.apply(config_map())).cause is None


async def make_webhook(bench: Bench, side_effects: str) -> None:
    rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook = {
        "name": "closed.munbon.test",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": side_effects,
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bench.namespace}},
    }
    manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": bench.namespace},
        "webhooks": [hook],
    }
    await bench.cluster.kube.create("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", manifest)


def _webhook_path(bench: Bench) -> str:
    return f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{bench.namespace}"


async def _until_stopped(bench: Bench) -> Cause:
    """The webhook is heeded a moment after it was made."""
    async with asyncio.timeout(20):
        while (result := await bench.engine.converge(bench.render(config_map()))).cause is None:
            await bench.prune()
            await asyncio.sleep(0.2)
    return result.cause


async def test_an_object_that_appears_while_ours_is_created_is_left_as_it_was(bench: Bench) -> None:
    await bench.apply(config_map("first"))
    create = bench.engine._writer.create

    async def too_late(target: Target) -> Applied:
        await bench.cluster.kube.create(bench.cluster.path("ConfigMap"), config_map(mine="yes"), fieldManager="somebody")
        return await create(target)

    bench.engine._writer.create = too_late  # type: ignore[method-assign]
    result = await bench.engine.converge(bench.render(config_map("first"), config_map(a="1")))
    assert result.cause is not None
    assert result.cause.code == "ApplyConflict"
    live = await bench.live("ConfigMap", "settings")
    assert live["data"] == {"mine": "yes"}
    assert "labels" not in live["metadata"]
    bench.new_engine()
    result = await bench.apply(config_map("first"), config_map(a="1"))
    assert result.cause is not None
    assert result.cause.code == "ForeignObject"
