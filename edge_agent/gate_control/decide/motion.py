"""Watching a gate: an ordered move arrives, is too slow, goes the wrong way; a move that nobody ordered. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ActuatorStatus, GateState, Motion, Reading, Selector

STUCK = "stuck"
WRONG_WAY = "wrong_way"
UNCOMMANDED = "uncommanded"
JAMMED = "jammed"
COUNTS_TO_JUDGE = 3.0
"""Travel below so many counts of the position cannot be told from none."""
STILL_S = 3.0
"""Beside `settle_s`: so long a gate must be seen still before leaving the place counts as a move."""
UNCOMMANDED_PCT = 1.0
"""Least travel that counts as one; slack and slow creep are less."""
REST_RENEWED_S = 60.0
JAM_LASTS_S = 3.0
"""A jam that the actuator tells so long is believed: bits flicker in thunderstorms."""


@dataclass(frozen=True)
class Watched:
    """What came of watching."""

    state: GateState
    again: Motion | None = None
    """Order this once more."""
    must_stop: bool = False
    """Stop the motor at once."""
    has_ended: bool = False
    """The move in hand is over, one way or another."""
    trip: str = ""
    """Why the gate must take no more commands."""


def watch_motion(gate: Gate, state: GateState, status: ActuatorStatus, position: Reading, count_pct: float, now_s: float) -> Watched:
    """State after looking at the gate. Only a fresh position and a fresh jam are judged.

    A hand at the wheel or a selector that is not remote is no fault: the move is over, and the gate is followed.

    Args:
        gate: its configuration.
        state: as of the scan before.
        status: what its actuator says.
        position: in percent of opening.
        count_pct: what one count of the position is worth.
        now_s: seconds since boot.
    """
    if not status.is_known:
        return Watched(state)
    if status.selector is Selector.LOCAL or status.by_hand:
        return Watched(replace(state, motion=None, still_pct=None, rest_pct=None), has_ended=state.motion is not None)
    if status.jammed:
        return _suspect(state, JAMMED, now_s, lasts_s=JAM_LASTS_S) if status.is_fresh else Watched(state)
    state = _unsuspected(state, JAMMED)
    if not position.is_fresh or position.value is None:
        return Watched(state)
    if state.motion is None:
        return _watch_rest(gate, state, position.value, count_pct, now_s)
    return _watch_move(gate, replace(state, still_pct=None, rest_pct=None), state.motion, position.value, count_pct, now_s)


def run_s(gate: Gate, travel_pct: float) -> float:
    """Time that the motor takes for a travel."""
    return abs(travel_pct) / 100.0 * gate.actuator.stroke_time_s


def _watch_move(gate: Gate, state: GateState, motion: Motion, position_pct: float, count_pct: float, now_s: float) -> Watched:
    tolerance_pct = gate.motion.tolerance_pct
    if abs(position_pct - motion.to_pct) <= tolerance_pct:
        return Watched(replace(state, motion=None), has_ended=True)
    if motion.is_from_old:
        motion = replace(
            motion, from_pct=position_pct, run_s=max(motion.run_s, run_s(gate, motion.to_pct - position_pct)), is_from_old=False
        )
        state = replace(state, motion=motion)
    wanted_pct, travelled_pct = motion.to_pct - motion.from_pct, position_pct - motion.from_pct
    judged_pct = max(COUNTS_TO_JUDGE * count_pct, 2.0 * tolerance_pct)
    if travelled_pct * wanted_pct < 0.0 and abs(travelled_pct) > judged_pct:
        return _suspect(state, WRONG_WAY, now_s)
    state = _unsuspected(state, WRONG_WAY)
    elapsed_s = now_s - motion.ordered_at_s
    if elapsed_s < 0.0:
        # the clock was set back: the move is timed anew
        return Watched(replace(state, motion=replace(motion, ordered_at_s=now_s)))
    if abs(wanted_pct) < COUNTS_TO_JUDGE * count_pct:
        over = elapsed_s > motion.run_s + gate.motion.settle_s
        return Watched(replace(state, motion=None if over else motion), has_ended=over)
    if not _is_late(gate, motion, abs(travelled_pct) > tolerance_pct, judged_pct, elapsed_s):
        return Watched(state)
    if motion.is_retry and not _moves_at_all(motion, wanted_pct, travelled_pct, judged_pct):
        return _tripped(state, STUCK, must_stop=True)
    if motion.is_retry:
        return Watched(replace(state, motion=None), has_ended=True)
    has_moved, left_s = abs(travelled_pct) > tolerance_pct, run_s(gate, motion.to_pct - position_pct)
    again = replace(motion, from_pct=position_pct, ordered_at_s=now_s, run_s=left_s, is_retry=True, has_moved=has_moved)
    return Watched(replace(state, motion=again), again=again)


def _moves_at_all(motion: Motion, wanted_pct: float, travelled_pct: float, judged_pct: float) -> bool:
    """A gate that moves and lands beside its goal, as with relays and a slack gear, is not stuck: who wants it there asks again."""
    return abs(travelled_pct) > judged_pct or (motion.has_moved and abs(wanted_pct) < judged_pct)


def _is_late(gate: Gate, motion: Motion, has_moved: bool, judged_pct: float, elapsed_s: float) -> bool:
    """A move that began is judged after its run, half as long again for a slow motor, and settling; one that did not, once it shows."""
    if has_moved:
        return elapsed_s > gate.motion.start_within_s + 1.5 * motion.run_s + gate.motion.settle_s
    shows_s = min(motion.run_s, run_s(gate, judged_pct))
    return elapsed_s > max(gate.motion.start_within_s, shows_s + gate.motion.settle_s)


def _watch_rest(gate: Gate, state: GateState, position_pct: float, count_pct: float, now_s: float) -> Watched:
    """A gate that was seen still and then leaves the place without a command. The place is renewed, so that creep is no move."""
    tolerance_pct = gate.motion.tolerance_pct
    moved_pct = max(COUNTS_TO_JUDGE * count_pct, 2.0 * tolerance_pct, UNCOMMANDED_PCT)
    if state.rest_pct is not None and abs(position_pct - state.rest_pct) > moved_pct:
        return _suspect(state, UNCOMMANDED, now_s)
    state = _unsuspected(state, UNCOMMANDED)
    if state.still_pct is None or abs(position_pct - state.still_pct) > tolerance_pct or now_s < state.still_since_s:
        return Watched(replace(state, still_pct=position_pct, still_since_s=now_s))
    still_s = now_s - state.still_since_s
    if state.rest_pct is None and still_s >= gate.motion.settle_s + STILL_S:
        return Watched(replace(state, rest_pct=position_pct))
    if state.rest_pct is not None and still_s >= REST_RENEWED_S:
        return Watched(replace(state, rest_pct=position_pct, still_pct=position_pct, still_since_s=now_s))
    return Watched(state)


def _suspect(state: GateState, why: str, now_s: float, *, lasts_s: float = 0.0) -> Watched:
    """Trips when it is seen in a second scan, and for so long: one wrong reading trips no gate."""
    if state.suspected != why or now_s < state.suspected_at_s:
        return Watched(replace(state, suspected=why, suspected_at_s=now_s))
    if now_s - state.suspected_at_s < lasts_s:
        return Watched(state)
    return _tripped(state, why, must_stop=why != JAMMED)


def _unsuspected(state: GateState, why: str) -> GateState:
    return replace(state, suspected="") if state.suspected == why else state


def _tripped(state: GateState, why: str, *, must_stop: bool) -> Watched:
    stopped = replace(state, motion=None, still_pct=None, rest_pct=None, suspected="")
    return Watched(stopped, must_stop=must_stop, has_ended=state.motion is not None, trip=why)
