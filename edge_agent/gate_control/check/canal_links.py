"""Remote points against the maps that they are read from: does each one find there what it is meant to be? Pure.

A map's own form is that of `model.map_places`; what a site reads otherwise it reads wrong, or not at all.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point, RegisterType
from edge_agent.gate_control.model.map_places import (
    AGE_OFFSET,
    COUNTER_OFFSET,
    GATES_AT,
    THOUSANDTHS_OFFSET,
    ShownValue,
    shown_values,
)
from edge_agent.gate_control.model.values import POOL_ENDS

HEIGHT_TOLERANCE_M = 0.0005
_THOUSANDTH = 0.001
_WRONG = "what is read there would be taken for this point"


@dataclass(frozen=True, eq=False)
class Link:
    """A remote point, and the value of its owner's map that its register shows."""

    reader: SiteFile
    number: int
    """Of the point, in the reader's list."""
    point: Point
    owner: SiteFile
    shown: ShownValue
    is_thousandths: bool

    @property
    def path(self) -> Path:
        """Of the point in the reader's file."""
        return ("points", self.number)

    @property
    def source(self) -> Point | None:
        """The owner's own point behind it; none for a flow, or for a pool's end as its sensors agree."""
        name = self.shown.name
        if self.shown.kind == "gate":
            gate = self.owner.site.gate(name)
            name = gate.actuator.position if gate is not None else ""
        return self.owner.site.point(name) if self.shown.kind != "flow" else None


def find_links(files: Sequence[SiteFile]) -> tuple[Link, ...]:
    """Remote points whose owner is among the files and shows a value at their register."""
    found = []
    for reader, number, point, owner in _remote_points(files):
        if owner is not None and owner.site.modbus_map is not None and (shown := _shown_at(owner.site, point)) is not None:
            found.append(Link(reader, number, point, owner, *shown))
    return tuple(found)


def link_remarks(files: Sequence[SiteFile], links: Sequence[Link]) -> Iterator[FileRemark]:
    """Everything about remote points and the maps of their owners, but the way there."""
    for reader, number, point, owner in _remote_points(files):
        path: Path = ("points", number)
        if owner is None:
            names = [file.name for file in files]
            close = difflib.get_close_matches(point.remote, names, n=1)
            remedy = f"did you mean '{close[0]}'?" if close else "add its file to the command, or correct the name"
            yield reader, Remark((*path, "remote"), f"no file is of a site '{point.remote}'", "nobody would show this point", remedy)
        elif owner.site.modbus_map is None:
            problem = f"site {owner.name}, which owns {point.id}, has no modbus_map"
            why = "it shows its values to nobody"
            yield reader, Remark((*path, "remote"), problem, why, f"give {owner.source} a modbus_map that allows this site")
        elif _shown_at(owner.site, point) is None and not _is_fact(point):
            problem = f"no value of {owner.name} begins at register {point.register_address}"
            yield reader, Remark((*path, "register"), problem, _WRONG, _where_it_stands(owner, point))
    for link in links:
        yield from ((link.reader, remark) for rule in (_form, _companions, _source, _range) for remark in rule(link))


def _remote_points(files: Sequence[SiteFile]) -> Iterator[tuple[SiteFile, int, Point, SiteFile | None]]:
    owners = {file.name: file for file in files}
    for reader in files:
        for number, point in enumerate(reader.site.points):
            # a point of a site's own is for the rules of one file
            if point.remote and point.remote != reader.name:
                yield reader, number, point, owners.get(point.remote)


def _shown_at(site: SiteConfiguration, point: Point) -> tuple[ShownValue, bool] | None:
    for shown in shown_values(site):
        if point.register_address in (shown.register, shown.register + THOUSANDTHS_OFFSET):
            return shown, point.register_address != shown.register
    return None


def _is_fact(point: Point) -> bool:
    """A state or a number beside the values: heartbeat, counts, modes and facts of gates."""
    return point.unit in ("state", "count") and point.register_address < GATES_AT + 16 * 20


def _where_it_stands(owner: SiteFile, point: Point) -> str:
    named = [
        shown for shown in shown_values(owner.site) if shown.name == point.id or (shown.kind, f"{shown.name}.flow") == ("flow", point.id)
    ]
    if named:
        return f"{point.id} stands at {named[0].register}"
    return "values stand at 1000, 1008, 1016 ... in the order of its points, and at 5000, 5008 ... in that of its structures"


def _form(link: Link) -> Iterator[Remark]:
    """Type, byte order and scale are those of every Munbon map."""
    point = link.point
    wanted, scale = (RegisterType.INT32, _THOUSANDTH) if link.is_thousandths else (RegisterType.FLOAT32, 1.0)
    if point.type is not wanted:
        problem = f"register {point.register_address} of {link.owner.name} is {wanted}, and is read as {point.type}"
        yield Remark((*link.path, "type"), problem, _WRONG, f"write 'type: {wanted}'")
    for key, order in (("byte_order", point.byte_order), ("word_order", point.word_order)):
        if order != "big":
            yield Remark((*link.path, key), f"{link.owner.name} shows its values in {key} big", _WRONG, f"remove {key}")
    if point.scale != scale:
        problem = f"scale {point.scale:g}, where {link.owner.name} shows the value itself"
        yield Remark((*link.path, "scale"), problem, _WRONG, f"write 'scale: {scale:g}'" if link.is_thousandths else "remove scale")
    if point.current_loop is not None:
        problem = f"{link.owner.name} shows no current, but the value itself"
        yield Remark((*link.path, "current_loop"), problem, _WRONG, "remove current_loop")
    if point.offset != 0.0 and point.unit != "m":
        problem = f"offset {point.offset:g} of a value in {point.unit}"
        yield Remark((*link.path, "offset"), problem, "only levels have a datum", "remove offset")


