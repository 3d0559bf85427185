"""What passes from step to step of a scan. Times are seconds since boot unless the name says otherwise.

Every value is frozen, and every field is text, number, truth, enum, tuple, mapping or another value of this kind, so that
a whole state is written to the journal and read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

ACTUATOR_FACTS = ("remote", "moving", "closed_limit", "open_limit", "jammed", "by_hand", "inhibited")
"""What an actuator says about itself, each a point `<gate>.<fact>` with value 0 or 1 beside the points of `site.yaml`.

A gate has those facts that its status register or its profile gives; a fact that it has and that did not answer is a
reading of bad quality. A gate without `remote` has an unwired selector.
"""


class Quality(StrEnum):
    """How far a reading can be trusted."""

    GOOD = "good"
    DEGRADED = "degraded"
    BAD = "bad"


class Selector(StrEnum):
    """The hard switch at the gate, as read."""

    REMOTE = "remote"
    LOCAL = "local"
    UNWIRED = "unwired"
    """No point says; software takes it for remote."""


@dataclass(frozen=True)
class Now:
    """The time of a scan."""

    monotonic_s: float
    wall: datetime
    wall_is_trusted: bool


@dataclass(frozen=True)
class Sample:
    """One value as a device gave it; `value` is None when it did not, and `error` says why."""

    point: str
    """Id of a point of `site.yaml`, or `<gate>.<fact>` of `ACTUATOR_FACTS`."""
    value: float | None
    sampled_at_s: float
    error: str = ""


POOL_ENDS = ("head", "tail")
"""Beside the points there is a reading `<pool>/head` and `<pool>/tail` for each pool end that has sensors: what they say together."""


@dataclass(frozen=True)
class Turns:
    """A line that the volume of a pool's measured flows has followed while a level stood still, and when lines before it ended."""

    began_s: float | None = None
    turned_s: tuple[float, ...] = ()
    """When a line ended, since the level stands still."""
    near_ref_m3s: float = 0.0
    far_ref_m3s: float = 0.0
    """Flows as the line began; volumes are beside those."""
    near_m3: float = 0.0
    passed_m3: float = 0.0
    """Of the other end, older than all bins that are kept."""
    base_m3: tuple[float, float] = (0.0, 0.0)
    """Least and largest volume that may have arrived from the other end, as the line began."""
    far_m3: tuple[float, float] = (0.0, 0.0)
    """And now."""
    slopes_m3s: tuple[float, float] = (-1e9, 1e9)
    """Lines between the two still fit."""
    updated_at_s: float = 0.0


@dataclass(frozen=True)
class Stillness:
    """How long a level has shown the very same value, and how far it should have moved meanwhile by the flows around its pool."""

    value: float
    since_s: float
    """Sample time at which it took this value."""
    samples: int = 0
    """Fresh ones since then."""
    by_flow_m: float = 0.0
    """Change since then that the flows make certain."""
    base_low_m3s: float | None = None
    """Balance of the flows when it took this value lay between the two; None until they are known."""
    base_high_m3s: float | None = None
    slope_per_s: float = 0.0
    """How fast it moved before that."""
    slope_error_per_s: float = 0.0
    anchor: tuple[float, float] = (0.0, 0.0)
    """Time and value a while ago, for the slope."""
    next_anchor: tuple[float, float] = (0.0, 0.0)
    far_m3s: tuple[float, ...] = ()
    """Mean flows at the other end of the pool, oldest first: they arrive after the pool's delay."""
    bin_began_s: float = 0.0
    bin_sum_m3s: float = 0.0
    bin_count: int = 0
    updated_at_s: float = 0.0
    sampled_at_s: float = 0.0
    """Of the last sample that showed this value."""
    found: str = ""
    """Why it was frozen as of that sample; empty where it was not."""
    turns: Turns = field(default_factory=Turns)


@dataclass(frozen=True)
class PointHistory:
    """The last believed value of a point."""

    value: float | None = None
    sampled_at_s: float = 0.0
    first_seen_s: float | None = None
    """When the point was first asked for: a point that never answered is as old as that."""
    loop_fault_since_s: float | None = None
    """Since when its current loop has said that it is broken (NAMUR NE 43)."""
    stillness: Stillness | None = None
    doubt: str = ""
    """Why what came last is not believed; empty where it is. A scan in which nothing came leaves it as it was."""


@dataclass(frozen=True)
class Reading:
    """A value with age and quality. `value` is None only when nothing was ever believed."""

    value: float | None
    age_s: float
    quality: Quality
    source: str
    reasons: tuple[str, ...] = ()
    is_fresh: bool = False
    """Believed in this very scan."""
    is_recent: bool = False
    """Of the last round of sensing, and believed: a command may rest on it between two rounds."""
    is_doubted: bool = False
    """What came last was not believed: the value is an older one."""

    @property
    def is_now(self) -> bool:
        """Young enough for a command."""
        return self.is_fresh or self.is_recent


