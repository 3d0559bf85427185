"""What is no mistake, but worth knowing: what the files that were given cannot show, and what they have for nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from edge_agent.gate_control.check.actuator_rules import gates_of
from edge_agent.gate_control.check.canal_ways import unknown_address
from edge_agent.gate_control.check.finding import Finding, Remark, place
from edge_agent.gate_control.check.site_file import SiteFile
from edge_agent.gate_control.model.configuration import SiteConfiguration

STARTS_OF_CLASS_B = 120
"""EN ISO 22153: starts an hour of an inching actuator of up to 125 Nm; a larger one bears 60 or 30."""


def notes_of(files: Sequence[SiteFile]) -> tuple[tuple[Finding, ...], ...]:
    """Notes file by file, each in the order of its file; `files` are all that are judged together."""
    return tuple(place([*_notes(file, files)], file.lines) for file in files)


def _notes(file: SiteFile, files: Sequence[SiteFile]) -> Iterator[Remark]:
    yield from _unused(file.site)
    yield from _one_flow(file.site)
    yield from _many_starts(file.site)
    yield from _open_map(file.site)
    if len(files) == 1:
        yield from _beyond_one_file(file.site)
    for name in unknown_address(file, files) if len(files) > 1 else ():
        number = next(index for index, point in enumerate(file.site.points) if point.remote == name)
        problem = f"whether {name} lets this site in cannot be told: no file says at which address this site is"
        yield Remark(("points", number, "remote"), problem, "the allow-list names addresses", f"look into modbus_map.allow of {name}")


def _unused(site: SiteConfiguration) -> Iterator[Remark]:
    """Points that no part of the site goes by; where there is a map, others may read them."""
    used = _used(site)
    for number, point in enumerate(site.points):
        if point.id not in used and site.modbus_map is None:
            problem = f"nothing goes by point {point.id}"
            why = "it is read and recorded, and that is all; a sensor that was meant to be used is not"
            yield Remark(("points", number), problem, why, "name it where it belongs, or leave it as a record")


def _used(site: SiteConfiguration) -> set[str | None]:
    used: set[str | None] = {item.point for item in site.inputs}
    for pool in site.pools:
        used |= {*pool.head_levels, *pool.tail_levels}
    for structure in site.structures:
        used |= {*structure.flow_loop.flow_points}
        used |= {loop.decoupler_flow_point for loop in (structure.upstream_loop, structure.downstream_loop) if loop is not None}
    for _, gate in gates_of(site):
        used |= {gate.actuator.position, gate.fallback.level_point, *(name for item in gate.interlocks for name in item.points)}
    return used


def _one_flow(site: SiteConfiguration) -> Iterator[Remark]:
    for number, pool in enumerate(site.pools):
        if pool.low == pool.high and pool.inlet is not None:
            problem = f"pool {pool.id} is the same at low and at high flow"
            why = "real pools differ by a third and more, and margins are worked out at one flow only"
            yield Remark(("pools", number, "low"), problem, why, "measure delay and area at both, or keep some margin more")


def _many_starts(site: SiteConfiguration) -> Iterator[Remark]:
    for path, gate in gates_of(site):
        if gate.limits.starts_per_hour > STARTS_OF_CLASS_B:
            problem = f"{gate.limits.starts_per_hour} starts an hour"
            why = f"an actuator of class B (EN ISO 22153, inching) bears {STARTS_OF_CLASS_B} at most; this one must be of class C"
            yield Remark((*path, "limits", "starts_per_hour"), problem, why, "look at its name plate")


def _open_map(site: SiteConfiguration) -> Iterator[Remark]:
    allowed = site.modbus_map.allow if site.modbus_map is not None else ()
    if any(ip_network(text, strict=False).prefixlen == 0 for text in allowed):
        why = "Modbus knows neither passwords nor encryption: whoever reaches the port reads levels, flows and positions"
        yield Remark(("modbus_map", "allow"), "the map lets everybody in", why, "name the addresses of SCADA and neighbours")


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
    remote = {point.id for point in site.points if point.remote}
    for number, pool in enumerate(site.pools):
        if pool.inlet is None and not remote & {*pool.head_levels, *pool.tail_levels}:
            problem = f"pool {pool.id} has no inlet in this file"
            why = "a gate of another site that feeds it may hold its level too, by other figures"
            yield Remark(("pools", number), problem, why, "if there is one, check both files together; a reservoir has none")
