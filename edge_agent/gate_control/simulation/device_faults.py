"""What can be wrong with sensors and devices of a simulated site, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.gate_control.simulation.plant import ActuatorTrouble

LATE_S = 0.8
FUNCTION_BYTE, UNIT_BYTE = 7, 6


class PointFault(StrEnum):
    """Of one sensor."""

    FROZEN = "frozen"
    """The value stands still, its counter counts on."""
    STALE = "stale"
    """Value and counter stand still, its age grows: a gateway that repeats an old value."""
    NAN = "nan"
    LOOP_BROKEN = "loop_broken"
    """Its current loop shows 3.2 mA."""


class DeviceFault(StrEnum):
    """Of one unit."""

    SILENT = "silent"
    LATE = "late"
    """Answers after 0.8 s, whatever was asked meanwhile."""
    EXCEPTION = "exception"
    """Answers everything by exception code 4."""
    REFUSED = "refused"
    """Refuses writes by exception code 4."""
    GARBAGE = "garbage"
    """Every register holds a random number."""
    SHORT = "short"
    """Answers lack their last register."""
    WRONG_FUNCTION = "wrong_function"
    OTHER_UNIT = "other_unit"
    """The answer of another unit."""
    NO_MODBUS = "no_modbus"
    """Random bytes."""


@dataclass(frozen=True)
class ScriptedFault:
    """Begins or ends a fault at a time of the plant. `target` is a point, device or gate."""

    at_s: float
    target: str
    fault: PointFault | DeviceFault | ActuatorTrouble
    on: bool = True


def distort(frame: bytes, faults: set[DeviceFault], source: random.Random) -> bytes:
    """A TCP answer as a faulty unit sends it; empty: not at all."""
    if DeviceFault.SILENT in faults:
        return b""
    if DeviceFault.NO_MODBUS in faults:
        return source.randbytes(len(frame))
    changed = bytearray(frame)
    if DeviceFault.WRONG_FUNCTION in faults:
        changed[FUNCTION_BYTE] ^= 7  # 3 and 4 change places, 6 becomes 1
    if DeviceFault.OTHER_UNIT in faults:
        changed[UNIT_BYTE] = changed[UNIT_BYTE] % 247 + 1
    if DeviceFault.SHORT in faults and len(changed) > 11:
        del changed[-2:]
        changed[FUNCTION_BYTE + 1] -= 2
        changed[4:6] = (len(changed) - 6).to_bytes(2, "big")
    return bytes(changed)
