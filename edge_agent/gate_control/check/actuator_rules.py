"""Gates and their motors: travel, tables, outputs, deadbands, and what happens when we fall silent. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from edge_agent.gate_control.check.device_rules import unit_of
from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.decide.hydraulics import resolution_pct
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import ModbusRtu, Point, RegisterPlace, RegisterType
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.profiles import commands_of

COUNTS_IN_DEADBAND = 2.0
BEATS_IN_TIMER = 3.0
"""Heartbeats that may be lost before the actuator acts by itself."""
SPEED_MAX_M_PER_S = 0.5
POSITION_ROOM = 0.5
"""Of the travel, that a position may be believed beyond either end."""
_ROUNDING = 1e-9


def actuator_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about the gates' actuators."""
    yield from _shared_outputs(site)
    for path, gate in gates_of(site):
        position = site.point(gate.actuator.position)
        yield from _travel(gate, path)
        yield from _limits(gate, path)
        yield from _outputs(gate, (*path, "actuator"))
        yield from _status(gate, (*path, "actuator", "status"))
        yield from _comms_lost(site, gate, (*path, "actuator", "comms_lost"))
        if position is not None:
            yield from _position(gate, position, path)
            yield from _deadband(gate, position, path)


def gates_of(site: SiteConfiguration) -> Iterator[tuple[Path, Gate]]:
    """Each gate with its place in the file."""
    for index, structure in enumerate(site.structures):
        for bay, gate in enumerate(structure.gates):
            yield ("structures", index, "gates", bay), gate


def _travel(gate: Gate, path: Path) -> Iterator[Remark]:
    where: Path = (*path, "actuator", "table")
    height_m, table = gate.geometry.height_m, gate.actuator.table
    if height_m / gate.actuator.stroke_time_s > SPEED_MAX_M_PER_S:
        problem = f"{height_m:g} m in stroke_time_s {gate.actuator.stroke_time_s:g}"
        why = "no canal gate moves that fast; motion would be judged far too early"
        yield Remark((*path, "actuator", "stroke_time_s"), problem, why, "give the seconds from closed to open")
    if len(table) == 1:
        yield Remark(where, "the table has one row", "a line needs two", "give at least a row at closed and one at open")
    for index, (lower, upper) in enumerate(pairwise(table)):
        if upper.opening_m <= lower.opening_m:
            problem = f"opening_m {upper.opening_m:g} does not rise over {lower.opening_m:g}"
            yield Remark((*where, index + 1), problem, "one opening would have two counts", "sort the rows by opening_m, each larger")
    steps = [upper.count - lower.count for lower, upper in pairwise(table)]
    if steps and not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
        yield Remark(where, "the counts neither only rise nor only fall", "one count would have two openings", "measure the table anew")
    if table and (table[0].opening_m > 0.01 * height_m or abs(table[-1].opening_m - height_m) > 0.01 * height_m):
        problem = f"the table goes from {table[0].opening_m:g} to {table[-1].opening_m:g} m, the gate's travel from 0 to {height_m:g} m"
        yield Remark(where, problem, "0 % or 100 % could not be told to the actuator", "begin at 0 and end at height_m")


def _limits(gate: Gate, path: Path) -> Iterator[Remark]:
    limits = gate.limits
    low, high = limits.opening_min_pct, limits.opening_max_pct
    if high - low < limits.deadband_pct:
        problem = f"opening_min_pct {low:g} to opening_max_pct {high:g} leaves less room than deadband_pct {limits.deadband_pct:g}"
        yield Remark((*path, "limits", "opening_max_pct"), problem, "the gate could never move", "widen the limits")
    if limits.max_step_pct < limits.deadband_pct:
        problem = f"max_step_pct {limits.max_step_pct:g} is below deadband_pct {limits.deadband_pct:g}"
        yield Remark((*path, "limits", "max_step_pct"), problem, "no step would be large enough to be made", "raise max_step_pct")
    asked: list[tuple[Path, float | None]] = [
        (("fallback", "opening_pct"), gate.fallback.opening_pct),
        (("fail_safe_pct",), gate.fail_safe_pct),
    ]
    asked += [(("interlocks", index, "opening_pct"), item.opening_pct) for index, item in enumerate(gate.interlocks)]
    for tail, opening_pct in asked:
        if opening_pct is not None and not low <= opening_pct <= high:
            problem = f"{opening_pct:g} % lies outside the gate's own limits {low:g} to {high:g} %"
            yield Remark(
                (*path, *tail), problem, "travel limits hold for protection too: the gate would stop before it", "move it, or the limits"
            )
    if (gate.fail_safe == "position") != (gate.fail_safe_pct is not None):
        problem = "fail_safe_pct belongs to fail_safe 'position', and to it alone"
        yield Remark((*path, "fail_safe"), problem, "it would be unclear where the gate goes", "give both, or neither")


