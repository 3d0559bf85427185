"""What another site tells, and how much it may do here. Pure.

Rule: a remote point that is gone freezes its term and nothing else; one that is there moves no more than a set share of the
structure's capacity at once. Limits, interlocks and protection never stand on a remote point.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.model.devices import Point

STEP_SHARE = 0.1
"""Of the structure's capacity, that a remote value may change its flow by in one control period."""


def is_remote(points: Mapping[str, Point], names: Iterable[str]) -> bool:
    """Whether any of the points belongs to another site."""
    return any(point.remote for name in names if (point := points.get(name)) is not None)


def clamped_change(change_m3s: float, capacity_m3s: float, *, is_from_remote: bool) -> float:
    """The part of a change of flow that is taken over; what is no number changes nothing."""
    if not math.isfinite(change_m3s):
        return 0.0
    if not is_from_remote:
        return change_m3s
    return clamp(change_m3s, -STEP_SHARE * capacity_m3s, STEP_SHARE * capacity_m3s)
