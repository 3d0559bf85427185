"""What sensors make of the plant's true values: resolution, noise, and faults."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.simulation.events import SensorFault, SensorTrouble
from edge_agent.gate_control.simulation.plant import SILENT, Sample


@dataclass
class _Trouble:
    fault: SensorFault
    held: Sample | None = None
    """Of a frozen sensor."""
    waiting: list[Sample] = field(default_factory=list)
    has_come: bool = False
    """Of a late sensor: the first value that was sampled since."""


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
                arrived += self._spoilt(trouble, sample)
        for point, trouble in self._troubles.items():
            # also where the plant has nothing new: a device that is asked says the same again, or nothing
            arrived += self._asked(point, trouble, now_s)
        return arrived

    def _measured(self, sample: Sample) -> Sample:
        point = self._points.get(sample.point)
        if point is None or not math.isfinite(sample.value):
            return sample
        value = sample.value + (self._random.gauss(0.0, point.noise) if point.noise else 0.0)
        return replace(sample, value=round(value / point.resolution) * point.resolution)

    def _spoilt(self, trouble: _Trouble, sample: Sample) -> list[Sample]:
        measured, value = self._measured(sample), trouble.fault.value
        match trouble.fault.trouble:
            case SensorTrouble.NAN:
                return [replace(measured, value=math.nan)]
            case SensorTrouble.BIAS:
                return [replace(measured, value=measured.value + value)]
            case SensorTrouble.NOISE:
                return [replace(measured, value=measured.value + self._random.gauss(0.0, value))]
            case SensorTrouble.FROZEN:
                trouble.held = trouble.held or measured
            case SensorTrouble.LATE | SensorTrouble.STALE:
                trouble.waiting.append(measured)
            case SensorTrouble.SILENT | SensorTrouble.FIXED:
                pass
        return []

    def _asked(self, point: str, trouble: _Trouble, now_s: float) -> list[Sample]:
        match trouble.fault.trouble:
            case SensorTrouble.FROZEN:
                return [] if trouble.held is None else [replace(trouble.held, sampled_at_s=now_s)]
            case SensorTrouble.FIXED:
                return [Sample(point, trouble.fault.value, now_s)]
            case SensorTrouble.LATE:
                due = [one for one in trouble.waiting if one.sampled_at_s <= now_s - trouble.fault.value + 1e-9]
                trouble.waiting = trouble.waiting[len(due) :]
                trouble.has_come = trouble.has_come or bool(due)
                return due[-1:] if trouble.has_come else [_no_answer(point, now_s)]
            case SensorTrouble.STALE | SensorTrouble.SILENT:
                return [_no_answer(point, now_s)]
            case _:
                return []


def _no_answer(point: str, now_s: float) -> Sample:
    return Sample(point, math.nan, now_s, SILENT)
