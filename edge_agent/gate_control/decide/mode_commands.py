"""Commands by people to one gate: who may, from where, and what each changes. Pure.

`apply_command` either changes the facts or says why not, with a code for programs and a sentence for people. Refused, the
facts stay as they were; only a wrong code in the second step of taking a tag off also ends the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from edge_agent.gate_control.decide.modes import (
    Commissioning,
    Control,
    GateModes,
    Health,
    ManualMotion,
    Place,
    Role,
    Source,
    Tag,
    TagClearance,
    describe_tag,
    permit,
)
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now
from shared.contracts.base import format_utc

MAX_MOTION_S = 86_400.0
CLEARANCE_S = 60.0
"""So long the second step of taking a tag off may wait."""
MAX_TAGS = 16


class ModeVerb(StrEnum):
    """What may be asked of one gate."""

    AUTO = "auto"
    MANUAL = "manual"
    MOVE = "move"
    STOP = "stop"
    SERVICE_OUT = "service_out"
    SERVICE_IN = "service_in"
    RESET_TRIP = "reset_trip"
    TAG = "tag"
    TAG_CLEAR = "tag_clear"
    """First step."""
    TAG_CONFIRM = "tag_confirm"
    """Second step."""
    OWNER_CLAIM = "owner_claim"
    OWNER_RELEASE = "owner_release"
    COMMISSION = "commission"
    ARM = "arm"


@dataclass(frozen=True)
class ModeCommand:
    """One command; only the verb's own fields count."""

    verb: ModeVerb
    opening_pct: float = math.nan
    """`move`: where to."""
    valid_s: float = 600.0
    """`move`: then the motion is over, arrived or not."""
    note: str = ""
    """`tag`: why."""
    holder: str = ""
    """`tag_clear`: whose tag; may be left out where there is one."""
    code: str = ""
    """`tag_clear`: made by the caller, hard to guess; `tag_confirm`: the same again."""


@dataclass(frozen=True)
class Accepted:
    """Done."""

    note: str = ""


@dataclass(frozen=True)
class Refused:
    """Not done."""

    code: str
    """For programs: `NotAllowed`, `NotOwner`, `TaggedOut`, ..."""
    reason: str


Answer = Accepted | Refused
Outcome = tuple[GateModes, Answer]
_Change = Callable[[GateModes, ModeCommand, Source, Now], Outcome]


@dataclass(frozen=True)
class _Rule:
    role: Role
    change: _Change
    at_site_only: bool = False
    for_owner_only: bool = True
    """From central only while the console does not own the gate."""
    takes_ownership: bool = False
    """Given at the console it makes the console the owner."""


def apply_command(modes: GateModes, command: ModeCommand, role: Role, source: Source, now: Now) -> Outcome:
    """The facts after a command, and the answer.

    Rule: role, place and owner first, then what the verb itself needs. A stop is taken from everybody who may command,
    owner or not. What a person does at the console makes the console the owner, until a person there releases it.
    """
    rule = _RULES[command.verb]
    if role < rule.role:
        return modes, Refused("NotAllowed", f"{command.verb} takes role {rule.role.name.lower()}, {source.name} is {role.name.lower()}")
    if rule.at_site_only and source.place is not Place.CONSOLE:
        return modes, Refused("AtSiteOnly", f"{command.verb} is done at the console of the site alone")
    if rule.for_owner_only and source.place is Place.CENTRAL and modes.owner is Place.CONSOLE:
        return modes, Refused("NotOwner", "the console of the site has the command of this gate; a person there releases it")
    changed, answer = rule.change(modes, command, source, now)
    if rule.takes_ownership and source.place is Place.CONSOLE and isinstance(answer, Accepted):
        changed = replace(changed, owner=Place.CONSOLE)
    return changed, answer


