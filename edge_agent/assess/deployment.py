"""Deployment (kubernetes.md 2.2)."""

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
    spec,
    status,
    text,
)
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_deployment(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when every replica is of the newest revision, available and ready, and no old one is left."""
    if spec(obj).get("paused") is True:
        return ready(ref, "paused by its own spec")
    if waiting := not_yet_seen(ref, obj):
        return waiting
    progress = condition(obj, "Progressing")
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return failed(ref, cause("ProgressDeadlineExceeded", text(progress.get("message")) or "no progress in time", ref))
    refused = condition(obj, "ReplicaFailure")
    if is_true(refused):
        return failed(ref, cause(text(refused.get("reason")) or "ReplicaFailure", text(refused.get("message")), ref))
    wanted, seen = desired_replicas(obj), status(obj)
    updated, total = number(seen.get("updatedReplicas")), number(seen.get("replicas"))
    if updated < wanted:
        return progressing(ref, f"{updated} of {wanted} replicas are of the new revision")
    if total > updated:
        return progressing(ref, f"{total - updated} old replicas are left")
    for word, field in (("available", "availableReplicas"), ("ready", "readyReplicas")):
        if number(seen.get(field)) < wanted:
            return progressing(ref, f"{number(seen.get(field))} of {wanted} replicas are {word}")
    if wanted and not is_true(condition(obj, "Available")):
        return progressing(ref, "is not available yet")
    return ready(ref)
