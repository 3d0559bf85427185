"""Where the site's own Modbus map shows each value, and in what form. Pure. Described in docs/reference/modbus-map.md: change both.

Addresses follow the order of `site.yaml`: what is appended there moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import POOL_ENDS

GATES_AT, GATE_REGISTERS = 100, 20
POINTS_AT, STRUCTURES_AT, POOL_ENDS_AT = 1000, 5000, 4000
VALUE_REGISTERS = 8
AGE_OFFSET, COUNTER_OFFSET, THOUSANDTHS_OFFSET = 3, 4, 6
"""Beside the float32 that a value begins with: its age, its counter, and the value in thousandths (int32)."""


@dataclass(frozen=True)
class ShownValue:
    """One value of the map: 8 registers from `register` on."""

    register: int
    kind: Literal["gate", "point", "flow"]
    """The position of a gate (more of the gate follows behind it); a point, or `<pool>/head` and `<pool>/tail`; a structure's flow."""
    name: str


def shown_values(site: SiteConfiguration) -> Iterator[ShownValue]:
    """Every value of a site's map."""
    for index, gate in enumerate(site.gates()):
        yield ShownValue(GATES_AT + GATE_REGISTERS * index, "gate", gate.id)
    for index, point in enumerate(site.points):
        yield ShownValue(POINTS_AT + VALUE_REGISTERS * index, "point", point.id)
    ends = [f"{pool.id}/{end}" for pool in site.pools for end in POOL_ENDS]
    for index, end in enumerate(ends):
        yield ShownValue(POOL_ENDS_AT + VALUE_REGISTERS * index, "point", end)
    for index, structure in enumerate(site.structures):
        yield ShownValue(STRUCTURES_AT + VALUE_REGISTERS * index, "flow", structure.id)
