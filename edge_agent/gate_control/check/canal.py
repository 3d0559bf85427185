"""Several sites of one canal judged together. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edge_agent.gate_control.check.canal_flows import flow_remarks
from edge_agent.gate_control.check.canal_links import find_links, link_remarks
from edge_agent.gate_control.check.canal_outputs import output_remarks
from edge_agent.gate_control.check.canal_pools import pool_waters, water_remarks
from edge_agent.gate_control.check.canal_ways import way_remarks
from edge_agent.gate_control.check.finding import Finding, place
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile


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
