"""Checks and normal form of a release's objects."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.limits import MAX_OBJECTS
from shared.contracts.objects import check_objects, errors_of, expand_lists, images_of, normalise_objects, object_ref


def manifest(kind: str = "ConfigMap", version: str = "v1", name: str = "settings", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, **metadata}}


def codes(*manifests: Any, allow_secrets: bool = False) -> list[str]:
    return [finding.code for finding in check_objects(manifests, namespace="canal", allow_secrets=allow_secrets)]


def test_good_objects_have_no_findings() -> None:
    assert (
        codes(manifest(), manifest("Deployment", "apps/v1", "web", labels={"app": "web"}), manifest("Widget", "example.com/v1alpha1", "w"))
        == []
    )


def test_an_empty_release_is_refused() -> None:
    assert codes() == ["Empty"]


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("text", "NotAnObject"),
        (None, "NotAnObject"),
        ([], "NotAnObject"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "NoKind"),
        ({"apiVersion": "v1", "kind": "", "metadata": {"name": "a"}}, "NoKind"),
        ({"kind": "Service", "metadata": {"name": "a"}}, "NoApiVersion"),
        ({"apiVersion": 1, "kind": "Service", "metadata": {"name": "a"}}, "NoApiVersion"),
        ({"apiVersion": "v1", "kind": "Service"}, "NoName"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {}}, "NoName"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": 7}}, "NoName"),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a/b"}}, "NoName"),
        ({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "job-"}}, "GenerateName"),
        ({"apiVersion": "v1", "kind": "List", "items": []}, "ListNotExpanded"),
        (manifest(namespace="Not A Label"), "BadNamespace"),
        (manifest(labels={"n": 1}), "BadMetadata"),
        (manifest(annotations=["x"]), "BadMetadata"),
        (manifest(labels={"munbon.io/app": "web"}), "ReservedKey"),
        (manifest(annotations={"munbon.io/release-digest": "x"}), "ReservedKey"),
        (manifest(annotations={"munbon.io/prun": "disabled"}), "ReservedKey"),
        (manifest("Secret", name="s"), "PlainSecret"),
        (manifest(resourceVersion="7"), "ServerFields"),
        ({**manifest(), "status": {"phase": "x"}}, "ServerFields"),
        ({**manifest(), "data": {"x": "y" * 1_600_000}}, "ObjectTooLarge"),
    ],
)
def test_what_is_wrong_with_one_object_is_named_with_object_reason_and_remedy(broken: Any, code: str) -> None:
    (finding,) = check_objects([manifest(name="good"), broken], namespace="canal")
    assert (finding.code, finding.severity) == (code, "error")
    assert "good" not in finding.object
    assert finding.reason
    assert finding.remedy


def test_a_secret_passes_with_the_flag() -> None:
    assert codes(manifest("Secret", name="s"), allow_secrets=True) == []
    assert codes(manifest("Secret", "example.com/v1", "s")) == []


def test_our_own_annotations_for_users_are_allowed() -> None:
    assert codes(manifest(annotations={"munbon.io/prune": "disabled", "munbon.io/force": "recreate"})) == []


def test_the_same_object_in_two_versions_or_with_the_namespace_written_out_is_there_twice() -> None:
    old, new = manifest("HorizontalPodAutoscaler", "autoscaling/v1", "web"), manifest("HorizontalPodAutoscaler", "autoscaling/v2", "web")
    assert codes(old, new) == ["Duplicate"]
    (finding,) = check_objects([manifest(), manifest(name="b"), manifest(namespace="canal")], namespace="canal")
    assert "object 1 and as object 3" in finding.reason
    assert codes(
        manifest("ClusterRole", "rbac.authorization.k8s.io/v1", "r"),
        manifest("ClusterRole", "rbac.authorization.k8s.io/v1", "r", namespace="x"),
    ) == ["Duplicate"]


def test_the_same_name_in_another_namespace_group_or_kind_is_another_object() -> None:
    assert codes(manifest(), manifest("Service"), manifest("ConfigMap", "example.com/v1")) == []
    assert codes(manifest(), manifest(namespace="other")) == ["OtherNamespace"]


def test_an_object_of_another_namespace_is_a_note_only() -> None:
    findings = check_objects([manifest(namespace="other")], namespace="canal")
    assert errors_of(findings) == ()
    assert "other" in findings[0].reason


def test_too_many_objects_are_refused_with_both_figures() -> None:
    (finding,) = check_objects([manifest(name=f"n{n}") for n in range(MAX_OBJECTS + 1)], namespace="canal")
    assert str(MAX_OBJECTS) in finding.reason
    assert str(MAX_OBJECTS + 1) in finding.reason


def test_lists_are_expanded_as_kubectl_does() -> None:
    inner = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}
    expanded = expand_lists([{"apiVersion": "v1", "kind": "List", "items": [inner, manifest("Service", name="c")]}, manifest(name="d")])
    assert [str(object_ref(item)) for item in expanded] == ["ConfigMap a", "ConfigMap b", "Service c", "ConfigMap d"]
    assert codes(*expanded) == []


def test_normal_form_fills_namespaces_by_what_is_known_of_the_kind() -> None:
    crd = {
        **manifest("CustomResourceDefinition", "apiextensions.k8s.io/v1", "w"),
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Widget"}},
    }
    objects = normalise_objects(
        [
            manifest(),
            manifest(name="elsewhere", namespace="other"),
            manifest("ClusterRole", "rbac.authorization.k8s.io/v1", "r", namespace="dropped"),
            manifest("Widget", "example.com/v1", "defined"),
            manifest("Gadget", "example.com/v1", "undefined"),
            crd,
        ],
        "canal",
    )
    assert [item["metadata"].get("namespace") for item in objects] == ["canal", "other", None, "canal", None, None]


def test_normal_form_takes_out_what_a_server_wrote() -> None:
    live = manifest(
        uid="u",
        resourceVersion="7",
        creationTimestamp="2026-01-01T00:00:00Z",
        managedFields=[{}],
        generation=3,
        annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        labels={},
    )
    (clean,) = normalise_objects([{**live, "status": {"ok": True}}], "canal")
    assert clean == manifest(namespace="canal")


def test_images_are_found_in_every_pod_template() -> None:
    pod = {"initContainers": [{"image": "init:1"}], "containers": [{"image": "web:1"}, {"image": "web:1"}, {"name": "none"}]}
    cron = {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}}
    assert images_of([cron, {"spec": {"containers": [{"image": "a:2"}]}}]) == ("a:2", "init:1", "web:1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["apiVersion", "kind", "metadata", "name", "namespace", "labels", "items", "spec", "status"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_data_breaks_the_checks_and_none_is_changed_by_them(content: list[Any]) -> None:
    before = copy.deepcopy(content)
    findings = check_objects(content, namespace="canal")
    assert all(finding.object and finding.reason for finding in findings)
    mappings = [item for item in content if isinstance(item, dict)]
    normal = normalise_objects(mappings, "canal")
    assert normalise_objects(normal, "canal") == normal
    assert content == before


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=6))
def test_duplicates_are_found_exactly_where_names_repeat(names: list[str]) -> None:
    found = codes(*(manifest(name=name) for name in names))
    assert found.count("Duplicate") == len(names) - len(set(names))
