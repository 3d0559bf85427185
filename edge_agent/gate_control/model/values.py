"""What passes from step to step of a scan. Times are seconds since boot unless the name says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
    """`<gate>.<point>`."""
    value: float | None
    sampled_at_s: float
    error: str = ""


@dataclass(frozen=True)
class PointHistory:
    """The last believed value of a point."""

    value: float | None = None
    sampled_at_s: float = 0.0
    first_seen_s: float | None = None
    """When the point was first asked for: a point that never answered is as old as that."""


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


@dataclass(frozen=True)
class GateReadings:
    """All of one gate in one scan."""

    position: Reading
    levels: Mapping[str, Reading]
    """By point name: `upstream_level`, `downstream_level`."""
    selector: Selector = Selector.UNWIRED
    moving: bool = False
    jammed: bool = False
    by_hand: bool = False
    inhibited: bool = False
    status_is_known: bool = True
    """False when the gate has a status point that did not answer."""


@dataclass(frozen=True)
class MoveTo:
    """The one command: an absolute position, so that a repeat does no harm."""

    gate: str
    opening_pct: float
    reason: str


@dataclass(frozen=True)
class WriteOutcome:
    """What became of a command."""

    gate: str
    opening_pct: float
    error: str = ""


@dataclass(frozen=True)
class Motion:
    """A move that was ordered and is being watched."""

    from_pct: float
    to_pct: float
    ordered_at_s: float
    is_retry: bool = False


@dataclass(frozen=True)
class InterlockState:
    """One interlock of one gate."""

    since_s: float | None = None
    """When the trip value was first passed."""
    tripped: bool = False


@dataclass(frozen=True)
class GateState:
    """What a gate's decisions carry from scan to scan. Separate facts are kept apart."""

    consistent_scans: int = 0
    filtered_level_m: float | None = None
    filtered_at_s: float = 0.0
    level_source: str = ""
    previous_error_m: float | None = None
    wanted_pct: float | None = None
    """The controller's own output, before deadband and step; None until taken over from the present opening."""
    controlled_at_s: float | None = None
    settled_at_s: float | None = None
    """End of the last move."""
    level_bad_since_s: float | None = None
    motion: Motion | None = None
    locked_out: str = ""
    """Why the gate takes no more commands: `stuck` or `wrong_way`."""
    locked_out_at_pct: float = 0.0
    write_error: str = ""
    interlocks: Mapping[str, InterlockState] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    mode: str = "OBSERVE"
    target: str = ""
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteState:
    """All gates of a site."""

    gates: Mapping[str, GateState] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What came of one scan."""

    state: SiteState
    commands: tuple[MoveTo, ...]
    reasons: Mapping[str, tuple[str, ...]]