def _outputs(gate: Gate, path: Path) -> Iterator[Remark]:
    actuator, relays = gate.actuator, gate.actuator.relays
    if actuator.desired_position is not None and actuator.desired_position.table != "holding":
        where: Path = (*path, "desired_position", "table")
        yield Remark(where, "desired_position stands among the input registers", "they cannot be written", "write 'table: holding'")
    if relays is None:
        return
    where = (*path, "relays")
    for key, output in (("raise_output", relays.raise_output), ("lower_output", relays.lower_output)):
        if output.table != "holding" or output.type is not RegisterType.BIT:
            problem = f"{key} is no single bit that can be written"
            yield Remark(
                (*where, key), problem, "a relay is one bit of the holding table", "write 'table: holding', 'type: bit' and 'bit:'"
            )
    one, other = relays.raise_output, relays.lower_output
    if (one.device, one.register_address, one.bit) == (other.device, other.register_address, other.bit):
        problem = f"raise_output and lower_output are one bit of register {one.register_address} of {one.device}"
        yield Remark((*where, "lower_output"), problem, "raising would be lowering", "give each its own bit")
    limit_s = relays.hardware_pulse_limit_s
    key_path: Path = (*where, "hardware_pulse_limit_s")
    if limit_s is None:
        why = "when this process dies with a relay closed, nothing in software opens it: the motor runs to its stop"
        yield Remark(key_path, "relays without a hardware pulse limit", why, "wire a retriggerable one-shot, and give its time here")
    elif limit_s >= actuator.stroke_time_s:
        problem = f"the hardware pulse limit of {limit_s:g} s is a whole stroke ({actuator.stroke_time_s:g} s)"
        yield Remark(key_path, problem, "it would let the gate run its whole travel", "set the one-shot to a tenth of the stroke or less")
    elif limit_s < gate.limits.min_run_s:
        problem = f"the hardware pulse limit of {limit_s:g} s is shorter than min_run_s {gate.limits.min_run_s:g}"
        yield Remark(key_path, problem, "every move would be cut off by it", "lower min_run_s, or lengthen the one-shot")


def _status(gate: Gate, path: Path) -> Iterator[Remark]:
    bits = gate.actuator.status.model_dump(exclude={"device", "register_address", "table"}) if gate.actuator.status is not None else {}
    given = {key: bit for key, bit in bits.items() if bit is not None}
    for key, bit in given.items():
        if not 0 <= bit <= 15:
            yield Remark((*path, key), f"{key} {bit} is no bit of a register", "a register has bits 0 to 15", "count from the lowest, 0")
        elif list(given.values()).count(bit) > 1:
            yield Remark((*path, key), f"bit {bit} has more than one meaning", "one of them would be false", "give each fact its own bit")


def _comms_lost(site: SiteConfiguration, gate: Gate, path: Path) -> Iterator[Remark]:
    lost = gate.actuator.comms_lost
    beat_s = max(site.scan_period_s, _round_s(site, gate.actuator.device))
    if lost.timer_s < BEATS_IN_TIMER * beat_s:
        problem = f"timer_s {lost.timer_s:g} is less than three heartbeats of {beat_s:g} s"
        why = "the actuator would take one lost answer for our death, and act by itself"
        remedy = f"set the timer to {BEATS_IN_TIMER * beat_s:g} s or more, scan faster, or put fewer units on its line"
        yield Remark((*path, "timer_s"), problem, why, remedy)


