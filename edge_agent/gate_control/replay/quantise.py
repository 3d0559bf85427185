"""Inputs as they are decided from: in whole steps, so that the journal can keep them exactly. Pure.

Rule: quantise before deciding, not before writing: what is replayed is then what was decided from, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, Sample

STEPS_PER_RESOLUTION = 10
"""A sensor's value keeps a tenth of its least change: finer than it shows."""
STEPS_PER_SCAN = 10
"""Sample times keep a tenth of a scan period."""


class Steps:
    """The step of each point's value, and of time."""

    def __init__(self, site: SiteConfiguration) -> None:
        self._by_point: Mapping[str, float] = {point.id: point.resolution / STEPS_PER_RESOLUTION for point in site.points}
        self.time_ms = max(1, round(1000.0 * site.scan_period_s / STEPS_PER_SCAN))

    def of(self, point: str) -> float:
        """Step of a point's value; 1 for what an actuator says about itself."""
        return self._by_point.get(point, 1.0)

    def count(self, sample: Sample) -> int | None:
        """The value in steps; None for no value, or one that is no number."""
        if sample.value is None or not math.isfinite(sample.value):
            return None
        return round(sample.value / self.of(sample.point))

    def value(self, point: str, count: int) -> float:
        """The value of so many steps."""
        return count * self.of(point)

    def time_count(self, at_s: float) -> int:
        """A time in steps, never later than it was."""
        return math.floor(round(1000.0 * at_s, 3) / self.time_ms)

    def time_s(self, count: int) -> float:
        """The time of so many steps."""
        return count * self.time_ms / 1000.0


def quantise_samples(steps: Steps, samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """Samples in whole steps. A value that is no number stays one: it is not believed, whatever it was."""
    times: dict[float, float] = {}  # what a device said at once has one time
    return tuple(_quantise_sample(steps, sample, times) for sample in samples)


def quantise_now(now: Now) -> Now:
    """A scan's time in whole milliseconds."""
    wall = now.wall - timedelta(microseconds=now.wall.microsecond % 1000)
    return Now(round(now.monotonic_s, 3), wall, now.wall_is_trusted)


def _quantise_sample(steps: Steps, sample: Sample, times: dict[float, float]) -> Sample:
    count = steps.count(sample)
    value = math.nan if count is None and sample.value is not None else None if count is None else steps.value(sample.point, count)
    at_s = times.get(sample.sampled_at_s)
    if at_s is None:
        at_s = times[sample.sampled_at_s] = steps.time_s(steps.time_count(sample.sampled_at_s))
    return Sample(sample.point, value, at_s, sample.error)


def same_samples(one: Sequence[Sample], other: Sequence[Sample]) -> bool:
    """Whether two scans saw the same; no number is like no number."""
    return len(one) == len(other) and all(_is_same(left, right) for left, right in zip(one, other, strict=True))


def _is_same(one: Sample, other: Sample) -> bool:
    if one.value is not None and other.value is not None and math.isnan(one.value) and math.isnan(other.value):
        return replace(one, value=None) == replace(other, value=None)
    return one == other
