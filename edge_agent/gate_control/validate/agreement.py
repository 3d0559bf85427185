"""What the sensors of one pool end say together: one as it is, two as their mean, three as their median. Pure.

Rule: two that do not agree are both in doubt, and their end is bad, so that control holds; of three the one apart is bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Quality, Reading


def agree(points: Sequence[str], readings: Mapping[str, Reading], disagree_m: float) -> tuple[Reading, dict[str, Reading]]:
    """The end's reading, and those of its sensors that it casts doubt on."""
    if len(points) == 1:
        return _alone(points[0], readings[points[0]]), {}  # as at most ends
    found = {point: readings[point] for point in points}
    valid = {point: reading for point, reading in found.items() if _value(reading) is not None}
    doubted = _doubted(valid, disagree_m)
    used = {point: reading for point, reading in valid.items() if doubted.get(point, reading).quality is not Quality.BAD}
    if not used:
        youngest = min(found.values(), key=lambda reading: reading.age_s)
        reasons = tuple(f"{point}: {reason}" for point, reading in {**found, **doubted}.items() for reason in reading.reasons)
        return Reading(youngest.value, youngest.age_s, Quality.BAD, "+".join(points), reasons), doubted
    return _together(found, used, doubted), doubted


def _alone(point: str, reading: Reading) -> Reading:
    reasons = tuple(f"{point}: {reason}" for reason in reading.reasons)
    if _value(reading) is None:
        return Reading(reading.value, reading.age_s, Quality.BAD, point, reasons)
    quality = Quality.GOOD if reading.quality is Quality.GOOD else Quality.DEGRADED
    return Reading(reading.value, reading.age_s, quality, point, reasons, reading.is_fresh, reading.is_now)


def _together(found: Mapping[str, Reading], used: Mapping[str, Reading], doubted: Mapping[str, Reading]) -> Reading:
    values = [reading.value for reading in used.values() if reading.value is not None]
    lost = [point for point in found if point not in used]
    reasons = [f"{point}: {reason}" for point in used for reason in doubted.get(point, found[point]).reasons]
    reasons += [f"without {point}" for point in lost]
    quality = Quality.GOOD
    if lost or any(reading.quality is not Quality.GOOD for reading in used.values()):
        quality = Quality.DEGRADED
    if doubted.keys() & used.keys():
        quality = Quality.BAD
    return Reading(
        median(values),  # of two: their mean
        max(reading.age_s for reading in used.values()),
        quality,
        "+".join(used),
        tuple(reasons),
        any(reading.is_fresh for reading in used.values()),
        all(reading.is_now for reading in used.values()),
    )


def _doubted(valid: Mapping[str, Reading], disagree_m: float) -> dict[str, Reading]:
    values = {point: value for point, reading in valid.items() if (value := _value(reading)) is not None}
    if len(values) < 2:
        return {}
    if len(values) == 2:
        (first, a), (second, b) = values.items()
        if abs(a - b) <= disagree_m:
            return {}
        return {
            point: _doubt(valid[point], f"disagrees with {other} by {abs(a - b):.3g}", Quality.DEGRADED)
            for point, other in ((first, second), (second, first))
        }
    middle = median(values.values())
    apart = {point for point, value in values.items() if abs(value - middle) > disagree_m}
    if len(apart) < len(values) - 1:
        return {
            point: _doubt(valid[point], f"disagrees with the others by {abs(values[point] - middle):.3g}", Quality.BAD) for point in apart
        }
    return {point: _doubt(reading, "no two sensors of this end agree", Quality.DEGRADED) for point, reading in valid.items()}


def _doubt(reading: Reading, reason: str, quality: Quality) -> Reading:
    return replace(reading, quality=quality, reasons=(*reading.reasons, reason))


def _value(reading: Reading) -> float | None:
    return None if reading.quality is Quality.BAD else reading.value
