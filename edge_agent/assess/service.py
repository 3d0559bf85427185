"""Service (kubernetes.md 2.2)."""

from __future__ import annotations

from edge_agent.assess.common import Map, progressing, ready, spec
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_service(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY, but a LoadBalancer without clusterIP waits. No address is awaited: with ServiceLB off none ever comes."""
    if spec(obj).get("type") == "LoadBalancer" and not spec(obj).get("clusterIP"):
        return progressing(ref, "has no cluster address yet")
    return ready(ref)
