"""The two ASCE test canals as data, and sites of `munbon-gate` on them.

Geometry: Clemmens, Kacerek, Grawitz, Schuurmans 1998 (J. Irrig. Drain. Eng. 124(1)) as repeated by Litrico and Fromion 2004
(tables 1, 2), Bonet et al. 2025 (tables 5, 6) and Clemmens et al. 2015 (table 1). Delays and areas: Litrico and Fromion 2004
(tables 4 to 7). The drop at the checks (1.0 m and 0.2 m) is of low confidence; see docs/reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CANAL_1_LOW = ((37, 342), (426, 821), (152, 669), (306, 788), (793, 817), (723, 680), (732, 636), (912, 674))
CANAL_1_HIGH = ((30, 328), (338, 574), (117, 438), (238, 573), (611, 616), (541, 494), (531, 465), (603, 516))
CANAL_2_LOW = (
    (1823, 82799), (755, 38199), (758, 38278), (1073, 43607), (1080, 43822), (849, 28481), (564, 19476), (567, 19514),
)  # fmt: skip
CANAL_2_HIGH = (
    (1578, 59703), (682, 33868), (690, 34630), (952, 35441), (970, 37029), (754, 23458), (514, 17718), (526, 18335),
)  # fmt: skip
"""Delay in s and backwater area in m2, by pool."""


@dataclass(frozen=True)
class Reach:
    """One pool between checks; trapezoidal."""

    length_m: float
    bed_width_m: float
    canal_depth_m: float
    target_depth_m: float
    gate_width_m: float
    """Of the check at its end; the last pool has none in the statement: there the tail's own."""
    gate_height_m: float
    low: tuple[float, float]
    """Delay in s, area in m2."""
    high: tuple[float, float]
    low_flow_m3s: float
    """At its upper end."""
    high_flow_m3s: float
    offtake_m3s: float
    """In the low state."""


@dataclass(frozen=True)
class AsceCanal:
    """A canal with a headgate and a check at the end of each pool."""

    name: str
    slope: float
    manning_n: float
    side_slope: float
    drop_m: float
    stroke_time_s: float
    control_period_s: float
    headgate_width_m: float
    headgate_height_m: float
    reaches: tuple[Reach, ...]

    @property
    def tail_m3s(self) -> float:
        """What leaves the last pool in the low state beside its offtake."""
        last = self.reaches[-1]
        return max(0.0, last.low_flow_m3s - last.offtake_m3s)

    def inverts_m(self) -> tuple[tuple[float, float], ...]:
        """Bed at the upper and the lower end of each pool above a datum at the canal's lowest point."""
        found: list[tuple[float, float]] = []
        upper_m = sum(reach.length_m * self.slope + self.drop_m for reach in self.reaches) - self.drop_m
        for reach in self.reaches:
            lower_m = upper_m - reach.length_m * self.slope
            found.append((upper_m, lower_m))
            upper_m = lower_m - self.drop_m
        return tuple(found)

    def is_flat(self, reach: Reach) -> bool:
        """Whether the backwater reaches the inlet, so that a wave is thrown back there; in a steeper pool it dies on the slope.

        The bed falls by less than the target depth: in all pools of canal 2, and of canal 1 in the first alone. Those are
        the ones that oscillate (Clemmens, Tian, van Overloop, Litrico 2015).
        """
        return self.slope * reach.length_m < reach.target_depth_m * (1.0 - 1e-9)

    def resonance_s(self, reach: Reach, flow_m3s: float) -> float:
        """Period of a wave down the pool and back: `L/(c+v) + L/(c-v)` (same source)."""
        celerity, velocity = self.celerity_m_per_s(reach), flow_m3s / self.area_m2(reach)
        return reach.length_m / (celerity + velocity) + reach.length_m / max(0.1, celerity - velocity)

    def resonance_peak_s_per_m2(self, reach: Reach, flow_m3s: float) -> float:
        """`1/(B (c - v))` of the same source, reflections left out."""
        return 1.0 / (self.top_width_m(reach) * max(0.1, self.celerity_m_per_s(reach) - flow_m3s / self.area_m2(reach)))

    def area_m2(self, reach: Reach) -> float:
        """Cross-section at target depth."""
        return reach.target_depth_m * (reach.bed_width_m + self.side_slope * reach.target_depth_m)

    def top_width_m(self, reach: Reach) -> float:
        """At target depth."""
        return reach.bed_width_m + 2.0 * self.side_slope * reach.target_depth_m

    def celerity_m_per_s(self, reach: Reach) -> float:
        """Of a small wave at target depth."""
        return math.sqrt(9.81 * self.area_m2(reach) / self.top_width_m(reach))


