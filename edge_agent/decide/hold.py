"""What the gate process's interlock file means for updates."""

from __future__ import annotations

from datetime import UTC, timedelta

from edge_agent.model import HoldState, Moment
from shared.contracts.interlock import Interlock, may_update

NO_GATE = HoldState()


def judge_interlock(interlock: Interlock | None, now: Moment, *, problem: str = "") -> HoldState:
    """Whether updates are held.

    Rule: as `may_update`; a file that cannot be read holds as an absent one does. A flood alarm counts as long as no newer
    file takes it back, however old the one is that told of it.

    Args:
        interlock: the file, or None where there is none or it cannot be read.
        now: both clocks.
        problem: why it cannot be read.
    """
    may, reason = may_update(interlock, boot_id=now.boot_id, monotonic_s=now.monotonic_s)
    is_flood = interlock is not None and interlock.flood_alarm
    if is_flood and may:
        may, reason = False, "flood alarm"
    if interlock is not None and interlock.hold and not may:
        reason += _until(interlock, now)
    return HoldState(not may, is_flood, problem or reason)


def _until(interlock: Interlock, now: Moment) -> str:
    """When the gate process expects its reasons to be over, up to the next minute; nothing where it does not know, or was wrong."""
    if interlock.until is None or interlock.until <= now.wall or interlock.flood_alarm:
        return ""
    minute = (interlock.until + timedelta(seconds=59)).replace(second=0, microsecond=0)
    return f"; until about {minute.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
