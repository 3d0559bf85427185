"""One gate, one scan. Pure.

Order of authority: observing, selector, lock-out and inhibition by the actuator, interlock, travel limits, controller.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.gate_control.decide.control import clamp, filter_level, pi_increment, quantise
from edge_agent.gate_control.decide.v1.interlocks import Verdict, judge_interlocks, update_interlocks
from edge_agent.gate_control.decide.v1.motion import STUCK, watch_motion
from edge_agent.gate_control.decide.v1.objective import EffectiveLimits, LevelTarget, describe, effective_limits, level_target, objective_at
from edge_agent.gate_control.model.site import GateSettings, SensorPoint
from edge_agent.gate_control.model.values import MoveTo, Now, Quality, Reading, Selector
from edge_agent.gate_control.model.values_v1 import GateReadings, GateState, Motion
from shared.contracts.gate_plan import GateDirective, Objective, PositionObjective

CONSISTENT_SCANS = 2
ALARM_RETURN_SHARE = 0.01
"""A level alarm returns this share of the range inside the limit, so that noise does not make it chatter."""


@dataclass(frozen=True)
class _Scan:
    """What does not change while one gate is decided."""

    settings: GateSettings
    control_period_s: float
    readings: GateReadings
    limits: EffectiveLimits
    now: Now


Step = tuple[GateState, MoveTo | None]


def decide_gate(
    settings: GateSettings, control_period_s: float, state: GateState, readings: GateReadings, directive: GateDirective | None, now: Now
) -> Step:
    """New state (with mode, target, reasons and alarms) and at most one command, always within the owner's limits."""
    scan = _Scan(settings, control_period_s, readings, effective_limits(settings, directive), now)
    objective = objective_at(directive, now) if directive is not None else None
    state = _observe(state, readings)
    state = replace(state, interlocks=update_interlocks(settings.interlocks, state.interlocks, readings.levels, now.monotonic_s))
    state, again = watch_motion(settings, state, readings, now.monotonic_s)
    target = level_target(objective) if objective is not None else None
    state = _filter(scan, state, target)
    state, command = _decide_command(scan, state, objective, target, again)
    text = describe(objective) if objective is not None else ""
    return replace(state, target=text, alarms=_alarms(scan, state, target)), command


def _observe(state: GateState, readings: GateReadings) -> GateState:
    """Two scans in a row with a fresh position and a known selector; a position gone bad starts it over."""
    seen = readings.position.is_fresh and readings.position.quality is Quality.GOOD and readings.status_is_known
    if seen:
        return replace(state, consistent_scans=min(CONSISTENT_SCANS, state.consistent_scans + 1))
    if readings.position.quality is Quality.BAD or state.consistent_scans < CONSISTENT_SCANS:
        return replace(state, consistent_scans=0)
    return state


def _filter(scan: _Scan, state: GateState, target: LevelTarget | None) -> GateState:
    """Filtered level of the objective's own point; a new point starts a new filter, and a bumpless take-over."""
    point = target.point if target is not None else ""
    if point != state.level_source:
        state = replace(state, level_source=point, filtered_level_m=None, previous_error_m=None, level_bad_since_s=None)
    level = scan.readings.levels.get(point)
    if level is None:
        return state
    now_s = scan.now.monotonic_s
    if level.quality is Quality.BAD:
        since_s = state.level_bad_since_s if state.level_bad_since_s is not None else now_s
        return replace(state, level_bad_since_s=since_s, previous_error_m=None, filtered_level_m=None, controlled_at_s=None)
    if level.value is None or not level.is_fresh:
        return replace(state, level_bad_since_s=None)
    filtered_m = filter_level(state.filtered_level_m, level.value, now_s - state.filtered_at_s, scan.settings.control.filter_s)
    return replace(state, filtered_level_m=filtered_m, filtered_at_s=now_s, level_bad_since_s=None)


def _decide_command(scan: _Scan, state: GateState, objective: Objective | None, target: LevelTarget | None, again: Motion | None) -> Step:
    readings, position_pct = scan.readings, scan.readings.position.value
    if state.consistent_scans < CONSISTENT_SCANS or position_pct is None:
        return _rest(state, "OBSERVE", "observing: no two consistent scans yet")
    if not readings.status_is_known:
        return replace(state, reasons=("the actuator's status did not answer",)), None
    if readings.selector is Selector.LOCAL:
        return _rest(state, "LOCAL", "selector is not remote")
    if readings.jammed or readings.inhibited:
        return _rest(state, "FAULT", "actuator reports jammed" if readings.jammed else "actuator reports motion inhibited")
    if not readings.position.is_fresh:
        return replace(state, reasons=("position is not from this scan",)), None
    verdict = judge_interlocks(scan.settings.interlocks, state.interlocks, position_pct)
    if verdict.drive_pct is not None and state.locked_out in ("", STUCK):
        return _drive(scan, state, verdict.drive_pct, verdict.drive_name, position_pct, again)
    if state.locked_out:
        return _rest(state, "FAULT", f"locked out: {state.locked_out}")
    stopped = _stop_forbidden_motion(scan, state, verdict, position_pct)
    if stopped is not None:
        return stopped
    if again is not None:
        return _order(scan, state, again.to_pct, position_pct, "no travel seen: ordered once more", motion=again)
    if objective is None:
        return _rest(state, "HOLD", "no plan for this gate")
    state = replace(state, mode="AUTO")
    if isinstance(objective, PositionObjective):
        state = replace(state, wanted_pct=objective.opening_pct)
        return _approach(scan, state, verdict, position_pct, "position objective")
    if target is None:
        return _rest(state, "HOLD", "objective is not supported")
    return _hold_level(scan, state, target, verdict, position_pct)


