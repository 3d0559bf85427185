"""PersistentVolumeClaim (kubernetes.md 0.7, 2.2)."""

from __future__ import annotations

from edge_agent.assess.common import Map, cause, failed, progressing, ready, spec, status, text
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_pvc(ref: ObjectRef, obj: Map, late_binding: frozenset[str]) -> ObjectHealth:
    """READY when bound, or when its class binds at first use: to wait for that before its pod comes would wait for ever."""
    phase = text(status(obj).get("phase"))
    if phase == "Bound":
        return ready(ref)
    if phase == "Lost":
        return failed(ref, cause("VolumeLost", "the volume behind the claim is gone", ref, blames="world"))
    if text(spec(obj).get("storageClassName")) in late_binding:
        return ready(ref, "is bound when a pod uses it")
    return progressing(ref, f"is {phase or 'Pending'}")
