"""Deployment to ReplicaSets: rollout, revisions, counters, conditions. ``decide`` is pure; ``sync`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.storage import Key, Obj

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_DEPLOYMENTS = "deployments.apps"
_REPLICA_SETS = "replicasets.apps"


@dataclass
class Plan:
    """What is to be written for one Deployment."""

    create: Obj | None = None
    scale: list[tuple[Obj, int]] = field(default_factory=list)
    revise: list[tuple[Obj, int]] = field(default_factory=list)
    remove: list[Obj] = field(default_factory=list)
    revision: int = 0
    status: Obj = field(default_factory=dict)
    look_again_s: float | None = None


def sync(hands: Hands, key: Key) -> None:
    """Bring the ReplicaSets and the status of one Deployment forward by one step."""
    deployment = hands.store.get(_DEPLOYMENTS, key)
    if deployment is None or parts.is_deleting(deployment):
        return
    replica_sets = parts.owned(hands.store.all(_REPLICA_SETS, key[0]), deployment)
    plan = decide(deployment, replica_sets, hands.now())
    if plan.create is not None:
        hands.create(plan.create)
    for replica_set, revision in plan.revise:
        hands.patch(replica_set, {"metadata": {"annotations": {REVISION: str(revision)}}})
    for replica_set, replicas in plan.scale:
        hands.patch(replica_set, {"spec": {"replicas": replicas}})
    for replica_set in plan.remove:
        hands.delete(replica_set)
    if (deployment["metadata"].get("annotations") or {}).get(REVISION) != str(plan.revision) and plan.revision:
        deployment = hands.patch(deployment, {"metadata": {"annotations": {REVISION: str(plan.revision)}}})
    hands.set_status(deployment, plan.status)
    if plan.look_again_s is not None:
        hands.again("deployment", key, plan.look_again_s)


def decide(deployment: Obj, replica_sets: list[Obj], now: datetime) -> Plan:
    """Next step of a rollout, after the rules of Kubernetes' deployment controller."""
    plan = Plan()
    spec = deployment["spec"]
    new = _current(deployment, replica_sets)
    old = [each for each in replica_sets if each is not new]
    newest_old = max((_revision(each) for each in old), default=0)
    plan.revision = newest_old + 1
    if new is None and not spec.get("paused"):
        plan.create = _new_replica_set(deployment, plan.revision, _first_replicas(deployment, old))
    elif new is not None:
        if _revision(new) <= newest_old:
            plan.revise.append((new, plan.revision))
        else:
            plan.revision = _revision(new)
        if not spec.get("paused"):
            plan.scale = _scaling(deployment, new, old)
    elif old:
        plan.revision = newest_old
    plan.remove = _history_to_drop(deployment, old)
    plan.status, plan.look_again_s = _status(deployment, new, replica_sets, now, plan.create)
    return plan


def _template_without_hash(replica_set: Obj) -> Obj:
    template: Obj = replica_set["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}


def _current(deployment: Obj, replica_sets: list[Obj]) -> Obj | None:
    template = deployment["spec"]["template"]
    wanted = {**template, "metadata": {**(template.get("metadata") or {}), "labels": (template.get("metadata") or {}).get("labels") or {}}}
    return next((each for each in replica_sets if _template_without_hash(each) == wanted), None)


def _revision(replica_set: Obj) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, "0"))


def _new_replica_set(deployment: Obj, revision: int, replicas: int) -> Obj:
    template = deployment["spec"]["template"]
    suffix = parts.safe_hash(template)
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH: suffix}
    selector = deployment["spec"]["selector"]
    spec: Obj = {
        "replicas": replicas,
        "template": {**template, "metadata": {**metadata, "labels": labels}},
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH: suffix}},
    }
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "spec": spec,
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{suffix}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(revision), "deployment.kubernetes.io/desired-replicas": str(deployment["spec"]["replicas"])},
            "ownerReferences": [parts.owner_reference(deployment)],
        },
    }


def _limits(deployment: Obj) -> tuple[int, int]:
    """How many pods above, and how many available pods below the wanted number a rollout may go."""
    replicas = deployment["spec"]["replicas"]
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    surge = parts.as_count(rolling.get("maxSurge"), replicas, round_up=True)
    unavailable = parts.as_count(rolling.get("maxUnavailable"), replicas, round_up=False)
    return surge, (1 if surge == 0 and unavailable == 0 else min(unavailable, replicas))


def _is_recreate(deployment: Obj) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


def _first_replicas(deployment: Obj, old: list[Obj]) -> int:
    replicas = int(deployment["spec"]["replicas"])
    running = sum(each["spec"]["replicas"] for each in old)
    if _is_recreate(deployment):
        return 0 if running or any((each.get("status") or {}).get("replicas") for each in old) else replicas
    surge, _ = _limits(deployment)
    return max(0, min(replicas, replicas + surge - int(running)))


def _available(replica_set: Obj) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas", 0))


def _scaling(deployment: Obj, new: Obj, old: list[Obj]) -> list[tuple[Obj, int]]:
    replicas = int(deployment["spec"]["replicas"])
    running_old = [each for each in old if each["spec"]["replicas"] > 0]
    if _is_recreate(deployment):
        if running_old:
            return [(each, 0) for each in running_old]
        counts = [each.get("status") or {} for each in old]
        still_there = any(count.get("replicas") or count.get("terminatingReplicas") for count in counts)
        return [] if still_there or new["spec"]["replicas"] == replicas else [(new, replicas)]
    surge, unavailable = _limits(deployment)
    total = new["spec"]["replicas"] + sum(each["spec"]["replicas"] for each in old)
    if new["spec"]["replicas"] > replicas:
        return [(new, replicas)]
    if new["spec"]["replicas"] < replicas and total < replicas + surge:
        return [(new, min(replicas, new["spec"]["replicas"] + replicas + surge - total))]
    return _scale_down(running_old, new, total, replicas - unavailable)


