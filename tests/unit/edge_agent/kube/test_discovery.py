"""Kinds: aggregated and the old way."""

from typing import Any

from aiohttp import web

from edge_agent.kube.discovery import Discovery
from tests.unit.edge_agent.kube.conftest import Stub, says


def resource(kind: str, plural: str, scope: str = "Namespaced") -> dict[str, Any]:
    return {"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope, "verbs": ["get", "list"]}


def aggregated(**groups: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    items = [
        {"metadata": {"name": name}, "versions": [{"version": version, "resources": resources} for version, resources in versions.items()]}
        for name, versions in groups.items()
    ]
    return {"kind": "APIGroupDiscoveryList", "items": items}


PODS = {"name": "pods", "kind": "Pod", "namespaced": True}
CORE = aggregated(**{"": {"v1": [resource("ConfigMap", "configmaps"), resource("Namespace", "namespaces", "Cluster")]}})
APPS = aggregated(apps={"v1": [resource("Deployment", "deployments")], "v1beta1": [resource("Deployment", "deployments")]})


async def test_two_requests_tell_all_kinds_and_are_remembered(stub: Stub) -> None:
    stub.answers = [says(200, CORE), says(200, APPS)]
    discovery = Discovery(await stub.transport())
    for _ in range(2):
        found = await discovery.resolve([("v1", "ConfigMap"), ("apps/v1", "Deployment"), ("v1", "Namespace")])
    assert found[("apps/v1", "Deployment")].path("shop", "web") == "/apis/apps/v1/namespaces/shop/deployments/web"
    assert found[("v1", "Namespace")].path("", "shop") == "/api/v1/namespaces/shop"
    assert not found[("v1", "Namespace")].namespaced
    assert len(stub.asked) == 2


async def test_an_unknown_kind_is_looked_for_once_more_and_found_when_it_came(stub: Stub) -> None:
    stub.answers = [says(200, CORE), says(200, aggregated()), says(200, CORE), says(200, APPS)]
    discovery = Discovery(await stub.transport())
    assert await discovery.resolve([("apps/v1", "Deployment")]) == {}
    assert ("apps/v1", "Deployment") in await discovery.resolve([("apps/v1", "Deployment")])


async def test_a_version_that_is_served_no_more_falls_back_to_the_preferred_one(stub: Stub) -> None:
    stub.answers = [says(200, CORE), says(200, APPS), says(200, CORE), says(200, APPS)]
    discovery = Discovery(await stub.transport())
    found = await discovery.served("apps", "Deployment", "apps/v1beta2")
    assert found is not None
    assert found.version == "v1"
    assert await discovery.served("apps", "Nothing") is None


async def test_a_server_without_aggregated_discovery_is_asked_group_by_group(stub: Stub) -> None:
    async def old(request: web.Request) -> web.StreamResponse:
        answers: dict[str, Any] = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {
                "kind": "APIGroupList",
                "groups": [
                    {
                        "name": "apps",
                        "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}],
                        "preferredVersion": {"groupVersion": "apps/v1"},
                    }
                ],
            },
            "/api/v1": {"groupVersion": "v1", "resources": [PODS, {"name": "pods/log", "kind": "Pod"}]},
            "/apis/apps/v1": {"groupVersion": "apps/v1", "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
        }
        found = answers.get(request.path)
        return web.json_response(found if found is not None else {"code": 404}, status=200 if found is not None else 404)

    stub.answers = [old]
    discovery = Discovery(await stub.transport())
    assert {kind.plural for kind in await discovery.all_preferred()} == {"pods", "deployments"}
