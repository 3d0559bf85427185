"""Within which limits a gate may be moved, and how far in one move. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_agent.gate_control.decide.control import clamp, quantise
from edge_agent.gate_control.decide.hydraulics import count_of_pct, invert_flow, pct_of_count, pct_of_opening_m
from edge_agent.gate_control.decide.starts import StartHistory
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Pool
from shared.contracts.gate_plan import GateDirective


@dataclass(frozen=True)
class TravelLimits:
    """Openings that a command may ask for."""

    low_pct: float
    high_pct: float

    def holds(self, opening_pct: float) -> bool:
        """Whether an opening lies within."""
        return self.low_pct <= opening_pct <= self.high_pct


@dataclass(frozen=True)
class LevelLimits:
    """Levels that a setpoint may ask for; outside, an alarm."""

    low_m: float
    high_m: float


def own_limits(gate: Gate) -> TravelLimits:
    """The owner's: they bind protection too."""
    return TravelLimits(gate.limits.opening_min_pct, gate.limits.opening_max_pct)


def travel_limits(
    gate: Gate, directive: GateDirective | None, upstream_m: float | None = None, downstream_m: float | None = None
) -> TravelLimits:
    """The owner's limits, narrowed by the plan's and by the gate's own largest flow; where these do not meet, the owner's."""
    limits = own_limits(gate)
    if directive is not None:
        asked = directive.limits
        limits = _narrowed(limits, asked.opening_min_pct, asked.opening_max_pct)
    if gate.limits.flow_max_m3s is None or upstream_m is None:
        return limits
    most = invert_flow(gate.geometry, gate.limits.flow_max_m3s, upstream_m, downstream_m)
    if most.is_at_limit:
        return limits  # not even fully open would it be too much
    return TravelLimits(limits.low_pct, clamp(pct_of_opening_m(gate, most.opening_m), limits.low_pct, limits.high_pct))


def level_limits(pool: Pool, directive: GateDirective | None) -> LevelLimits:
    """The pool's limits, narrowed by the plan's; where they do not meet, the pool's."""
    asked = directive.limits if directive is not None else None
    if asked is None:
        return LevelLimits(pool.level_min_m, pool.level_max_m)
    low_m = pool.level_min_m if asked.level_min_m is None else max(pool.level_min_m, asked.level_min_m)
    high_m = pool.level_max_m if asked.level_max_m is None else min(pool.level_max_m, asked.level_max_m)
    return LevelLimits(low_m, high_m) if low_m < high_m else LevelLimits(pool.level_min_m, pool.level_max_m)


def step_pct(gate: Gate, starts: StartHistory, now_s: float) -> float:
    """How far the controller may move the gate now: its largest step, and no faster than its rate since the last start."""
    step = gate.limits.max_step_pct
    if gate.limits.rate_pct_per_min is None or not starts.starts_s:
        return step
    since_s = max(0.0, now_s - starts.starts_s[-1])
    return min(step, gate.limits.rate_pct_per_min / 60.0 * since_s)


def settable_pct(gate: Gate, opening_pct: float, limits: TravelLimits) -> float:
    """The nearest opening within limits that the actuator's register can say."""
    if gate.actuator.desired_position is None:
        return clamp(opening_pct, limits.low_pct, limits.high_pct)
    place = gate.actuator.desired_position
    ends = sorted((count_of_pct(gate, limits.low_pct), count_of_pct(gate, limits.high_pct)))
    wanted = count_of_pct(gate, clamp(opening_pct, limits.low_pct, limits.high_pct))
    count = quantise(wanted - place.offset, place.scale, ends[0] - place.offset, ends[1] - place.offset) + place.offset
    settable = pct_of_count(gate, count)
    # the table there and back may miss a limit by a rounding error
    return clamp(round(settable, 6) if math.isfinite(settable) else opening_pct, limits.low_pct, limits.high_pct)


def _narrowed(limits: TravelLimits, low_pct: float | None, high_pct: float | None) -> TravelLimits:
    low = limits.low_pct if low_pct is None else max(limits.low_pct, low_pct)
    high = limits.high_pct if high_pct is None else min(limits.high_pct, high_pct)
    return TravelLimits(low, high) if low <= high else limits
