"""All objects of a render to one assessment: the worst decides, and the failure that says most names the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from edge_agent.assess.apiservice import assess_apiservice
from edge_agent.assess.common import Map, condition, failed, is_true, metadata, progressing, ready, text
from edge_agent.assess.common import cause as make_cause
from edge_agent.assess.crd import assess_crd
from edge_agent.assess.daemonset import assess_daemonset
from edge_agent.assess.deployment import assess_deployment
from edge_agent.assess.generic import assess_generic, assess_http_route, assess_present
from edge_agent.assess.hpa import assess_hpa
from edge_agent.assess.ingress import assess_ingress
from edge_agent.assess.job import assess_job
from edge_agent.assess.observed import Observed
from edge_agent.assess.pod import PodsJudgement, assess_pod, judge_pods, with_last_end
from edge_agent.assess.pvc import assess_pvc
from edge_agent.assess.replicaset import assess_replicaset
from edge_agent.assess.revision import is_replacing, new_pods, new_replica_set
from edge_agent.assess.service import assess_service
from edge_agent.assess.statefulset import assess_statefulset
from edge_agent.model import Assessment, ObjectHealth, Verdict
from shared.contracts.event import ObjectRef

Rule = Callable[[ObjectRef, Map], ObjectHealth]
_RULES: dict[tuple[str, str], Rule] = {
    ("apps", "Deployment"): assess_deployment,
    ("apps", "StatefulSet"): assess_statefulset,
    ("apps", "DaemonSet"): assess_daemonset,
    ("apps", "ReplicaSet"): assess_replicaset,
    ("", "Pod"): assess_pod,
    ("batch", "Job"): assess_job,
    ("", "Service"): assess_service,
    ("networking.k8s.io", "Ingress"): assess_ingress,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): assess_crd,
    ("autoscaling", "HorizontalPodAutoscaler"): assess_hpa,
    ("apiregistration.k8s.io", "APIService"): assess_apiservice,
    ("gateway.networking.k8s.io", "HTTPRoute"): assess_http_route,
    ("batch", "CronJob"): assess_present,
    ("", "ConfigMap"): assess_present,
    ("", "Secret"): assess_present,
    ("policy", "PodDisruptionBudget"): assess_present,
}
WITH_PODS = frozenset(
    {("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("apps", "ReplicaSet"), ("", "Pod"), ("batch", "Job")}
)
"""Kinds whose pods are looked at."""
_RANK = {Verdict.READY: 0, Verdict.PROGRESSING: 1, Verdict.FAILED: 2}
_BLAME_RANK = {"world": 0, "unknown": 1, "release": 2}


def assess_render(refs: Sequence[ObjectRef], observed: Observed, *, since: datetime, now: datetime) -> Assessment:
    """Health of all these objects.

    Args:
        refs: every object that should be there.
        observed: what was read.
        since: when they were applied; ends of containers before that are not counted.
        now: wall time.
    """
    judged = [_assess_one(ref, observed, since, now) for ref in refs]
    healths = tuple(health for health, _ in judged)
    if not healths:
        return Assessment(Verdict.READY)
    worst = max(healths, key=_weight)
    message = "" if worst.verdict is Verdict.READY else f"{worst.ref}: {worst.message}"
    return Assessment(worst.verdict, worst.cause, message, all(images for _, images in judged), healths)


def _weight(health: ObjectHealth) -> tuple[int, int, int]:
    """Worse first; among equals the one that knows why, and of these the release's own fault with a container named."""
    why = health.cause
    return _RANK[health.verdict], _BLAME_RANK[why.blames] + 1 if why else 0, 1 if why and why.container else 0


def _assess_one(ref: ObjectRef, observed: Observed, since: datetime, now: datetime) -> tuple[ObjectHealth, bool]:
    obj = observed.live.get(ref)
    if obj is None:
        return (ready(ref, "has run") if ref in observed.spent else progressing(ref, "is not there")), True
    if metadata(obj).get("deletionTimestamp"):
        return progressing(ref, "is being deleted"), True
    by_pods = _judge_pods(ref, obj, observed, since, now)
    by_object = _by_object(ref, obj, observed)
    if by_object.verdict is Verdict.FAILED and (ref.group, ref.kind) in (("batch", "Job"), ("", "Pod")):
        by_object = with_last_end(by_object, new_pods(ref, obj, observed), observed.logs)
    return _combine(ref, by_object, by_pods), by_pods.images_ready or by_object.verdict is Verdict.READY


def _by_object(ref: ObjectRef, obj: Map, observed: Observed) -> ObjectHealth:
    if (ref.group, ref.kind) == ("", "PersistentVolumeClaim"):
        return assess_pvc(ref, obj, observed.late_binding)
    health = _RULES.get((ref.group, ref.kind), assess_generic)(ref, obj)
    if (ref.group, ref.kind) == ("apps", "Deployment") and health.verdict is Verdict.PROGRESSING:
        refused = condition(new_replica_set(obj, observed) or {}, "ReplicaFailure")
        if is_true(refused):
            return failed(ref, make_cause(text(refused.get("reason")) or "ReplicaFailure", text(refused.get("message")), ref))
    return health


def _judge_pods(ref: ObjectRef, obj: Map, observed: Observed, since: datetime, now: datetime) -> PodsJudgement:
    if (ref.group, ref.kind) not in WITH_PODS:
        return PodsJudgement()
    pods = new_pods(ref, obj, observed)
    return judge_pods(ref, pods, observed, since=since, now=now, replacing=is_replacing(obj, observed))


def _combine(ref: ObjectRef, by_object: ObjectHealth, by_pods: PodsJudgement) -> ObjectHealth:
    """A pod's failure comes before the object knows of it, and says more; a finished Job no longer needs its pods."""
    pods = by_pods.health
    if pods is None or ((ref.group, ref.kind) in (("batch", "Job"), ("", "Pod")) and by_object.verdict is Verdict.READY):
        return by_object
    if by_object.verdict is Verdict.FAILED and pods.verdict is not Verdict.FAILED:
        return by_object
    return pods if _RANK[pods.verdict] >= _RANK[by_object.verdict] else by_object