def _auto(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.tags:
        return modes, _tagged(modes)
    if modes.commissioning is not Commissioning.COMMISSIONED:
        return modes, Refused("NotCommissioned", f"gate is {modes.commissioning}: arm it at the site first")
    return replace(modes, control=Control.AUTO, motion=None, stopped_by=""), Accepted("in auto")


def _manual(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.tags:
        return modes, _tagged(modes)
    return replace(modes, control=Control.MANUAL, motion=None, stopped_by=""), Accepted("in manual, holds")


def _move(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    released = replace(modes, stopped_by="", control=Control.MANUAL, motion=None)
    refused = _refuse_motion(released, command, source)
    if refused is not None:
        return modes, refused
    motion = ManualMotion(command.opening_pct, now.monotonic_s + command.valid_s, source.name)
    return replace(released, motion=motion), Accepted(
        f"to {command.opening_pct:.1f} % within {command.valid_s:.0f} s; stays in manual after that"
    )


def _refuse_motion(modes: GateModes, command: ModeCommand, source: Source) -> Refused | None:
    """Limits, interlocks and the reversal pause are not judged here but in each scan, by the order of authority."""
    if not 0.0 <= command.opening_pct <= 100.0:
        return Refused("OutOfRange", f"opening {command.opening_pct:g} % lies outside 0 to 100")
    if not 0.0 < command.valid_s <= MAX_MOTION_S:
        return Refused("OutOfRange", f"a motion may take up to {MAX_MOTION_S:.0f} s, not {command.valid_s:g} s")
    if modes.tags:
        return _tagged(modes)
    if modes.trip:
        return Refused("Tripped", f"tripped: {modes.trip}; reset it first, once its cause is gone")
    if modes.health is Health.FAILED:
        return Refused("Unhealthy", "position or status of the gate is not known")
    if modes.commissioning is Commissioning.IN_PROGRESS and source.place is not Place.CONSOLE:
        return Refused("NotCommissioned", "being commissioned: moved from the console of the site alone")
    allowed = permit(modes)
    if allowed.mode in ("MANUAL", "COMMISSIONING"):
        return None
    return Refused({"OUT_OF_SERVICE": "OutOfService", "LOCAL": "Local"}.get(allowed.mode, "NotCommissioned"), allowed.reason)


def _stop(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    stopped = replace(modes, control=Control.MANUAL, motion=None, stopped_by=modes.stopped_by or source.name)
    return stopped, Accepted("stopped: nothing moves, protection included, until auto, manual or move")


def _service_out(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    return replace(modes, in_service=False, motion=None, control=Control.MANUAL), Accepted("out of service: no command reaches the gate")


def _service_in(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.in_service:
        return modes, Accepted("was in service")
    return replace(modes, in_service=True, motion=None, control=Control.MANUAL), Accepted("in service, in manual")


def _reset_trip(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.tags:
        return modes, _tagged(modes)
    if not modes.trip:
        return modes, Refused("NothingToDo", "the gate is not tripped")
    return replace(modes, trip=""), Accepted(f"trip {modes.trip} reset")


def _tag(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if any(tag.holder == source.name for tag in modes.tags):
        return modes, Refused("NothingToDo", f"{source.name} has a tag on this gate")
    if len(modes.tags) >= MAX_TAGS:
        return modes, Refused("OutOfRange", f"{MAX_TAGS} tags hang on this gate; no more fit")
    since = format_utc(now.wall) if now.wall_is_trusted else "a time that is not known (clock not set)"
    tags = (*modes.tags, Tag(source.name, since, command.note))
    return replace(modes, tags=tags, clearance=None, motion=None, control=Control.MANUAL), Accepted(
        "tagged out: no command reaches the gate"
    )


def _tag_clear(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    """First step: names the tag and keeps the code; the gate stays tagged out."""
    if not modes.tags:
        return modes, Refused("NothingToDo", "no tag hangs on this gate")
    holders = [tag.holder for tag in modes.tags]
    holder = command.holder or (holders[0] if len(holders) == 1 else "")
    if holder not in holders:
        return modes, Refused("WhichTag", f"name whose tag to take off: {', '.join(holders)}")
    if not command.code:
        return modes, Refused("OutOfRange", "the first step needs a code for the second to repeat")
    clearance = TagClearance(holder, command.code, source.name, now.monotonic_s + CLEARANCE_S)
    return replace(modes, clearance=clearance), Accepted(f"first step: confirm within {CLEARANCE_S:.0f} s to take off the tag of {holder}")


def _tag_confirm(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    """Second step, by the same person; a wrong code ends the first step, so that codes cannot be tried."""
    clearance = modes.clearance
    if clearance is None or now.monotonic_s >= clearance.valid_until_s:
        return modes, Refused("NoFirstStep", f"ask to clear the tag first, then confirm within {CLEARANCE_S:.0f} s")
    if clearance.asked_by != source.name:
        return modes, Refused("NotAllowed", f"{clearance.asked_by} began this; the same person confirms, or another begins anew")
    cleared = replace(modes, clearance=None)
    if command.code != clearance.code:
        return cleared, Refused("WrongCode", "wrong code: the tag stays; begin anew with the first step")
    tags = tuple(tag for tag in modes.tags if tag.holder != clearance.holder)
    left = f"; still tagged out by {', '.join(tag.holder for tag in tags)}" if tags else "; in manual"
    return replace(cleared, tags=tags, motion=None, control=Control.MANUAL), Accepted(f"tag of {clearance.holder} is off{left}")


def _claim(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    return replace(modes, owner=Place.CONSOLE), Accepted("the console has the command")


def _release(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.owner is Place.CENTRAL:
        return modes, Refused("NothingToDo", "the console does not have the command of this gate")
    return replace(modes, owner=Place.CENTRAL), Accepted("released: central may command again")


def _commission(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.tags:
        return modes, _tagged(modes)
    return replace(modes, commissioning=Commissioning.IN_PROGRESS, control=Control.MANUAL, motion=None), Accepted("being commissioned")


def _arm(modes: GateModes, command: ModeCommand, source: Source, now: Now) -> Outcome:
    if modes.tags:
        return modes, _tagged(modes)
    if modes.commissioning is Commissioning.COMMISSIONED:
        return modes, Refused("NothingToDo", "the gate is armed")
    armed = replace(modes, commissioning=Commissioning.COMMISSIONED, control=Control.MANUAL, motion=None)
    return armed, Accepted("armed, in manual: give it to auto when it is ready")


def _tagged(modes: GateModes) -> Refused:
    return Refused("TaggedOut", "tagged out by " + ", ".join(describe_tag(tag) for tag in modes.tags))


_RULES: Mapping[ModeVerb, _Rule] = {
    ModeVerb.AUTO: _Rule(Role.OPERATOR, _auto, takes_ownership=True),
    ModeVerb.MANUAL: _Rule(Role.OPERATOR, _manual, takes_ownership=True),
    ModeVerb.MOVE: _Rule(Role.OPERATOR, _move, takes_ownership=True),
    ModeVerb.STOP: _Rule(Role.OPERATOR, _stop, for_owner_only=False, takes_ownership=True),
    ModeVerb.SERVICE_OUT: _Rule(Role.OPERATOR, _service_out, takes_ownership=True),
    ModeVerb.SERVICE_IN: _Rule(Role.OPERATOR, _service_in, takes_ownership=True),
    ModeVerb.RESET_TRIP: _Rule(Role.OPERATOR, _reset_trip),
    ModeVerb.TAG: _Rule(Role.OPERATOR, _tag, at_site_only=True),
    ModeVerb.TAG_CLEAR: _Rule(Role.MAINTAINER, _tag_clear, at_site_only=True),
    ModeVerb.TAG_CONFIRM: _Rule(Role.MAINTAINER, _tag_confirm, at_site_only=True),
    ModeVerb.OWNER_CLAIM: _Rule(Role.OPERATOR, _claim, at_site_only=True),
    ModeVerb.OWNER_RELEASE: _Rule(Role.OPERATOR, _release, at_site_only=True),
    ModeVerb.COMMISSION: _Rule(Role.MAINTAINER, _commission, at_site_only=True),
    ModeVerb.ARM: _Rule(Role.OPERATOR, _arm, at_site_only=True),
}
