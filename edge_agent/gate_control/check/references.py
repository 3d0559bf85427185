"""Names that a site uses and does not have. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.pools import Pool, Structure


def unresolved(site: SiteConfiguration) -> list[Remark]:
    """Every name that stands for nothing, and every name that stands twice where one must be told from another."""
    known = _Known(
        {
            "device": [item.id for item in site.devices],
            "point": [item.id for item in site.points],
            "structure": [item.id for item in site.structures],
        }
    )
    remarks: list[Remark] = []
    for index, point in enumerate(site.points):
        remarks += known.check("device", point.device, ("points", index, "device"))
    for index, site_input in enumerate(site.inputs):
        remarks += known.check("point", site_input.point, ("inputs", index, "point"))
    for index, pool in enumerate(site.pools):
        remarks += _pool(known, pool, ("pools", index))
    for index, structure in enumerate(site.structures):
        remarks += _structure(known, structure, ("structures", index))
        for bay, gate in enumerate(structure.gates):
            remarks += _gate(known, gate, ("structures", index, "gates", bay))
    rules = [rule.name if rule.subject is None else f"{rule.subject}/{rule.name}" for rule in site.alarms]
    remarks += _once("alarm rule", rules, ("alarms",), "name")
    remarks += _once("input", [item.name for item in site.inputs], ("inputs",), "name")
    return remarks


class _Known:
    def __init__(self, names: dict[str, list[str]]) -> None:
        self._names = names

    def check(self, kind: str, name: str | None, path: Path) -> Iterator[Remark]:
        names = self._names[kind]
        if name is None or name in names:
            return
        close = difflib.get_close_matches(name, names, n=1)
        remedy = f"did you mean '{close[0]}'?" if close else f"add a {kind} with that id, or name another"
        yield Remark(path, f"there is no {kind} '{name}'", "what stands for nothing is never read and never moves", remedy)


def _pool(known: _Known, pool: Pool, path: Path) -> Iterator[Remark]:
    yield from known.check("structure", pool.inlet, (*path, "inlet"))
    yield from known.check("structure", pool.outlet, (*path, "outlet"))
    for key, points in (("head_levels", pool.head_levels), ("tail_levels", pool.tail_levels)):
        for index, point in enumerate(points):
            yield from known.check("point", point, (*path, key, index))
    for index, offtake in enumerate(pool.offtakes):
        yield from known.check("structure", offtake.structure, (*path, "offtakes", index, "structure"))
    yield from _once("offtake", [item.id for item in pool.offtakes], (*path, "offtakes"), "id")


def _structure(known: _Known, structure: Structure, path: Path) -> Iterator[Remark]:
    for key, loop in (("upstream_loop", structure.upstream_loop), ("downstream_loop", structure.downstream_loop)):
        if loop is not None:
            yield from known.check("structure", loop.decoupler_structure, (*path, key, "decoupler_structure"))
            yield from known.check("point", loop.decoupler_flow_point, (*path, key, "decoupler_flow_point"))
    for index, point in enumerate(structure.flow_loop.flow_points):
        yield from known.check("point", point, (*path, "flow_loop", "flow_points", index))


def _gate(known: _Known, gate: Gate, path: Path) -> Iterator[Remark]:
    actuator = gate.actuator
    yield from known.check("device", actuator.device, (*path, "actuator", "device"))
    yield from known.check("point", actuator.position, (*path, "actuator", "position"))
    if actuator.desired_position is not None:
        yield from known.check("device", actuator.desired_position.device, (*path, "actuator", "desired_position", "device"))
    if actuator.status is not None:
        yield from known.check("device", actuator.status.device, (*path, "actuator", "status", "device"))
    if actuator.relays is not None:
        yield from known.check("device", actuator.relays.raise_output.device, (*path, "actuator", "relays", "raise_output", "device"))
        yield from known.check("device", actuator.relays.lower_output.device, (*path, "actuator", "relays", "lower_output", "device"))
    for index, interlock in enumerate(gate.interlocks):
        for number, point in enumerate(interlock.points):
            yield from known.check("point", point, (*path, "interlocks", index, "points", number))
    yield from _once("interlock", [item.name for item in gate.interlocks], (*path, "interlocks"), "name")
    yield from known.check("point", gate.fallback.level_point, (*path, "fallback", "level_point"))


def _once(kind: str, names: Iterable[str], path: Path, key: str) -> Iterator[Remark]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            yield Remark((*path, index, key), f"{kind} {name} stands twice", "one could not be told from the other", "give it another name")
        seen.add(name)
