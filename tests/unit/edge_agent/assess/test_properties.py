"""What holds for any object at all."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.assess.observed import Observed
from edge_agent.assess.pod import logs_wanted
from edge_agent.assess.render import _RULES, assess_render
from edge_agent.model import Verdict
from shared.contracts.event import ObjectRef

NOW = datetime(2026, 3, 1, 12, 1, tzinfo=UTC)
WORDS = st.sampled_from(
    [
        "metadata",
        "spec",
        "status",
        "conditions",
        "type",
        "reason",
        "message",
        "Ready",
        "True",
        "False",
        "uid",
        "ownerReferences",
        "labels",
        "annotations",
        "state",
        "waiting",
        "terminated",
        "running",
        "lastState",
        "exitCode",
        "restartCount",
        "containerStatuses",
        "initContainerStatuses",
        "containers",
        "name",
        "replicas",
        "observedGeneration",
        "generation",
        "CrashLoopBackOff",
        "ErrImagePull",
        "OOMKilled",
        "finishedAt",
        "startedAt",
        "creationTimestamp",
        "2026-03-01T12:00:00Z",
        "phase",
        "Pending",
        "Failed",
        "updateStrategy",
        "rollingUpdate",
        "partition",
        "parents",
        "deployment.kubernetes.io/revision",
        "controller-revision-hash",
        "updateRevision",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers(-3, 5) | st.floats(allow_nan=False) | WORDS | st.text(max_size=5)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6), max_leaves=40)
OBJECTS = st.dictionaries(WORDS, TREES, max_size=6)
KINDS = st.sampled_from([*_RULES, ("", "PersistentVolumeClaim"), ("munbon.test", "Weir")])
RANK = {Verdict.READY: 0, Verdict.PROGRESSING: 1, Verdict.FAILED: 2}


def observe(objects: list[tuple[tuple[str, str], Any]], pods: list[Any], owners: list[Any]) -> tuple[list[ObjectRef], Observed]:
    refs = [ObjectRef(group=group, kind=kind, namespace="shop", name=f"o{place}") for place, ((group, kind), _) in enumerate(objects)]
    live = {ref: obj for ref, (_, obj) in zip(refs, objects, strict=True)}
    return refs, Observed(live=live, pods=tuple(pods), owners=tuple(owners))


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, OBJECTS), max_size=4), st.lists(OBJECTS, max_size=3), st.lists(OBJECTS, max_size=3))
def test_no_object_is_odd_enough_to_raise_and_the_worst_decides(objects: Any, pods: Any, owners: Any) -> None:
    refs, observed = observe(objects, pods, owners)
    assessment = assess_render(refs, observed, since=NOW, now=NOW)
    verdicts = [health.verdict for health in assessment.objects]
    assert [health.ref for health in assessment.objects] == refs
    assert RANK[assessment.verdict] == max((RANK[verdict] for verdict in verdicts), default=0)
    assert all(health.cause is not None for health in assessment.objects if health.verdict is Verdict.FAILED)
    logs_wanted(pods)


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, OBJECTS), min_size=1, max_size=4), st.lists(OBJECTS, max_size=3))
def test_an_object_more_never_makes_it_better(objects: Any, pods: Any) -> None:
    refs, observed = observe(objects, pods, [])
    few = assess_render(refs[:-1], observed, since=NOW, now=NOW)
    all_of_them = assess_render(refs, observed, since=NOW, now=NOW)
    assert RANK[all_of_them.verdict] >= RANK[few.verdict]
    assert few.images_ready or not all_of_them.images_ready


def test_nothing_to_run_is_ready_and_a_missing_object_is_not() -> None:
    assert assess_render([], Observed(), since=NOW, now=NOW).verdict is Verdict.READY
    ref = ObjectRef(kind="ConfigMap", namespace="shop", name="settings")
    assert assess_render([ref], Observed(), since=NOW, now=NOW).verdict is Verdict.PROGRESSING
    assert assess_render([ref], Observed(spent=frozenset({ref})), since=NOW, now=NOW).verdict is Verdict.READY


def test_a_cause_that_blames_the_release_comes_before_one_that_blames_the_world() -> None:
    claim = ObjectRef(kind="PersistentVolumeClaim", namespace="shop", name="a")
    job = ObjectRef(group="batch", kind="Job", namespace="shop", name="b")
    lost = {"status": {"phase": "Lost"}}
    failed = {"status": {"failed": 9}}
    assessment = assess_render([claim, job], Observed(live={claim: lost, job: failed}), since=NOW, now=NOW)
    assert assessment.cause is not None
    assert assessment.cause.code == "JobFailed"
    assert assessment.message.startswith("Job.batch shop/b: ")
