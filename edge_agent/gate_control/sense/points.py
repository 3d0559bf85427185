"""Which registers of a device to ask for together, and what they say. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Device, Point
from edge_agent.gate_control.model.profiles import FactBit, facts_of
from edge_agent.gate_control.wire.values import decode

MAX_BLOCK_REGISTERS = 64
MAX_GAP_REGISTERS = 4
"""Registers in between that are read along: cheaper than a request of their own."""

Wanted = tuple[str, int, int]
"""Table, first register, count."""
Registers = Mapping[tuple[str, int], int]
"""By table and register."""


@dataclass(frozen=True)
class Block:
    """Neighbouring registers that one request reads."""

    table: str
    start: int
    count: int


@dataclass(frozen=True)
class DeviceReads:
    """All that is read of one device, for whichever gate it is."""

    device: Device
    points: tuple[Point, ...]
    facts: Mapping[str, tuple[FactBit, ...]]
    """By `<gate>.<fact>`; only facts that stand on this device."""
    blocks: tuple[Block, ...]
    single: tuple[Block, ...]
    """The same without gaps: for a device that refuses to read registers that it does not have."""


def plan_reads(site: SiteConfiguration) -> tuple[DeviceReads, ...]:
    """What to read of each device that has anything to read."""
    facts = {f"{gate.id}.{fact}": bits for gate in site.gates() for fact, bits in facts_of(gate).items()}
    plans = []
    for device in site.devices:
        points = tuple(point for point in site.points if point.device == device.id)
        own_facts = {name: bits for name, bits in facts.items() if bits[0].device == device.id}
        of_points = {place for point in points for place in _places(point)}
        of_facts = {(bit.table, bit.register, 1) for bits in own_facts.values() for bit in bits}
        wanted = sorted(of_points | of_facts)
        if wanted:
            blocks, single = (_with_echo(device, join_blocks(wanted, gap), gap) for gap in (MAX_GAP_REGISTERS, 0))
            plans.append(DeviceReads(device, points, own_facts, blocks, single))
    return tuple(plans)


def join_blocks(wanted: Iterable[Wanted], max_gap: int = MAX_GAP_REGISTERS) -> tuple[Block, ...]:
    """The fewest requests that read all registers wanted (sorted), with gaps of at most `max_gap`."""
    blocks: list[Block] = []
    for table, start, count in wanted:
        last = blocks[-1] if blocks else None
        if last is not None and last.table == table and start <= last.start + last.count + max_gap:
            joined = max(last.count, start + count - last.start)
            if joined <= MAX_BLOCK_REGISTERS:
                blocks[-1] = Block(table, last.start, joined)
                continue
        blocks.append(Block(table, start, count))
    return tuple(blocks)


def _with_echo(device: Device, blocks: tuple[Block, ...], max_gap: int) -> tuple[Block, ...]:
    """The block with the echo register comes last: an answer that belongs to another request shifts all that follow it."""
    if device.echo_register is None:
        return blocks
    wanted = [(block.table, block.start, block.count) for block in blocks]
    blocks = join_blocks(sorted([*wanted, ("holding", device.echo_register, 1)]), max_gap)
    return tuple(sorted(blocks, key=lambda block: has_register(block, "holding", device.echo_register or 0)))


def has_register(block: Block, table: str, register: int) -> bool:
    """Whether a block reads a register."""
    return block.table == table and block.start <= register < block.start + block.count


def _places(point: Point) -> list[Wanted]:
    own = (point.table, point.register_address, point.type.register_count)
    beside = [register for register in (point.counter_register, point.age_register) if register is not None]
    return [own, *((point.table, register, 1) for register in beside)]


def point_value(point: Point, registers: Registers) -> float | None:
    """A point's value in its unit; None where its registers were not read. May be NaN or infinite where the device says so."""
    found = [registers.get((point.table, point.register_address + index)) for index in range(point.type.register_count)]
    words = [word for word in found if word is not None]
    return decode(point, words, point.current_loop) if len(words) == len(found) else None


def fact_value(bits: Sequence[FactBit], registers: Registers) -> float | None:
    """1 when one of the bits is set, 0 when none is; None where one was not read."""
    words = [registers.get((bit.table, bit.register)) for bit in bits]
    if any(word is None for word in words):
        return None
    return float(any((word or 0) >> bit.bit & 1 for word, bit in zip(words, bits, strict=True)))
