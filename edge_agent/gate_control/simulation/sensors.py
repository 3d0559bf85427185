"""What sensors make of the plant's true values: resolution, noise, and faults."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.simulation.events import SensorFault, SensorTrouble
from edge_agent.gate_control.simulation.plant import Sample


@dataclass
class _Trouble:
    fault: SensorFault
    held: Sample | None = None
    """Of a frozen sensor."""
    waiting: list[Sample] = field(default_factory=list)


class Sensors:
    """All points of a canal. The same seed gives the same noise."""

    def __init__(self, points: Mapping[str, Point], seed: int) -> None:
        self._points = points
        self._random = random.Random(seed)
        self._troubles: dict[str, _Trouble] = {}
        self._backlog: list[Sample] = []

    def begin(self, fault: SensorFault) -> None:
        """A fault replaces the one that the point has."""
        self._troubles[fault.point] = _Trouble(fault)

    def end(self, fault: SensorFault) -> None:
        """What waited comes at once, in the order of its sampling."""
        trouble = self._troubles.get(fault.point)
        if trouble is not None and trouble.fault == fault:
            self._backlog += trouble.waiting
            del self._troubles[fault.point]

    def read(self, samples: Iterable[Sample], now_s: float) -> list[Sample]:
        """What arrives at the sites now; quality `silent` says that a point did not answer."""
        arrived, self._backlog = self._backlog, []
        for sample in samples:
            trouble = self._troubles.get(sample.point)
            if trouble is None:
                arrived.append(self._measured(sample))
            else:
                arrived += self._spoilt(trouble, sample, now_s)
        return arrived

    def _measured(self, sample: Sample) -> Sample:
        point = self._points.get(sample.point)
        if point is None or not math.isfinite(sample.value):
            return sample
        value = sample.value + (self._random.gauss(0.0, point.noise) if point.noise else 0.0)
        return replace(sample, value=round(value / point.resolution) * point.resolution)

    def _spoilt(self, trouble: _Trouble, sample: Sample, now_s: float) -> list[Sample]:
        measured, value = self._measured(sample), trouble.fault.value
        match trouble.fault.trouble:
            case SensorTrouble.FROZEN:
                trouble.held = trouble.held or measured
                return [replace(trouble.held, sampled_at_s=now_s)]
            case SensorTrouble.LATE:
                trouble.waiting.append(measured)
                due = [one for one in trouble.waiting if one.sampled_at_s <= now_s - value + 1e-9]
                del trouble.waiting[: len(due)]
                return due[-1:] or [replace(measured, quality="silent")]
            case SensorTrouble.STALE:
                trouble.waiting.append(measured)
                return [replace(measured, quality="silent")]
            case SensorTrouble.SILENT:
                return [replace(measured, quality="silent")]
            case SensorTrouble.NAN:
                return [replace(measured, value=math.nan)]
            case SensorTrouble.BIAS:
                return [replace(measured, value=measured.value + value)]
            case SensorTrouble.NOISE:
                return [replace(measured, value=measured.value + self._random.gauss(0.0, value))]
            case SensorTrouble.FIXED:
                return [replace(measured, value=value)]
