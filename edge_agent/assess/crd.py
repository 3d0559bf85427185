"""CustomResourceDefinition (kubernetes.md 2.2)."""

from __future__ import annotations

from edge_agent.assess.common import Map, cause, condition, failed, is_true, progressing, ready, text
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_crd(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when established; names that are taken, or a schema that is not structural, fail it."""
    names = condition(obj, "NamesAccepted")
    if names.get("status") == "False":
        return failed(ref, cause("NamesNotAccepted", text(names.get("message")) or "its names are taken", ref))
    schema = condition(obj, "NonStructuralSchema")
    if is_true(schema):
        return failed(ref, cause("NonStructuralSchema", text(schema.get("message")), ref))
    established = condition(obj, "Established")
    if is_true(established):
        return ready(ref)
    if established.get("status") == "False" and established.get("reason") not in (None, "Installing", "NotAccepted"):
        return failed(ref, cause("NotEstablished", text(established.get("message")), ref))
    return progressing(ref, "is not established yet")