def _canal_1() -> AsceCanal:
    lengths = (100, 1200, 400, 800, 2000, 1700, 1600, 1700)
    widths = (1.0, 1.0, 1.0, 0.8, 0.8, 0.8, 0.6, 0.6)
    depths = (1.1, 1.1, 1.0, 1.1, 1.1, 1.0, 1.0, 1.0)
    targets = (0.9, 0.9, 0.8, 0.9, 0.9, 0.8, 0.8, 0.8)
    gates = ((1.5, 1.0), (1.5, 1.0), (1.5, 0.9), (1.2, 1.0), (1.2, 1.0), (1.2, 0.9), (1.0, 0.9), (0.8, 0.9))
    reaches = tuple(
        # headgate 0.8 m3/s, each offtake 0.1, nothing at the tail (test 1-1); 2.0 falling by 0.2 in the high state
        Reach(length, width, depth, target, gate[0], gate[1], low, high, 0.8 - 0.1 * index, 2.0 - 0.2 * index, 0.1)
        for index, (length, width, depth, target, gate, low, high) in enumerate(
            zip(lengths, widths, depths, targets, gates, CANAL_1_LOW, CANAL_1_HIGH, strict=True)
        )
    )
    return AsceCanal("asce-1", 0.002, 0.014, 1.5, 1.0, 120.0, 60.0, 1.5, 1.0, reaches)


def _canal_2() -> AsceCanal:
    lengths = (7000, 3000, 3000, 4000, 4000, 3000, 2000, 2000)
    widths = (7.0, 7.0, 7.0, 6.0, 6.0, 5.0, 5.0, 5.0)
    depths = (2.5, 2.5, 2.5, 2.3, 2.3, 2.3, 1.9, 1.9)
    targets = (2.1, 2.1, 2.1, 1.9, 1.9, 1.7, 1.7, 1.7)
    gates = ((7.0, 2.3), (7.0, 2.3), (7.0, 2.3), (6.0, 2.1), (6.0, 2.1), (5.0, 1.8), (5.0, 1.8), (5.0, 1.8))
    flows = (2.7, 2.5, 2.2, 2.0, 1.7, 1.5, 1.2, 1.0)
    offtakes = (0.2, 0.3, 0.2, 0.3, 0.2, 0.3, 0.2, 0.3)
    reaches = tuple(
        Reach(length, width, depth, target, gate[0], gate[1], low, high, flow, 11.0 - index, offtake)
        for index, (length, width, depth, target, gate, low, high, flow, offtake) in enumerate(
            zip(lengths, widths, depths, targets, gates, CANAL_2_LOW, CANAL_2_HIGH, flows, offtakes, strict=True)
        )
    )
    return AsceCanal("asce-2", 0.0001, 0.02, 1.5, 0.2, 600.0, 300.0, 7.0, 2.3, reaches)


CANAL_1 = _canal_1()
CANAL_2 = _canal_2()


def first_pools(canal: AsceCanal, count: int) -> AsceCanal:
    """The upper part of a canal alone."""
    return AsceCanal(**{**canal.__dict__, "name": f"{canal.name}-{count}-pools", "reaches": canal.reaches[:count]})
