"""Who has the say over a gate: the one place where the order of authority stands. Pure.

    tagout, stop, (service, selector, commissioning), interlock, travel limits, drawdown limit, starts budget, controller

What stands first wins. Tagout, stop, service and selector forbid every command; only the move in hand is stopped in the very scan
in which a tag is hung or the gate taken out of service. An interlock that drives is bound by nothing
below it but the owner's travel limits and the pause before a reversal, which spares the gear and lasts seconds. Travel limits
and drawdown bind people too. Budget, deadband, minimum run and rest bind the controller alone; the budget not where it ends
a delivery. A gate that stands outside its limits may only move inward.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.decide.asked import Request
from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.decide.interlocks import Verdict
from edge_agent.gate_control.decide.limits import TravelLimits, own_limits, settable_pct
from edge_agent.gate_control.decide.modes import Permit
from edge_agent.gate_control.decide.motion import run_s
from edge_agent.gate_control.decide.starts import YES, StartHistory, may_reverse, may_start, record_start, record_stop, starts_last_hour
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ActuatorStatus, Command, GateState, Motion, MoveTo, Pulse, StopMotion

CONSISTENT_SCANS = 2
STOP_AGAIN_S = 2.0
"""After so long a stop that its device did not take is given again."""
CONTROLLER = "controller"
ORDER = "order"
"""The controller, where it ends a delivery: that is always carried out, so that the budget does not bind it."""
MANUAL = "manual"
INTERLOCK = "interlock"


@dataclass(frozen=True)
class Case:
    """All that has a say over one gate in one scan."""

    gate: Gate
    permit: Permit
    trip: str
    status: ActuatorStatus
    is_local: bool
    """The selector, as last read, gives the gate to a person there."""
    position_pct: float | None
    is_now: bool
    """The position is of this scan, or of the last round of sensing."""
    is_fresh: bool
    """It is of this scan."""
    limits: TravelLimits
    """The owner's, narrowed by the plan's."""
    verdict: Verdict
    drawdown: tuple[tuple[int, str], ...]
    """Directions that would let a pool fall too fast, with the reason."""
    step_pct: float
    request: Request
    again: Motion | None
    """A move that was ordered and did not come about: once more."""
    must_stop: bool
    """The gate runs the wrong way, or without a command."""
    now_s: float


@dataclass(frozen=True)
class Ruling:
    """What came of it."""

    state: GateState
    starts: StartHistory
    command: Command | None = None
    is_budget_spent: bool = False


@dataclass(frozen=True)
class _Goal:
    """Where somebody wants the gate, and who."""

    opening_pct: float
    by: str
    reason: str
    mode: str


def judge(case: Case, state: GateState, starts: StartHistory) -> Ruling:
    """At most one command, and why, or why none.

    A move in hand that may not go on is stopped, where a command may be given at all.
    """
    permit = case.permit
    if permit.mode == "STOPPED":
        return _stopped(case, state, starts)
    silent = _silence(case, state)
    if silent is not None:
        if state.motion is not None and permit.mode in ("TAGGED_OUT", "OUT_OF_SERVICE") and case.status.is_known:
            return _stop(case, state, starts, *silent)
        return _quiet(case, state, starts, *silent)
    if case.must_stop:
        return _stop(case, state, starts, permit.mode, permit.reason or "the gate moves against its command: stopped")
    if permit.may_protect and case.verdict.drive_pct is not None:
        return _protect(case, state, starts)
    ending = _why_to_end(case, state.motion) if state.motion is not None else ""
    if ending:
        return _stop(case, state, starts, permit.mode, ending)
    if not permit.may_control and permit.motion is None:
        return _quiet(case, state, starts, permit.mode, permit.reason)
    if case.position_pct is None or not case.is_now:
        return _quiet(case, state, starts, state.mode, "no position lately")
    if case.again is not None:
        return _repeat(case, state, starts, case.again)
    return _move(case, state, starts, case.position_pct)


def _stopped(case: Case, state: GateState, starts: StartHistory) -> Ruling:
    """What a person stopped stands still. The move in hand is ended also where nothing is known of the gate: a stop harms nothing.

    One that its device did not take is given again and again. With its selector at local the gate is another person's, who sees it.
    """
    permit, status = case.permit, case.status
    is_seen_moving = status.is_known and state.position_pct is not None and not status.by_hand and (status.moving or case.must_stop)
    failed_at_s = state.stop_failed_at_s
    is_untold = failed_at_s is not None and not 0.0 <= case.now_s - failed_at_s < STOP_AGAIN_S
    is_ours = state.motion is not None or is_seen_moving or is_untold
    if is_ours and not case.is_local:
        return _stop(case, state, starts, permit.mode, permit.reason)
    return _quiet(case, state, starts, permit.mode, permit.reason)


def _why_to_end(case: Case, motion: Motion) -> str:
    """Why the move in hand may not go on; empty while it may."""
    direction = 1 if motion.to_pct > motion.from_pct else -1
    if not _inside(case.verdict, motion.to_pct):
        return f"interlock {', '.join(case.verdict.names)} ends the move"
    if motion.by == INTERLOCK:
        return ""
    if not case.permit.may_control and case.permit.motion is None:
        return case.permit.reason
    # a limit by flow wavers with the level: less than the deadband ends no move
    slack_pct = case.gate.limits.deadband_pct
    if not case.limits.low_pct - slack_pct <= motion.to_pct <= case.limits.high_pct + slack_pct:
        return f"the limits are {case.limits.low_pct:.1f} to {case.limits.high_pct:.1f} % now: the move to {motion.to_pct:.1f} % ends"
    return next((f"drawdown limit ends the move: {why}" for forbidden, why in case.drawdown if forbidden == direction), "")


def _silence(case: Case, state: GateState) -> tuple[str, str] | None:
    """Mode and reason where no command is given at all; a trip is not among them, for it stops."""
    if not case.permit.may_protect and case.permit.mode != "FAULT":
        return case.permit.mode, case.permit.reason
    if state.position_pct is None:
        return "OBSERVE", "observing: no two consistent scans yet"
    if case.status.is_late:
        return state.mode, "the actuator's next answer is waited for"
    if not case.status.is_known:
        return "FAULT", "the actuator's status did not answer"
    if case.status.by_hand:
        return "LOCAL", "the gate is moved by hand"
    if case.status.jammed:
        return "FAULT", "actuator reports jammed"
    if case.status.inhibited:
        return "FAULT", "actuator reports motion inhibited"
    return None


def _inside(verdict: Verdict, opening_pct: float) -> bool:
    return verdict.low_pct <= opening_pct <= verdict.high_pct


def _quiet(case: Case, state: GateState, starts: StartHistory, mode: str, *reasons: str) -> Ruling:
    """No command. What the actuator was told before it goes on doing, and is watched."""
    return Ruling(replace(state, mode=mode, reasons=tuple(reason for reason in reasons if reason)), starts)


def _stop(case: Case, state: GateState, starts: StartHistory, mode: str, reason: str) -> Ruling:
    """End a motion: that of a move in hand, or one that nobody ordered."""
    state = replace(state, motion=None, still_pct=None, rest_pct=None, mode=mode, reasons=(reason,))
    return Ruling(state, record_stop(starts, case.now_s), StopMotion(case.gate.id, reason))


def _protect(case: Case, state: GateState, starts: StartHistory) -> Ruling:
    """An interlock's opening. No deadband, rest, budget or drawdown binds it; the owner's travel limits do, and the plan's do not."""
    goal_pct = settable_pct(case.gate, case.verdict.drive_pct or 0.0, own_limits(case.gate))
    reason = f"interlock {case.verdict.drive_name} drives to {goal_pct:.1f} %"
    mode = case.permit.mode
    position_pct = case.position_pct if case.position_pct is not None else state.position_pct
    if position_pct is None:
        return _quiet(case, state, starts, mode, reason, "position was never read")
    tolerance_pct = case.gate.motion.tolerance_pct
    if case.again is not None and case.again.to_pct == goal_pct and case.is_now:
        return _repeat(case, state, starts, replace(case.again, by=INTERLOCK))
    if state.motion is not None and state.motion.to_pct == goal_pct:
        return _quiet(case, replace(state, motion=replace(state.motion, by=INTERLOCK)), starts, mode, reason)
    if case.is_now and abs(position_pct - goal_pct) <= tolerance_pct:
        return _quiet(case, state, starts, mode, reason, "it is there")
    direction = 1 if goal_pct > position_pct else -1
    pause = may_reverse(case.gate.limits, starts, direction, case.now_s)
    if not pause.ok and starts.is_running:
        return _stop(case, state, starts, mode, f"{reason}: first the move the other way ends")
    if not pause.ok:
        return _quiet(case, state, starts, mode, reason, pause.reason)
    if case.is_now and not case.trip:
        return _order(case, state, starts, position_pct, _Goal(goal_pct, INTERLOCK, reason, mode))
    # a stuck gate, or one that cannot be seen, is still asked for the flood, now and then
    asked_s = state.asked_at_s
    if asked_s is not None and 0.0 <= case.now_s - asked_s < case.gate.motion.start_within_s:
        return _quiet(case, state, starts, mode, reason, case.permit.reason)
    ruling = _order(case, state, starts, position_pct, _Goal(goal_pct, INTERLOCK, reason, mode))
    return replace(ruling, state=replace(ruling.state, motion=None, asked_at_s=case.now_s), starts=record_stop(ruling.starts, case.now_s))


