"""Names of a render's objects."""

from edge_agent.model import Render
from edge_agent.observe.targets import refs_of
from shared.contracts.release import DeliveryPolicy
from tests.builders_kubernetes import config_map, custom, namespace


def names(*objects: object, home: str = "home", scopes: dict[tuple[str, str], bool] | None = None) -> set[str]:
    render = Render("shop", "0" * 64, "1.0.0", home, objects, DeliveryPolicy())  # type: ignore[arg-type]
    return {str(ref) for ref in refs_of(render, scopes or {})}


def test_objects_are_named_as_they_are_applied_with_the_release_s_namespace() -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r", "namespace": "odd"}}
    assert names(config_map(), role) == {"ConfigMap home/settings", "ClusterRole.rbac.authorization.k8s.io r", "Namespace home"}


def test_the_namespace_of_the_release_is_implied_unless_named_or_always_there() -> None:
    assert "Namespace default" not in names(config_map(), home="default")
    assert names(namespace("home")) == {"Namespace home"}


def test_custom_kinds_are_named_by_the_scope_that_the_inventory_knows() -> None:
    assert "Weir.munbon.test home/north" in names(custom("munbon.test"))
    assert "Weir.munbon.test north" in names(custom("munbon.test"), scopes={("munbon.test", "Weir"): False})
