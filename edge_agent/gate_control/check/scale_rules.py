"""Figures that are off by a thousand: millimetres, litres, milliseconds, a datum that was left out. Pure.

Each bound is far beyond what a canal needs; what lies outside is a unit, not a choice.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_agent.gate_control.check.actuator_rules import gates_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.gates import Drawdown, Gate
from edge_agent.gate_control.model.pools import Pool, PoolDynamics, Structure

TIMEOUT_LEAST_S = 0.01
STALE_MOST_S = 4 * 3600.0
HOUR_S, DAY_S = 3600.0, 86_400.0
INTERLOCK_DELAY_MOST_S = 1800.0
LEVEL_RATE_MOST_M_PER_S = 1.0
NOISE_MOST_M = 0.05
MOTION_MOST_S = 600.0
LAG_MOST_S = 3600.0
DEPTH_MOST_M = 20.0
WAVE_LEAST_M_PER_S = 0.1
WIDTHS_M = (0.02, 500.0)
"""Backwater area over length: in steep pools much less than the water's width."""
RESONANCE_IN_DELAYS = (0.2, 20.0)
PEAK_FACTOR = 20.0
FLOW_FACTOR = 20.0
RATE_ROOM = (1.2, 100.0)
"""Of a position's greatest rate over the speed of its gate."""
LOOP_SHARE_LEAST = 0.05
TI_MOST_S = 1e6
_UNITS = "the units do not fit"


