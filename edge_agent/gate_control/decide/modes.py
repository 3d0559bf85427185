"""Who may move a gate: separate facts per gate, the commands that change them, and what they allow together. Pure.

Selector, manual or auto, in or out of service, health, command owner and commissioning are kept apart; none is worked out
from another. A trip is ended by an operator, a tagout by two steps at the site, and AUTO comes back by a person's act alone.
Save the facts at every change: they survive restarts, `after_restart` says which parts do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, Selector

PROTECTION_STILL_TRIES = frozenset({"stuck"})
"""Trips in which an interlock still asks the gate to move: it cannot make them worse. One that ran the wrong way could."""


class Control(StrEnum):
    """Who moves the gate."""

    AUTO = "auto"
    MANUAL = "manual"


class Health(StrEnum):
    """What the readings say of gate and actuator."""

    GOOD = "good"
    DEGRADED = "degraded"
    """Something is amiss; control goes on."""
    FAILED = "failed"
    """Position or status is not known: no controller and no manual motion."""


class Place(StrEnum):
    """Where a command comes from, and whose commands count."""

    CONSOLE = "console"
    CENTRAL = "central"


class Commissioning(StrEnum):
    """Whether the gate was set up and may act."""

    UNARMED = "unarmed"
    """New, or its state was lost: it observes until a person arms it at the site."""
    IN_PROGRESS = "in_progress"
    """Being set up: moved by hand from the site, never by a controller."""
    COMMISSIONED = "commissioned"


class Role(IntEnum):
    """What a person may do; each may do what those before it may."""

    VIEWER = 1
    OPERATOR = 2
    MAINTAINER = 3


@dataclass(frozen=True)
class Source:
    """Who asks, and from where."""

    place: Place
    name: str


@dataclass(frozen=True)
class ManualMotion:
    """A motion that a person asked for; over at `expires_at_s` (seconds since boot), arrived or not."""

    opening_pct: float
    expires_at_s: float
    by: str


@dataclass(frozen=True)
class Tag:
    """One person's tag. The gate moves again when the last one is off."""

    holder: str
    since: str
    """Wall time as text, for people; nothing is decided by it."""
    note: str = ""


@dataclass(frozen=True)
class TagClearance:
    """First step of taking a tag off; the second must repeat the code in time."""

    holder: str
    code: str
    asked_by: str
    valid_until_s: float


@dataclass(frozen=True)
class GateModes:
    """The facts of one gate. As made here it does nothing: `UNARMED`, and in manual."""

    selector: Selector = Selector.UNWIRED
    control: Control = Control.MANUAL
    in_service: bool = True
    health: Health = Health.GOOD
    owner: Place = Place.CENTRAL
    commissioning: Commissioning = Commissioning.UNARMED
    trip: str = ""
    """Why the gate takes no more commands: `stuck`, `wrong_way`, `uncommanded`, `jammed`."""
    tags: tuple[Tag, ...] = ()
    clearance: TagClearance | None = None
    stopped_by: str = ""
    """Who stopped it: then nothing moves, protection included, until a person says `auto`, `manual` or `move`."""
    motion: ManualMotion | None = None


@dataclass(frozen=True)
class Permit:
    """What the facts allow together, and the first fact that forbids."""

    mode: str
    """For people: TAGGED_OUT, STOPPED, OUT_OF_SERVICE, LOCAL, OBSERVE, FAULT, COMMISSIONING, MANUAL, AUTO."""
    may_protect: bool
    """Interlocks may move the gate."""
    may_control: bool
    """The controller may."""
    motion: ManualMotion | None
    """The manual motion to carry out."""
    reason: str = ""


def permit(modes: GateModes) -> Permit:
    """Who may move the gate now.

    Rule: tagout, stop, service, selector and commissioning forbid every command, protection included; a trip or failed
    health forbids controller and people. `UNWIRED` counts as remote.
    """
    forbidding = _forbids_all(modes)
    if forbidding is not None:
        return Permit(forbidding[0], False, False, None, forbidding[1])
    if modes.trip:
        return Permit("FAULT", modes.trip in PROTECTION_STILL_TRIES, False, None, f"tripped: {modes.trip}; an operator resets it")
    if modes.health is Health.FAILED:
        return Permit("FAULT", True, False, None, "position or status of the gate is not known")
    if modes.commissioning is Commissioning.IN_PROGRESS:
        return Permit("COMMISSIONING", True, False, modes.motion, "being commissioned: moved from the console only")
    if modes.control is Control.MANUAL:
        reason = f"moved by {modes.motion.by}" if modes.motion else "in manual: holds until a person moves it or gives it to auto"
        return Permit("MANUAL", True, False, modes.motion, reason)
    return Permit("AUTO", True, True, None)


def _forbids_all(modes: GateModes) -> tuple[str, str] | None:
    if modes.tags:
        return "TAGGED_OUT", "tagged out by " + ", ".join(describe_tag(tag) for tag in modes.tags)
    if modes.stopped_by:
        return "STOPPED", f"stopped by {modes.stopped_by}: nothing moves, protection included"
    if not modes.in_service:
        return "OUT_OF_SERVICE", "out of service"
    if modes.selector is Selector.LOCAL:
        return "LOCAL", "selector is not remote"
    if modes.commissioning is Commissioning.UNARMED:
        return "OBSERVE", "not armed: new, or its state was lost; a person at the site arms it"
    return None


def describe_tag(tag: Tag) -> str:
    """For people."""
    return f"{tag.holder} since {tag.since}" + (f" ({tag.note})" if tag.note else "")


def observe(modes: GateModes, selector: Selector, health: Health) -> GateModes:
    """The facts that are read. Where the site takes over by its selector, a manual motion from here is over."""
    motion = None if selector is Selector.LOCAL else modes.motion
    if (selector, health, motion) == (modes.selector, modes.health, modes.motion):
        return modes  # of every scan: a copy of nothing new would cost more than the rest
    return replace(modes, selector=selector, health=health, motion=motion)


def trip(modes: GateModes, why: str) -> GateModes:
    """The gate takes no more commands until an operator resets it; the first cause stays."""
    return replace(modes, trip=modes.trip or why, motion=None)


def expire(modes: GateModes, now: Now) -> GateModes:
    """What has run out: a manual motion (the mode stays manual, the gate holds), and the first step of a tag's clearance."""
    motion, clearance = modes.motion, modes.clearance
    if motion is not None and now.monotonic_s >= motion.expires_at_s:
        motion = None
    if clearance is not None and now.monotonic_s >= clearance.valid_until_s:
        clearance = None
    if motion is modes.motion and clearance is modes.clearance:
        return modes
    return replace(modes, motion=motion, clearance=clearance)


def arrive(modes: GateModes) -> GateModes:
    """The manual motion reached its opening; the mode stays manual and the gate holds."""
    return replace(modes, motion=None)


def after_restart(modes: GateModes) -> GateModes:
    """Everything survives but what was only under way: a manual motion and a first step. A restart starts no motion."""
    return replace(modes, motion=None, clearance=None)
