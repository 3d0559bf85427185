"""Samples to readings: range, rate, age. Pure.

Rule: a value that is no number, out of range or too fast is not believed; the last believed value stays, ages, is
degraded and at last bad. Doubt never yields a good reading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edge_agent.gate_control.model.site import GateSettings, SensorPoint, SiteSettings, StatusPoint
from edge_agent.gate_control.model.values import Now, PointHistory, Quality, Reading, Sample, Selector
from edge_agent.gate_control.model.values_v1 import GateReadings

LEVEL_POINTS = ("upstream_level", "downstream_level")
Histories = Mapping[str, PointHistory]


def validate_samples(
    site: SiteSettings, histories: Histories, samples: Sequence[Sample], now: Now
) -> tuple[dict[str, PointHistory], dict[str, GateReadings]]:
    """Readings of every gate, and the histories to give to the next scan.

    Of several samples of a point the newest counts; one older than the last believed changes nothing.
    """
    newest: dict[str, Sample] = {}
    for sample in samples:
        held = newest.get(sample.point)
        if held is None or sample.sampled_at_s >= held.sampled_at_s:
            newest[sample.point] = sample
    kept: dict[str, PointHistory] = {}
    readings = {gate.id: _gate_readings(gate, histories, newest, now, kept) for gate in site.gates}
    return kept, readings


def _gate_readings(
    gate: GateSettings, histories: Histories, newest: Mapping[str, Sample], now: Now, kept: dict[str, PointHistory]
) -> GateReadings:
    def reading(name: str, point: SensorPoint) -> Reading:
        key = f"{gate.id}.{name}"
        kept[key], result = validate_point(point, histories.get(key, PointHistory()), newest.get(key), now, source=key)
        return result

    levels = {name: reading(name, point) for name in LEVEL_POINTS if (point := getattr(gate.points, name)) is not None}
    position = reading("position", gate.points.position)
    return _with_status(gate.points.status, newest.get(f"{gate.id}.status"), position, levels)


def validate_point(
    point: SensorPoint, history: PointHistory, sample: Sample | None, now: Now, *, source: str
) -> tuple[PointHistory, Reading]:
    """One point's reading.

    A change is too fast when it exceeds `max_rate_per_s` times the time since the last believed value (at least one
    second), so that a true step is believed after a while.
    """
    first_seen_s = history.first_seen_s if history.first_seen_s is not None else now.monotonic_s
    problem = _problem(point, history, sample, now)
    # a sample that was believed before is no news: it ages
    fresh = sample is not None and not problem and (history.value is None or sample.sampled_at_s > history.sampled_at_s)
    if fresh and sample is not None and sample.value is not None:
        history = PointHistory(sample.value, sample.sampled_at_s, first_seen_s)
    else:
        history = PointHistory(history.value, history.sampled_at_s, first_seen_s)
    reasons = (problem,) if problem else ()
    since_s = history.sampled_at_s if history.value is not None else first_seen_s
    age_s = max(0.0, now.monotonic_s - since_s)
    if history.value is None or age_s > point.stale_after_s:
        return history, Reading(history.value, age_s, Quality.BAD, source, (*reasons, f"no value for {age_s:.0f} s"))
    if age_s > point.degraded_after_s:
        return history, Reading(history.value, age_s, Quality.DEGRADED, source, (*reasons, f"{age_s:.0f} s old"), fresh)
    return history, Reading(history.value, age_s, Quality.GOOD, source, reasons, fresh)


def _problem(point: SensorPoint, history: PointHistory, sample: Sample | None, now: Now) -> str:
    if sample is None or sample.value is None:
        return (sample.error if sample is not None else "") or "no answer"
    value = sample.value
    if not math.isfinite(value):
        return "is no number"
    if not point.valid_min <= value <= point.valid_max:
        return f"{value:g} lies outside {point.valid_min:g} to {point.valid_max:g}"
    if sample.sampled_at_s > now.monotonic_s + 1.0:
        return "is from the future"
    if history.value is None:
        return ""
    if sample.sampled_at_s < history.sampled_at_s:
        return "is older than the last value"
    gap_s = max(1.0, sample.sampled_at_s - history.sampled_at_s)
    if abs(value - history.value) > point.max_rate_per_s * gap_s:
        return f"changed by {value - history.value:+.3g} in {gap_s:.0f} s, at most {point.max_rate_per_s:g} a second is believed"
    return ""


def _with_status(point: StatusPoint | None, sample: Sample | None, position: Reading, levels: Mapping[str, Reading]) -> GateReadings:
    if point is None:
        return GateReadings(position, levels)
    if sample is None or sample.value is None or not 0 <= sample.value <= 0xFFFF:
        return GateReadings(position, levels, Selector.LOCAL, status_is_known=False)
    word = int(sample.value)

    def is_set(bit: int | None) -> bool:
        return bit is not None and bool(word >> bit & 1)

    selector = Selector.UNWIRED if point.remote_bit is None else Selector.REMOTE if is_set(point.remote_bit) else Selector.LOCAL
    return GateReadings(
        position,
        levels,
        selector,
        moving=is_set(point.moving_bit),
        jammed=is_set(point.jammed_bit),
        by_hand=is_set(point.by_hand_bit),
        inhibited=is_set(point.inhibited_bit),
    )
