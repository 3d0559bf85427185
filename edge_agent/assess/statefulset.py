"""StatefulSet (kubernetes.md 2.2)."""

from __future__ import annotations

from edge_agent.assess.common import Map, desired_replicas, mapping, not_yet_seen, number, progressing, ready, spec, status
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_statefulset(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when all replicas are ready and of the newest revision; with a partition, those above it; OnDelete waits for nothing."""
    if waiting := not_yet_seen(ref, obj):
        return waiting
    strategy = mapping(spec(obj).get("updateStrategy"))
    if strategy.get("type") == "OnDelete":
        return ready(ref, "its pods are replaced when somebody deletes them")
    wanted, seen = desired_replicas(obj), status(obj)
    if number(seen.get("readyReplicas")) < wanted:
        return progressing(ref, f"{number(seen.get('readyReplicas'))} of {wanted} replicas are ready")
    partition = number(mapping(strategy.get("rollingUpdate")).get("partition"))
    updated = number(seen.get("updatedReplicas"))
    if partition > 0:
        due = max(0, wanted - partition)
        return ready(ref) if updated >= due else progressing(ref, f"{updated} of {due} replicas above the partition are new")
    if number(seen.get("replicas")) > wanted:
        return progressing(ref, f"{number(seen.get('replicas')) - wanted} replicas too many are left")
    if seen.get("currentRevision") != seen.get("updateRevision"):
        return progressing(ref, f"{updated} of {wanted} replicas are of the new revision")
    return ready(ref)
