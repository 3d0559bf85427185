"""Whether the gate process lives, by what it answers: what the gate itself cannot tell, the agent raises as an alarm."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

NOT_SCANNING = "not_scanning"
CRASH_LOOP = "crash_loop"
PRIORITY = "urgent"
SILENT_SCANS = 10
"""The last scan may be so many scan periods old."""
SILENT_LEAST_S = 15.0
"""And so old in any case: an update of the gate process takes up to 10 s."""
ENDS_MAX = 3
"""So many ends within ENDS_WITHIN_S are a crash loop; after as long without one it is over."""
ENDS_WITHIN_S = 600.0


@dataclass(frozen=True)
class Look:
    """The gate process answered: its scan number counts from its start."""

    scan: int
    scan_period_s: float


@dataclass(frozen=True)
class GateLife:
    """What is known of the process since the agent began to look. Times are of the monotonic clock of this boot."""

    began_s: float
    scanned_s: float | None = None
    """When its last new scan was seen; None: none was."""
    scan: int = 0
    scan_period_s: float = 1.0
    ends_s: tuple[float, ...] = ()


def observe(life: GateLife, look: Look | None, now_s: float) -> GateLife:
    """After one more look; None: it does not answer. A scan number that went back means that the process was started anew."""
    life = replace(life, ends_s=tuple(at_s for at_s in life.ends_s if now_s - at_s < ENDS_WITHIN_S))
    if look is None or look.scan == life.scan:
        return life if look is None else replace(life, scan_period_s=look.scan_period_s)
    ends_s = (*life.ends_s, now_s) if look.scan < life.scan else life.ends_s
    return GateLife(life.began_s, now_s, look.scan, look.scan_period_s, ends_s)


def alarms(life: GateLife, now_s: float, *, answers: bool, standing: Collection[str] = ()) -> Mapping[str, str]:
    """Alarms that stand, with their reasons.

    Rule: one that stood before (also before the agent was started anew) is taken back by what was seen since, never by what was not:
    silence by a scan, a crash loop by ENDS_WITHIN_S of looking.
    """
    found: dict[str, str] = {}
    silent_s = now_s - (life.began_s if life.scanned_s is None else life.scanned_s)
    is_silent = silent_s > max(SILENT_LEAST_S, SILENT_SCANS * life.scan_period_s)
    if is_silent or (NOT_SCANNING in standing and life.scanned_s is None):
        what = "answers and does not scan" if answers else "does not answer on its socket"
        found[NOT_SCANNING] = f"the gate process {what}; its last scan was {silent_s:.0f} s ago or more: nothing is controlled or protected"
    if len(life.ends_s) >= ENDS_MAX:
        found[CRASH_LOOP] = f"the gate process was started {len(life.ends_s)} times anew within {ENDS_WITHIN_S / 60:.0f} minutes"
    elif CRASH_LOOP in standing and now_s - life.began_s < ENDS_WITHIN_S:
        found[CRASH_LOOP] = f"the gate process was started {ENDS_MAX} times anew before the agent was started"
    return found
