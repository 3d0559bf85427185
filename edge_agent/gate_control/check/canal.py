"""Several sites of one canal judged together, and what one file alone cannot show. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_agent.gate_control.check.canal_flows import flow_remarks
from edge_agent.gate_control.check.canal_links import find_links, link_remarks
from edge_agent.gate_control.check.canal_outputs import output_remarks
from edge_agent.gate_control.check.canal_pools import pool_waters, water_remarks
from edge_agent.gate_control.check.canal_ways import unknown_address, way_remarks
from edge_agent.gate_control.check.finding import Finding, Remark, place
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.model.configuration import SiteConfiguration


def check_canal(files: Sequence[SiteFile]) -> tuple[tuple[Finding, ...], ...]:
    """Mistakes that only several files together show, file by file, each in the order of its file.

    What one file shows by itself is left to `check_site`. A mistake between two files is told in the one where it is most likely
    to be mended: for a remote point in the reader's, for data that differ in the later one.
    """
    found = list(_between(files)) if len(files) > 1 else []
    return tuple(place([remark for owner, remark in found if owner is file], file.lines) for file in files)


def _between(files: Sequence[SiteFile]) -> Iterator[FileRemark]:
    links = find_links(files)
    waters = pool_waters(files, links)
    yield from output_remarks(files)
    yield from way_remarks(files)
    yield from link_remarks(files, links)
    yield from water_remarks(waters, links)
    yield from flow_remarks(files, links, waters)


def unseen(files: Sequence[SiteFile]) -> tuple[tuple[Finding, ...], ...]:
    """What is no mistake, but cannot be judged from these files, file by file."""
    if len(files) == 1:
        return (place([*_beyond_one_file(files[0].site)], files[0].lines),)
    return tuple(place([*_unknown(file, files)], file.lines) for file in files)


def _beyond_one_file(site: SiteConfiguration) -> Iterator[Remark]:
    owners: dict[str, list[int]] = {}
    for number, point in enumerate(site.points):
        if point.remote:
            owners.setdefault(point.remote, []).append(number)
    for owner, numbers in owners.items():
        names = ", ".join(site.points[number].id for number in numbers)
        problem = f"{names}: read from site {owner}, whose file is not looked at"
        why = "whether it shows them there, lets this site in, and leaves the pool between the two to one integrator, only both files tell"
        yield Remark(("points", numbers[0], "remote"), problem, why, f"munbon-gate check THIS-FILE FILE-OF-{owner.upper()}")
    for number, pool in enumerate(site.pools):
        levels = {point.id for point in site.points if point.remote}
        if (pool.inlet is None) != (pool.outlet is None) and not levels & {*pool.head_levels, *pool.tail_levels} and pool.inlet is None:
            problem = f"pool {pool.id} has no inlet in this file"
            why = "a gate of another site that feeds it may hold its level too, by other figures"
            yield Remark(("pools", number), problem, why, "if there is one, check both files together; a reservoir has none")


def _unknown(file: SiteFile, files: Sequence[SiteFile]) -> Iterator[Remark]:
    for name in unknown_address(file, files):
        number = next(index for index, point in enumerate(file.site.points) if point.remote == name)
        problem = f"whether {name} lets this site in: no file says at which address this site is"
        yield Remark(("points", number, "remote"), problem, "the allow-list names addresses", f"look into modbus_map.allow of {name}")
