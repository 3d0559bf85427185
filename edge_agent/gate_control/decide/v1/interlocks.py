"""Interlocks of one gate: trip, hold, reset, and what they allow. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.model.site import InterlockRule
from edge_agent.gate_control.model.values import InterlockState, Quality, Reading


@dataclass(frozen=True)
class Verdict:
    """What the tripped interlocks of a gate leave to the rest."""

    low_pct: float
    high_pct: float
    """The controller's opening must lie between the two."""
    drive_pct: float | None = None
    drive_name: str = ""
    names: tuple[str, ...] = ()
    is_flood: bool = False


def update_interlocks(
    rules: Sequence[InterlockRule], states: Mapping[str, InterlockState], levels: Mapping[str, Reading], now_s: float
) -> dict[str, InterlockState]:
    """Each rule's new state. A bad or stale level leaves it as it is: tripped stays tripped."""
    return {rule.name: _update(rule, states.get(rule.name, InterlockState()), levels.get(rule.point), now_s) for rule in rules}


def _update(rule: InterlockRule, state: InterlockState, level: Reading | None, now_s: float) -> InterlockState:
    if level is None or level.value is None or level.quality is Quality.BAD:
        return state
    sign = 1.0 if rule.side == "high" else -1.0
    if state.tripped:
        return InterlockState() if sign * (level.value - rule.reset_m) <= 0.0 else state
    if sign * (level.value - rule.trip_m) < 0.0:
        return InterlockState()
    since_s = state.since_s if state.since_s is not None else now_s
    return InterlockState(since_s, tripped=now_s - since_s >= rule.delay_s)


def judge_interlocks(rules: Sequence[InterlockRule], states: Mapping[str, InterlockState], position_pct: float) -> Verdict:
    """What is allowed from the present position. The rule listed first wins over those after it."""
    low, high = 0.0, 100.0
    drive: float | None = None
    drive_name = ""
    tripped = [rule for rule in rules if states.get(rule.name, InterlockState()).tripped]
    for rule in tripped:
        if drive is not None:
            continue
        if rule.action == "inhibit_open":
            high = max(low, min(high, position_pct))
        elif rule.action == "inhibit_close":
            low = min(high, max(low, position_pct))
        elif rule.opening_pct is not None:
            drive, drive_name = clamp(rule.opening_pct, low, high), rule.name
    return Verdict(low, high, drive, drive_name, tuple(rule.name for rule in tripped), any(rule.flood for rule in tripped))
