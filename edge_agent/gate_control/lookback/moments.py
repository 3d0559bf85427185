"""A moment as people type it. Pure but for the machine's time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

FORMS = "write 17:05, 'yesterday 17:05', '10m ago', 2026-05-01 17:05 (local time), 2026-05-01T06:00:00Z, or now"
_AGO = re.compile(r"-?(\d{1,9}(?:\.\d+)?)\s*([smhd])(?:\s+ago)?")
_CLOCK = re.compile(r"(?:(today|yesterday)\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?")
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def read_moment(text: str, now: datetime) -> datetime:
    """In UTC. What has no zone is local time; a bare time of day is the last one that has been.

    Args:
        text: one of FORMS.
        now: in any zone.

    Raises:
        ValueError: it is no moment, or none that a calendar knows.
    """
    wanted = text.strip()
    if wanted == "now":
        return now.astimezone(UTC)
    if ago := _AGO.fullmatch(wanted):
        return _safe(lambda: now - timedelta(seconds=float(ago[1]) * _UNITS_S[ago[2]]), text)
    if at := _CLOCK.fullmatch(wanted):
        return _safe(lambda: _time_of_day(at[1] or "", int(at[2]), int(at[3]), int(at[4] or 0), now), text)
    return _safe(lambda: datetime.fromisoformat(wanted), text)


def _time_of_day(day: str, hour: int, minute: int, second: int, now: datetime) -> datetime:
    # without a zone: the zone's own rules say how far it is from UTC on that day
    here = now.astimezone().replace(tzinfo=None)
    found = here.replace(hour=hour, minute=minute, second=second, microsecond=0)
    is_before = day == "yesterday" or (not day and found > here)
    return found - timedelta(days=1) if is_before else found


def _safe(make: Callable[[], datetime], text: str) -> datetime:
    try:
        return make().astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no moment; {FORMS}") from error