def _round_s(site: SiteConfiguration, device_id: str) -> float:
    """How long one round over a serial line may take when all of its units are silent."""
    own = next((device for device in site.devices if device.id == device_id), None)
    if own is None or not isinstance(own.link, ModbusRtu):
        return 0.0
    same = [device for device in site.devices if isinstance(device.link, ModbusRtu) and device.link.path == own.link.path]
    return sum(device.timeout_s * (1 + device.retries) + own.link.max_response_s for device in same)


def _position(gate: Gate, position: Point, path: Path) -> Iterator[Remark]:
    where: Path = (*path, "actuator", "position")
    if position.remote:
        yield Remark(
            where, f"point {position.id} belongs to site {position.remote}", "motion is watched at the gate", "name a point of this site"
        )
    if position.unit not in ("pct", "count"):
        problem = f"point {position.id} is in {position.unit}, neither pct nor count"
        yield Remark(where, problem, "it stands for the gate's position", "name the position, or correct its unit")
        return
    if position.unit == "count" and not gate.actuator.table:
        problem = f"point {position.id} is in counts, and the actuator has no table"
        yield Remark(where, problem, "counts say nothing without it", "measure count and opening_m at closed, open and some places between")
    counts = [row.count for row in gate.actuator.table] or [0.0, 100.0]
    if position.valid_min > min(counts) or position.valid_max < max(counts):
        problem = (
            f"point {position.id} is believed from {position.valid_min:g} to {position.valid_max:g},"
            f" but the travel is {min(counts):g} to {max(counts):g}"
        )
        yield Remark(where, problem, "an end position would count as a bad reading", "widen valid_min and valid_max")
    room = POSITION_ROOM * (max(counts) - min(counts))
    if position.valid_min < min(counts) - room or position.valid_max > max(counts) + room:
        problem = (
            f"point {position.id} is believed from {position.valid_min:g} to {position.valid_max:g},"
            f" far beyond the travel, {min(counts):g} to {max(counts):g}"
        )
        yield Remark(
            where, problem, "nonsense of the device would pass for a position", "let the valid range end a little beyond the travel"
        )


def _deadband(gate: Gate, position: Point, path: Path) -> Iterator[Remark]:
    limits, step_pct = gate.limits, resolution_pct(gate, position)
    run_pct = 100.0 * limits.min_run_s / gate.actuator.stroke_time_s
    if limits.deadband_pct < COUNTS_IN_DEADBAND * step_pct - _ROUNDING:
        least = COUNTS_IN_DEADBAND * step_pct
        problem = f"deadband_pct {limits.deadband_pct:g} is less than two position counts ({least:.3g} %)"
        why = "the gate would hunt for an opening that it cannot see"
        yield Remark((*path, "limits", "deadband_pct"), problem, why, f"give at least {least:.3g}, or a finer position")
    if limits.deadband_pct < run_pct - _ROUNDING:
        problem = (
            f"deadband_pct {limits.deadband_pct:g} is less than the travel of the minimum run ({run_pct:.3g} % in {limits.min_run_s:g} s)"
        )
        why = "the smallest move overshoots by more than was asked, and is then taken back"
        yield Remark((*path, "limits", "deadband_pct"), problem, why, f"give at least {run_pct:.3g}, or a shorter min_run_s")
    if gate.motion.tolerance_pct < step_pct - _ROUNDING:
        problem = f"tolerance_pct {gate.motion.tolerance_pct:g} is less than one position count ({step_pct:.3g} %)"
        yield Remark((*path, "motion", "tolerance_pct"), problem, "the gate might never count as arrived", f"give at least {step_pct:.3g}")
    if gate.motion.tolerance_pct > limits.deadband_pct + _ROUNDING:
        problem = f"tolerance_pct {gate.motion.tolerance_pct:g} is more than deadband_pct {limits.deadband_pct:g}"
        why = "a smallest move would count as arrived before it began, and a stuck gate as good"
        yield Remark((*path, "motion", "tolerance_pct"), problem, why, "lower tolerance_pct, or raise deadband_pct")


