"""Register maps of actuators that `site.yaml` names by profile: where their facts and commands stand. Pure.

Rotork IQ: Modbus option, publications PUB091-003 and PUB091-004, sections 7.6.3 and 7.6.4. AUMA: AUMA MATIC AM/AMExC 01.1 operation
instructions (Modbus), sections 8.3, 9.2, 9.3 and 10. AUMA's AC 01.2 has other addresses, which this profile does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.gate_control.model.gates import Actuator, Gate, StatusBits


@dataclass(frozen=True)
class FactBit:
    """One bit that says something about an actuator."""

    device: str
    table: str
    register: int
    bit: int


@dataclass(frozen=True)
class CommandMap:
    """How a profile is told to stop and to go to its setpoint."""

    command_register: int | None = None
    stop_value: int = 0
    setpoint_value: int | None = None
    """Written to `command_register` after the setpoint, where the actuator asks for it."""
    setpoint_register: int | None = None
    """Holding register of the desired position."""
    comms_lost_position_register: int | None = None
    comms_lost_timer_register: int | None = None


_COMMANDS = {
    # 5: 0 stop, 1 close, 2 open; 6: desired position; 13: position to go to without communication; 21: its timer in s
    "rotork_iq": CommandMap(5, 0, None, setpoint_register=6, comms_lost_position_register=13, comms_lost_timer_register=21),
    # 0x1000: bit 0 OPEN, 1 CLOSE, 2 SETPOINT, one at a time; none: stop; 0x1002: setpoint
    "auma": CommandMap(0x1000, 0, 0b100, setpoint_register=0x1002),
}
_FACT_BITS: Mapping[str, Mapping[str, tuple[tuple[int, int], ...]]] = {
    "rotork_iq": {
        "moving": ((0, 0),),
        "closed_limit": ((0, 1),),
        "open_limit": ((0, 2),),
        "remote": ((0, 5),),
        "jammed": ((0, 11),),
        "by_hand": ((0, 12),),
        "inhibited": ((0, 13),),
    },
    "auma": {
        # 0x3000 logical signals, 0x3001 actuator signals, 0x3003 faults, 0x3005 physical operation
        "moving": ((0x3000, 4), (0x3000, 5), (0x3005, 4), (0x3005, 5), (0x3005, 6), (0x3005, 7)),
        "closed_limit": ((0x3001, 5),),
        "open_limit": ((0x3001, 4),),
        "remote": ((0x3001, 2),),
        "jammed": ((0x3003, 4), (0x3003, 5)),  # torque switch tripped in mid-travel
        "by_hand": ((0x3005, 6), (0x3005, 7)),  # runs, but not by us: local controls or handwheel
        "inhibited": ((0x3003, 2), (0x3003, 3)),  # thermal fault, mains lost
    },
}


def facts_of(gate: Gate) -> dict[str, tuple[FactBit, ...]]:
    """Bits of each fact that the actuator gives; a fact is true when one of its bits is set.

    `status` of `site.yaml` wins over the profile; profiles `position` and `relays` have no facts of their own.
    """
    known = _KNOWN.get(id(gate))
    if known is not None and known[0] is gate:
        return known[1]
    found = _facts_of(gate)
    if len(_KNOWN) >= _MOST_KNOWN:
        _KNOWN.clear()
    _KNOWN[id(gate)] = (gate, found)
    return found


_KNOWN: dict[int, tuple[Gate, dict[str, tuple[FactBit, ...]]]] = {}
"""By the very object: gates do not change while they run, and are asked for in every scan."""
_MOST_KNOWN = 256


def _facts_of(gate: Gate) -> dict[str, tuple[FactBit, ...]]:
    actuator = gate.actuator
    if actuator.status is not None:
        return _configured(actuator.status)
    bits = _FACT_BITS.get(actuator.profile, {})
    return {fact: tuple(FactBit(actuator.device, "input", register, bit) for register, bit in places) for fact, places in bits.items()}


def jams_by_torque(actuator: Actuator) -> bool:
    """Whether its `jammed` is a torque switch that tripped in mid-travel."""
    return actuator.profile == "auma" and actuator.status is None


def commands_of(actuator: Actuator) -> CommandMap:
    """The profile's commands; none for profiles without."""
    return _COMMANDS.get(actuator.profile, CommandMap())


def _configured(status: StatusBits) -> dict[str, tuple[FactBit, ...]]:
    named = {
        "moving": status.moving_bit,
        "closed_limit": status.closed_limit_bit,
        "open_limit": status.open_limit_bit,
        "remote": status.remote_bit,
        "jammed": status.jammed_bit,
        "by_hand": status.by_hand_bit,
        "inhibited": status.inhibited_bit,
    }
    return {fact: (FactBit(status.device, status.table, status.register_address, bit),) for fact, bit in named.items() if bit is not None}
