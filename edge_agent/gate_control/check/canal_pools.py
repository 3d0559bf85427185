"""Pools that lie between two sites: one water, one set of figures, one integrator, one gate at each end. Pure.

Two sites mean the same pool where both give it the same id, or where a level of one is, by a remote point or by reading the very
same register, a level of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.check.canal_links import HEIGHT_TOLERANCE_M, Link, ends_of
from edge_agent.gate_control.check.device_rules import unit_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.check.loop_rules import PlacedLoop, placed_loops
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.model.devices import ModbusTcp
from edge_agent.gate_control.model.pools import Pool

_HEIGHTS = ("invert_m", "bank_m", "level_min_m", "level_max_m")
_ALIKE: tuple[tuple[str, ...], ...] = (
    ("target_depth_m",),
    ("length_m",),
    *((end, key) for end in ("low", "high") for key in ("flow_m3s", "delay_s", "area_m2")),
    ("resonance_period_s",),
    ("resonance_peak_s_per_m2",),
    ("drawdown", "per_hour_m"),
    ("drawdown", "per_day_m"),
)


@dataclass(frozen=True, eq=False)
class PlacedPool:
    """A pool as one of the sites gives it."""

    file: SiteFile
    number: int
    pool: Pool

    @property
    def path(self) -> Path:
        """In the site's file."""
        return ("pools", self.number)


Waters = tuple[tuple[PlacedPool, ...], ...]
"""Each water with the pools that stand for it."""


def pool_waters(files: Sequence[SiteFile], links: Sequence[Link]) -> Waters:
    """All pools, those of one water together."""
    pools = [PlacedPool(file, number, pool) for file in files for number, pool in enumerate(file.site.pools)]
    group = {placed: number for number, placed in enumerate(pools)}
    pairs = [(one, other) for one in pools for other in pools if one.pool.id == other.pool.id]
    for link in links:
        ends = set(ends_of(link))
        theirs = [placed for placed in pools if placed.file is link.owner and placed.pool.id in {name for name, _ in ends}]
        own = [
            placed
            for placed in pools
            if placed.file is link.reader and link.point.id in (*placed.pool.head_levels, *placed.pool.tail_levels)
        ]
        pairs += [(one, other) for one in own for other in theirs]
    sensors: dict[tuple[str, str, int], PlacedPool] = {}
    for placed in pools:
        for sensor in _sensors(placed):
            pairs.append((sensors.setdefault(sensor, placed), placed))
    for one, other in pairs:
        old, new = sorted((group[one], group[other]))[::-1]
        group = {placed: new if number == old else number for placed, number in group.items()}
    return tuple(tuple(placed for placed in pools if group[placed] == number) for number in sorted(set(group.values())))


def _sensors(placed: PlacedPool) -> Iterator[tuple[str, str, int]]:
    """Registers in the network that a pool's own levels are read from: unit, table, address."""
    units = {device.id: unit_of(device) for device in placed.file.site.devices if isinstance(device.link, ModbusTcp)}
    for name in (*placed.pool.head_levels, *placed.pool.tail_levels):
        point = placed.file.site.point(name)
        if point is not None and not point.remote and point.device in units:
            yield units[point.device], point.table, point.register_address


def water_remarks(waters: Waters, links: Sequence[Link]) -> Iterator[FileRemark]:
    """Everything about pools that more than one site names."""
    for water in waters:
        yield from _one_integrator(water)
        yield from _one_gate_at_each_end(water)
        first, *others = water
        for other in others:
            if other.file is not first.file:
                yield from _same_figures(first, other, _datum_shift_m(first, other, links))
    yield from _circles(waters)


def _one_integrator(water: Sequence[PlacedPool]) -> Iterator[FileRemark]:
    """Loops of two sites on one water, whatever plan or fallback would switch them on."""
    loops: list[tuple[PlacedPool, PlacedLoop]] = [
        (placed, loop) for placed in water for loop in placed_loops(placed.file.site) if loop.pool.id == placed.pool.id
    ]
    for number, (placed, loop) in enumerate(loops):
        for other, holder in loops[:number]:
            if other.file is placed.file:
                continue
            problem = (
                f"{loop.structure.id} {loop.key} holds pool {placed.pool.id}, and so does {holder.structure.id} {holder.key} of"
                f" {other.file.at(holder.path)}"
            )
            why = (
                "two integrators on one level drift against each other until one gate is open and the other shut;"
                " a plan, or a fallback of either site, would bring it about"
            )
            yield (
                placed.file,
                Remark(loop.path, problem, why, "leave the pool to one of the two; the other gets no loop on it, and another fallback"),
            )