@dataclass(frozen=True)
class ValidationContext:
    """What control knows that makes a reading believable or not; as of the scan before."""

    flows_m3s: Mapping[str, float | None] = field(default_factory=dict)
    """Actual flow through each structure, computed or measured; None where it is not known."""
    openings_pct: Mapping[str, float | None] = field(default_factory=dict)
    """By gate."""


@dataclass(frozen=True)
class ActuatorStatus:
    """All that the actuator of one gate says, beside its position."""

    is_known: bool = True
    """False when the gate has facts that did not answer, or not lately: no command rests on them."""
    is_late: bool = False
    """Not known for that reason alone that the next answer is still on its way; the facts are those of the last one."""
    is_fresh: bool = True
    """All facts are of this very scan."""
    selector: Selector = Selector.UNWIRED
    moving: bool = False
    closed_limit: bool = False
    open_limit: bool = False
    jammed: bool = False
    by_hand: bool = False
    inhibited: bool = False


@dataclass(frozen=True)
class MoveTo:
    """An absolute position: a repeat does no harm."""

    gate: str
    opening_pct: float
    reason: str


@dataclass(frozen=True)
class StopMotion:
    """Stay where it is."""

    gate: str
    reason: str


@dataclass(frozen=True)
class Pulse:
    """Run the motor of a gate with relays for `run_s`; ended by the writer, and by the hardware's own pulse limit."""

    gate: str
    direction: int
    """+1 opens (more flow), -1 closes."""
    run_s: float
    reason: str


Command = MoveTo | StopMotion | Pulse


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a command."""

    gate: str
    command: Command
    error: str = ""
    may_be_done: bool = False
    """With an error: it went out, and its answer did not come."""


@dataclass(frozen=True)
class Motion:
    """A move that was ordered and is being watched."""

    from_pct: float
    to_pct: float
    ordered_at_s: float
    run_s: float
    """Of the motor, as calculated from the stroke time."""
    is_retry: bool = False
    by: str = "controller"
    """`controller`, `order` (its end), `manual` or `interlock`."""
    is_from_old: bool = False
    """`from_pct` is older than the order, and the gate may have been on its way: it is judged from where it is seen next."""
    has_moved: bool = False
    """Of a retry: the first try led the gate part of the way."""


@dataclass(frozen=True)
class InterlockState:
    """One interlock of one gate."""

    since_s: float | None = None
    """When the trip value was first passed."""
    tripped: bool = False
    is_latched: bool = False
    """Tripped, and stays so until a person resets it."""


@dataclass(frozen=True)
class ControllerState:
    """What the loop of one structure carries from scan to scan; its output is the structure's flow."""

    objective: str = ""
    """Kind and point that the state belongs to; another one starts with a bumpless take-over."""
    filtered_level_m: float | None = None
    filtered_at_s: float = 0.0
    previous_level_m: float | None = None
    """Filtered level of the last step: the proportional part follows the level, not the setpoint, which makes no kick."""
    wanted_flow_m3s: float | None = None
    """The controller's own output; None until taken over from the present gate flow."""
    neighbour_flow_m3s: float | None = None
    """Actual flow of the decoupler's structure at the last step, less what orders made of it."""
    ordered_flow_m3s: float | None = None
    """Part of the output that ordered changes made, so that each is passed on once."""
    wanted_pct: Mapping[str, float] = field(default_factory=dict)
    """Opening that each gate should have for the output, by gate."""
    flow_bias_m3s: float = 0.0
    """Slow integral of the flow error, added before the gate law is inverted."""
    controlled_at_s: float | None = None
    flow_at_s: float | None = None
    bad_since_s: float | None = None
    """Since when the objective cannot be followed."""


@dataclass(frozen=True)
class GateState:
    """What a gate's decisions carry from scan to scan, beside its modes (trip, tagout) and its starts, which are kept apart."""

    consistent_scans: int = 0
    position_pct: float | None = None
    """Where it was last seen."""
    motion: Motion | None = None
    still_pct: float | None = None
    still_since_s: float = 0.0
    """Since when it was seen at `still_pct`, within the tolerance."""
    rest_pct: float | None = None
    """Where it came to rest with no move in hand; leaving it is a move that nobody commanded."""
    suspected: str = ""
    """What the gate seems to do wrong; believed when it is seen again."""
    suspected_at_s: float = 0.0
    asked_at_s: float | None = None
    """When an interlock last asked a gate that cannot be watched or is tripped."""
    write_error: str = ""
    stop_failed_at_s: float | None = None
    """When its device last did not take a stop."""
    interlocks: Mapping[str, InterlockState] = field(default_factory=dict)
    mode: str = "OBSERVE"
    """For people: OBSERVE, TAGGED_OUT, STOPPED, OUT_OF_SERVICE, LOCAL, FAULT, COMMISSIONING, HOLD, MANUAL, AUTO, FALLBACK."""
    target: str = ""
    reasons: tuple[str, ...] = ()