def _companions(link: Link) -> Iterator[Remark]:
    """Age and counter beside the value."""
    point, start = link.point, link.shown.register
    for key, given, offset in (
        ("age_register", point.age_register, AGE_OFFSET),
        ("counter_register", point.counter_register, COUNTER_OFFSET),
    ):
        if given is not None and given != start + offset:
            problem = f"{key} {given}, where {link.owner.name} has that of {link.shown.name} at {start + offset}"
            yield Remark(
                (*link.path, key), problem, "an old value would pass for a new one, or a new one for old", f"write {start + offset}"
            )
    if point.age_register is None and point.counter_register is None:
        problem = f"nothing tells the age of {point.id}"
        why = f"a sensor of {link.owner.name} that stands still would be as new as each answer"
        remedy = f"write 'age_register: {start + AGE_OFFSET}' and 'counter_register: {start + COUNTER_OFFSET}'"
        yield Remark(link.path, problem, why, remedy)


def _source(link: Link) -> Iterator[Remark]:
    """What the register shows, against what the point is used for."""
    point, owner, shown = link.point, link.owner, link.shown
    unit = "m3s" if shown.kind == "flow" else link.source.unit if link.source is not None else "m"
    if unit != point.unit:
        problem = f"register {point.register_address} of {owner.name} shows {shown.name} in {unit}, and {point.id} is in {point.unit}"
        yield Remark((*link.path, "unit"), problem, _WRONG, _where_it_stands(owner, point))
        return
    if shown.kind == "point" and shown.name not in (point.id, *_ends(owner.site)) and owner.site.point(point.id) is not None:
        problem = f"register {point.register_address} of {owner.name} shows {shown.name}, and not {point.id}"
        yield Remark((*link.path, "register"), problem, _WRONG, _where_it_stands(owner, point))
        return
    yield from _place(link)
    if link.source is not None and link.source.remote:
        problem = f"{shown.name} is not {owner.name}'s own: it reads it from {link.source.remote}"
        yield Remark((*link.path, "remote"), problem, "two links and two ages in place of one", f"read it from {link.source.remote}")


def _ends(site: SiteConfiguration) -> list[str]:
    """Names of pool ends, whose levels are several sensors' together."""
    return [f"{pool.id}/{end}" for pool in site.pools for end in POOL_ENDS]


def _place(link: Link) -> Iterator[Remark]:
    """A level must be that end of the pool for its owner too."""
    own = {(pool.id, end) for pool in link.reader.site.pools for end in POOL_ENDS if link.point.id in getattr(pool, f"{end}_levels")}
    theirs = set(ends_of(link))
    names = {pool for pool, _ in theirs}
    for pool, end in sorted(own):
        if theirs and pool in {item.id for item in link.owner.site.pools} and (pool, end) not in theirs:
            shown = ", ".join(f"the {other} of {name}" for name, other in sorted(theirs))
            problem = f"{link.point.id} is the {end} of pool {pool} here; for {link.owner.name} that register is {shown}"
            why = "the loop would hold another place than it was tuned for" if pool in names else "the loop would hold another pool"
            yield Remark((*link.path, "register"), problem, why, "name the register of that end, or correct one of the two files")


def ends_of(link: Link) -> Iterator[tuple[str, str]]:
    """Pool and end, by the owner's names, whose level a link brings."""
    if link.shown.kind == "point" and "/" in link.shown.name:
        pool, _, end = link.shown.name.partition("/")
        yield pool, end
    elif link.shown.kind == "point":
        for item in link.owner.site.pools:
            for end, names in (("head", item.head_levels), ("tail", item.tail_levels)):
                if link.shown.name in names:
                    yield item.id, end


def _range(link: Link) -> Iterator[Remark]:
    """Ranges, rate and resolution of the owner's own sensor, in the reader's datum."""
    source, point = link.source, link.point
    if source is None or source.unit != point.unit:
        return
    for key, here, there in (("valid_min", point.valid_min, source.valid_min), ("valid_max", point.valid_max, source.valid_max)):
        if abs(there + point.offset - here) > HEIGHT_TOLERANCE_M:
            problem = f"{key} {here:g}, where {link.owner.name} believes {source.id} to {there + point.offset:g}"
            why = "one of the two sites would go by a value that the other one does not believe"
            yield Remark((*link.path, key), problem, why, "give both sites one range (each in its own datum)")
    if point.max_rate_per_s < source.max_rate_per_s:
        problem = f"max_rate_per_s {point.max_rate_per_s:g} is less than the {source.max_rate_per_s:g} of {link.owner.name}"
        why = "a change that its owner believes would be disbelieved here"
        yield Remark((*link.path, "max_rate_per_s"), problem, why, f"give at least {source.max_rate_per_s:g}")
    if point.resolution < source.resolution:
        problem = f"resolution {point.resolution:g} is finer than the {source.resolution:g} of the sensor itself, at {link.owner.name}"
        why = "a level that stands between two steps would be taken for frozen"
        yield Remark((*link.path, "resolution"), problem, why, f"give at least {source.resolution:g}")