def _repeat(case: Case, state: GateState, starts: StartHistory, again: Motion) -> Ruling:
    limits = own_limits(case.gate) if again.by == INTERLOCK else case.limits
    again = replace(again, to_pct=settable_pct(case.gate, again.to_pct, limits))
    why = "the delivery is over: " if again.by == ORDER else ""
    goal = _Goal(again.to_pct, again.by, f"{why}it did not come about: ordered once more", case.permit.mode)
    if again.by == CONTROLLER and starts_last_hour(starts, case.now_s) >= case.gate.limits.starts_per_hour:
        # the budget binds the retry too: a gate that came part of the way waits, one that did not move at all is judged without a retry
        state = replace(state, motion=None) if again.has_moved else state
        starts = record_stop(starts, case.now_s) if again.has_moved else starts
        ruling = _quiet(case, state, starts, goal.mode, "it did not come about, and no start is left for a retry")
        return replace(ruling, is_budget_spent=True)
    return _order(case, state, record_stop(starts, case.now_s), again.from_pct, goal, motion=again)


def _move(case: Case, state: GateState, starts: StartHistory, position_pct: float) -> Ruling:
    """What a person or the controller asks for, as far as everything above lets it through."""
    goal = _wanted(case)
    if goal is None:
        return _quiet(case, state, starts, case.request.mode, case.request.reason)
    asked_pct = clamp(goal.opening_pct, case.verdict.low_pct, case.verdict.high_pct)
    asked_pct = clamp(asked_pct, case.limits.low_pct, case.limits.high_pct)
    if goal.by != MANUAL:
        asked_pct = clamp(asked_pct, position_pct - case.step_pct, position_pct + case.step_pct)
    # a gate outside its limits moves to the edge at once, and never further out
    goal_pct = settable_pct(case.gate, asked_pct, case.limits)
    travel_pct = goal_pct - position_pct
    on_the_way = state.motion is not None or case.status.moving
    if on_the_way and not (goal.by == MANUAL and _is_new(state, goal_pct)):
        return _quiet(case, state, starts, goal.mode, goal.reason, "the gate is moving")
    if case.gate.actuator.relays is not None and not case.is_fresh and state.still_pct is None:
        # how long a pulse must be follows from where the gate is
        return _quiet(case, state, starts, goal.mode, goal.reason, "its next position is waited for")
    least_pct = case.gate.limits.deadband_pct if goal.by != MANUAL else case.gate.motion.tolerance_pct
    if abs(travel_pct) < least_pct:
        bound = _bound_by(case, goal.opening_pct)
        return _quiet(case, state, starts, goal.mode, goal.reason, bound, "within the deadband" if goal.by != MANUAL else "it is there")
    if not _inside(case.verdict, goal_pct):
        return _quiet(case, state, starts, goal.mode, goal.reason, f"forbidden by interlock {', '.join(case.verdict.names)}")
    direction = 1 if travel_pct > 0.0 else -1
    for forbidden, why in case.drawdown:
        if forbidden == direction:
            return _quiet(case, state, starts, goal.mode, goal.reason, f"drawdown limit: {why}")
    return _start(case, state, starts, position_pct, replace(goal, opening_pct=goal_pct), direction)


