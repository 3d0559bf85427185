"""Whether a signed command is for here and now. Pure. What the gate then makes of it is `modes`' and authority's to say."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from edge_agent.gate_control.model.values import Now
from shared.contracts.gate_command import GateCommand, GateVerb

CLOCK_TOLERANCE_S = 120.0
"""Clocks at canal gates, and of laptops, differ."""
WITHOUT_CLOCK = frozenset({GateVerb.STOP, GateVerb.ACK})
"""Verbs that are taken whatever a clock says that was not set: an old one that turns up can do no harm."""


@dataclass(frozen=True)
class Refusal:
    """Why a command is not carried out."""

    code: str
    reason: str


def check_command(command: GateCommand, site: str, gates: Collection[str], now: Now) -> Refusal | None:
    """The first reason to refuse, or None.

    Rule: a command must fit the wall clock, also one that was not set since the start: a held-back command would have to meet a
    clock that is wrong by just as much. Where it does not fit such a clock, harmless verbs pass all the same.
    """
    if command.site != site:
        return Refusal("WrongSite", f"command is for site {command.site}, this is site {site}")
    if command.gate and command.gate not in gates:
        return Refusal("UnknownGate", f"gate {command.gate} is not at this site; it has {', '.join(sorted(gates))}")
    refusal = _out_of_time(command, now)
    if refusal is None or now.wall_is_trusted:
        return refusal
    return (
        None if command.verb in WITHOUT_CLOCK else Refusal("ClockNotSet", f"{refusal.reason}; the clock here was not set since the start")
    )


def _out_of_time(command: GateCommand, now: Now) -> Refusal | None:
    if (now.wall - command.expires_at).total_seconds() > CLOCK_TOLERANCE_S:
        return Refusal("Expired", f"was good until {command.expires_at.isoformat()}, here it is {now.wall.isoformat()}")
    if (command.issued_at - now.wall).total_seconds() > CLOCK_TOLERANCE_S:
        reason = f"was issued at {command.issued_at.isoformat()}, here it is only {now.wall.isoformat()}: set the clock that is wrong"
        return Refusal("IssuedInFuture", reason)
    return None
