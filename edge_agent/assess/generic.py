"""Any kind without rules of its own (kubernetes.md 2.1), HTTPRoutes, and kinds that are well as soon as they are there."""

from __future__ import annotations

from edge_agent.assess.common import (
    Map,
    cause,
    condition,
    failed,
    is_true,
    items,
    metadata,
    not_observed,
    progressing,
    ready,
    status,
    text,
)
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef


def assess_generic(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """Generation observed, not reconciling, not stalled, Ready not False; what has no conditions is READY."""
    if waiting := not_observed(ref, obj):
        return waiting
    reconciling = condition(obj, "Reconciling")
    if is_true(reconciling):
        return progressing(ref, text(reconciling.get("message")) or "is being reconciled")
    stalled = condition(obj, "Stalled")
    if is_true(stalled):
        return failed(ref, cause("Stalled", text(stalled.get("message")) or text(stalled.get("reason")), ref))
    found = condition(obj, "Ready")
    if found and not is_true(found):
        return progressing(ref, text(found.get("message")) or "is not ready yet")
    return ready(ref)


def assess_http_route(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """Each parent's conditions carry their own generation, and none stands at the top (kubernetes.md 8.3)."""
    generation = metadata(obj).get("generation")
    parents = items(status(obj).get("parents"))
    if not parents:
        return progressing(ref, "no gateway has taken it yet")
    for parent in parents:
        for found in items(parent.get("conditions")):
            if found.get("type") not in ("Accepted", "ResolvedRefs"):
                continue
            if found.get("observedGeneration") != generation:
                return progressing(ref, "its gateway has not seen the change yet")
            if found.get("status") == "False":
                return failed(ref, cause(text(found.get("reason")) or "NotAccepted", text(found.get("message")), ref))
    return ready(ref)


def assess_present(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY: being there is all that can be asked of it."""
    return ready(ref)