def _bound_by(case: Case, wanted_pct: float) -> str:
    """What lets a gate go no nearer to where it is wanted; empty where nothing does."""
    if not _inside(case.verdict, wanted_pct):
        return f"no nearer by interlock {', '.join(case.verdict.names)}"
    if not case.limits.holds(wanted_pct):
        return f"no nearer by the limits {case.limits.low_pct:.1f} to {case.limits.high_pct:.1f} %"
    return ""


def _wanted(case: Case) -> _Goal | None:
    if case.permit.motion is not None:
        motion = case.permit.motion
        return _Goal(motion.opening_pct, MANUAL, f"moved by {motion.by} to {motion.opening_pct:.1f} %", case.permit.mode)
    if case.request.opening_pct is None:
        return None
    if case.request.is_end and case.position_pct is not None and case.request.opening_pct < case.position_pct:
        return _Goal(case.request.opening_pct, ORDER, f"the delivery is over: {case.request.reason}", case.request.mode)
    return _Goal(case.request.opening_pct, CONTROLLER, case.request.reason, case.request.mode)


def _is_new(state: GateState, goal_pct: float) -> bool:
    return state.motion is None or state.motion.to_pct != goal_pct


def _start(case: Case, state: GateState, starts: StartHistory, position_pct: float, goal: _Goal, direction: int) -> Ruling:
    gate = case.gate
    travel_pct = goal.opening_pct - position_pct
    if goal.by != MANUAL:
        allowed = may_start(gate.limits, starts, direction, travel_pct, gate.actuator.stroke_time_s, case.now_s)
        allowed = YES if goal.by == ORDER and allowed.limit == "budget" else allowed
    else:
        allowed = may_reverse(gate.limits, starts, direction, case.now_s)
        if not allowed.ok and starts.is_running:
            return _stop(case, state, starts, goal.mode, f"{goal.reason}: first the move the other way ends")
    if not allowed.ok:
        ruling = _quiet(case, state, starts, goal.mode, goal.reason, allowed.reason)
        return replace(ruling, is_budget_spent="starts in the last hour" in allowed.reason)
    return _order(case, state, starts, position_pct, goal)


def _order(case: Case, state: GateState, starts: StartHistory, position_pct: float, goal: _Goal, *, motion: Motion | None = None) -> Ruling:
    gate = case.gate
    travel_pct = goal.opening_pct - position_pct
    direction = 1 if travel_pct > 0.0 else -1
    moved = motion or Motion(position_pct, goal.opening_pct, case.now_s, run_s(gate, travel_pct), by=goal.by, is_from_old=not case.is_fresh)
    command: Command = MoveTo(gate.id, goal.opening_pct, goal.reason)
    if gate.actuator.relays is not None:
        command = Pulse(gate.id, direction, run_s(gate, travel_pct), goal.reason)
    state = replace(state, motion=moved, mode=goal.mode, reasons=(goal.reason,))
    return Ruling(state, record_start(starts, direction, case.now_s), command)
