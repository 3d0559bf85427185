"""One decision per object."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.model import InventoryEntry
from edge_agent.plan.autoscaled import autoscaled, without_replicas
from edge_agent.plan.compare import differs
from edge_agent.plan.decide import Seen, Step, glance, mark_of, may_recreate, owner_of
from edge_agent.plan.keep import is_protected, opt_out
from edge_agent.plan.stuck import may_have_stuck_pods, stuck_pods
from edge_agent.plan.takeover import has_other_writers, takeover_patch
from shared.contracts.event import ObjectRef
from tests.builders_kubernetes import config_map, deployment, job, noted, stateful_set

OURS = {"metadata": {"name": "settings", "uid": "u1", "resourceVersion": "7", "labels": {"munbon.io/app": "shop"}}}
REF = ObjectRef(kind="ConfigMap", namespace="home", name="settings")
ENTRY = InventoryEntry(REF, "v1", "u1", created=True)


def step(live: Any, desired: Any = None, entry: InventoryEntry | None = None, seen: Seen | None = None) -> Step:
    return glance(desired or config_map(), "d1", live, "shop", entry, seen).step


def changed(live: Any, **metadata: Any) -> Any:
    return {**live, "metadata": {**live["metadata"], **metadata}}


def test_the_table_of_decisions() -> None:
    assert step(None) is Step.CREATE
    assert step(OURS) is Step.COMPARE
    assert step(changed(OURS, deletionTimestamp="now")) is Step.WAIT
    assert step(changed(OURS, labels={})) is Step.CONFLICT
    assert step(changed(OURS, labels={}), entry=ENTRY) is Step.COMPARE, "the label was taken away, the UID is that of our inventory"
    assert step(changed(OURS, labels={}, uid="u2"), entry=ENTRY) is Step.CONFLICT, "somebody made it anew"
    assert step(changed(OURS, labels={"munbon.io/app": "other"}), entry=ENTRY) is Step.CONFLICT
    assert step(changed(OURS, labels={}, annotations={"munbon.io/adopt": "shop"})) is Step.COMPARE
    assert step(changed(OURS, labels={}, deletionTimestamp="now")) is Step.CONFLICT, "a foreign object is not even waited for"


def test_a_second_look_is_saved_only_while_neither_side_has_changed() -> None:
    seen = Seen(mark_of(OURS), "d1")
    assert step(OURS, seen=seen) is Step.UNCHANGED
    assert step(changed(OURS, resourceVersion="8"), seen=seen) is Step.COMPARE
    decision = glance(config_map(), "d2", OURS, "shop", None, seen)
    assert (decision.step, decision.untouched) == (Step.COMPARE, True)


def test_a_status_change_alone_is_no_reason_to_look_again() -> None:
    live = changed(OURS, generation=3, resourceVersion="7")
    seen = Seen(mark_of(live), "d1")
    revised = {"deployment.kubernetes.io/revision": "4"}
    assert step(changed(live, resourceVersion="9", annotations=revised), seen=seen) is Step.UNCHANGED
    assert step(changed(live, generation=4), seen=seen) is Step.COMPARE
    assert step(changed(live, annotations={"by": "hand"}), seen=seen) is Step.COMPARE


@pytest.mark.parametrize(
    "note",
    [
        {"kustomize.toolkit.fluxcd.io/reconcile": "Disabled"},
        {"kustomize.toolkit.fluxcd.io/ssa": "ignore"},
        {"argocd.argoproj.io/hook": "Skip"},
    ],
)
def test_an_object_that_asks_to_be_left_alone_is(note: dict[str, str]) -> None:
    assert step(None, noted(config_map(), note)) is Step.SKIP


def test_an_object_wanted_only_where_it_is_missing() -> None:
    wanted = noted(config_map(), {"kustomize.toolkit.fluxcd.io/ssa": "IfNotPresent"})
    assert step(None, wanted) is Step.CREATE
    assert step(OURS, wanted) is Step.SKIP


def test_a_job_with_a_time_to_live_that_ran_is_not_made_again_unless_it_changed() -> None:
    ran = InventoryEntry(REF, "batch/v1", "u1", digest="d1")
    assert step(None, job(ttlSecondsAfterFinished=5), ran) is Step.SKIP
    assert glance(job(ttlSecondsAfterFinished=5), "d2", None, "shop", ran, None).step is Step.CREATE
    assert step(None, job(), ran) is Step.CREATE


def test_only_an_annotation_allows_to_recreate_and_never_what_holds_data() -> None:
    force = {"munbon.io/force": "recreate"}
    assert not may_recreate(job(), OURS)
    assert may_recreate(noted(job(), force), OURS)
    assert may_recreate(job(), noted(OURS, force))
    assert may_recreate(noted(job(), {"argocd.argoproj.io/sync-options": "Prune=false, Force=true"}), OURS)
    assert not may_recreate(noted(stateful_set(), force), OURS)
    assert not may_recreate(noted({**config_map(), "kind": "PersistentVolumeClaim"}, force), OURS)


def test_a_live_object_differs_by_content_and_labels_but_not_by_what_the_server_keeps() -> None:
    live = {**config_map(a="1"), "status": {"x": 1}}
    live["metadata"] = {"name": "settings", "resourceVersion": "7", "managedFields": [{}], "annotations": {}}
    same = {**config_map(a="1"), "kind": "ConfigMap"}
    assert not differs(live, same)
    assert not differs({key: value for key, value in live.items() if key != "kind"}, same)
    assert not differs(noted(live, {"kubectl.kubernetes.io/last-applied-configuration": "{}"}), same)
    assert differs(live, config_map(a="2"))
    assert differs(live, noted(same, {"a": "b"}))
    assert differs({**live, "metadata": {**live["metadata"], "labels": {"a": "b"}}}, same)


def entry(manager: str, operation: str = "Update", fields: Any = None, **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields or {"f:data": {f"f:{manager}": {}}}, **more}


def managed(*entries: Any) -> Any:
    return {"apiVersion": "v1", "metadata": {"resourceVersion": "7", "managedFields": list(entries)}}


def test_kubectls_fields_become_ours_and_others_stay() -> None:
    live = managed(
        entry("munbon", "Apply", time="t"),
        entry("kubectl-edit"),
        entry("before-first-apply"),
        entry("hpa"),
        entry("kubectl", subresource="scale"),
    )
    patch = takeover_patch(live)
    assert patch is not None
    merged = {(each["manager"], each["operation"]): each for each in patch[0]["value"]}
    assert set(merged) == {("hpa", "Update"), ("kubectl", "Update"), ("munbon", "Apply")}
    assert set(merged[("munbon", "Apply")]["fieldsV1"]["f:data"]) == {"f:munbon", "f:kubectl-edit", "f:before-first-apply"}
    assert merged[("munbon", "Apply")]["time"] == "t"
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_there_is_nothing_to_take_over_from_ourselves_or_a_restart() -> None:
    assert takeover_patch(managed(entry("munbon", "Apply"), entry("kubectl-rollout"), entry("controller"))) is None


def test_content_of_others_is_told_from_what_the_cluster_itself_writes() -> None:
    assert not has_other_writers(
        managed(entry("munbon", "Apply"), entry("k3s"), entry("x", fields={"f:metadata": {}}), entry("y", subresource="status"))
    )
    assert has_other_writers(managed(entry("munbon", "Apply"), entry("somebody")))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["munbon", "kubectl", "kubectl-edit", "other", "before-first-apply"]), max_size=5), st.booleans())
def test_a_takeover_leaves_nothing_more_to_take_over_and_loses_no_field(managers: list[str], own: bool) -> None:
    live = managed(*(entry(name, "Apply" if name == "munbon" and own else "Update") for name in managers))
    patch = takeover_patch(live)
    if patch is None:
        return
    after = managed(*patch[0]["value"])
    assert takeover_patch(after) is None
    fields = {name for each in patch[0]["value"] for name in each["fieldsV1"]["f:data"]}
    assert fields == {f"f:{name}" for name in managers}


def test_replicas_of_what_is_autoscaled_are_dropped_or_sent_as_they_are() -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "w", "namespace": "home"},
        "spec": {"scaleTargetRef": target},
    }
    assert autoscaled([scaler, deployment()]) == {ObjectRef(group="apps", kind="Deployment", namespace="home", name="web")}
    live: dict[str, Any] = {"spec": {"replicas": 4}, "metadata": {}}
    assert without_replicas(deployment(), live)["spec"]["replicas"] == 4
    live["metadata"] = {"managedFields": [entry("controller", fields={"f:spec": {"f:replicas": {}}}, subresource="scale")]}
    assert "replicas" not in without_replicas(deployment(), live)["spec"]
    assert deployment()["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "words",
    [
        {"munbon.io/prune": "disabled"},
        {"kustomize.toolkit.fluxcd.io/prune": "Disabled"},
        {"helm.sh/resource-policy": "keep"},
        {"client.lifecycle.config.k8s.io/deletion": "detach"},
        {"cli-utils.sigs.k8s.io/on-remove": "keep"},
        {"kapp.k14s.io/delete-strategy": "orphan"},
        {"action.timoni.sh/prune": "disabled"},
        {"argocd.argoproj.io/sync-options": "Replace=true, Delete=false"},
        {"argocd.argoproj.io/sync-options": "Prune=confirm"},
    ],
)
def test_every_way_to_opt_out_of_a_delete_is_understood_as_annotation_and_as_label(words: dict[str, str]) -> None:
    [(key, value)] = words.items()
    assert key in opt_out(noted(config_map(), words))
    assert value.split(",")[-1].strip() in opt_out({"metadata": {"labels": words}})
    assert opt_out(noted(config_map(), {key: "no"})) == ""


def test_data_is_never_deleted_and_a_namespace_only_with_its_app() -> None:
    def ref(kind: str, group: str = "") -> ObjectRef:
        return ObjectRef(group=group, kind=kind, name="x")

    assert is_protected(ref("PersistentVolumeClaim"), app_is_absent=True)
    assert is_protected(ref("CustomResourceDefinition", "apiextensions.k8s.io"), app_is_absent=True)
    assert is_protected(ref("Namespace"), app_is_absent=False)
    assert not is_protected(ref("Namespace"), app_is_absent=True)
    assert not is_protected(ref("ConfigMap"), app_is_absent=False)


def test_only_unready_pods_of_older_revisions_above_the_partition_are_stuck() -> None:
    store: dict[str, Any] = {**stateful_set(), "status": {"replicas": 2, "updatedReplicas": 1, "readyReplicas": 1, "updateRevision": "b"}}
    store["metadata"] = {"name": "store", "uid": "u"}

    def pod(name: str, revision: str, ready: str = "False", owner: str = "u", **metadata: Any) -> Any:
        labels = {"controller-revision-hash": revision}
        details = {"name": name, "labels": labels, "ownerReferences": [{"uid": owner}], **metadata}
        return {"metadata": details, "status": {"conditions": [{"type": "Ready", "status": ready}]}}

    pods = [
        pod("store-1", "a"),
        pod("store-0", "b"),
        pod("other-1", "a", owner="v"),
        pod("store-2", "a", ready="True"),
        pod("store-3", "a", deletionTimestamp="now"),
    ]
    assert may_have_stuck_pods(store)
    assert [each["metadata"]["name"] for each in stuck_pods(store, pods)] == ["store-1"]
    store["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert stuck_pods(store, pods) == []
    store["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert not may_have_stuck_pods(store)


ANY = st.recursive(
    st.none() | st.text(max_size=3) | st.integers(),
    lambda x: st.dictionaries(st.sampled_from(["metadata", "labels", "annotations", "spec"]), x),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "kind"]), ANY), st.dictionaries(st.sampled_from(["metadata", "spec"]), ANY))
def test_no_object_is_odd_enough_to_raise(desired: Any, live: Any) -> None:
    glance(desired, "d", live, "shop", ENTRY, Seen("v", "d"))
    owner_of(live, "shop", ENTRY)
    takeover_patch(live)
    opt_out(live)
    assert not differs(live, live)
