"""Interlocks of one gate: trip, latch, reset, and what they leave to the rest. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.model.gates import Interlock
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import InterlockState, Quality, Reading

States = Mapping[str, InterlockState]
_AT_REST = InterlockState()
"""Made once: the default of a `get` is made whether it is wanted or not."""


@dataclass(frozen=True)
class Verdict:
    """What the tripped interlocks of a gate leave to everything below them."""

    low_pct: float = 0.0
    high_pct: float = 100.0
    """Any opening that is asked for must lie between the two."""
    drive_pct: float | None = None
    drive_name: str = ""
    names: tuple[str, ...] = ()
    is_flood: bool = False


def update_interlocks(
    rules: Sequence[Interlock], states: States, readings: Mapping[str, Reading], now_s: float
) -> dict[str, InterlockState]:
    """Each rule's new state."""
    return {rule.name: _update(rule, states.get(rule.name, _AT_REST), readings, now_s) for rule in rules}


def reset_interlock(states: States, name: str) -> dict[str, InterlockState]:
    """A person resets a latch; an interlock whose cause is still there trips again in the next scan."""
    return {key: InterlockState() if key == name else state for key, state in states.items()}


def _update(rule: Interlock, state: InterlockState, readings: Mapping[str, Reading], now_s: float) -> InterlockState:
    """The worst valid sensor votes: the highest of a high side, the lowest of a low one.

    With no valid sensor the rule's own `on_bad_sensor` holds: as it is (and the delay starts anew), tripped, or not tripped.
    """
    values = [
        reading.value
        for name in rule.points
        if (reading := readings.get(name)) is not None
        and reading.quality is not Quality.BAD
        and reading.value is not None
        and math.isfinite(reading.value)
    ]
    if not values:
        return _without_sensor(rule, state, now_s)
    sign = 1.0 if rule.side == "high" else -1.0
    worst = max(sign * value for value in values)
    if state.tripped:
        if state.is_latched or worst > sign * rule.reset:
            return state
        return InterlockState()
    if worst < sign * rule.trip:
        return InterlockState()
    return _passed(rule, state, now_s)


def _without_sensor(rule: Interlock, state: InterlockState, now_s: float) -> InterlockState:
    if rule.on_bad_sensor == "trip":
        return state if state.tripped else _passed(rule, state, now_s)
    if rule.on_bad_sensor == "ignore" and not state.is_latched:
        return InterlockState()
    return replace(state, since_s=None) if not state.tripped else state


def _passed(rule: Interlock, state: InterlockState, now_s: float) -> InterlockState:
    # a time that lies ahead: the clock was set back, and the delay begins anew
    since_s = state.since_s if state.since_s is not None and state.since_s <= now_s else now_s
    tripped = now_s - since_s >= rule.delay_s
    return InterlockState(since_s, tripped, is_latched=tripped and rule.latch)


def judge_interlocks(rules: Sequence[Interlock], states: States, position_pct: float, mode: str) -> Verdict:
    """What is allowed from the present position in a mode (`auto` or `manual`).

    Rule: the higher priority wins over the lower; a rule without priority comes last, and among equals the first listed.
    A drive ends the list: what stands below it has no more say.
    """
    order = sorted(rules, key=lambda rule: -rule.priority if rule.priority is not None else math.inf)
    tripped = [rule for rule in order if states.get(rule.name, _AT_REST).tripped and mode in rule.modes]
    low, high = 0.0, 100.0
    drive: float | None = None
    drive_name = ""
    for rule in tripped:
        if rule.action == "inhibit_open":
            high = max(low, min(high, position_pct))
        elif rule.action == "inhibit_close":
            low = min(high, max(low, position_pct))
        elif rule.opening_pct is not None:
            drive, drive_name = clamp(rule.opening_pct, low, high), rule.name
            break
    # a flood is a flood in every mode: it holds releases back
    flood = any(rule.flood and states.get(rule.name, _AT_REST).tripped for rule in rules)
    return Verdict(low, high, drive, drive_name, tuple(rule.name for rule in tripped), flood)
