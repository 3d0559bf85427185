"""One point or fact: number, range, rate, order, age, current loop. Pure.

Rule: a value that is no number, out of range, too fast or old news is not believed; the last believed value stays, ages,
is degraded at half its time and bad after all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, PointHistory, Quality, Reading, Sample

FUTURE_TOLERANCE_S = 1.0
LEAST_RATE_GAP_S = 1.0
"""Changes are judged over at least this time: the time between two samples of one device wavers."""
DEGRADED_SHARE = 0.5
"""Of `stale_after_s`."""
RECENT_GRACE_S = 0.11
"""Sample times are kept in steps of a tenth of a scan, never later than they were."""
LOOP_FAULT_LOW_MA, LOOP_FAULT_HIGH_MA = 3.6, 21.0
LOOP_VALID_LOW_MA, LOOP_VALID_HIGH_MA = 3.8, 20.5
"""NAMUR NE 43."""


def validate_point(
    point: Point, history: PointHistory, samples: Sequence[Sample], now: Now, *, source: str, recent_s: float = 0.0
) -> tuple[PointHistory, Reading]:
    """A point's reading from what came in this scan, in whatever order it came.

    A change is too fast when it exceeds `max_rate_per_s` times the time since the last believed value (at least one
    second), so that a true step is believed after a while. A current loop that says it is broken is bad as soon as that
    has lasted `fault_after_s`, however young the last value is. Up to `recent_s` old a value that nothing cast doubt on since
    counts as recent.
    """
    history = begun(history, now)
    before = history
    problems: list[str] = []
    for sample in in_order(samples):
        history, problem = _take(point, history, sample, now)
        problems += [problem] if problem else []
        history = _doubted(history, problem)
    if not samples:
        problems.append(history.doubt or "nothing came in this scan")
    is_fresh = history.value is not None and (before.value is None or history.sampled_at_s > before.sampled_at_s)
    age_s = age_of(history, now)
    quality, why = _judge(point, history, age_s, now)
    is_believed = quality is not Quality.BAD
    reasons = (*dict.fromkeys(problems), *why)
    recent = is_believed and is_recent(history, age_s, recent_s)
    return history, Reading(history.value, age_s, quality, source, reasons, is_believed and is_fresh, recent, bool(history.doubt))


def is_recent(history: PointHistory, age_s: float, recent_s: float) -> bool:
    """Whether the last believed value is at most so old, with a little grace for clocks in steps, and nothing cast doubt on it since."""
    return history.value is not None and not history.doubt and age_s <= recent_s + RECENT_GRACE_S


def validate_fact(
    history: PointHistory, samples: Sequence[Sample], now: Now, stale_after_s: float, *, source: str, recent_s: float = 0.0
) -> tuple[PointHistory, Reading]:
    """What an actuator says about itself, 0 or 1. Unreadable it is bad at once; unheard of it is bad after `stale_after_s`.

    Up to `recent_s` old it counts as recent.
    """
    history = begun(history, now)
    problem = history.doubt
    before_s = history.sampled_at_s if history.value is not None else None
    for sample in in_order(samples):
        problem = "" if sample.value in (0.0, 1.0) else sample.error or "is neither 0 nor 1"
        if not problem and (history.value is None or sample.sampled_at_s >= history.sampled_at_s):
            history = replace(history, value=sample.value, sampled_at_s=sample.sampled_at_s)
    history = _doubted(history, problem)
    age_s = age_of(history, now)
    if problem or history.value is None or age_s > stale_after_s:
        why = (problem or f"no value for {age_s:.0f} s",)
        return history, Reading(history.value, age_s, Quality.BAD, source, why, is_doubted=bool(problem))
    fresh = before_s is None or history.sampled_at_s > before_s
    return history, Reading(history.value, age_s, Quality.GOOD, source, (), fresh, is_recent(history, age_s, recent_s))


def in_order(samples: Sequence[Sample]) -> list[Sample]:
    """By sample time; those without a usable time come first, and are not believed."""
    if len(samples) < 2:
        return list(samples)  # as nearly always
    return sorted(samples, key=lambda sample: sample.sampled_at_s if math.isfinite(sample.sampled_at_s) else -math.inf)


def begun(history: PointHistory, now: Now) -> PointHistory:
    """The history, or a new one where it lies in the future: then the clock is another one, and no age would mean anything."""
    first_seen_s = history.first_seen_s
    if first_seen_s is None or first_seen_s > now.monotonic_s:
        first_seen_s = now.monotonic_s
    if history.value is not None and history.sampled_at_s > now.monotonic_s + FUTURE_TOLERANCE_S:
        return PointHistory(first_seen_s=first_seen_s)
    return history if first_seen_s == history.first_seen_s else replace(history, first_seen_s=first_seen_s)


def age_of(history: PointHistory, now: Now) -> float:
    """Of the last believed value; without one, since the point was first asked for."""
    since_s = history.sampled_at_s if history.value is not None else history.first_seen_s
    return max(0.0, now.monotonic_s - (since_s if since_s is not None else now.monotonic_s))


def _judge(point: Point, history: PointHistory, age_s: float, now: Now) -> tuple[Quality, tuple[str, ...]]:
    """Quality of the last believed value, and why it is no better."""
    if history.value is None or age_s > point.stale_after_s:
        return Quality.BAD, (f"no value for {age_s:.0f} s",)
    broken_s = _loop_broken_s(point, history, now)
    if broken_s is not None:
        return Quality.BAD, (f"current loop broken for {broken_s:.0f} s",)
    if age_s > DEGRADED_SHARE * point.stale_after_s:
        return Quality.DEGRADED, (f"{age_s:.0f} s old",)
    if not _is_inside_loop(point, history.value):
        return Quality.DEGRADED, (f"current loop outside {LOOP_VALID_LOW_MA} to {LOOP_VALID_HIGH_MA} mA",)
    return Quality.GOOD, ()


def _doubted(history: PointHistory, doubt: str) -> PointHistory:
    """A copy only where something changed: it is asked for each point of each scan."""
    return history if history.doubt == doubt else replace(history, doubt=doubt)


def _take(point: Point, history: PointHistory, sample: Sample, now: Now) -> tuple[PointHistory, str]:
    value = sample.value
    if value is None:
        return history, sample.error or "no answer"
    if not math.isfinite(sample.sampled_at_s) or sample.sampled_at_s > now.monotonic_s + FUTURE_TOLERANCE_S:
        return history, "is from the future"
    if not math.isfinite(value):
        return history, "is no number"
    if history.value is not None and sample.sampled_at_s <= history.sampled_at_s:
        # the very sample that was believed before is no news and no fault: it ages
        return history, "" if sample.sampled_at_s == history.sampled_at_s else "is older than the last value"
    current_ma = _current_ma(point, value)
    if current_ma is not None and not LOOP_FAULT_LOW_MA <= current_ma <= LOOP_FAULT_HIGH_MA:
        since_s = history.loop_fault_since_s if history.loop_fault_since_s is not None else sample.sampled_at_s
        return replace(history, loop_fault_since_s=since_s), f"current loop at {current_ma:.1f} mA: broken"
    if history.loop_fault_since_s is not None:
        history = replace(history, loop_fault_since_s=None)
    problem = _disbelief(point, history, value, sample.sampled_at_s)
    return (history, problem) if problem else (replace(history, value=value, sampled_at_s=sample.sampled_at_s), "")


def _disbelief(point: Point, history: PointHistory, value: float, sampled_at_s: float) -> str:
    if not point.valid_min <= value <= point.valid_max:
        return f"{value:g} lies outside {point.valid_min:g} to {point.valid_max:g}"
    if history.value is None:
        return ""
    gap_s = max(LEAST_RATE_GAP_S, sampled_at_s - history.sampled_at_s)
    if abs(value - history.value) > point.max_rate_per_s * gap_s:
        return f"changed by {value - history.value:+.3g} in {gap_s:.0f} s, at most {point.max_rate_per_s:g} a second is believed"
    return ""


def _current_ma(point: Point, value: float) -> float | None:
    loop = point.current_loop
    if loop is None or loop.high == loop.low:
        return None
    return 4.0 + 16.0 * (value - point.offset - loop.low) / (loop.high - loop.low)


def _is_inside_loop(point: Point, value: float) -> bool:
    current_ma = _current_ma(point, value)
    return current_ma is None or LOOP_VALID_LOW_MA <= current_ma <= LOOP_VALID_HIGH_MA


def _loop_broken_s(point: Point, history: PointHistory, now: Now) -> float | None:
    if history.loop_fault_since_s is None or point.current_loop is None:
        return None
    lasted_s = now.monotonic_s - history.loop_fault_since_s
    return lasted_s if lasted_s >= point.current_loop.fault_after_s else None
