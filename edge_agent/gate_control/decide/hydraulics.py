"""Flow through a gate, the opening for a flow, and counts, metres and percent of opening. Pure.

Openings: 0 m gives the least flow. An undershot gate opens upward from its sill; the crest of an overshot gate is lowered
by `opening_m` from its highest position.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.gates import Gate, Geometry

GRAVITY_M_PER_S2 = 9.81
CONTRACTION = 0.61
"""Depth of a free jet over its opening (Belaud, Cassan, Baume 2009: 0.60 to 0.62 at small openings)."""
CRITICAL_WEIR = 2.0 / 3.0 * math.sqrt(2.0 / 3.0 * GRAVITY_M_PER_S2)
"""Critical flow over a sill per metre of width: 1.705 h^1.5. It governs once a leaf is out of the water."""
_HEAD_MAX_M = 1_000.0
_FLOW_MAX_M3S = 1e9
_OPENING_ERROR_M = 1e-7
_BISECTIONS = 80


@dataclass(frozen=True)
class Inversion:
    """The opening for a flow. `is_at_limit`: the flow itself cannot be had at these levels."""

    opening_m: float
    is_at_limit: bool
    head_difference_m: float
    """Upstream level over the downstream one, or over the sill where that is higher; for the drown limit."""


def gate_flow_m3s(geometry: Geometry, opening_m: float, upstream_m: float, downstream_m: float | None) -> float:
    """Flow at an opening; levels in m above the datum, no downstream level means free flow. Never negative, never NaN.

    Each law is taken free and submerged, and the smaller flow counts (Wahl 2005 on the errors near the border):
    undershot `Cd b w sqrt(2 g H)`, with H the smaller of `h1 / (1 + Cc w / h1)` (energy of a free jet, approach velocity
    included) and `h1 - h2`, and never more than critical flow over the sill;
    overshot `2/3 Cd b sqrt(2 g) h1^1.5`; submerged weirs by Villemonte 1947, `(1 - (h2 / h1)^1.5)^0.385`.
    Water that would run backward counts as no flow.
    """
    opening_m = _between(opening_m, 0.0, geometry.height_m)
    if geometry.kind == "undershot":
        flow_m3s = _undershot(geometry, opening_m, *_heads(geometry.sill_m, upstream_m, downstream_m))
    else:
        crest_m = geometry.sill_m + geometry.height_m - opening_m
        flow_m3s = _overshot(geometry, *_heads(crest_m, upstream_m, downstream_m))
    return min(flow_m3s, _FLOW_MAX_M3S)


def invert_flow(geometry: Geometry, flow_m3s: float, upstream_m: float, downstream_m: float | None) -> Inversion:
    """The least opening that gives the flow, by bracketing; where the flow is out of reach, the least one that comes nearest.

    Without any head no opening is better than another: then the leaf is taken out of the water. Whoever asks holds
    the gate instead, by `head_difference_m` (the drown limit).
    """
    head, tail = _heads(geometry.sill_m, upstream_m, downstream_m)
    difference_m = head - tail
    wanted = flow_m3s if math.isfinite(flow_m3s) else (_FLOW_MAX_M3S if flow_m3s > 0.0 else 0.0)
    least = gate_flow_m3s(geometry, 0.0, upstream_m, downstream_m)
    most = gate_flow_m3s(geometry, geometry.height_m, upstream_m, downstream_m)
    if wanted <= least:
        return Inversion(0.0, wanted < least, difference_m)
    if most <= least:
        out_of_water_m = min(head, geometry.height_m) if geometry.kind == "undershot" else geometry.height_m
        return Inversion(out_of_water_m, True, difference_m)
    opening_m = _bracket(geometry, min(wanted, most), upstream_m, downstream_m)
    return Inversion(opening_m, wanted > most, difference_m)


def opening_m_of_count(gate: Gate, count: float) -> float:
    """Opening by the actuator's table, linear between its rows; beyond its ends, the end. No number counts as the least count."""
    rows = sorted((row.count, row.opening_m) for row in gate.actuator.table) or [(0.0, 0.0), (100.0, gate.geometry.height_m)]
    return _between(_interpolate(rows, count), 0.0, gate.geometry.height_m)


