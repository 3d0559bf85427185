"""Durations that survive a reboot and a clock that jumps.

Rule: within one boot the monotonic clock counts. Across boots the wall clock counts, forward only, and for one boot at
most a quarter of the limit: so no jump makes a deadline pass at once, and no row of reboots puts it off for ever. What was
spent is noted now and then, for a machine without a battery clock often wakes up with a time before the power cut.
"""

from __future__ import annotations

from edge_agent.model import Moment, Timer

BOOT_SHARE = 0.25
_NOTE_SHARE, _NOTE_LEAST_S = 0.05, 15.0


def start(timer: Timer, now: Moment, *, limit_s: float) -> Timer:
    """The timer, running; one that runs already is taken over into this boot, and noted anew where it ran for long."""
    since = timer.since
    if since is not None and since.boot_id == now.boot_id and now.monotonic_s - since.monotonic_s < note_every_s(limit_s):
        return timer
    return Timer(spent_s(timer, now, limit_s=limit_s), now)


def note_every_s(limit_s: float) -> float:
    """How much a power cut may make a timer forget at most; each note is a write to the disk."""
    return max(_NOTE_LEAST_S, _NOTE_SHARE * limit_s)


def stop(timer: Timer, now: Moment, *, limit_s: float) -> Timer:
    """The timer, standing."""
    return timer if timer.since is None else Timer(spent_s(timer, now, limit_s=limit_s), None)


def spent_s(timer: Timer, now: Moment, *, limit_s: float) -> float:
    """Seconds spent until now."""
    if timer.since is None:
        return timer.spent_s
    if timer.since.boot_id == now.boot_id:
        return timer.spent_s + max(0.0, now.monotonic_s - timer.since.monotonic_s)
    gap_s = (now.wall - timer.since.wall).total_seconds()
    return timer.spent_s + min(max(0.0, gap_s), BOOT_SHARE * limit_s)


def is_over(timer: Timer, now: Moment, *, limit_s: float) -> bool:
    """Whether the limit is spent."""
    return spent_s(timer, now, limit_s=limit_s) >= limit_s
