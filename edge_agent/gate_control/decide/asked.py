"""What a structure is asked for, and what following its objective came to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.gate_control.decide.feedforward import Ordered
from edge_agent.gate_control.decide.sharing import Bay, Water
from edge_agent.gate_control.decide.topology import StructurePlace
from edge_agent.gate_control.model.values import ControllerState, Now, Quality, Reading
from shared.contracts.gate_plan import Objective

PERIOD_TOLERANCE_S = 0.05
"""Scans decide when their devices have answered, a little sooner or later: for that no step waits another scan."""


@dataclass(frozen=True)
class Neighbour:
    """Actual flow of the decoupler's structure, less what orders made of it."""

    flow_m3s: float | None = None
    is_remote: bool = False


@dataclass(frozen=True)
class StructureScan:
    """All that one structure is decided from."""

    place: StructurePlace
    objective: Objective | None
    bays: tuple[Bay, ...]
    """Empty while a position was never seen."""
    water: Water | None
    """None while the level above was never known."""
    levels: Mapping[str, Reading]
    """By place (`<pool>/tail`) and by point."""
    measured: Reading | None
    """Measured flow, where there is such a point."""
    neighbour: Neighbour
    ordered: Ordered
    remote_levels: frozenset[str]
    """Places and points that another site measures."""
    now: Now


@dataclass(frozen=True)
class Request:
    """What the controller asks of one gate; no opening: hold it where it is."""

    opening_pct: float | None
    reason: str
    mode: str = "AUTO"
    is_end: bool = False
    """A delivery is over: closing is carried out whatever is left of the budget."""


@dataclass(frozen=True)
class Followed:
    """What came of following one objective for one scan."""

    state: ControllerState
    requests: Mapping[str, Request]
    problem: str = ""
    """Why the objective cannot be followed; what is asked for then only holds."""
    alarm: str = ""
    """Name of the alarm for it."""


@dataclass(frozen=True)
class Steered:
    """What came of one structure."""

    state: ControllerState
    fallback: ControllerState
    """Of the other level loop, while it stands in."""
    requests: Mapping[str, Request]
    alarms: Mapping[str, str] = field(default_factory=dict)
    """By name, with the reason."""


def held(scan: StructureScan, reason: str, mode: str = "AUTO") -> dict[str, Request]:
    """Every gate of the structure stays where it is."""
    return {bay.gate.id: Request(None, reason, mode) for bay in scan.bays}


def towards(scan: StructureScan, state: ControllerState, reason: str) -> Followed:
    """Ask for the openings of the last step; a bay that came under control since is held until the next one."""
    return Followed(state, {bay.gate.id: Request(state.wanted_pct.get(bay.gate.id), reason) for bay in scan.bays})


def is_running(state: ControllerState, period_s: float, now_s: float) -> bool:
    """Whether the last step is near enough to go on from; after a longer gap, or a jump of the clock, the output is found anew."""
    return state.controlled_at_s is not None and -PERIOD_TOLERANCE_S <= now_s - state.controlled_at_s <= 2.0 * period_s + 1.0


def is_drowned(scan: StructureScan, water: Water) -> bool:
    """Both sides stand above the sill at nearly one level: flow follows from neither, and no opening can be worked out."""
    if water.downstream_m is None:
        return False
    sill_m = min(bay.gate.geometry.sill_m for bay in scan.bays)
    return water.downstream_m > sill_m and water.upstream_m - water.downstream_m < scan.place.structure.flow_loop.drown_limit_m


def believed(reading: Reading | None) -> float | None:
    """The value of a reading that is not bad."""
    return None if reading is None or reading.quality is Quality.BAD else reading.value
