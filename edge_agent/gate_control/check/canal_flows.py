"""Flows that loops pass on: whose they are, whether they go round in a circle, and the age that a neighbour's level arrives with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge_agent.gate_control.check.canal_links import Link
from edge_agent.gate_control.check.canal_pools import Waters
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.check.loop_rules import PlacedLoop, placed_loops
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.decide import tuning

Node = tuple[str, str]
"""Site and structure."""


def flow_remarks(files: Sequence[SiteFile], links: Sequence[Link], waters: Waters) -> Iterator[FileRemark]:
    """Everything about decouplers, and about the scans that a remote level passes through."""
    by_point = {(link.reader.name, link.point.id): link for link in links}
    for file in files:
        for loop in placed_loops(file.site):
            yield from ((file, remark) for remark in _whose(file, loop, by_point, waters))
            yield from ((file, remark) for remark in _late(file, loop, by_point))
    yield from _circles(files, by_point)


def _whose(file: SiteFile, loop: PlacedLoop, links: Mapping[tuple[str, str], Link], waters: Waters) -> Iterator[Remark]:
    """A decoupler passes on what happens at the other end of its own pool."""
    followed = _follows(file, loop, links)
    if followed is None or loop.loop.decoupler_flow_point is None:
        return
    key = "outlet" if loop.key == "downstream_loop" else "inlet"
    water = next((one for one in waters if any(item.file is file and item.pool.id == loop.pool.id for item in one)), ())
    ends = {(item.file.name, structure) for item in water if (structure := getattr(item.pool, key)) is not None}
    if ends and followed not in ends:
        right = " or ".join(f"{structure} of {site}" for site, structure in sorted(ends))
        problem = (
            f"{loop.loop.decoupler_flow_point} is the flow of {followed[1]} of {followed[0]}; pool {loop.pool.id} has {right} at that end"
        )
        why = "its flow has nothing to do with this level, and would disturb it"
        yield Remark((*loop.path, "decoupler_flow_point"), problem, why, f"name the flow of {right}")


def _follows(file: SiteFile, loop: PlacedLoop, links: Mapping[tuple[str, str], Link]) -> Node | None:
    """The structure whose flow a loop passes on; None where the files do not tell."""
    if loop.loop.decoupler_structure is not None:
        return file.name, loop.loop.decoupler_structure
    name = loop.loop.decoupler_flow_point or ""
    link = links.get((file.name, name))
    if link is not None and link.shown.kind == "flow":
        return link.owner.name, link.shown.name
    owner, measured = (link.owner, link.shown.name) if link is not None else (file, name)
    measures = [item.id for item in owner.site.structures if measured in item.flow_loop.flow_points]
    return (owner.name, measures[0]) if measures else None


def _circles(files: Sequence[SiteFile], links: Mapping[tuple[str, str], Link]) -> Iterator[FileRemark]:
    """A change of flow that comes back to the structure that made it is passed on for ever."""
    follows = [
        ((file.name, loop.structure.id), _follows(file, loop, links), file, loop) for file in files for loop in placed_loops(file.site)
    ]
    told: set[frozenset[Node]] = set()
    for start, first, file, loop in follows:
        circle = _way_back(start, first, [(one, other) for one, other, _, _ in follows if other is not None]) if first is not None else ()
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            key = "decoupler_structure" if loop.loop.decoupler_structure is not None else "decoupler_flow_point"
            path: Path = (*loop.path, key)
            names = " -> ".join(f"{structure} of {site}" if len(files) > 1 else structure for site, structure in (start, *circle))
            why = "each passes on what the other has just passed on, and flow goes up or down without end"
            yield file, Remark(path, f"decouplers go round in a circle: {names}", why, "remove one of them")


def _way_back(start: Node, first: Node, steps: Sequence[tuple[Node, Node]]) -> tuple[Node, ...]:
    """From `first` along the steps to `start`, the shortest way; empty where none leads there."""
    waiting: list[tuple[Node, ...]] = [(first,)]
    seen = {first}
    while waiting:
        way = waiting.pop(0)
        if way[-1] == start:
            return way
        for one, other in steps:
            if one == way[-1] and other not in seen:
                seen.add(other)
                waiting.append((*way, other))
    return ()


def _late(file: SiteFile, loop: PlacedLoop, links: Mapping[tuple[str, str], Link]) -> Iterator[Remark]:
    """A remote level is as old as a scan of its owner and two of our own: the loop must bear that when nothing is wrong."""
    names = loop.pool.head_levels if loop.is_head else loop.pool.tail_levels
    owners = {link.owner for name in names if (link := links.get((file.name, name))) is not None}
    if not owners or tuning.implausible(loop.pool, loop.loop):
        return
    usual_s = 2.0 * file.site.scan_period_s + max(owner.site.scan_period_s for owner in owners)
    bears_s = loop.max_age_s()
    if 0.0 < bears_s < usual_s:
        slowest = ", ".join(sorted(owner.name for owner in owners))
        problem = f"the loop bears levels of {bears_s:.1f} s, and those of {slowest} are up to {usual_s:g} s old when nothing is wrong"
        yield Remark(
            (*loop.path, "kp_m2_per_s"), problem, "it would be frozen more often than not", "lower kp, or scan faster at both sites"
        )
