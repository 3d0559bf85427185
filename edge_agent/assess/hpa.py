"""HorizontalPodAutoscaler (kubernetes.md 2.2, Argo CD's rules)."""

from __future__ import annotations

from edge_agent.assess.common import Map, cause, condition, failed, ready, text
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef

_NEVER_HEAL = frozenset({"FailedGetScale", "InvalidSelector", "InvalidMetricSourceType"})


def assess_hpa(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY unless it cannot find or read what it scales. Missing metrics pass: a metrics server may come later than we do."""
    for kind in ("AbleToScale", "ScalingActive"):
        found = condition(obj, kind)
        if found.get("status") == "False" and found.get("reason") in _NEVER_HEAL:
            return failed(ref, cause(text(found.get("reason")), text(found.get("message")), ref))
    return ready(ref)
