"""APIService (kubernetes.md 2.2, Argo CD's rule)."""

from __future__ import annotations

from edge_agent.assess.common import Map, condition, is_true, progressing, ready, text
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_apiservice(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when the server behind it answers."""
    available = condition(obj, "Available")
    if is_true(available):
        return ready(ref)
    return progressing(ref, text(available.get("message")) or "its server does not answer yet")
