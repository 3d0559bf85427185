"""Registers: what is read is one thing, and whole; what a profile knows stands where it knows it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge_agent.gate_control.check.actuator_rules import gates_of
from edge_agent.gate_control.check.device_rules import unit_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import RegisterPlace
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.profiles import commands_of
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from shared.contracts.base import NODE_PATTERN

LAST_REGISTER = 65_535


def register_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about where values stand."""
    for index, point in enumerate(site.points):
        path: Path = ("points", index)
        yield from _place(point, path)
        beside = [("counter_register", point.counter_register), ("age_register", point.age_register)]
        for key, register in beside:
            if register is not None and register in _registers(point):
                problem = f"{key} {register} is a register of the value itself"
                yield Remark((*path, key), problem, "each new value would count as a new age or sample", "name the register beside it")
        if point.counter_register is not None and point.counter_register == point.age_register:
            problem = f"counter_register and age_register are both {point.age_register}"
            yield Remark((*path, "counter_register"), problem, "an age that grows would count as new samples", "name two registers")
        if point.remote == site.site:
            problem = f"point {point.id} is remote, and its owner is this site itself"
            yield Remark(
                (*path, "remote"), problem, "its loss would freeze terms that need not wait", "remove remote, or name the other site"
            )
        elif point.remote and not re.fullmatch(NODE_PATTERN, point.remote):
            problem = f"'{point.remote}' is no site's name"
            yield Remark((*path, "remote"), problem, "no site could have it", "use small letters, digits and '-'")
    yield from _overlaps(site)
    yield from _reserved(site)
    for path, gate in gates_of(site):
        output = gate.actuator.desired_position
        if output is not None:
            where: Path = (*path, "actuator", "desired_position")
            yield from _place(output, where)
            yield from _profile(site, gate, output, where)


def _registers(place: RegisterPlace) -> range:
    return range(place.register_address, place.register_address + place.type.register_count)


def _place(place: RegisterPlace, path: Path) -> Iterator[Remark]:
    if _registers(place)[-1] > LAST_REGISTER:
        problem = f"a {place.type} at register {place.register_address} ends behind the last one, {LAST_REGISTER}"
        yield Remark((*path, "register"), problem, "it would never be answered", "count from 0, as on the wire")
    if place.word_order != "big" and place.type.register_count == 1:
        problem = f"word_order {place.word_order} of a {place.type}, which is one register"
        yield Remark((*path, "word_order"), problem, "there is no second word", "remove it; bytes within a register are byte_order")
    if place.byte_order != "big" and place.bit is not None:
        problem = f"byte_order {place.byte_order} of one bit"
        yield Remark(
            (*path, "byte_order"), problem, "bit counts from the lowest of the register as it arrives", "remove it, and correct bit"
        )


def _overlaps(site: SiteConfiguration) -> Iterator[Remark]:
    """Two points on one register: one sensor under two names would agree with itself, and two types cannot both be right."""
    units = {device.id: unit_of(device) for device in site.devices}
    taken: dict[tuple[str, str, int], list[int]] = {}
    for index, point in enumerate(site.points):
        others: list[int] = []
        for register in _registers(point):
            there = taken.setdefault((units.get(point.device, point.device), point.table, register), [])
            others += [other for other in there if other not in others]
            there.append(index)
        for other in others:
            known = site.points[other]
            if point.bit is not None and known.bit is not None and point.bit != known.bit:
                continue
            problem = f"point {point.id} stands in a register of point {known.id}, {known.register_address}"
            why = "one sensor under two names would agree with itself; of two types one is wrong"
            yield Remark(("points", index, "register"), problem, why, "name each register once")


def _reserved(site: SiteConfiguration) -> Iterator[Remark]:
    """`<gate>.<fact>` is what a gate's actuator says about itself; a point of that name would be taken for it."""
    facts = {f"{gate.id}.{fact}": gate.id for gate in site.gates() for fact in ACTUATOR_FACTS}
    for index, point in enumerate(site.points):
        if point.id in facts:
            problem = f"point {point.id} has the name of a fact of gate {facts[point.id]}'s own actuator"
            why = "its value would decide whether software may move the gate"
            yield Remark(("points", index, "id"), problem, why, "give it another id; facts of an actuator belong under its status")


def _profile(site: SiteConfiguration, gate: Gate, output: RegisterPlace, path: Path) -> Iterator[Remark]:
    """The setpoint of a known actuator stands where its maker put it."""
    known = commands_of(gate.actuator).setpoint_register
    if known is not None and output.register_address != known:
        problem = f"desired_position at register {output.register_address}; a {gate.actuator.profile} takes it at {known}"
        why = "the gate would not follow, or another parameter of the actuator would be written over"
        yield Remark((*path, "register"), problem, why, f"write 'register: {known}', or profile 'position'")
    position = site.point(gate.actuator.position)
    if position is None or position.device != output.device or position.type is not output.type:
        return
    if known is not None and position.current_loop is None and abs(position.scale - output.scale) > 1e-9 * abs(output.scale):
        problem = f"the setpoint is scaled by {output.scale:g}, and the position of the same actuator by {position.scale:g}"
        yield Remark((*path, "scale"), problem, "the gate would go elsewhere than it is sent", "give both the same scale")