def count_of_opening_m(gate: Gate, opening_m: float) -> float:
    """The actuator's count at an opening; inverse of `opening_m_of_count`."""
    rows = sorted((row.opening_m, row.count) for row in gate.actuator.table) or [(0.0, 0.0), (gate.geometry.height_m, 100.0)]
    return _interpolate(rows, opening_m)


def pct_of_opening_m(gate: Gate, opening_m: float) -> float:
    """Opening in percent of the full travel, 0 % least flow."""
    return 100.0 * _between(opening_m / gate.geometry.height_m, 0.0, 1.0)


def opening_m_of_pct(gate: Gate, opening_pct: float) -> float:
    """Opening in metres; undershot above the sill, overshot below the highest crest."""
    return gate.geometry.height_m * (_between(opening_pct, 0.0, 100.0) / 100.0)


def pct_of_count(gate: Gate, count: float) -> float:
    """Opening in percent of a position as the actuator tells it."""
    return pct_of_opening_m(gate, opening_m_of_count(gate, count))


def count_of_pct(gate: Gate, opening_pct: float) -> float:
    """What the actuator must be told for an opening in percent."""
    return count_of_opening_m(gate, opening_m_of_pct(gate, opening_pct))


def resolution_pct(gate: Gate, position: Point) -> float:
    """Largest change of opening, in percent, that one step of the position's resolution stands for: by the table's steepest part."""
    rows = sorted((row.count, row.opening_m) for row in gate.actuator.table) or [(0.0, 0.0), (100.0, gate.geometry.height_m)]
    slopes = [abs(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(rows) if b[0] > a[0]]
    return 100.0 * max(slopes, default=0.0) * position.resolution / gate.geometry.height_m


def _undershot(geometry: Geometry, opening_m: float, h1: float, h2: float) -> float:
    if h1 <= 0.0 or h1 <= h2 or opening_m <= 0.0:
        return 0.0
    under_m = min(opening_m, h1)
    head_m = min(h1 / (1.0 + CONTRACTION * under_m / h1), h1 - h2)
    orifice = geometry.cd * under_m * math.sqrt(2.0 * GRAVITY_M_PER_S2 * head_m)
    weir = CRITICAL_WEIR * h1 * math.sqrt(h1) * _villemonte(h1, h2)
    return geometry.width_m * min(orifice, weir)


def _overshot(geometry: Geometry, h1: float, h2: float) -> float:
    if h1 <= 0.0 or h1 <= h2:
        return 0.0
    return geometry.width_m * (2.0 / 3.0 * geometry.cd * math.sqrt(2.0 * GRAVITY_M_PER_S2) * h1 * math.sqrt(h1) * _villemonte(h1, h2))


def _villemonte(h1: float, h2: float) -> float:
    return math.pow(1.0 - math.pow(min(1.0, h2 / h1), 1.5), 0.385) if h2 > 0.0 else 1.0


def _heads(edge_m: float, upstream_m: float, downstream_m: float | None) -> tuple[float, float]:
    """Upstream and downstream water above an edge; below it, and what is no number, is no water."""
    tail_m = 0.0 if downstream_m is None else _between(downstream_m - edge_m, 0.0, _HEAD_MAX_M)
    return _between(upstream_m - edge_m, 0.0, _HEAD_MAX_M), tail_m


def _bracket(geometry: Geometry, flow_m3s: float, upstream_m: float, downstream_m: float | None) -> float:
    low_m, high_m = 0.0, geometry.height_m
    for _ in range(_BISECTIONS):
        if high_m - low_m <= _OPENING_ERROR_M:
            break
        middle_m = 0.5 * (low_m + high_m)
        if gate_flow_m3s(geometry, middle_m, upstream_m, downstream_m) < flow_m3s:
            low_m = middle_m
        else:
            high_m = middle_m
    return high_m


def _interpolate(rows: list[tuple[float, float]], at: float) -> float:
    """Along rows that are sorted by their first column."""
    if not at > rows[0][0]:
        return rows[0][1]
    if at >= rows[-1][0]:
        return rows[-1][1]
    above = bisect_right(rows, at, key=lambda row: row[0])
    (x0, y0), (x1, y1) = rows[above - 1], rows[above]
    # halves and weights, so that no figure is too large to subtract
    share = (at / 2.0 - x0 / 2.0) / (x1 / 2.0 - x0 / 2.0)
    return y0 * (1.0 - share) + y1 * share


def _between(value: float, low: float, high: float) -> float:
    return low if math.isnan(value) else max(low, min(high, value))
