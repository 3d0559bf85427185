"""One gate, one scan: what it is, what it may, and what it does. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_agent.gate_control.decide.asked import Request
from edge_agent.gate_control.decide.authority import CONSISTENT_SCANS, Case, Ruling, judge
from edge_agent.gate_control.decide.control import clamp
from edge_agent.gate_control.decide.hydraulics import resolution_pct
from edge_agent.gate_control.decide.interlocks import Verdict, judge_interlocks, update_interlocks
from edge_agent.gate_control.decide.limits import TravelLimits, step_pct
from edge_agent.gate_control.decide.modes import Control, GateModes, Health, arrive, expire, observe, permit, trip
from edge_agent.gate_control.decide.motion import Watched, watch_motion
from edge_agent.gate_control.decide.starts import StartHistory, record_stop
from edge_agent.gate_control.decide.status import actuator_status, position_pct
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import ActuatorStatus, GateState, Motion, Now, Quality, Reading, Selector

END_PCT = 5.0
"""A limit switch is made no further from the end of the travel than this."""


@dataclass(frozen=True)
class GateFacts:
    """A gate after looking at it, before anybody has a say."""

    gate: Gate
    state: GateState
    modes: GateModes
    starts: StartHistory
    status: ActuatorStatus
    position: Reading
    """In percent of opening."""
    verdict: Verdict
    again: Motion | None
    must_stop: bool

    @property
    def position_fault(self) -> str:
        """Why the position cannot be right: a limit switch is made, and it tells of neither end of the travel. Empty where it can."""
        status, position_pct = self.status, self.position.value
        if position_pct is None or not status.is_known or not (status.closed_limit or status.open_limit):
            return ""
        if status.closed_limit and status.open_limit:
            return "both limit switches are made"
        is_at_end = position_pct <= END_PCT or position_pct >= 100.0 - END_PCT
        return "" if is_at_end else f"a limit switch is made at {position_pct:.1f} %"

    @property
    def is_controllable(self) -> bool:
        """The controller may move it: in auto, healthy, seen, nothing in its way. An answer that is only late takes nothing from it."""
        status = self.status
        if self.position.value is None or not (status.is_known or status.is_late) or status.by_hand or status.jammed or status.inhibited:
            return False
        if self.position_fault:
            return False
        return permit(self.modes).may_control and self.state.consistent_scans >= CONSISTENT_SCANS and self.verdict.drive_pct is None


def look_at(
    gate: Gate, point: Point | None, state: GateState, modes: GateModes, starts: StartHistory, readings: Mapping[str, Reading], now: Now
) -> GateFacts:
    """Read status and position, count consistent scans, watch the motion, update the interlocks."""
    status, position = actuator_status(gate, readings), position_pct(gate, readings)
    state = _counted(state, status, position)
    watched = _watch(gate, point, state, modes, status, position, now)
    if watched.has_ended:
        starts = record_stop(starts, now.monotonic_s)
    # a status that does not answer says nothing of the selector: the last one stays, and no command is given meanwhile
    selector = status.selector if status.is_known or status.is_late else modes.selector
    modes = observe(expire(modes, now), selector, _health(watched.state, status, position))
    if watched.trip:
        modes = trip(modes, watched.trip)
    interlocks = update_interlocks(gate.interlocks, state.interlocks, readings, now.monotonic_s)
    state = replace(watched.state, interlocks=interlocks)
    where = position.value if position.value is not None else state.position_pct
    mode = "auto" if modes.control is Control.AUTO else "manual"
    verdict = judge_interlocks(gate.interlocks, interlocks, where if where is not None else 0.0, mode)
    return GateFacts(gate, state, modes, starts, status, position, verdict, watched.again, watched.must_stop)


def decide_gate(
    facts: GateFacts, request: Request, limits: TravelLimits, drawdown: Sequence[tuple[int, str]], now: Now
) -> tuple[Ruling, GateModes]:
    """At most one command; the modes after it (a manual motion that arrived is over)."""
    case = Case(
        gate=facts.gate,
        permit=permit(facts.modes),
        trip=facts.modes.trip,
        status=facts.status,
        is_local=facts.modes.selector is Selector.LOCAL,
        position_pct=facts.position.value,
        is_now=facts.position.is_now,
        is_fresh=facts.position.is_fresh,
        limits=limits,
        verdict=facts.verdict,
        drawdown=tuple(drawdown),
        step_pct=step_pct(facts.gate, facts.starts, now.monotonic_s),
        request=request,
        again=facts.again,
        must_stop=facts.must_stop,
        now_s=now.monotonic_s,
    )
    ruling = judge(case, facts.state, facts.starts)
    return ruling, _arrived(facts, limits)


def _counted(state: GateState, status: ActuatorStatus, position: Reading) -> GateState:
    """Scans with a fresh position and a known status; what is bad or doubted starts the count over, and where nothing came it waits."""
    if position.is_fresh and position.quality is not Quality.BAD and position.value is not None and status.is_known:
        count = min(CONSISTENT_SCANS, state.consistent_scans + 1)
        seen_pct = position.value if count >= CONSISTENT_SCANS else state.position_pct
        if (count, seen_pct) == (state.consistent_scans, state.position_pct):
            return state
        return replace(state, consistent_scans=count, position_pct=seen_pct)
    is_waiting = not position.is_doubted and (status.is_known or status.is_late)
    if position.quality is Quality.BAD or (state.consistent_scans < CONSISTENT_SCANS and not is_waiting):
        return replace(state, consistent_scans=0)
    return state


def _health(state: GateState, status: ActuatorStatus, position: Reading) -> Health:
    if state.consistent_scans < CONSISTENT_SCANS:
        return Health.FAILED
    is_good = (status.is_known or status.is_late) and position.quality is Quality.GOOD
    return Health.GOOD if is_good else Health.DEGRADED


def _watch(
    gate: Gate, point: Point | None, state: GateState, modes: GateModes, status: ActuatorStatus, position: Reading, now: Now
) -> Watched:
    """Who works at a gate that is tagged out or out of service moves it as he likes: nothing of it is a fault."""
    if (modes.tags or not modes.in_service) and state.motion is None:
        return Watched(replace(state, still_pct=None, rest_pct=None))
    count_pct = resolution_pct(gate, point) if point is not None else 0.0
    return watch_motion(gate, state, status, position, count_pct, now.monotonic_s)


def _arrived(facts: GateFacts, limits: TravelLimits) -> GateModes:
    motion, position = facts.modes.motion, facts.position
    if motion is None or position.value is None or not position.is_fresh or facts.state.motion is not None:
        return facts.modes
    goal_pct = clamp(motion.opening_pct, limits.low_pct, limits.high_pct)
    return arrive(facts.modes) if abs(position.value - goal_pct) <= facts.gate.motion.tolerance_pct else facts.modes
