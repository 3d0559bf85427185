"""One level from the sensors of one place. Pure.

Rule: bad readings have no vote. Three: the median. Two: their mean while they agree, else nothing is believed and the last
level is held. One of several: it, degraded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edge_agent.gate_control.model.values import Quality, Reading


@dataclass(frozen=True)
class HeldLevel:
    """The last level that a place was agreed to have."""

    value: float | None = None
    sampled_at_s: float = 0.0


def vote_level(readings: Sequence[Reading], disagree_m: float, held: HeldLevel, now_s: float) -> tuple[HeldLevel, Reading]:
    """The level of a place, and what to hold for the next scan. With no sensor, or none believed, it is bad and as old as it is."""
    used = [reading for reading in readings if reading.quality is not Quality.BAD and reading.value is not None]
    problem = _problem(used, len(readings), disagree_m)
    if problem:
        age_s = max(0.0, now_s - held.sampled_at_s) if held.value is not None else 0.0
        reasons = (problem, *(reason for reading in readings for reason in reading.reasons))
        return held, Reading(held.value, age_s, Quality.BAD, _source(readings), reasons)
    values = [reading.value for reading in used if reading.value is not None]
    value = median(values)  # of two it is their mean
    age_s = max(reading.age_s for reading in used) if len(used) == 2 else min(reading.age_s for reading in used)
    reasons = tuple(reason for reading in used for reason in reading.reasons)
    quality = Quality.GOOD if all(reading.quality is Quality.GOOD for reading in used) else Quality.DEGRADED
    if len(used) < len(readings):
        quality, reasons = Quality.DEGRADED, (*reasons, f"{len(used)} of {len(readings)} sensors")
    elif len(used) >= 3 and max(values) - min(values) > disagree_m:
        quality, reasons = Quality.DEGRADED, (*reasons, f"sensors lie {max(values) - min(values):.3f} m apart")
    fresh = any(reading.is_fresh for reading in used)
    return HeldLevel(value, now_s - age_s), Reading(value, age_s, quality, _source(used), reasons, fresh)


def _problem(used: Sequence[Reading], asked: int, disagree_m: float) -> str:
    if not used:
        return "no sensor" if not asked else "no sensor is believed"
    values = [reading.value for reading in used if reading.value is not None]
    if len(values) == 2 and abs(values[0] - values[1]) > disagree_m:
        return f"two sensors disagree by {abs(values[0] - values[1]):.3f} m"
    return ""


def _source(readings: Sequence[Reading]) -> str:
    return "+".join(reading.source for reading in readings)
