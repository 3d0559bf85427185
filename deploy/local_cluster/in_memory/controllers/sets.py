"""StatefulSet and DaemonSet to pods, coarsely: order, revisions and counters as far as health rules look at them."""

from __future__ import annotations

from typing import Any

from deploy.local_cluster.in_memory.controllers import parts
from deploy.local_cluster.in_memory.controllers.parts import Hands
from deploy.local_cluster.in_memory.storage import Key, Obj

REVISION_LABEL = "controller-revision-hash"
_STATEFUL_SETS = "statefulsets.apps"
_DAEMON_SETS = "daemonsets.apps"


def sync_stateful_set(hands: Hands, key: Key) -> None:
    """Make the next pod, replace the next outdated one, delete those above the count; write the status."""
    owner = hands.store.get(_STATEFUL_SETS, key)
    if owner is None or parts.is_deleting(owner):
        return
    pods = {pod["metadata"]["name"]: pod for pod in parts.owned(hands.store.all("pods", key[0]), owner)}
    create, remove = decide_stateful_set(owner, pods)
    for name in create:
        _create_claims(hands, owner, name)
        labels = {
            REVISION_LABEL: revision_of(owner),
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": name.rpartition("-")[2],
        }
        pod = parts.pod_from(owner["spec"]["template"], owner, {"name": name}, labels)
        hands.create(_with_claims(pod, owner, name))
    for pod in remove:
        hands.delete(pod)
    hands.set_status(owner, stateful_set_status(owner, list(pods.values())))


def revision_of(owner: Obj) -> str:
    """Name of the revision of the owner's template."""
    return f"{owner['metadata']['name']}-{parts.safe_hash(owner['spec']['template'])}"


def decide_stateful_set(owner: Obj, pods: dict[str, Obj]) -> tuple[list[str], list[Obj]]:
    """Names of pods to make, and pods to delete now: one at a time unless the policy is Parallel."""
    spec = owner["spec"]
    base = owner["metadata"]["name"]
    wanted = [f"{base}-{number}" for number in range(int(spec["replicas"]))]
    parallel = spec.get("podManagementPolicy") == "Parallel"
    create = []
    for name in wanted:
        pod = pods.get(name)
        if pod is None:
            create.append(name)
            if not parallel:
                return create, []
        elif not parallel and (parts.is_deleting(pod) or parts.ready_since(pod) is None):
            return [], []  # also when its revision is outdated: Kubernetes leaves a broken pod to somebody who deletes it
    extra = [pod for name, pod in sorted(pods.items(), reverse=True) if name not in wanted and not parts.is_deleting(pod)]
    if create or extra:
        return create, extra if parallel else extra[:1]
    return [], _next_outdated(owner, wanted, pods)


def _rolls(owner: Obj) -> bool:
    return bool((owner["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate")


def _next_outdated(owner: Obj, wanted: list[str], pods: dict[str, Obj]) -> list[Obj]:
    if not _rolls(owner) or any(parts.is_deleting(pod) or parts.ready_since(pod) is None for pod in pods.values()):
        return []
    partition = int(((owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition", 0))
    for name in reversed(wanted[partition:]):
        if pods[name]["metadata"]["labels"].get(REVISION_LABEL) != revision_of(owner):
            return [pods[name]]
    return []


def stateful_set_status(owner: Obj, pods: list[Obj]) -> Obj:
    """Counters and revisions; the current revision follows when all pods are of the new one."""
    active = [pod for pod in pods if parts.is_active(pod)]
    update = revision_of(owner)
    before = owner.get("status") or {}
    current = before.get("currentRevision") or update
    updated = sum(1 for pod in active if pod["metadata"]["labels"].get(REVISION_LABEL) == update)
    ready = sum(1 for pod in active if parts.ready_since(pod) is not None)
    if updated == len(active) == owner["spec"]["replicas"] == ready:
        current = update
    counters = {
        "readyReplicas": ready,
        "updatedReplicas": updated,
        "currentReplicas": sum(1 for pod in active if pod["metadata"]["labels"].get(REVISION_LABEL) == current),
    }
    return {
        "observedGeneration": owner["metadata"].get("generation", 1),
        "replicas": len(active),
        "availableReplicas": ready,
        "collisionCount": 0,
        "currentRevision": current,
        "updateRevision": update,
        **{name: count for name, count in counters.items() if count},
    }


def _create_claims(hands: Hands, owner: Obj, pod_name: str) -> None:
    namespace = owner["metadata"]["namespace"]
    for template in owner["spec"].get("volumeClaimTemplates") or ():
        name = f"{template['metadata']['name']}-{pod_name}"
        if hands.store.get("persistentvolumeclaims", (namespace, name)) is None:
            hands.create(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "spec": template["spec"],
                    "metadata": {"name": name, "namespace": namespace, "labels": owner["spec"]["selector"].get("matchLabels") or {}},
                }
            )


def _with_claims(pod: Obj, owner: Obj, pod_name: str) -> Obj:
    claims = [template["metadata"]["name"] for template in owner["spec"].get("volumeClaimTemplates") or ()]
    kept = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] not in claims]
    added: list[dict[str, Any]] = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod_name}"}} for name in claims]
    return {**pod, "spec": {**pod["spec"], "volumes": kept + added, "hostname": pod_name}} if claims else pod


def sync_daemon_set(hands: Hands, key: Key) -> None:
    """One pod on each node; outdated pods are replaced one node after the other; write the status."""
    owner = hands.store.get(_DAEMON_SETS, key)
    if owner is None or parts.is_deleting(owner):
        return
    pods = parts.owned(hands.store.all("pods", key[0]), owner)
    nodes = [node["metadata"]["name"] for node in hands.store.all("nodes") if _fits(owner, node)]
    revision = parts.safe_hash(owner["spec"]["template"])
    placed = {pod["spec"].get("nodeName"): pod for pod in pods if parts.is_active(pod)}
    waiting = any(parts.is_deleting(pod) for pod in pods)
    for name in nodes:
        if name not in placed and not waiting:
            pod = parts.pod_from(owner["spec"]["template"], owner, {"generateName": key[1] + "-"}, {REVISION_LABEL: revision})
            hands.create({**pod, "spec": {**pod["spec"], "nodeName": name}})
    outdated = [pod for pod in placed.values() if pod["metadata"]["labels"].get(REVISION_LABEL) != revision]
    for pod in outdated[: 0 if waiting or not _rolls(owner) else 1]:
        hands.delete(pod)
    hands.set_status(owner, _daemon_set_status(owner, nodes, placed, revision))


def _fits(owner: Obj, node: Obj) -> bool:
    wanted = owner["spec"]["template"]["spec"].get("nodeSelector") or {}
    labels = node["metadata"].get("labels") or {}
    return all(bool(labels.get(key) == value) for key, value in wanted.items())


def _daemon_set_status(owner: Obj, nodes: list[str], placed: dict[Any, Obj], revision: str) -> Obj:
    here = [pod for name, pod in placed.items() if name in nodes]
    ready = sum(1 for pod in here if parts.ready_since(pod) is not None)
    updated = sum(1 for pod in here if pod["metadata"]["labels"].get(REVISION_LABEL) == revision)
    counters = {"updatedNumberScheduled": updated, "numberAvailable": ready, "numberUnavailable": len(nodes) - ready}
    return {
        "observedGeneration": owner["metadata"].get("generation", 1),
        "currentNumberScheduled": len(here),
        "desiredNumberScheduled": len(nodes),
        "numberMisscheduled": len(placed) - len(here),
        "numberReady": ready,
        **{name: count for name, count in counters.items() if count},
    }
