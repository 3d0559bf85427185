"""Interlock file: the gate process says whether an update may start now. Absent or old means hold."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.contracts.base import Document, UtcTime

MAX_AGE_SCANS = 5


class Interlock(Document):
    """Written by the gate process on every change and at least every scan period (atomic replace)."""

    KIND: ClassVar[str] = "Interlock"

    kind: Literal["Interlock"] = "Interlock"
    site: str
    written_at: UtcTime
    boot_id: str
    monotonic_s: float
    """CLOCK_BOOTTIME at writing; age is judged by it, within the same boot only."""
    scan_period_s: float
    hold: bool
    reasons: tuple[str, ...] = ()
    """For example `gate g1 is moving`, `flood alarm at p1`."""
    flood_alarm: bool = False
    """While true nothing is applied, whatever the release's longest deferral."""
    until: UtcTime | None = None


def may_update(interlock: Interlock | None, *, boot_id: str, monotonic_s: float) -> tuple[bool, str]:
    """Whether an update may start, and why not.

    Rule: no file, a file of another boot, or one older than 5 scans means hold; doubt leads to hold.
    """
    if interlock is None:
        return False, "the gate process has written no interlock file"
    if interlock.boot_id != boot_id:
        return False, "the interlock file is from before the last boot"
    age_s = monotonic_s - interlock.monotonic_s
    if not 0 <= age_s <= MAX_AGE_SCANS * interlock.scan_period_s:
        limit_s = MAX_AGE_SCANS * interlock.scan_period_s
        return False, f"the interlock file is more than {limit_s:g} s old: the gate process does not scan"
    if interlock.hold:
        return False, "; ".join(interlock.reasons) or "the gate process asks to hold"
    return True, ""
