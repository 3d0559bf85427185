"""Registers to numbers and back, and which registers to ask for together. Pure functions."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.model.site import GateSettings, RegisterPoint, RegisterType, SensorPoint

MAX_BLOCK_REGISTERS = 64
MAX_GAP_REGISTERS = 4
_FORMATS = {RegisterType.UINT16: "H", RegisterType.INT16: "h", RegisterType.UINT32: "I", RegisterType.INT32: "i", RegisterType.FLOAT32: "f"}


@dataclass(frozen=True)
class Block:
    """Neighbouring registers that one request reads."""

    table: str
    start: int
    count: int


def decode_registers(point: RegisterPoint, registers: Sequence[int]) -> float:
    """Value of a point; may be NaN or infinite where the device says so."""
    words = [register & 0xFFFF for register in registers]
    if point.word_order == "little":
        words.reverse()
    raw = struct.unpack(f">{_FORMATS[point.type]}", struct.pack(f">{len(words)}H", *words))[0]
    return float(raw) * point.scale + point.offset


def encode_registers(point: RegisterPoint, value: float) -> list[int]:
    """Registers of a value.

    Raises:
        ValueError: it is no finite number, or does not fit the register type.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written")
    raw = (value - point.offset) / point.scale
    number = raw if point.type is RegisterType.FLOAT32 else round(raw)
    try:
        packed = struct.pack(f">{_FORMATS[point.type]}", number)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value:g} does not fit register type {point.type.value}") from error
    words = list(struct.unpack(f">{len(packed) // 2}H", packed))
    if point.word_order == "little":
        words.reverse()
    return words


def sensor_points(gate: GateSettings) -> dict[str, SensorPoint]:
    """The measured points that a gate has, by name."""
    points = gate.points
    named = {"position": points.position, "upstream_level": points.upstream_level, "downstream_level": points.downstream_level}
    return {name: point for name, point in named.items() if point is not None}


def plan_blocks(gate: GateSettings) -> tuple[Block, ...]:
    """The fewest requests that read all points of a gate, small gaps included."""
    wanted: list[tuple[str, int, int]] = []
    for point in sensor_points(gate).values():
        wanted.append((point.table, point.register_address, point.type.register_count))
        if point.counter_register is not None:
            wanted.append((point.table, point.counter_register, 1))
    if gate.points.status is not None:
        wanted.append((gate.points.status.table, gate.points.status.register_address, 1))
    return tuple(_join(sorted(wanted)))


def _join(wanted: Iterable[tuple[str, int, int]]) -> list[Block]:
    blocks: list[Block] = []
    for table, start, count in wanted:
        last = blocks[-1] if blocks else None
        end = start + count
        if last is not None and last.table == table and start <= last.start + last.count + MAX_GAP_REGISTERS:
            joined = max(last.count, end - last.start)
            if joined <= MAX_BLOCK_REGISTERS:
                blocks[-1] = Block(table, last.start, joined)
                continue
        blocks.append(Block(table, start, count))
    return blocks
