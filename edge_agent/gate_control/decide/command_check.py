"""Whether a signed command is for here and now. Pure. What the gate then makes of it is `modes`' and authority's to say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_command import GateCommand, GateVerb

CLOCK_TOLERANCE_S = 120.0
"""Clocks at canal gates, and of laptops, differ."""
WITHOUT_CLOCK = frozenset({GateVerb.STOP, GateVerb.ACK})
"""Verbs that are taken where the time is not known: an old one that turns up again can do no harm."""


@dataclass(frozen=True)
class Refusal:
    """Why a command is not carried out."""

    code: str
    reason: str


def check_command(command: GateCommand, site: str, gates: Collection[str], now: Now) -> Refusal | None:
    """The first reason to refuse, or None. Expiry is judged by a wall clock that was set; without one only harmless verbs pass."""
    if command.site != site:
        return Refusal("WrongSite", f"command is for site {command.site}, this is site {site}")
    if command.gate and command.gate not in gates:
        return Refusal("UnknownGate", f"gate {command.gate} is not at this site; it has {', '.join(sorted(gates))}")
    if not now.wall_is_trusted:
        return None if command.verb in WITHOUT_CLOCK else _no_clock(command)
    if (now.wall - command.expires_at).total_seconds() > CLOCK_TOLERANCE_S:
        return Refusal("Expired", f"was good until {command.expires_at.isoformat()}, here it is {now.wall.isoformat()}")
    if (command.issued_at - now.wall).total_seconds() > CLOCK_TOLERANCE_S:
        reason = f"was issued at {command.issued_at.isoformat()}, here it is only {now.wall.isoformat()}: set the clock that is wrong"
        return Refusal("IssuedInFuture", reason)
    return None


def _no_clock(command: GateCommand) -> Refusal:
    taken = " and ".join(sorted(WITHOUT_CLOCK))
    reason = f"the clock here was not set since the start, so the expiry of {command.verb} cannot be judged; {taken} are taken all the same"
    return Refusal("ClockNotSet", reason)
