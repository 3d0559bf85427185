"""Registers to values and back. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from edge_agent.gate_control.model.devices import CurrentLoop, RegisterPlace, RegisterType

_FORMATS = {RegisterType.UINT16: "H", RegisterType.INT16: "h", RegisterType.UINT32: "I", RegisterType.INT32: "i", RegisterType.FLOAT32: "f"}


def decode(place: RegisterPlace, words: Sequence[int], loop: CurrentLoop | None = None) -> float:
    """Value of registers: `raw * scale + offset`; through a current loop `low + (mA - 4) / 16 * (high - low) + offset`, not clamped."""
    if place.bit is not None:
        raw = float(words[0] >> place.bit & 1)
    else:
        raw = float(struct.unpack(f">{_FORMATS[place.type]}", struct.pack(f">{len(words)}H", *_ordered(place, words)))[0])
    scaled = raw * place.scale
    if loop is not None:
        scaled = loop.low + (scaled - 4.0) / 16.0 * (loop.high - loop.low)
    return scaled + place.offset


def encode(place: RegisterPlace, value: float) -> tuple[int, ...]:
    """Registers of a value; a bit makes a register in which it is the only one.

    Raises:
        ValueError: it is no finite number, or does not fit the register type.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written")
    raw = (value - place.offset) / place.scale
    if place.bit is not None:
        return (int(raw >= 0.5) << place.bit,)
    try:
        packed = struct.pack(f">{_FORMATS[place.type]}", raw if place.type is RegisterType.FLOAT32 else round(raw))
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value:g} does not fit register type {place.type.value}") from error
    return tuple(_ordered(place, struct.unpack(f">{len(packed) // 2}H", packed)))


def _ordered(place: RegisterPlace, words: Sequence[int]) -> list[int]:
    """Words in the order of the wire made big-endian, or back: each step undoes itself."""
    ordered = [word & 0xFFFF for word in words]
    if place.byte_order == "little":
        ordered = [(word << 8 | word >> 8) & 0xFFFF for word in ordered]
    return ordered[::-1] if place.word_order == "little" else ordered
