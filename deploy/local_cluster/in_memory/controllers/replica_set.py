"""ReplicaSet to pods. ``decide`` is pure; ``sync`` carries it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.storage import Key, Obj

_REPLICA_SETS = "replicasets.apps"


@dataclass
class Plan:
    """What is to be written for one ReplicaSet."""

    create: int = 0
    remove: list[Obj] = field(default_factory=list)
    status: Obj = field(default_factory=dict)
    look_again_s: float | None = None


def sync(hands: Hands, key: Key) -> None:
    """Make or delete pods, and write the status."""
    replica_set = hands.store.get(_REPLICA_SETS, key)
    if replica_set is None or parts.is_deleting(replica_set):
        return
    plan = decide(replica_set, parts.owned(hands.store.all("pods", key[0]), replica_set), hands.now())
    for _ in range(plan.create):
        name = {"generateName": replica_set["metadata"]["name"] + "-"}
        hands.create(parts.pod_from(replica_set["spec"]["template"], replica_set, name, {}))
    for pod in plan.remove:
        hands.delete(pod)
    hands.set_status(replica_set, plan.status)
    if plan.look_again_s is not None:
        hands.again("replica_set", key, plan.look_again_s)


def decide(replica_set: Obj, pods: list[Obj], now: datetime) -> Plan:
    """Keep as many active pods as wanted; pods that are not ready go first."""
    plan = Plan()
    active = [pod for pod in pods if parts.is_active(pod)]
    wanted = int(replica_set["spec"]["replicas"])
    if len(active) < wanted:
        plan.create = wanted - len(active)
    elif len(active) > wanted:
        plan.remove = sorted(active, key=_keep_rank)[: len(active) - wanted]
    least_s = float(replica_set["spec"].get("minReadySeconds") or 0)
    ready = [since for pod in active if (since := parts.ready_since(pod)) is not None]
    waiting_s = [least_s - (now - since).total_seconds() for since in ready]
    available = sum(1 for wait in waiting_s if wait <= 0 or not least_s)
    counters = {"fullyLabeledReplicas": len(active), "readyReplicas": len(ready), "availableReplicas": available}
    plan.status = {
        "replicas": len(active),
        "observedGeneration": replica_set["metadata"].get("generation", 1),
        "terminatingReplicas": sum(1 for pod in pods if parts.is_deleting(pod)),
        **{name: count for name, count in counters.items() if count},
    }
    if available < len(ready):
        plan.look_again_s = max(wait for wait in waiting_s) + 1.0
    return plan


def _keep_rank(pod: Obj) -> tuple[bool, bool, str]:
    """The lower, the sooner a pod is deleted."""
    return (bool(pod["spec"].get("nodeName")), parts.ready_since(pod) is not None, pod["metadata"]["creationTimestamp"])