def _rest(state: GateState, mode: str, reason: str) -> Step:
    """No command; the controller forgets its output, so that its return starts from the opening found then."""
    return replace(state, mode=mode, reasons=(reason,), wanted_pct=None, previous_error_m=None, controlled_at_s=None), None


def _drive(scan: _Scan, state: GateState, drive_pct: float, name: str, position_pct: float, again: Motion | None) -> Step:
    """An interlock's opening: no deadband, step or rest binds it. The owner's travel limits do; the plan's do not."""
    own = scan.settings.limits
    goal_pct = quantise(drive_pct, scan.settings.points.desired_position.scale, own.opening_min_pct, own.opening_max_pct)
    state = replace(state, mode="AUTO", wanted_pct=None, previous_error_m=None, controlled_at_s=None)
    reason = f"interlock {name} drives to {goal_pct:.1f} %"
    if again is not None and again.to_pct == goal_pct:
        return replace(state, reasons=(reason, "ordered once more")), MoveTo(scan.settings.id, goal_pct, reason)
    on_the_way = state.motion is not None and state.motion.to_pct == goal_pct
    if abs(position_pct - goal_pct) <= scan.settings.motion.tolerance_pct or on_the_way:
        return replace(state, reasons=(reason,)), None
    settled_s = state.settled_at_s
    # a stuck gate is still asked to open for the flood, now and then
    if state.locked_out and settled_s is not None and scan.now.monotonic_s - settled_s < scan.settings.motion.start_within_s:
        return replace(state, reasons=(reason, f"locked out: {state.locked_out}")), None
    motion = Motion(position_pct, goal_pct, scan.now.monotonic_s)
    return replace(state, motion=motion, reasons=(reason,)), MoveTo(scan.settings.id, goal_pct, reason)


def _stop_forbidden_motion(scan: _Scan, state: GateState, verdict: Verdict, position_pct: float) -> Step | None:
    """A move under way that an interlock has come to forbid ends where the gate is now."""
    motion = state.motion
    if motion is None or verdict.low_pct <= motion.to_pct <= verdict.high_pct:
        return None
    reason = f"interlock {', '.join(verdict.names)} ends the move"
    state = replace(state, wanted_pct=None, previous_error_m=None, controlled_at_s=None, mode="AUTO")
    own = scan.settings.limits
    goal_pct = quantise(position_pct, scan.settings.points.desired_position.scale, own.opening_min_pct, own.opening_max_pct)
    if goal_pct == motion.to_pct:
        return replace(state, reasons=(reason,)), None
    motion = Motion(position_pct, goal_pct, scan.now.monotonic_s)
    return replace(state, motion=motion, reasons=(reason,)), MoveTo(scan.settings.id, goal_pct, reason)


def _hold_level(scan: _Scan, state: GateState, target: LevelTarget, verdict: Verdict, position_pct: float) -> Step:
    level = scan.readings.levels.get(target.point)
    filtered_m = state.filtered_level_m
    if level is None or level.quality is Quality.BAD or filtered_m is None:
        return _without_level(scan, state, target, verdict, position_pct)
    now_s = scan.now.monotonic_s
    error_m = target.sign * (filtered_m - target.level_m)
    wanted_before_pct, controlled_at_s = state.wanted_pct, state.controlled_at_s
    if wanted_before_pct is None or controlled_at_s is None:
        wanted_pct = clamp(position_pct, scan.limits.opening_min_pct, scan.limits.opening_max_pct)
        state = replace(state, wanted_pct=wanted_pct, previous_error_m=error_m, controlled_at_s=now_s)
        return _approach(scan, state, verdict, position_pct, "took over from the present opening")
    elapsed_s = now_s - controlled_at_s
    if elapsed_s < scan.control_period_s - 1e-3:
        return _approach(scan, state, verdict, position_pct, "between control periods")
    control = scan.settings.control
    elapsed_s = min(elapsed_s, 2.0 * scan.control_period_s)
    increment_pct = pi_increment(error_m, state.previous_error_m, elapsed_s, control.kp_pct_per_m, control.ti_s)
    wanted_pct = wanted_before_pct + increment_pct
    state = replace(state, wanted_pct=wanted_pct, previous_error_m=error_m, controlled_at_s=now_s)
    return _approach(scan, state, verdict, position_pct, f"level off by {target.sign * error_m:+.3f} m")


