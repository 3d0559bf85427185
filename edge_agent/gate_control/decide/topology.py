"""Where each structure of a site stands: pools beside it, the age that its loops bear, downstream first. Worked out once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.gate_control.decide.remote import is_remote
from edge_agent.gate_control.decide.tuning import loop_max_age_s
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.pools import LevelLoop, Pool, Structure


@dataclass(frozen=True)
class LoopPlace:
    """One level loop of a structure, and the level that it holds."""

    kind: str
    """`upstream_level` or `downstream_level`."""
    loop: LevelLoop
    pool: Pool
    end: str
    """`head` or `tail` of the pool."""
    max_age_s: float
    """Older levels would leave less than 30 degrees of phase margin."""

    @property
    def place(self) -> str:
        """Key of the level among the readings."""
        return f"{self.pool.id}/{self.end}"

    @property
    def sign(self) -> float:
        """+1 where more flow lowers the level, -1 where it raises it."""
        return 1.0 if self.kind == "upstream_level" else -1.0


@dataclass(frozen=True)
class StructurePlace:
    """One structure among its pools."""

    structure: Structure
    above: Pool | None
    """Where its water comes from; of a turnout the pool whose offtake it is."""
    below: tuple[Pool, ...]
    loops: Mapping[str, LoopPlace]
    """By kind."""
    is_turnout: bool = False
    """It takes water out of a pool, and ends none."""
    remote_levels: frozenset[str] = frozenset()
    """Points beside it that another site measures, and places that rest on one."""
    remote_flows: frozenset[str] = frozenset()
    """Flow points of its loops' neighbours that another site measures."""


@dataclass(frozen=True)
class Topology:
    """The structures of a site, downstream first, so that each one meets what its neighbour below came to."""

    structures: tuple[StructurePlace, ...]
    points: Mapping[str, Point] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    """By point: the gate that works by it, which its alarms are about."""


_KNOWN: dict[int, tuple[SiteConfiguration, Topology]] = {}
_MOST_KNOWN = 64


def topology(site: SiteConfiguration) -> Topology:
    """The site's topology; remembered for the very object, since a site does not change while it runs."""
    known = _KNOWN.get(id(site))
    if known is not None and known[0] is site:
        return known[1]
    found = _build(site)
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[id(site)] = (site, found)
    return found


def _build(site: SiteConfiguration) -> Topology:
    points = {point.id: point for point in site.points}
    places = [_place(site, structure, points) for structure in site.structures]
    places.sort(key=lambda place: _steps_to_tail(site, place.structure.id, ()))
    return Topology(tuple(places), points, _subjects(places))


def _subjects(places: list[StructurePlace]) -> dict[str, str]:
    """Levels belong to the gate that ends the pool, else to one that feeds it, else to a turnout; flows to the gate that passes them."""
    found: dict[str, str] = {}
    for place in places:
        gate = place.structure.gates[0].id
        for pool in place.below:
            found |= {point: found.get(point, gate) for point in (*pool.head_levels, *pool.tail_levels)}
    for place in places:
        gate = place.structure.gates[0].id
        above = (*place.above.head_levels, *place.above.tail_levels) if place.above is not None else ()
        if place.is_turnout:
            above = tuple(point for point in above if point not in found)
        found |= dict.fromkeys((*place.structure.flow_loop.flow_points, *above), gate)
    return found


def _place(site: SiteConfiguration, structure: Structure, points: Mapping[str, Point]) -> StructurePlace:
    ended, below = site.pool_above(structure.id), site.pools_below(structure.id)
    above = site.pool_of_water(structure.id)
    loops: dict[str, LoopPlace] = {}
    if structure.upstream_loop is not None and ended is not None:
        age_s = loop_max_age_s(ended, structure.upstream_loop, is_local=True, lag_s=site.lag_s(ended.tail_levels))
        loops["upstream_level"] = LoopPlace("upstream_level", structure.upstream_loop, ended, "tail", age_s)
    if structure.downstream_loop is not None and below:
        end = "tail" if structure.downstream_end == "distant" else "head"
        levels = below[0].tail_levels if end == "tail" else below[0].head_levels
        age_s = loop_max_age_s(below[0], structure.downstream_loop, is_local=end == "head", lag_s=site.lag_s(levels))
        loops["downstream_level"] = LoopPlace("downstream_level", structure.downstream_loop, below[0], end, age_s)
    flows = [loop.loop.decoupler_flow_point for loop in loops.values() if loop.loop.decoupler_flow_point is not None]
    return StructurePlace(
        structure,
        above,
        below,
        loops,
        is_turnout=ended is None and above is not None,
        remote_levels=_remote_levels(above, below, loops, points),
        remote_flows=frozenset(name for name in flows if is_remote(points, [name])),
    )


def _remote_levels(
    above: Pool | None, below: tuple[Pool, ...], loops: Mapping[str, LoopPlace], points: Mapping[str, Point]
) -> frozenset[str]:
    beside = [point for pool in (above, *below) if pool is not None for point in (*pool.head_levels, *pool.tail_levels)]
    held = {loop.place: loop.pool.head_levels if loop.end == "head" else loop.pool.tail_levels for loop in loops.values()}
    return frozenset(
        {point for point in beside if is_remote(points, [point])} | {place for place, own in held.items() if is_remote(points, own)}
    )


def _steps_to_tail(site: SiteConfiguration, structure_id: str, seen: tuple[str, ...]) -> int:
    """Structures on the longest way down; a ring, which `check` refuses, ends where it closes."""
    if structure_id in seen:
        return 0
    below = [end for pool in site.pools_below(structure_id) for end in ends_of(pool)]
    return 1 + max((_steps_to_tail(site, end, (*seen, structure_id)) for end in below), default=0)


def ends_of(pool: Pool) -> tuple[str, ...]:
    """Structures that take water from a pool: the one at its end, and its turnouts."""
    return tuple(end for end in (pool.outlet, *(item.structure for item in pool.offtakes)) if end is not None)
