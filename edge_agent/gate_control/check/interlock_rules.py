"""Interlocks: can they trip, do they help, and who wins where two disagree. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from edge_agent.gate_control.check.actuator_rules import gates_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate, Interlock
from edge_agent.gate_control.model.pools import Pool


def interlock_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about the gates' interlocks."""
    for path, gate in gates_of(site):
        structure = site.structure_of(gate.id)
        above = site.pool_of_water(structure.id) if structure is not None else None
        below = site.pools_below(structure.id) if structure is not None else ()
        for index, interlock in enumerate(gate.interlocks):
            where: Path = (*path, "interlocks", index)
            yield from _trip(site, interlock, where)
            yield from _sense(interlock, where, [above] if above is not None else [], list(below))
        yield from _conflicts(gate, path)


def _trip(site: SiteConfiguration, interlock: Interlock, path: Path) -> Iterator[Remark]:
    points = [point for name in interlock.points if (point := site.point(name)) is not None]
    if points and all(point.remote for point in points):
        problem = f"interlock {interlock.name} stands on points of another site alone"
        why = "protection must work while the network is gone"
        yield Remark((*path, "points"), problem, why, "name a sensor of this site")
    if not interlock.modes:
        yield Remark(
            (*path, "modes"), f"interlock {interlock.name} acts in no mode", "it would never act", "remove modes, or name auto and manual"
        )
    units = sorted({point.unit for point in points})
    if len(units) > 1:
        problem = f"interlock {interlock.name} compares {' and '.join(units)} with one trip value"
        yield Remark((*path, "points"), problem, "the worst of them cannot be told", "name points of one unit")
    for number, point in enumerate(points):
        if not point.valid_min <= interlock.trip <= point.valid_max:
            problem = f"trip {interlock.trip:g} lies outside the valid range of {point.id}, {point.valid_min:g} to {point.valid_max:g}"
            why = "a value there counts as bad and not as tripped: this interlock would never act"
            yield Remark((*path, "points", number), problem, why, "widen the valid range, or correct trip")


def _sense(interlock: Interlock, path: Path, above: list[Pool], below: list[Pool]) -> Iterator[Remark]:
    """High water above a gate asks for more opening, below it for less; low water the other way round."""
    for side, pools in (("above", above), ("below", below)):
        for pool in pools:
            if not set(interlock.points) & {*pool.head_levels, *pool.tail_levels}:
                continue
            if set(interlock.points) & set(pool.tail_levels):
                # bed, bank and setpoints are those of the tail; in a steep pool the head stands far above them
                yield from _against_pool(interlock, path, pool)
            wants_open = (interlock.side == "high") == (side == "above")
            closes, opens = interlock.opening_pct is not None and interlock.opening_pct < 10.0, (interlock.opening_pct or 0.0) > 90.0
            if interlock.action == "drive_to" and (closes if wants_open else opens):
                problem = f"{interlock.side} water {side} the gate (pool {pool.id}) drives it to {interlock.opening_pct:g} %"
                yield Remark((*path, "opening_pct"), problem, "it makes the level worse", "give percent: 0 least flow, 100 most")
            harmful = "inhibit_open" if wants_open else "inhibit_close"
            if interlock.action == harmful:
                problem = f"{interlock.side} water {side} the gate (pool {pool.id}) and {interlock.action}"
                why = "it holds the gate where it makes the level worse"
                better = "inhibit_close" if wants_open else "inhibit_open"
                yield Remark((*path, "action"), problem, why, f"use {better} or drive_to, or name another point")


def _against_pool(interlock: Interlock, path: Path, pool: Pool) -> Iterator[Remark]:
    if interlock.side == "high":
        if interlock.trip > pool.bank_m:
            problem = f"trip {interlock.trip:g} is above the bank of pool {pool.id}, {pool.bank_m:g}"
            yield Remark((*path, "trip"), problem, "it overtops before the interlock acts", "lower trip")
        if interlock.trip <= pool.level_max_m:
            problem = f"trip {interlock.trip:g} is not above the highest setpoint of pool {pool.id}, {pool.level_max_m:g}"
            yield Remark((*path, "trip"), problem, "controller and interlock would fight over the gate", "raise trip, or lower level_max_m")
    else:
        if interlock.trip < pool.invert_m:
            problem = f"trip {interlock.trip:g} is below the bed of pool {pool.id}, {pool.invert_m:g}"
            yield Remark((*path, "trip"), problem, "the pool is empty before the interlock acts", "raise trip")
        if interlock.trip >= pool.level_min_m:
            problem = f"trip {interlock.trip:g} is not below the lowest setpoint of pool {pool.id}, {pool.level_min_m:g}"
            yield Remark((*path, "trip"), problem, "controller and interlock would fight over the gate", "lower trip, or raise level_min_m")


def _conflicts(gate: Gate, path: Path) -> Iterator[Remark]:
    for (_, one), (number, other) in combinations(enumerate(gate.interlocks), 2):
        if not _disagree(one, other) or not set(one.modes) & set(other.modes) or _exclude_each_other(one, other):
            continue
        if one.priority is not None and other.priority is not None and one.priority != other.priority:
            continue
        problem = f"interlocks {one.name} and {other.name} of gate {gate.id} can ask for opposite things at once, without a priority"
        why = "one pool's flood is held against another's; who wins is the owner's decision, not the software's"
        remedy = "give both a priority, different ones; the higher wins"
        yield Remark((*path, "interlocks", number, "priority"), problem, why, remedy)


def _disagree(one: Interlock, other: Interlock) -> bool:
    if one.action == "drive_to" and other.action == "drive_to":
        return one.opening_pct != other.opening_pct
    if "drive_to" in (one.action, other.action):
        drive, hold = (one, other) if one.action == "drive_to" else (other, one)
        opens_fully, closes_fully = drive.opening_pct == 100.0, drive.opening_pct == 0.0
        return not (opens_fully if hold.action == "inhibit_close" else closes_fully)
    return one.action != other.action


def _exclude_each_other(one: Interlock, other: Interlock) -> bool:
    """High and low of the very same points: not at once, unless held by a latch or by bad sensors."""
    if set(one.points) != set(other.points) or one.side == other.side:
        return False
    if one.latch or other.latch or len(one.points) > 1 or "trip" in (one.on_bad_sensor, other.on_bad_sensor):
        return False
    high, low = (one, other) if one.side == "high" else (other, one)
    return high.reset >= low.reset
