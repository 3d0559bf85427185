"""CustomResourceDefinitions: established, served, discovered, pruned, and gone again with their resources."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import Obj, condition, managers
from tests.fixtures_kubernetes import Cluster

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STRING = {"type": "string"}


def definition(group: str, **spec_properties: Any) -> Obj:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["site"],
                "properties": {
                    "site": STRING,
                    "mode": {"type": "string", "default": "auto"},
                    "gates": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "required": ["name"], "properties": {"name": STRING, "width": {"type": "integer"}}},
                    },
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                    **spec_properties,
                },
            },
            "status": {"type": "object", "properties": {"level": {"type": "integer"}}},
        },
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"canals.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "canals", "kind": "Canal"}, "versions": [version]},
    }


class Canals:
    """A definition of its own for this test."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.group = f"{cluster.namespace}.example.org"
        self.definition_path = f"{CRDS}/canals.{self.group}"
        self.collection = f"/apis/{self.group}/v1/namespaces/{cluster.namespace}/canals"

    def canal(self, name: str = "north", **spec: Any) -> Obj:
        return {"apiVersion": f"{self.group}/v1", "kind": "Canal", "metadata": {"name": name}, "spec": {"site": "north", **spec}}

    async def apply(self, obj: Obj, manager: str = "munbon", **query: Any) -> Obj:
        return await self.cluster.kube.apply(f"{self.collection}/{obj['metadata']['name']}", obj, manager, **query)

    async def establish(self) -> Obj:
        await self.cluster.kube.apply(self.definition_path, definition(self.group), "munbon")

        async def is_established() -> Obj | None:
            live = await self.cluster.kube.get(self.definition_path)
            served = (await self.cluster.kube.raw("GET", self.collection))[0] == 200
            return live if condition(live, "Established").get("status") == "True" and served else None

        found: Obj = await self.cluster.until("the definition is established", is_established)
        return found


@pytest.fixture
async def canals(cluster: Cluster) -> AsyncIterator[Canals]:
    made = Canals(cluster)
    yield made
    await cluster.kube.raw("DELETE", made.definition_path)


async def test_the_kind_is_unknown_before_its_definition(canals: Canals) -> None:
    with pytest.raises(KubeHttpError, match="404 page not found") as refused:
        await canals.apply(canals.canal())
    assert refused.value.code == 404


async def test_an_established_definition_is_served_and_discovered(canals: Canals, cluster: Cluster) -> None:
    live = await canals.establish()
    assert condition(live, "NamesAccepted")["status"] == "True"
    assert live["status"]["acceptedNames"]["listKind"] == "CanalList"
    assert live["status"]["storedVersions"] == ["v1"]

    async def is_discovered() -> Obj | None:
        code, listed = await cluster.kube.raw("GET", f"/apis/{canals.group}/v1")
        return listed if code == 200 else None

    listed = await cluster.until("the kind is discovered", is_discovered)
    canal = next(each for each in listed["resources"] if each["name"] == "canals")
    assert (canal["kind"], canal["namespaced"]) == ("Canal", True)
    assert "canals/status" in {each["name"] for each in listed["resources"]}


async def test_a_definition_is_answered_before_it_is_established(canals: Canals, cluster: Cluster) -> None:
    made = await cluster.kube.apply(canals.definition_path, definition(canals.group), "munbon")
    assert made["status"] == {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}


async def test_a_second_apply_of_the_definition_changes_nothing(canals: Canals, cluster: Cluster) -> None:
    live = await canals.establish()
    again = await cluster.kube.apply(canals.definition_path, definition(canals.group), "munbon")
    assert again["metadata"]["generation"] == live["metadata"]["generation"] == 1


async def test_a_resource_gets_defaults_and_merges_by_its_keys(canals: Canals) -> None:
    await canals.establish()
    await canals.apply(canals.canal(gates=[{"name": "a", "width": 2}]))
    live = await canals.apply(canals.canal(gates=[{"name": "b", "width": 3}]), "other")
    assert live["spec"]["mode"] == "auto"
    assert live["spec"]["gates"] == [{"name": "a", "width": 2}, {"name": "b", "width": 3}]
    assert "f:mode" not in managers(live)[("munbon", "Apply")]["f:spec"]


async def test_the_generation_of_a_resource_counts_its_spec(canals: Canals, cluster: Cluster) -> None:
    await canals.establish()
    assert (await canals.apply(canals.canal()))["metadata"]["generation"] == 1
    changed = await canals.apply(canals.canal(mode="manual"))
    assert changed["metadata"]["generation"] == 2
    status = await cluster.kube.patch(f"{canals.collection}/north/status", {"status": {"level": 3}, "spec": {"mode": "x"}})
    assert (status["metadata"]["generation"], status["status"], status["spec"]["mode"]) == (2, {"level": 3}, "manual")


async def test_a_list_of_resources_says_their_kind(canals: Canals, cluster: Cluster) -> None:
    await canals.establish()
    await canals.apply(canals.canal())
    listed = await cluster.kube.get(canals.collection)
    assert listed["kind"] == "CanalList"
    assert [(item["kind"], item["metadata"]["name"]) for item in listed["items"]] == [("Canal", "north")]


async def test_unknown_fields_are_dropped_or_refused(canals: Canals, cluster: Cluster) -> None:
    await canals.establish()
    made = await cluster.kube.create(canals.collection, canals.canal(colour="red", free={"any": {"thing": 1}}))
    assert "colour" not in made["spec"]
    assert made["spec"]["free"] == {"any": {"thing": 1}}
    with pytest.raises(KubeHttpError, match=r'unknown field "spec.colour"') as refused:
        await cluster.kube.create(canals.collection, canals.canal("south", colour="red"), fieldValidation="Strict")
    assert refused.value.code == 400
    with pytest.raises(KubeHttpError, match=r".spec.colour: field not declared in schema") as applied:
        await canals.apply(canals.canal("south", colour="red"))
    assert applied.value.code == 500


async def test_a_missing_required_field_is_refused(canals: Canals, cluster: Cluster) -> None:
    await canals.establish()
    obj = canals.canal()
    obj["spec"] = {"mode": "manual"}
    with pytest.raises(KubeHttpError, match=r"spec\.site: Required value") as refused:
        await cluster.kube.create(canals.collection, obj)
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")


async def test_a_deleted_definition_takes_its_resources_with_it(canals: Canals, cluster: Cluster) -> None:
    await canals.establish()
    await canals.apply(canals.canal())
    await cluster.kube.delete(canals.definition_path)

    async def is_gone() -> bool:
        return (await cluster.kube.raw("GET", canals.definition_path))[0] == 404

    await cluster.until("the definition is gone", is_gone)

    async def is_not_served() -> bool:
        return (await cluster.kube.raw("GET", f"{canals.collection}/north"))[0] == 404

    await cluster.until("the kind is served no more", is_not_served)