def scale_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything that is too large or too small by orders of magnitude."""
    for index, device in enumerate(site.devices):
        if device.timeout_s < TIMEOUT_LEAST_S:
            yield Remark(
                ("devices", index, "timeout_s"), f"timeout_s {device.timeout_s:g}", "nothing answers so fast", "give it in seconds"
            )
    for index, site_input in enumerate(site.inputs):
        yield from _most(site_input.delay_s, HOUR_S, ("inputs", index, "delay_s"), "the alarm would come too late for anybody")
    for index, point in enumerate(site.points):
        yield from _point(point, ("points", index))
    levels = {name for pool in site.pools for name in (*pool.head_levels, *pool.tail_levels)}
    for index, point in enumerate(site.points):
        if point.id in levels:
            yield from _level(point, ("points", index))
    for index, pool in enumerate(site.pools):
        yield from _pool(site, pool, ("pools", index))
    for path, gate in gates_of(site):
        yield from _gate(site, gate, path)
    yield from _flows(site)


def _most(value: float, limit: float, path: Path, reason: str) -> Iterator[Remark]:
    if value > limit:
        yield Remark(path, f"{path[-1]} {value:g} is more than {limit:g}", reason, "give it in seconds, or shorter")


def _point(point: Point, path: Path) -> Iterator[Remark]:
    yield from _most(point.stale_after_s, STALE_MOST_S, (*path, "stale_after_s"), "a value of hours ago says nothing about the water")
    if point.unit == "state" and (point.valid_min > 0.0 or point.valid_max < 1.0):
        problem = f"a state is believed from {point.valid_min:g} to {point.valid_max:g}"
        yield Remark((*path, "valid_max"), problem, "0 and 1 are its values", "write 'valid_min: 0', 'valid_max: 1'")
    yield from _most(point.lag_s, LAG_MOST_S, (*path, "lag_s"), "nothing could be controlled by it")
    loop = point.current_loop
    if loop is not None:
        yield from _most(loop.fault_after_s, MOTION_MOST_S, (*path, "current_loop", "fault_after_s"), "a broken loop would go unnoticed")
    if loop is None or loop.low == loop.high:
        return
    step = abs(point.scale) * abs(loop.high - loop.low) / 16.0
    largest = (32_767.0 if point.type.value == "int16" else 65_535.0) * point.scale
    if point.type.register_count == 1 and largest < 20.0:
        yield Remark((*path, "scale"), f"the register reaches {largest:g} mA, the loop 20 mA", _UNITS, "scale the register to mA")
    elif step > point.resolution:
        problem = f"a step of the register is {step:g} {point.unit}, more than resolution {point.resolution:g}"
        yield Remark((*path, "scale"), problem, _UNITS, "scale the register to mA, or give a larger resolution")
    if point.valid_max - point.valid_min < LOOP_SHARE_LEAST * abs(loop.high - loop.low):
        problem = f"the valid range is less than a twentieth of the current loop's, {loop.low:g} to {loop.high:g}"
        yield Remark((*path, "current_loop"), problem, _UNITS, f"give low and high in {point.unit}")


def _level(point: Point, path: Path) -> Iterator[Remark]:
    if point.valid_max - point.valid_min > DEPTH_MOST_M:
        problem = f"a level is believed from {point.valid_min:g} to {point.valid_max:g} m"
        yield Remark((*path, "valid_max"), problem, "no canal is that deep; a wrong reading would pass", "give both in m above the datum")
    if point.noise > NOISE_MOST_M:
        problem = f"noise {point.noise:g} of a level"
        yield Remark((*path, "noise"), problem, "no level can be held by such a sensor; every fault would pass for noise", "give it in m")
    if point.max_rate_per_s > LEVEL_RATE_MOST_M_PER_S:
        problem = f"max_rate_per_s {point.max_rate_per_s:g} of a level"
        yield Remark((*path, "max_rate_per_s"), problem, "no water rises so fast; every jump would pass", "give it in m in a second")


def _pool(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    if pool.bank_m - pool.invert_m > DEPTH_MOST_M:
        problem = f"pool {pool.id} is {pool.bank_m - pool.invert_m:g} m deep"
        yield Remark((*path, "bank_m"), problem, "no canal is that deep", "give bed and bank in m above the datum")
    for key, dynamics in (("low", pool.low), ("high", pool.high)):
        yield from _dynamics(pool, dynamics, (*path, key))
    longest_s = max(pool.low.delay_s, pool.high.delay_s)
    period_s, peak = pool.resonance_period_s, pool.resonance_peak_s_per_m2
    low, high = (factor * longest_s for factor in RESONANCE_IN_DELAYS)
    if period_s is not None and longest_s > 0.0 and not low <= period_s <= high:
        problem = f"a resonance of {period_s:g} s where the delay is {longest_s:g} s"
        yield Remark((*path, "resonance_period_s"), problem, "a wave down and back takes about two delays", "give L/(c+v) + L/(c-v)")
    guessed = longest_s / max(pool.low.area_m2, pool.high.area_m2)
    if peak is not None and guessed > 0.0 and not guessed / PEAK_FACTOR <= peak <= guessed * PEAK_FACTOR:
        problem = f"a resonance peak of {peak:g} s/m2 where delay/area is {guessed:.3g}"
        yield Remark(
            (*path, "resonance_peak_s_per_m2"), problem, "the two are alike in real pools", "give 1/(width (c - v)), or leave it out"
        )
    for index, offtake in enumerate(pool.offtakes):
        if offtake.nominal_flow_m3s > pool.high.flow_m3s > 0.0:
            problem = f"offtake {offtake.id} takes {offtake.nominal_flow_m3s:g} m3/s, the pool gets {pool.high.flow_m3s:g} at high flow"
            yield Remark((*path, "offtakes", index, "nominal_flow_m3s"), problem, _UNITS, "give flows in m3/s")
    passes = site.structure(pool.outlet) if pool.outlet is not None else None
    if passes is not None and pool.high.flow_m3s > FLOW_FACTOR * passes.capacity_m3s:
        problem = f"high.flow_m3s {pool.high.flow_m3s:g}, and its outlet {passes.id} takes {passes.capacity_m3s:g}"
        yield Remark((*path, "high", "flow_m3s"), problem, _UNITS, "give flows in m3/s")
    yield from _drawdown(site, pool, (*path, "drawdown"))
    yield from _agreement(site, pool, path)


def _dynamics(pool: Pool, dynamics: PoolDynamics, path: Path) -> Iterator[Remark]:
    if pool.length_m is None:
        return
    if dynamics.delay_s > 0.0 and pool.length_m / dynamics.delay_s < WAVE_LEAST_M_PER_S:
        problem = f"{pool.length_m:g} m in delay_s {dynamics.delay_s:g} is slower than any wave"
        yield Remark((*path, "delay_s"), problem, "margins and the age of levels follow from it", "give length in m and delay in s")
    width_m = dynamics.area_m2 / pool.length_m
    if not WIDTHS_M[0] <= width_m <= WIDTHS_M[1]:
        problem = f"area_m2 {dynamics.area_m2:g} over length_m {pool.length_m:g} is a width of {width_m:.3g} m"
        yield Remark((*path, "area_m2"), problem, "gains follow from it", "give the backwater area in m2 and the length in m")


def _agreement(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    """Where sensors are compared, their difference must be one that can be seen, and one that matters."""
    groups = [names for names in (pool.head_levels, pool.tail_levels) if len(names) > 1]
    seen_m = max((point.resolution for names in groups for name in names if (point := site.point(name)) is not None), default=0.0)
    room_m = pool.level_max_m - pool.level_min_m
    if groups and not seen_m < pool.disagree_m < max(room_m, seen_m):
        problem = f"disagree_m {pool.disagree_m:g}, where sensors show steps of {seen_m:g} m and setpoints span {room_m:g} m"
        yield Remark((*path, "disagree_m"), problem, "two sensors would always disagree, or never", "give it in m")


def _drawdown(site: SiteConfiguration, pool: Pool, path: Path) -> Iterator[Remark]:
    depth_m = pool.bank_m - pool.invert_m
    if pool.drawdown != Drawdown() and not pool.tail_levels:
        problem = f"pool {pool.id} has a drawdown limit, and no tail_levels"
        yield Remark(path, problem, "nothing tells how fast it falls: the limit would never act", "name the sensor, or remove the limit")
    seen_m = max((point.resolution for name in pool.tail_levels if (point := site.point(name)) is not None), default=0.0)
    for key, limit_m in (("per_hour_m", pool.drawdown.per_hour_m), ("per_day_m", pool.drawdown.per_day_m)):
        if limit_m is not None and not 2.0 * seen_m <= limit_m <= depth_m:
            problem = f"{key} {limit_m:g} in a pool of {depth_m:g} m, seen in steps of {seen_m:g} m"
            yield Remark((*path, key), problem, "it would never act, or always", "give it in m")
    hour_m, day_m = pool.drawdown.per_hour_m, pool.drawdown.per_day_m
    if hour_m is not None and day_m is not None and day_m < hour_m:
        problem = f"per_day_m {day_m:g} is less than per_hour_m {hour_m:g}"
        yield Remark((*path, "per_day_m"), problem, "one of them would never act", "the fall of a day is the larger")


def _gate(site: SiteConfiguration, gate: Gate, path: Path) -> Iterator[Remark]:
    for key, value_s in (("start_within_s", gate.motion.start_within_s), ("settle_s", gate.motion.settle_s)):
        yield from _most(value_s, MOTION_MOST_S, (*path, "motion", key), "a stuck gate would go unnoticed")
    rate = gate.limits.rate_pct_per_min
    if rate is not None and gate.limits.deadband_pct > 60.0 * rate:
        problem = f"at rate_pct_per_min {rate:g} the smallest move, {gate.limits.deadband_pct:g} %, takes more than an hour"
        yield Remark((*path, "limits", "rate_pct_per_min"), problem, "the controller could hardly move", "give percent in a minute")
    structure = site.structure_of(gate.id)
    flow_m3s, capacity_m3s = gate.limits.flow_max_m3s, structure.capacity_m3s if structure is not None else 0.0
    if flow_m3s is not None and not capacity_m3s / 1000.0 <= flow_m3s <= capacity_m3s * FLOW_FACTOR:
        problem = f"flow_max_m3s {flow_m3s:g}, and the structure passes {capacity_m3s:g}"
        yield Remark((*path, "limits", "flow_max_m3s"), problem, _UNITS, "give flows in m3/s")
    yield from _most(gate.limits.reversal_pause_s, MOTION_MOST_S, (*path, "limits", "reversal_pause_s"), "protection would wait for it")
    yield from _most(gate.limits.rest_s, HOUR_S, (*path, "limits", "rest_s"), "the controller could hardly move")
    yield from _most(gate.fallback.after_s, DAY_S, (*path, "fallback", "after_s"), "the fallback would never come")
    timer_s = gate.actuator.comms_lost.timer_s
    yield from _most(timer_s, HOUR_S, (*path, "actuator", "comms_lost", "timer_s"), "the actuator would not notice our death")
    if gate.fallback.after_s < 2.0 * site.scan_period_s:
        problem = f"after_s {gate.fallback.after_s:g} is less than two scans"
        yield Remark((*path, "fallback", "after_s"), problem, "one lost answer would bring the fallback about", "give it in seconds")
    for index, interlock in enumerate(gate.interlocks):
        where: Path = (*path, "interlocks", index)
        yield from _most(interlock.delay_s, INTERLOCK_DELAY_MOST_S, (*where, "delay_s"), "the harm would be done before it acts")
        points = [point for name in interlock.points if (point := site.point(name)) is not None]
        if points and not any(point.valid_min <= interlock.reset <= point.valid_max for point in points):
            problem = f"reset {interlock.reset:g} lies outside the valid range of {', '.join(point.id for point in points)}"
            yield Remark((*where, "reset"), problem, "it would stay tripped for ever", "give it in the points' unit, near trip")
    yield from _position(site, gate, path)


def _position(site: SiteConfiguration, gate: Gate, path: Path) -> Iterator[Remark]:
    counts = [row.count for row in gate.actuator.table] or [0.0, 100.0]
    position, low, high = site.point(gate.actuator.position), min(counts), max(counts)
    speed = (high - low) / gate.actuator.stroke_time_s
    if position is not None and not RATE_ROOM[0] * speed <= position.max_rate_per_s <= RATE_ROOM[1] * speed:
        number = next(index for index, point in enumerate(site.points) if point.id == position.id)
        problem = f"max_rate_per_s {position.max_rate_per_s:g} of {position.id}, and the gate moves {speed:.3g} in a second"
        why = "a moving gate would be disbelieved, or every jump believed"
        yield Remark(("points", number, "max_rate_per_s"), problem, why, f"give {2.0 * speed:.2g} or so, or correct stroke_time_s")
    output = gate.actuator.desired_position
    if output is None or output.type.register_count != 1:
        return
    raw = (-32_768.0, 32_767.0) if output.type.value == "int16" else (0.0, 65_535.0)
    shown = sorted(end * output.scale + output.offset for end in raw)
    where: Path = (*path, "actuator", "desired_position", "scale")
    if shown[0] > low or shown[1] < high:
        problem = f"the register can say {shown[0]:g} to {shown[1]:g}, the travel is {low:g} to {high:g}"
        yield Remark(where, problem, "the gate could not be sent everywhere", "correct scale or offset")
    elif abs(output.scale) > 0.01 * (high - low):
        problem = f"a step of the register is {abs(output.scale):g}, the travel is {low:g} to {high:g}"
        yield Remark(where, problem, "the gate could be sent to a few places only", "correct the scale")


def _drown(site: SiteConfiguration, structure: Structure, path: Path) -> Iterator[Remark]:
    """Loops hold still below this head difference: one that is never reached is a gate that never moves."""
    above = site.pool_of_water(structure.id)
    most_m = (
        above.level_max_m - min(above.invert_m, *(gate.geometry.sill_m for gate in structure.gates)) if above is not None else DEPTH_MOST_M
    )
    if structure.flow_loop.drown_limit_m >= most_m:
        problem = f"drown_limit_m {structure.flow_loop.drown_limit_m:g}, and no more than {most_m:g} m of water stand before the gate"
        yield Remark(path, problem, "every loop of this structure would hold still for ever", "give the least head difference in m")


def _flows(site: SiteConfiguration) -> Iterator[Remark]:
    numbers = {point.id: index for index, point in enumerate(site.points)}
    for index, structure in enumerate(site.structures):
        loops = [("upstream_loop", structure.upstream_loop), ("downstream_loop", structure.downstream_loop)]
        names = [*structure.flow_loop.flow_points]
        yield from _drown(site, structure, ("structures", index, "flow_loop", "drown_limit_m"))
        for key, loop in loops:
            if loop is not None:
                names += [loop.decoupler_flow_point] if loop.decoupler_flow_point is not None else []
                yield from _most(loop.ti_s, TI_MOST_S, ("structures", index, key, "ti_s"), "an error would take weeks to go")
        for name in names:
            point, capacity = site.point(name), structure.capacity_m3s
            if point is None or point.unit != "m3s":
                continue
            if not capacity / FLOW_FACTOR <= point.valid_max <= capacity * FLOW_FACTOR or point.valid_min < -capacity * FLOW_FACTOR:
                problem = f"flow {name} is believed from {point.valid_min:g} to {point.valid_max:g} m3/s, {structure.id} takes {capacity:g}"
                yield Remark(("points", numbers[name], "valid_max"), problem, _UNITS, "give flows in m3/s")