def _scale_down(old: list[Obj], new: Obj, total: int, least_available: int) -> list[tuple[Obj, int]]:
    """Old ReplicaSets give way: first the pods that are not available, then as many as the new ones make up for."""
    new_unavailable = new["spec"]["replicas"] - _available(new)
    may_go = total - least_available - new_unavailable
    result: dict[str, tuple[Obj, int]] = {}
    left = {each["metadata"]["name"]: int(each["spec"]["replicas"]) for each in old}
    for each in old:
        name = each["metadata"]["name"]
        gone = max(0, min(may_go, left[name] - _available(each)))
        if gone:
            left[name] -= gone
            may_go -= gone
            result[name] = (each, left[name])
    spare = min(may_go, _available(new) + sum(_available(each) for each in old) - least_available)
    for each in old:
        name = each["metadata"]["name"]
        gone = max(0, min(spare, left[name]))
        if gone:
            left[name] -= gone
            spare -= gone
            result[name] = (each, left[name])
    return list(result.values())


def _history_to_drop(deployment: Obj, old: list[Obj]) -> list[Obj]:
    limit = int(deployment["spec"].get("revisionHistoryLimit", 10))
    idle = sorted(
        (
            each
            for each in old
            if not each["spec"]["replicas"] and not (each.get("status") or {}).get("replicas") and not parts.is_deleting(each)
        ),
        key=_revision,
    )
    return idle[: max(0, len(idle) - limit)]


def _status(deployment: Obj, new: Obj | None, replica_sets: list[Obj], now: datetime, created: Obj | None) -> tuple[Obj, float | None]:
    before = deployment.get("status") or {}
    statuses = [each.get("status") or {} for each in replica_sets]
    total = sum(int(each.get("replicas", 0)) for each in statuses)
    available = sum(int(each.get("availableReplicas", 0)) for each in statuses)
    unavailable = max(0, sum(each["spec"]["replicas"] for each in replica_sets) - available)
    terminating = sum(int(each.get("terminatingReplicas", 0)) for each in statuses)
    counters = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": total,
        "updatedReplicas": int(((new or {}).get("status") or {}).get("replicas", 0)),
        "readyReplicas": sum(int(each.get("readyReplicas", 0)) for each in statuses),
        "availableReplicas": available,
        "unavailableReplicas": unavailable,
        "terminatingReplicas": terminating,
    }
    kept_zeros = ("observedGeneration", "terminatingReplicas")
    status: Obj = {key: value for key, value in counters.items() if value or key in kept_zeros}
    conditions = parts.with_condition(before.get("conditions") or [], _availability(deployment, available, now))
    conditions, look_again_s = _progress(deployment, before, counters, conditions, new or created, created is not None, now)
    status["conditions"] = conditions
    return status, look_again_s


def _availability(deployment: Obj, available: int, now: datetime) -> Obj:
    _, unavailable = (0, deployment["spec"]["replicas"]) if _is_recreate(deployment) else _limits(deployment)
    enough = available >= deployment["spec"]["replicas"] - (0 if _is_recreate(deployment) else unavailable)
    return _condition(
        "Available",
        enough,
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        f"Deployment {'has' if enough else 'does not have'} minimum availability.",
        now,
    )


def _condition(kind: str, value: bool | str, reason: str, message: str, now: datetime) -> Obj:
    text = parts.written_time(now)
    status = value if isinstance(value, str) else str(value)
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": text, "lastTransitionTime": text}


def _progress(
    deployment: Obj, before: Obj, counters: dict[str, Any], conditions: list[Obj], current: Obj | None, created: bool, now: datetime
) -> tuple[list[Obj], float | None]:
    """The Progressing condition, and when the deadline must be looked at."""
    conditions = [_settled(before, each) for each in conditions]
    deadline_s = deployment["spec"].get("progressDeadlineSeconds")
    old = parts.condition(before, "Progressing")
    if deadline_s is None or current is None:
        return conditions, None
    name = current["metadata"]["name"]
    replicas = deployment["spec"]["replicas"]
    complete = not created and counters["updatedReplicas"] == counters["replicas"] == counters["availableReplicas"] == replicas
    if complete:
        if old is not None and old["reason"] == "NewReplicaSetAvailable" and old["message"].split('"')[1:2] == [name]:
            return conditions, None
        new = _condition("Progressing", True, "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.', now)
        return parts.with_condition(conditions, new), None
    if created:
        new = _condition("Progressing", True, "NewReplicaSetCreated", f'Created new replica set "{name}"', now)
        return parts.with_condition(conditions, new), deadline_s + 1.0
    gained = any(counters[key] > before.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    shrunk = counters["replicas"] - counters["updatedReplicas"] < before.get("replicas", 0) - before.get("updatedReplicas", 0)
    if old is None or gained or shrunk or counters["observedGeneration"] != before.get("observedGeneration"):
        new = _condition("Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.', now)
        return parts.with_condition(conditions, new), deadline_s + 1.0
    if old["reason"] == "ProgressDeadlineExceeded" or old["reason"] == "NewReplicaSetAvailable":
        return conditions, None
    waited_s = (now - parts.read_time(old["lastUpdateTime"])).total_seconds()
    if waited_s <= deadline_s:
        return conditions, deadline_s - waited_s + 1.0
    new = _condition("Progressing", False, "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.', now)
    return parts.with_condition(conditions, new), None


def _settled(before: Obj, new: Obj) -> Obj:
    """The old condition where nothing but its update time would change."""
    old = parts.condition(before, new["type"])
    if old is not None and all(old.get(key) == new.get(key) for key in ("status", "reason", "message")):
        return old
    return new