def _one_gate_at_each_end(water: Sequence[PlacedPool]) -> Iterator[FileRemark]:
    for key, what in (("inlet", "feeds"), ("outlet", "ends")):
        ends = [(placed, structure) for placed in water if (structure := getattr(placed.pool, key)) is not None]
        for placed, structure in ends[1:]:
            first, other = ends[0]
            if placed.file is not first.file:
                problem = f"{structure} {what} pool {placed.pool.id}, and so does {other} of {first.file.at((*first.path, key))}"
                why = "a pool has one gate at each end; what a second one gives or takes is an offtake, or another pool"
                yield placed.file, Remark((*placed.path, key), problem, why, f"remove one {key}; if they are two pools, give them two ids")


def _datum_shift_m(one: PlacedPool, other: PlacedPool, links: Sequence[Link]) -> float:
    """What is added to a level of `one` to have it in the datum of `other`: the offset of a remote level that both know."""
    for link in links:
        if link.point.unit == "m" and {link.reader, link.owner} == {one.file, other.file}:
            pool = one.pool if link.reader is one.file else other.pool
            if link.point.id in (*pool.head_levels, *pool.tail_levels):
                return link.point.offset if link.reader is other.file else -link.point.offset
    return 0.0


def _same_figures(first: PlacedPool, other: PlacedPool, shift_m: float) -> Iterator[FileRemark]:
    where = first.file.at(first.path)
    pairs: list[tuple[tuple[str, ...], float | None, float | None, float]]
    pairs = [((key,), getattr(first.pool, key) + shift_m, getattr(other.pool, key), HEIGHT_TOLERANCE_M) for key in _HEIGHTS]
    pairs += [(keys, _figure(first.pool, keys), _figure(other.pool, keys), 1e-6) for keys in _ALIKE]
    for keys, there, here, tolerance in pairs:
        if there is None or here is None:
            is_same = there is here
        else:
            is_same = abs(there - here) <= (tolerance if keys[0] in _HEIGHTS else tolerance * max(abs(there), abs(here)))
        if not is_same:
            datum = f" (datum {shift_m:+g} m)" if shift_m and keys[0] in _HEIGHTS else ""
            problem = f"{'.'.join(keys)} of pool {other.pool.id} is {_told(here)}, and {_told(there)}{datum} at {where}"
            why = "one pool has one bed, bank and delay: margins, limits and alarms of one of the two sites are wrong"
            yield other.file, Remark((*other.path, *keys), problem, why, "measure once, and give both files the same figure")
    yield from _same_offtakes(first, other)


def _same_offtakes(first: PlacedPool, other: PlacedPool) -> Iterator[FileRemark]:
    here, there = ({item.id: item.nominal_flow_m3s for item in placed.pool.offtakes} for placed in (other, first))
    if here != there:
        problem = f"offtakes of pool {other.pool.id} are {_offtakes(here)}, and {_offtakes(there)} at {first.file.at(first.path)}"
        yield (
            other.file,
            Remark(
                (*other.path, "offtakes"), problem, "ordered water would be sent by one site alone", "give both files the same offtakes"
            ),
        )


def _offtakes(offtakes: Mapping[str, float]) -> str:
    return ", ".join(f"{name} ({flow_m3s:g} m3/s)" for name, flow_m3s in sorted(offtakes.items())) or "none"


def _figure(pool: Pool, keys: tuple[str, ...]) -> float | None:
    value = pool
    for key in keys:
        value = getattr(value, key)
    return value if isinstance(value, float | int) else None


def _told(value: float | None) -> str:
    return "not given" if value is None else f"{value:g}"


def _circles(waters: Waters) -> Iterator[FileRemark]:
    """A water that lies below itself by way of more than one site."""
    next_ones = [_waters_below(waters, water) for water in waters]
    reached = [_reached(next_ones, number) for number in range(len(waters))]
    for number, water in enumerate(waters):
        circle = {other for other in reached[number] if number in reached[other]}
        sites = {placed.file for other in circle for placed in waters[other]}
        if number != min(circle, default=-1) or len(sites) == 1:
            continue
        names = ", ".join(sorted({item.pool.id for other in circle for item in waters[other]}))
        placed = next((item for item in water if item.pool.outlet is not None), water[0])
        problem = f"pool {placed.pool.id} lies below itself: {names}"
        why = "water does not run in a circle, and each gate would wait for the other's flow"
        yield placed.file, Remark((*placed.path, "outlet"), problem, why, "name inlet and outlet in the direction of the flow")


def _reached(next_ones: Sequence[set[int]], start: int) -> set[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        more = next_ones[waiting.pop()] - found
        found |= more
        waiting += more
    return found


def _waters_below(waters: Waters, water: Sequence[PlacedPool]) -> set[int]:
    found = set()
    for placed in water:
        ends = {placed.pool.outlet, *(item.structure for item in placed.pool.offtakes)} - {None}
        for number, other in enumerate(waters):
            if any(item.file is placed.file and item.pool.inlet in ends for item in other):
                found.add(number)
    return found
