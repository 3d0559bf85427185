"""Safe reads of untyped objects, and the words that all kinds share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge_agent.model import ObjectHealth, Verdict
from shared.contracts.event import Cause, ObjectRef

Map = Mapping[str, Any]
MAX_CODE, MAX_MESSAGE, MAX_LINE = 64, 2_000, 1_000


def mapping(value: Any) -> Map:
    """The value, or an empty mapping."""
    return value if isinstance(value, Mapping) else {}


def items(value: Any) -> list[Map]:
    """The mappings in a list, or none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def text(value: Any) -> str:
    """The value, or an empty text."""
    return value if isinstance(value, str) else ""


def number(value: Any, default: int = 0) -> int:
    """The value, or the default where it is no whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def metadata(obj: Map) -> Map:
    """`metadata` of an object."""
    return mapping(obj.get("metadata"))


def spec(obj: Map) -> Map:
    """`spec` of an object."""
    return mapping(obj.get("spec"))


def status(obj: Map) -> Map:
    """`status` of an object."""
    return mapping(obj.get("status"))


def condition(obj: Map, kind: str) -> Map:
    """The condition of this type, or an empty mapping."""
    return next((each for each in items(status(obj).get("conditions")) if each.get("type") == kind), {})


def is_true(found: Map) -> bool:
    """Whether a condition is True."""
    return found.get("status") == "True"


def moment(value: Any) -> datetime | None:
    """An RFC 3339 time; None where it is none."""
    try:
        parsed = datetime.fromisoformat(text(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None


def age_s(value: Any, now: datetime) -> float:
    """Seconds since an RFC 3339 time; 0 where it is unknown or lies ahead."""
    then = moment(value)
    return max(0.0, (now - then).total_seconds()) if then is not None else 0.0


def desired_replicas(obj: Map) -> int:
    """`spec.replicas`, by default 1."""
    return number(spec(obj).get("replicas"), 1)


def last_line(log: Any) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text(log).splitlines() if line.strip()]
    return lines[-1][:MAX_LINE] if lines else ""


def ready(ref: ObjectRef, message: str = "") -> ObjectHealth:
    """It is as it should be."""
    return ObjectHealth(ref, Verdict.READY, message)


def progressing(ref: ObjectRef, message: str, cause: Cause | None = None) -> ObjectHealth:
    """It may still come; `cause` says what holds it up."""
    return ObjectHealth(ref, Verdict.PROGRESSING, message, cause)


def failed(ref: ObjectRef, cause: Cause) -> ObjectHealth:
    """It will not come by itself."""
    return ObjectHealth(ref, Verdict.FAILED, cause.message, cause)


def cause(code: str, message: str, ref: ObjectRef, **more: Any) -> Cause:
    """A cause with its texts cut to what the contract takes."""
    return Cause(code=code[:MAX_CODE] or "Unknown", message=message[:MAX_MESSAGE], object=ref, **more)


def not_observed(ref: ObjectRef, obj: Map) -> ObjectHealth | None:
    """PROGRESSING while the controller has not seen the newest spec (kubernetes.md 2.1): its status speaks of an older one."""
    seen, generation = status(obj).get("observedGeneration"), metadata(obj).get("generation")
    if seen is not None and generation is not None and seen != generation:
        return progressing(ref, "its controller has not seen the change yet")
    return None


def not_yet_seen(ref: ObjectRef, obj: Map) -> ObjectHealth | None:
    """As `not_observed`, for kinds whose controller always tells: no observedGeneration means that it has not come by yet."""
    if status(obj).get("observedGeneration") is None:
        return progressing(ref, "its controller has not seen it yet")
    return not_observed(ref, obj)
