"""What becomes of the alarms that the agent raises: the gate's own states (after ISA-18.2) without a shelf, for all are urgent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum


class Phase(StrEnum):
    """States of an alarm, by the names of the gate's own."""

    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    """Gone by itself, and nobody has seen it yet."""


@dataclass(frozen=True)
class AgentAlarm:
    """One alarm that is not over."""

    since: str
    """Wall time as text."""
    phase: Phase = Phase.UNACKNOWLEDGED
    reason: str = ""
    by: str = ""
    """Who acknowledged it."""

    @property
    def is_on(self) -> bool:
        """Whether its condition is there."""
        return self.phase is not Phase.RETURNED


@dataclass(frozen=True)
class Changed:
    """All alarms after a look, and the names that came and went."""

    alarms: Mapping[str, AgentAlarm]
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()


def step(alarms: Mapping[str, AgentAlarm], raised: Mapping[str, str], at: str) -> Changed:
    """After one look.

    Rule: what nobody has seen stays, also when it has gone by itself; what was acknowledged ends when it goes.

    Args:
        alarms: as given back last time.
        raised: conditions that are there now, with their reasons.
        at: wall time, for those that come.
    """
    kept: dict[str, AgentAlarm] = {}
    came = [name for name in raised if name not in alarms or not alarms[name].is_on]
    went = [name for name, alarm in alarms.items() if alarm.is_on and name not in raised]
    for name, alarm in alarms.items():
        if name in raised and alarm.is_on:
            kept[name] = replace(alarm, reason=raised[name])
        elif name not in raised and alarm.phase is not Phase.ACKNOWLEDGED:
            kept[name] = replace(alarm, phase=Phase.RETURNED)
    kept |= {name: AgentAlarm(at, reason=raised[name]) for name in came}
    return Changed(kept, tuple(sorted(came)), tuple(sorted(went)))


def acknowledge(alarms: Mapping[str, AgentAlarm], name: str, by: str) -> Mapping[str, AgentAlarm]:
    """A person has seen the alarm: it ends with its condition, or at once where that has gone."""
    alarm = alarms.get(name)
    if alarm is None or alarm.phase is Phase.ACKNOWLEDGED:
        return alarms
    if alarm.phase is Phase.RETURNED:
        return {other: kept for other, kept in alarms.items() if other != name}
    return {**alarms, name: replace(alarm, phase=Phase.ACKNOWLEDGED, by=by)}
