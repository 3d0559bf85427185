"""Register maps of devices that stand at a plant: Rotork IQ, AUMA, relays, plain registers.

Written from the makers' manuals, not from the controller's own tables, so that a mistake in either shows.
Rotork: PUB091-003 and -004, section 7.6. AUMA MATIC AM: operation instructions (Modbus), sections 8.3, 9 and 10.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pymodbus.constants import ExcCodes

from edge_agent.gate_control.model.devices import Point, RegisterPlace, RegisterType
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.simulation.plant import Lower, PlantCommand, Position, Raise, Stop

Cell = tuple[str, int]
"""Table and register."""
Send = Callable[[PlantCommand], None]
PER_MILLE = 1000
NOT_A_NUMBER_WORD = 0xFFFF
LOOP_BROKEN_MA = 3.2


@dataclass(frozen=True)
class GateView:
    """A gate as its actuator sees it."""

    opening_pct: float
    direction: int
    """+1 opening, -1 closing, 0 at rest."""
    facts: Mapping[str, bool]


class DeviceMap(Protocol):
    """A part of a device's registers."""

    def cells(self) -> set[Cell]:
        """All registers that it has."""
        ...

    def image(self, view: GateView) -> dict[Cell, int]:
        """What they hold now."""
        ...

    def take(self, register: int, value: int, view: GateView) -> ExcCodes | None:
        """A holding register is written; None: taken."""
        ...


class RotorkMap:
    """Modbus option of an IQ: 0 status bits, 3 position, 5 command, 6 desired position, 7 to 25 parameters."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._kept = dict.fromkeys(range(60), 0)

    def cells(self) -> set[Cell]:
        """Holding 0 to 59; input 0 to 4."""
        return {("holding", register) for register in range(60)} | {("input", register) for register in range(5)}

    def image(self, view: GateView) -> dict[Cell, int]:
        """Reading holding registers gives the inputs too."""
        facts = view.facts
        bits = [facts["moving"], facts["closed_limit"], facts["open_limit"], view.direction < 0, view.direction > 0, facts["remote"]]
        bits += [False, not facts["remote"], False, False, False, facts["jammed"], facts["by_hand"], facts["inhibited"], True, False]
        inputs = {0: _word(bits), 1: 0, 2: 40 if facts["moving"] else 0, 3: round(view.opening_pct * 10.0), 4: 0}
        held = {("holding", register): value for register, value in {**self._kept, **inputs}.items()}
        return {**held, **{("input", register): value for register, value in inputs.items()}}

    def take(self, register: int, value: int, view: GateView) -> ExcCodes | None:
        """Commands act only with the selector at remote; they are taken all the same."""
        if register < 5 or register > 31:
            return ExcCodes.ILLEGAL_ADDRESS
        if (register == 5 and value > 4) or (register == 6 and value > PER_MILLE):
            return ExcCodes.ILLEGAL_VALUE
        self._kept[register] = value
        if view.facts["remote"] and register == 5:
            self._send(Raise() if value == 2 else Lower() if value == 1 else Stop())
        elif view.facts["remote"] and register == 6:
            self._send(Position(value / 10.0))
        return None


class AumaMap:
    """AUMA MATIC AM: inputs from 0x3000, commands at 0x1000, setpoint at 0x1002, parameters from 0x4000."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._kept = {0x1000: 0, 0x1001: 0, 0x1002: 0, **dict.fromkeys(range(0x4000, 0x4032), 0)}

    def cells(self) -> set[Cell]:
        """As section 8.3 lists them."""
        return {("holding", register) for register in self._kept} | {("input", register) for register in range(0x3000, 0x3009)}

    def image(self, view: GateView) -> dict[Cell, int]:
        """Registers 1 to 6 of section 9; the actual position in per mille."""
        facts, by_bus = view.facts, view.direction if not view.facts["by_hand"] else 0
        by_hand = view.direction if view.facts["by_hand"] else 0
        faults = _word([False, not facts["remote"], facts["inhibited"], False, facts["jammed"], False])
        inputs = {
            0x3000: _word([facts["open_limit"], facts["closed_limit"], False, False, by_bus > 0, by_bus < 0, False, faults > 0]),
            0x3001: _word([facts["inhibited"], False, facts["remote"], not facts["remote"], facts["open_limit"], facts["closed_limit"]]),
            0x3002: round(view.opening_pct * 10.0),
            0x3003: faults,
            0x3004: 0,
            0x3005: _word([False] * 4 + [by_bus > 0, by_bus < 0, by_hand > 0, by_hand < 0]),
        }
        held = {("holding", register): value for register, value in self._kept.items()}
        return {**held, **{("input", register): value for register, value in inputs.items()}}

    def take(self, register: int, value: int, view: GateView) -> ExcCodes | None:
        """Bits 0 to 2 of the command, one at most; what cannot be carried out is refused as an illegal value."""
        if register not in self._kept:
            return ExcCodes.ILLEGAL_ADDRESS
        if register == 0x1002 and value > PER_MILLE:
            return ExcCodes.ILLEGAL_VALUE
        if register == 0x1000:
            if value not in (0, 1, 2, 4) or not view.facts["remote"]:
                return ExcCodes.ILLEGAL_VALUE
            commands: dict[int, PlantCommand] = {0: Stop(), 1: Raise(), 2: Lower(), 4: Position(self._kept[0x1002] / 10.0)}
            self._send(commands[value])
        self._kept[register] = value
        return None


