"""Which pods speak for a workload's newest revision (kubernetes.md 2.3): an old crashing pod must not fail the fix that replaces it."""

from __future__ import annotations

from edge_agent.assess.common import Map, items, mapping, metadata, not_yet_seen, number, status, text
from edge_agent.assess.observed import Observed
from edge_agent.model import Manifest
from shared.contracts.event import ObjectRef

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "controller-revision-hash"
_OVER = frozenset({"Failed", "Succeeded"})


def new_pods(ref: ObjectRef, obj: Map, observed: Observed) -> tuple[Manifest, ...]:
    """Pods of the newest revision that are not being deleted; none while the controller has not seen the newest spec."""
    kind = (ref.group, ref.kind)
    if kind == ("", "Pod"):
        return (dict(obj),)
    if kind == ("batch", "Job"):
        return _alive(_owned(obj, observed.pods))
    if kind not in _FINDERS or not_yet_seen(ref, obj) is not None:
        return ()
    return tuple(pod for pod in _alive(_FINDERS[kind](obj, observed)) if status(pod).get("phase") not in _OVER)


def is_replacing(obj: Map, observed: Observed) -> bool:
    """Whether pods in the workload's namespace are still going: they may hold the port, volume or memory that a new one waits for."""
    namespace = metadata(obj).get("namespace")
    return any(metadata(pod).get("deletionTimestamp") and metadata(pod).get("namespace") == namespace for pod in observed.pods)


def new_replica_set(obj: Map, observed: Observed) -> Manifest | None:
    """The ReplicaSet whose revision is the Deployment's."""
    revision = mapping(metadata(obj).get("annotations")).get(_REVISION)
    owned = _owned(obj, observed.owners)
    return next((each for each in owned if revision and mapping(metadata(each).get("annotations")).get(_REVISION) == revision), None)


def _of_deployment(obj: Map, observed: Observed) -> tuple[Manifest, ...]:
    newest = new_replica_set(obj, observed)
    return _owned(newest, observed.pods) if newest is not None else ()


def _of_statefulset(obj: Map, observed: Observed) -> tuple[Manifest, ...]:
    return _of_hash(obj, observed, text(status(obj).get("updateRevision")))


def _of_daemonset(obj: Map, observed: Observed) -> tuple[Manifest, ...]:
    """A DaemonSet's status does not name its revision: it is the ControllerRevision with the highest number."""
    newest = max(_owned(obj, observed.owners), key=lambda each: number(each.get("revision")), default=None)
    return _of_hash(obj, observed, text(_labels(newest).get(_HASH))) if newest is not None else ()


def _of_hash(obj: Map, observed: Observed, revision: str) -> tuple[Manifest, ...]:
    return tuple(pod for pod in _owned(obj, observed.pods) if revision and _labels(pod).get(_HASH) == revision)


def _of_replicaset(obj: Map, observed: Observed) -> tuple[Manifest, ...]:
    return _owned(obj, observed.pods)


_FINDERS = {
    ("apps", "Deployment"): _of_deployment,
    ("apps", "StatefulSet"): _of_statefulset,
    ("apps", "DaemonSet"): _of_daemonset,
    ("apps", "ReplicaSet"): _of_replicaset,
}


def _owned(owner: Map, candidates: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    uid = metadata(owner).get("uid")
    return tuple(
        each for each in candidates if uid and any(mark.get("uid") == uid for mark in items(metadata(each).get("ownerReferences")))
    )


def _alive(pods: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    return tuple(pod for pod in pods if not metadata(pod).get("deletionTimestamp"))


def _labels(obj: Map) -> Map:
    return mapping(metadata(obj).get("labels"))
