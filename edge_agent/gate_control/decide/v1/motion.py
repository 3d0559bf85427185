"""Watching an ordered move: arrived, too slow, wrong way, stuck. Pure."""

from __future__ import annotations

from dataclasses import replace

from edge_agent.gate_control.model.site import GateSettings
from edge_agent.gate_control.model.values import Selector
from edge_agent.gate_control.model.values_v1 import GateReadings, GateState, Motion

STUCK = "stuck"
WRONG_WAY = "wrong_way"


def watch_motion(settings: GateSettings, state: GateState, readings: GateReadings, now_s: float) -> tuple[GateState, Motion | None]:
    """State after looking at the move in hand, and the move to order once more, if any.

    Only a fresh position is judged. One retry; then the gate is locked out. A hand at the gate or a selector that is
    not remote is no fault: the move is simply over.
    """
    state = _unlock(settings, state, readings)
    motion, position = state.motion, readings.position
    if motion is None or not readings.status_is_known:
        return state, None
    if readings.selector is Selector.LOCAL or readings.by_hand:
        return replace(state, motion=None, settled_at_s=now_s), None
    if not position.is_fresh or position.value is None:
        return state, None
    tolerance_pct = settings.motion.tolerance_pct
    travelled_pct = position.value - motion.from_pct
    if abs(position.value - motion.to_pct) <= tolerance_pct:
        return replace(state, motion=None, settled_at_s=now_s), None
    if travelled_pct * (motion.to_pct - motion.from_pct) < 0.0 and abs(travelled_pct) > 2 * tolerance_pct:
        return _lock_out(state, WRONG_WAY, position.value, now_s), None
    elapsed_s = now_s - motion.ordered_at_s
    full_s = settings.motion.start_within_s + 2.0 * abs(motion.to_pct - motion.from_pct) / 100.0 * settings.motion.stroke_time_s
    late = elapsed_s > full_s if abs(travelled_pct) > tolerance_pct else elapsed_s > settings.motion.start_within_s
    if not late:
        return state, None
    if motion.is_retry:
        return _lock_out(state, STUCK, position.value, now_s), None
    again = Motion(position.value, motion.to_pct, now_s, is_retry=True)
    return replace(state, motion=again), again


def _lock_out(state: GateState, why: str, position_pct: float, now_s: float) -> GateState:
    return replace(
        state, motion=None, settled_at_s=now_s, locked_out=why, locked_out_at_pct=position_pct, wanted_pct=None, previous_error_m=None
    )


def _unlock(settings: GateSettings, state: GateState, readings: GateReadings) -> GateState:
    """A person at the gate ends any lock-out; a stuck gate that moves again has freed itself."""
    if not state.locked_out or not readings.status_is_known:
        return state
    position = readings.position
    freed = (
        state.locked_out == STUCK
        and position.is_fresh
        and position.value is not None
        and abs(position.value - state.locked_out_at_pct) > 2 * settings.motion.tolerance_pct
    )
    if freed or readings.by_hand or readings.selector is Selector.LOCAL:
        return replace(state, locked_out="")
    return state
