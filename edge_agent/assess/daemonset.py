"""DaemonSet (kubernetes.md 2.2)."""

from __future__ import annotations

from edge_agent.assess.common import Map, mapping, not_yet_seen, number, progressing, ready, spec, status
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_daemonset(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when each node that should have a pod has a new one that is available and ready."""
    if waiting := not_yet_seen(ref, obj):
        return waiting
    if mapping(spec(obj).get("updateStrategy")).get("type") == "OnDelete":
        return ready(ref, "its pods are replaced when somebody deletes them")
    seen = status(obj)
    wanted = number(seen.get("desiredNumberScheduled"))
    counts = (
        ("scheduled", "currentNumberScheduled"),
        ("new", "updatedNumberScheduled"),
        ("available", "numberAvailable"),
        ("ready", "numberReady"),
    )
    for word, field in counts:
        if number(seen.get(field)) < wanted:
            return progressing(ref, f"{number(seen.get(field))} of {wanted} pods are {word}")
    return ready(ref)