def _shared_outputs(site: SiteConfiguration) -> Iterator[Remark]:
    """Two gates on one register: each would undo what the other asked for. Registers are written whole, whatever the bit."""
    units = {device.id: unit_of(device) for device in site.devices}
    taken: dict[tuple[str, int], tuple[str, Path]] = {}
    positions: dict[str, str] = {}
    for path, gate in gates_of(site):
        for write in writes_of(gate):
            for register in write.registers:
                key = (units.get(write.device, write.device), register)
                owner, other = taken.setdefault(key, (gate.id, write.path))
                if (owner, other) != (gate.id, write.path) and not _is_pair_of_relays(owner == gate.id, other, write.path):
                    problem = f"register {register} of {write.device} is written for {owner} {other[-1]} too"
                    why = "one would move the other's gate" if owner != gate.id else "one would undo the other"
                    why += "; a bit is written with all others of its register"
                    yield Remark((*path, *write.path), problem, why, "give each its own register")
        other_gate = positions.setdefault(gate.actuator.position, gate.id)
        if other_gate != gate.id:
            problem = f"point {gate.actuator.position} is the position of gate {other_gate} too"
            yield Remark(
                (*path, "actuator", "position"), problem, "one gate's motion would be judged by the other's", "give each its own point"
            )
    yield from _echoes(site)


def _is_pair_of_relays(is_same_gate: bool, one: Path, other: Path) -> bool:
    """Raise and lower of one gate may share a register: they are written together. Their bits are compared elsewhere."""
    return is_same_gate and {one[-1], other[-1]} == {"raise_output", "lower_output"}


def _echoes(site: SiteConfiguration) -> Iterator[Remark]:
    """A point that is read where we write shows what we asked for, and not what became of it."""
    written = {
        (write.device, register): (gate.id, write.path)
        for _, gate in gates_of(site)
        for write in writes_of(gate)
        for register in write.registers
    }
    for number, point in enumerate(site.points):
        registers = range(point.register_address, point.register_address + point.type.register_count)
        for found in sorted({written[point.device, register] for register in registers if (point.device, register) in written}):
            if point.table == "holding":
                problem = f"point {point.id} is read from the register of {found[0]} {found[1][-1]}"
                why = "it shows what was asked for, not what is: a gate that is stuck would look as if it had arrived"
                yield Remark(("points", number, "register"), problem, why, "name the register where the device says what it measures")


@dataclass(frozen=True)
class Write:
    """Registers that are written for a gate."""

    path: Path
    """Below the gate."""
    device: str
    registers: range


def writes_of(gate: Gate) -> Iterator[Write]:
    """All that is ever written for a gate: outputs, the profile's commands, and what it is to do without us."""
    actuator, lost, commands = gate.actuator, gate.actuator.comms_lost, commands_of(gate.actuator)
    outputs: list[tuple[Path, RegisterPlace | None]] = [(("actuator", "desired_position"), actuator.desired_position)]
    if actuator.relays is not None:
        outputs += [
            (("actuator", "relays", "raise_output"), actuator.relays.raise_output),
            (("actuator", "relays", "lower_output"), actuator.relays.lower_output),
        ]
    for path, output in outputs:
        if output is not None:
            yield Write(path, output.device, range(output.register_address, output.register_address + output.type.register_count))
    timer = lost.timer_register if lost.timer_register is not None else commands.comms_lost_timer_register
    position = lost.position_register if lost.position_register is not None else commands.comms_lost_position_register
    singles: tuple[tuple[Path, int | None], ...] = (
        (("actuator", "profile"), commands.command_register),
        (("actuator", "comms_lost", "action_register"), lost.action_register),
        (("actuator", "comms_lost", "position_register"), position if lost.opening_pct is not None else None),
        (("actuator", "comms_lost", "timer_register"), timer),
        (("actuator", "comms_lost", "heartbeat_register"), lost.heartbeat_register),
    )
    for path, register in singles:
        if register is not None:
            yield Write(path, actuator.device, range(register, register + 1))