class PlainMap:
    """A generic actuator or a pair of relays: the registers that `site.yaml` names, and nothing else."""

    def __init__(self, gate: Gate, send: Send) -> None:
        actuator, self._gate, self._send = gate.actuator, gate, send
        self._kept: dict[int, int] = {}
        lost = actuator.comms_lost
        for register in (lost.action_register, lost.position_register, lost.timer_register, lost.heartbeat_register):
            if register is not None:
                self._kept[register] = 0
        for place in self._outputs():
            self._kept |= dict.fromkeys(range(place.register_address, place.register_address + place.type.register_count), 0)

    def cells(self) -> set[Cell]:
        """Outputs, comms-lost settings and status."""
        status = self._gate.actuator.status
        bits = set() if status is None else {(status.table, status.register_address)}
        return {("holding", register) for register in self._kept} | bits

    def image(self, view: GateView) -> dict[Cell, int]:
        """What was written, and the status bits."""
        held = {("holding", register): value for register, value in self._kept.items()}
        status = self._gate.actuator.status
        if status is not None:
            word = 0
            for fact, value in view.facts.items():
                bit = getattr(status, f"{fact}_bit")
                word |= int(value) << bit if bit is not None else 0
            held[status.table, status.register_address] = word
        return held

    def take(self, register: int, value: int, view: GateView) -> ExcCodes | None:
        """A position is a command as soon as its last register is written; a relay at once."""
        if register not in self._kept:
            return ExcCodes.ILLEGAL_ADDRESS
        self._kept[register] = value
        actuator = self._gate.actuator
        place, relays = actuator.desired_position, actuator.relays
        if place is not None and register == place.register_address + place.type.register_count - 1:
            self._send(Position(pct_of(self._gate, number_of(place, self._kept))))
        if relays is not None and register in (relays.raise_output.register_address, relays.lower_output.register_address):
            up, down = (bool(number_of(output, self._kept)) for output in (relays.raise_output, relays.lower_output))
            self._send(Stop() if up == down else Raise() if up else Lower())
        return None

    def _outputs(self) -> list[RegisterPlace]:
        actuator = self._gate.actuator
        places = [actuator.desired_position] if actuator.desired_position is not None else []
        return places + ([actuator.relays.raise_output, actuator.relays.lower_output] if actuator.relays is not None else [])


def map_of(gate: Gate, send: Send) -> DeviceMap:
    """The map of a gate's profile."""
    profiles: dict[str, Callable[[Send], DeviceMap]] = {"rotork_iq": RotorkMap, "auma": AumaMap}
    return profiles[gate.actuator.profile](send) if gate.actuator.profile in profiles else PlainMap(gate, send)


def point_words(point: Point, value: float, *, is_loop_broken: bool = False) -> list[int]:
    """Registers as the sensor shows a value; NaN: all ones in an integer register."""
    raw = value - point.offset
    loop = point.current_loop
    if loop is not None:
        raw = LOOP_BROKEN_MA if is_loop_broken else 4.0 + (raw - loop.low) / (loop.high - loop.low) * 16.0
    raw /= point.scale
    if point.bit is not None:
        return [int(raw >= 0.5) << point.bit]
    if point.type is RegisterType.FLOAT32:
        packed = struct.pack(">f", raw)
    elif math.isnan(raw):
        packed = NOT_A_NUMBER_WORD.to_bytes(2, "big") * point.type.register_count
    else:
        size, is_signed = 2 * point.type.register_count, point.type in (RegisterType.INT16, RegisterType.INT32)
        low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if is_signed else (0, (1 << 8 * size) - 1)
        packed = max(low, min(high, round(raw))).to_bytes(size, "big", signed=is_signed)
    words = [int.from_bytes(packed[index : index + 2], point.byte_order) for index in range(0, len(packed), 2)]
    return words[::-1] if point.word_order == "little" else words


def number_of(place: RegisterPlace, registers: Mapping[int, int]) -> float:
    """The value that a written register means."""
    words = [registers.get(place.register_address + index, 0) for index in range(place.type.register_count)]
    if place.bit is not None:
        return float(words[0] >> place.bit & 1)
    data = b"".join(word.to_bytes(2, place.byte_order) for word in (words[::-1] if place.word_order == "little" else words))
    if place.type is RegisterType.FLOAT32:
        raw = float(struct.unpack(">f", data)[0])
    else:
        raw = float(int.from_bytes(data, "big", signed=place.type in (RegisterType.INT16, RegisterType.INT32)))
    return raw * place.scale + place.offset


def pct_of(gate: Gate, count: float) -> float:
    """Opening in percent that an actuator goes to for a count: along its table; without one, the count is percent."""
    rows = sorted((row.count, row.opening_m) for row in gate.actuator.table)
    if not rows:
        return count
    for (low, low_m), (high, high_m) in itertools.pairwise(rows):
        if count <= high:
            share = max(0.0, (count - low) / (high - low))
            return (low_m + share * (high_m - low_m)) / gate.geometry.height_m * 100.0
    return rows[-1][1] / gate.geometry.height_m * 100.0


def _word(bits: list[bool]) -> int:
    return sum(1 << index for index, is_set in enumerate(bits) if is_set)
