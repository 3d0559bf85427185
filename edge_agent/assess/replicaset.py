"""ReplicaSet (kubernetes.md 2.2; ReplicaFailure fails, as Argo CD does)."""

from __future__ import annotations

from edge_agent.assess.common import (
    Map,
    cause,
    condition,
    desired_replicas,
    failed,
    is_true,
    not_yet_seen,
    number,
    progressing,
    ready,
    status,
    text,
)
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_replicaset(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when all replicas are available and ready; a refusal by quota or admission fails it."""
    if waiting := not_yet_seen(ref, obj):
        return waiting
    refused = condition(obj, "ReplicaFailure")
    if is_true(refused):
        return failed(ref, cause(text(refused.get("reason")) or "ReplicaFailure", text(refused.get("message")), ref))
    wanted = desired_replicas(obj)
    least = min(number(status(obj).get(field)) for field in ("replicas", "availableReplicas", "readyReplicas"))
    return ready(ref) if least >= wanted else progressing(ref, f"{least} of {wanted} replicas are ready")
