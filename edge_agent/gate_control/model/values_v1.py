"""Values of the first version's loop (`gate.toml`); goes with `model/site.py` as soon as everything stands on `site.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.gate_control.model.values import InterlockState, MoveTo, Reading, Selector


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
