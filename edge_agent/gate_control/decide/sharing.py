"""One flow among the bays of a structure, and the flow that can be had at all. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.decide.hydraulics import gate_flow_m3s, invert_flow, opening_m_of_pct, pct_of_opening_m
from edge_agent.gate_control.decide.limits import TravelLimits
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Structure

NO_FLOW_M3S = 1e-6
BEYOND_SHARE = 0.001
"""Of the capacity: wanting that much more than can be had, a gate above the water goes on looking for it."""


@dataclass(frozen=True)
class Water:
    """Levels on both sides of a structure; no level below means free flow."""

    upstream_m: float
    downstream_m: float | None


@dataclass(frozen=True)
class Bay:
    """One gate of a structure as it stands."""

    gate: Gate
    opening_pct: float
    limits: TravelLimits
    step_pct: float
    """How far it may be moved now."""
    is_available: bool
    """The controller may move it; else its flow is what it is."""

    def reach(self) -> TravelLimits:
        """Openings that one move may lead to, and the deadband beyond: what lies outside is not wanted on (anti-windup)."""
        own = self.gate.limits
        far_pct = max(self.step_pct, 100.0 * own.min_run_s / self.gate.actuator.stroke_time_s) + own.deadband_pct
        low, high = self.limits.low_pct, self.limits.high_pct
        return TravelLimits(clamp(self.opening_pct - far_pct, low, high), clamp(self.opening_pct + far_pct, low, high))


@dataclass(frozen=True)
class Shared:
    """What came of sharing."""

    flow_m3s: float
    """Of the flow that was wanted, what can be had with the next move."""
    openings_pct: Mapping[str, float]
    """By gate; available bays only."""


@dataclass(frozen=True)
class _Range:
    """Flow of one bay over its reach."""

    bay: Bay
    reach: TravelLimits
    low_m3s: float
    high_m3s: float


def bay_flow_m3s(gate: Gate, opening_pct: float, water: Water) -> float:
    """Flow of one gate at an opening."""
    return gate_flow_m3s(gate.geometry, opening_m_of_pct(gate, opening_pct), water.upstream_m, water.downstream_m)


def present_flow_m3s(bays: Sequence[Bay], water: Water) -> float:
    """Actual flow of all bays, from where they are."""
    return sum(bay_flow_m3s(bay.gate, bay.opening_pct, water) for bay in bays)


def deadband_flow_m3s(bays: Sequence[Bay], water: Water) -> float:
    """Flow that a move by the deadband makes, of the finest bay under control; 0 without one."""
    changes = [
        abs(bay_flow_m3s(bay.gate, bay.opening_pct + bay.gate.limits.deadband_pct, water) - bay_flow_m3s(bay.gate, bay.opening_pct, water))
        for bay in bays
        if bay.is_available
    ]
    return min(changes, default=0.0)


def share_flow(structure: Structure, wanted_m3s: float, bays: Sequence[Bay], water: Water) -> Shared:
    """Openings of the available bays for a flow of the whole structure.

    Rule: bays that cannot be moved pass what they pass. The rest goes to the others, by width (`equal`), or to the first as
    far as it goes and then to the next (`lead_lag`); what one cannot take goes to those that can.
    """
    fixed = sum(bay_flow_m3s(bay.gate, bay.opening_pct, water) for bay in bays if not bay.is_available)
    ranges = [_range(bay, water) for bay in bays if bay.is_available]
    low, high = sum(one.low_m3s for one in ranges), sum(one.high_m3s for one in ranges)
    rest = wanted_m3s - fixed
    margin = BEYOND_SHARE * structure.capacity_m3s
    beyond = 1 if rest > high + margin else -1 if rest < low - margin else 0
    had = clamp(rest, low, high)
    flows = _lead_lag(ranges, had) if structure.sharing == "lead_lag" else _by_width(ranges, had)
    openings = {one.bay.gate.id: _opening_pct(one, flow, beyond, water) for one, flow in zip(ranges, flows, strict=True)}
    return Shared(had + fixed, openings)


def _range(bay: Bay, water: Water) -> _Range:
    reach = bay.reach()
    return _Range(bay, reach, bay_flow_m3s(bay.gate, reach.low_pct, water), bay_flow_m3s(bay.gate, reach.high_pct, water))


def _by_width(ranges: Sequence[_Range], wanted_m3s: float) -> list[float]:
    """Shares by width; who is asked for more or less than it can gives, the others take up."""
    flows: dict[int, float] = {}
    while len(flows) < len(ranges):
        free = [index for index in range(len(ranges)) if index not in flows]
        rest = wanted_m3s - sum(flows.values())
        width_m = sum(ranges[index].bay.gate.geometry.width_m for index in free)
        asked = {index: rest * ranges[index].bay.gate.geometry.width_m / width_m for index in free}
        given = {index: clamp(flow, ranges[index].low_m3s, ranges[index].high_m3s) for index, flow in asked.items()}
        # settle those on the side that misses more; when nobody is clamped all are settled
        missed = sum(given.values()) - rest
        settled = [index for index in free if (given[index] - asked[index]) * missed > 0.0] or free
        flows.update({index: given[index] for index in settled})
    return [flows[index] for index in range(len(ranges))]


def _lead_lag(ranges: Sequence[_Range], wanted_m3s: float) -> list[float]:
    rest = wanted_m3s - sum(one.low_m3s for one in ranges)
    flows: list[float] = []
    for one in ranges:
        more = clamp(rest, 0.0, one.high_m3s - one.low_m3s)
        rest -= more
        flows.append(one.low_m3s + more)
    return flows


def _opening_pct(one: _Range, flow_m3s: float, beyond: int, water: Water) -> float:
    """Opening for a bay's share. Where no opening within reach makes a difference, a dry gate looks for water, another one stays."""
    if one.high_m3s - one.low_m3s <= NO_FLOW_M3S:
        if beyond > 0 and one.high_m3s <= NO_FLOW_M3S:
            return one.reach.high_pct
        return one.reach.low_pct if beyond < 0 else clamp(one.bay.opening_pct, one.reach.low_pct, one.reach.high_pct)
    if beyond > 0:
        return one.reach.high_pct
    if beyond < 0:
        return one.reach.low_pct
    inversion = invert_flow(one.bay.gate.geometry, flow_m3s, water.upstream_m, water.downstream_m)
    return clamp(pct_of_opening_m(one.bay.gate, inversion.opening_m), one.reach.low_pct, one.reach.high_pct)