def _without_level(scan: _Scan, state: GateState, target: LevelTarget, verdict: Verdict, position_pct: float) -> Step:
    """Feedback is frozen: the gate holds; after the configured time its fallback."""
    fallback = scan.settings.fallback
    bad_s = scan.now.monotonic_s - (state.level_bad_since_s if state.level_bad_since_s is not None else scan.now.monotonic_s)
    if fallback.opening_pct is not None and bad_s >= fallback.after_s:
        state = replace(state, wanted_pct=fallback.opening_pct)
        return _approach(scan, state, verdict, position_pct, f"{target.point} bad for {bad_s:.0f} s: fallback position")
    return replace(state, reasons=(f"{target.point} is bad: opening held",), controlled_at_s=None), None


def _approach(scan: _Scan, state: GateState, verdict: Verdict, position_pct: float, reason: str) -> Step:
    """From what is wanted to at most one command: limits, step, deadband, rest. What cannot be had is not wanted on (anti-windup)."""
    limits, own = scan.limits, scan.settings.limits
    wanted_pct = clamp(state.wanted_pct if state.wanted_pct is not None else position_pct, verdict.low_pct, verdict.high_pct)
    reach_pct = own.max_step_pct + own.deadband_pct
    wanted_pct = clamp(wanted_pct, position_pct - reach_pct, position_pct + reach_pct)
    wanted_pct = clamp(wanted_pct, limits.opening_min_pct, limits.opening_max_pct)
    # a gate found outside its limits may only move inward, however far that is
    goal_pct = clamp(wanted_pct, position_pct - own.max_step_pct, position_pct + own.max_step_pct)
    state = replace(state, wanted_pct=wanted_pct, mode="AUTO")
    if state.motion is not None or scan.readings.moving:
        return replace(state, reasons=(reason, "the gate is moving")), None
    if abs(goal_pct - position_pct) < own.deadband_pct:
        return replace(state, reasons=(reason, "within the deadband")), None
    if state.settled_at_s is not None and scan.now.monotonic_s - state.settled_at_s < own.rest_s:
        return replace(state, reasons=(reason, "resting after the last move")), None
    if not verdict.low_pct <= goal_pct <= verdict.high_pct:
        return replace(state, reasons=(reason, f"forbidden by interlock {', '.join(verdict.names)}")), None
    return _order(scan, state, goal_pct, position_pct, reason)


def _order(scan: _Scan, state: GateState, goal_pct: float, position_pct: float, reason: str, *, motion: Motion | None = None) -> Step:
    limits = scan.limits
    scale = scan.settings.points.desired_position.scale
    goal_pct = quantise(goal_pct, scale, limits.opening_min_pct, limits.opening_max_pct)
    moved = replace(motion, to_pct=goal_pct) if motion is not None else Motion(position_pct, goal_pct, scan.now.monotonic_s)
    return replace(state, motion=moved, mode="AUTO", reasons=(reason,)), MoveTo(scan.settings.id, goal_pct, reason)


def _is_stale(scan: _Scan, name: str, reading: Reading) -> bool:
    """Bad for long enough; a point that is asked for the first time is not alarming yet."""
    point: SensorPoint | None = getattr(scan.settings.points, name, None)
    return reading.quality is Quality.BAD and point is not None and reading.age_s > point.stale_after_s


def _alarms(scan: _Scan, state: GateState, target: LevelTarget | None) -> frozenset[str]:
    readings = scan.readings
    alarms = {
        f"{name}_stale" for name, reading in {"position": readings.position, **readings.levels}.items() if _is_stale(scan, name, reading)
    }
    alarms |= {f"interlock_{name}" for name, interlock in state.interlocks.items() if interlock.tripped}
    if state.locked_out:
        alarms.add(state.locked_out)
    if readings.jammed:
        alarms.add("jammed")
    if state.write_error:
        alarms.add("command_failed")
    level = readings.levels.get(target.point) if target is not None else None
    if level is not None and level.value is not None and level.quality is not Quality.BAD:
        margin_m = ALARM_RETURN_SHARE * (scan.limits.level_max_m - scan.limits.level_min_m)
        high_m = scan.limits.level_max_m - (margin_m if "level_high" in state.alarms else 0.0)
        low_m = scan.limits.level_min_m + (margin_m if "level_low" in state.alarms else 0.0)
        alarms |= {"level_high"} if level.value > high_m else set()
        alarms |= {"level_low"} if level.value < low_m else set()
    return frozenset(alarms)
