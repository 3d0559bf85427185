"""Objects as they are sent."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.plan.prepare import digest_of, prepare
from tests.builders_kubernetes import config_map, definition, deployment, service


def prepared(manifest: Any, namespaced: bool = True) -> Any:
    return prepare(manifest, "shop", "home", namespaced)


def test_owner_labels_and_namespace_are_added_and_given_labels_kept() -> None:
    given_one = config_map()
    given_one["metadata"]["labels"] = {"tier": "x", "app.kubernetes.io/managed-by": "Helm"}
    made = prepared(given_one)
    assert made["metadata"]["labels"] == {"tier": "x", "munbon.io/app": "shop", "app.kubernetes.io/managed-by": "munbon"}
    assert made["metadata"]["namespace"] == "home"
    assert "namespace" not in prepared({**given_one, "metadata": {"name": "x", "namespace": "y"}}, namespaced=False)["metadata"]
    assert "munbon.io" not in str(given_one), "the release itself is not changed"


def test_nothing_on_an_object_depends_on_the_release() -> None:
    assert "annotations" not in prepared(config_map())["metadata"]


def test_ports_get_the_protocol_that_their_merge_key_needs() -> None:
    web = prepared(deployment())
    assert web["spec"]["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert prepared(service("dns", {"port": 53, "protocol": "UDP"}, {"port": 80}))["spec"]["ports"] == [
        {"port": 53, "protocol": "UDP"},
        {"port": 80, "protocol": "TCP"},
    ]
    rule = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "n"},
        "spec": {"ingress": [{"ports": [{"port": 80}]}]},
    }
    assert prepared(rule)["spec"]["ingress"] == [{"ports": [{"port": 80}]}], "not every list named ports is one of containers or Services"


def test_string_data_becomes_data_and_wins_over_it() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "eA==", "b": "eQ=="}, "stringData": {"a": "ü"}}
    made = prepared(secret)
    assert made["data"] == {"a": "w7w=", "b": "eQ=="}
    assert "stringData" not in made


def test_what_only_a_server_writes_is_left_out() -> None:
    messy = {**deployment(), "status": {"replicas": 1}}
    messy["metadata"] = {"name": "web", "creationTimestamp": None, "uid": "x", "resourceVersion": "7", "managedFields": [], "generation": 3}
    made = prepared(messy)
    assert "status" not in made
    assert set(made["metadata"]) == {"name", "namespace", "labels"}
    assert "status" in prepared({**definition("munbon.test"), "status": {"x": 1}}, namespaced=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ports", "port", "containerPort", "targetPort", "selector", "spec", "data", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON, JSON, JSON, st.sampled_from(["Secret", "Service", "Weir"]), st.booleans())
def test_preparing_twice_is_preparing_once_and_the_input_stays(spec: Any, data: Any, metadata: Any, kind: str, namespaced: bool) -> None:
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec, "data": data, "stringData": data}
    before = copy.deepcopy(manifest)
    once = prepare(manifest, "shop", "home", namespaced)
    assert manifest == before
    assert prepare(once, "shop", "home", namespaced) == once
    assert digest_of(once) == digest_of(copy.deepcopy(once))
