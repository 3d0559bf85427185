"""Job (kubernetes.md 2.2, 2.3)."""

from __future__ import annotations

from edge_agent.assess.common import Map, cause, condition, failed, is_true, not_observed, number, progressing, ready, spec, status, text
from edge_agent.model import ObjectHealth
from shared.contracts.event import ObjectRef

_DEFAULT_BACKOFF_LIMIT = 6


def assess_job(ref: ObjectRef, obj: Map) -> ObjectHealth:
    """READY when complete or suspended; FAILED as soon as it is bound to fail (`FailureTarget` comes before `Failed`)."""
    if waiting := not_observed(ref, obj):
        return waiting
    for kind in ("Failed", "FailureTarget"):
        found = condition(obj, kind)
        if is_true(found):
            return failed(ref, cause("JobFailed", f"{text(found.get('reason'))}: {text(found.get('message'))}", ref))
    if is_true(condition(obj, "Complete")):
        return ready(ref, "complete")
    if spec(obj).get("suspend") is True:
        return ready(ref, "suspended by its own spec")
    times = number(status(obj).get("failed"))
    if times > number(spec(obj).get("backoffLimit"), _DEFAULT_BACKOFF_LIMIT):
        return failed(ref, cause("JobFailed", f"failed {times} times, more than its backoffLimit", ref))
    return progressing(ref, f"runs; {number(status(obj).get('active'))} pods active, {times} failed")
