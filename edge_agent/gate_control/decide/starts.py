"""What spares the motor: starts per hour, minimum run, rest, and the pause before a reversal. Pure.

EN ISO 22153:2021 class B (inching) allows 120, 60 or 30 starts per hour by torque, at most 25 % running. Directions: +1
opens (more flow), -1 closes. Times are seconds since boot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.gate_control.model.gates import Limits
from edge_agent.gate_control.model.replacing import replace

WINDOW_S = 3_600.0
"""The budget counts the starts of the last hour, at every moment; it is not refilled on the hour."""


@dataclass(frozen=True)
class StartHistory:
    """Starts of one gate's motor, whoever ordered them."""

    starts_s: tuple[float, ...] = ()
    """Those of the last hour, oldest first."""
    direction: int = 0
    """Of the run in hand or the last one; 0: none yet."""
    is_running: bool = False
    ended_at_s: float | None = None
    """End of the last run."""
    opening_starts: int = 0
    """Since the history began; for maintenance."""
    closing_starts: int = 0


@dataclass(frozen=True)
class Allowed:
    """Whether the motor may start now, and if not, why and when."""

    ok: bool
    reason: str = ""
    limit: Literal["", "reversal", "minimum_run", "rest", "budget"] = ""
    """Which of them forbids; for programs."""
    wait_s: float | None = 0.0
    """Until it may, all else equal; None: waiting alone does not help."""


YES = Allowed(True)


def may_start(
    limits: Limits,
    history: StartHistory,
    direction: int,
    travel_pct: float,
    stroke_time_s: float,
    now_s: float,
    *,
    starts_per_hour: int | None = None,
) -> Allowed:
    """Whether the controller may start the motor; protection and people are bound by `may_reverse` alone.

    Rule: a run in hand in this direction is no new start. Else the first of these that forbids: the pause before a
    reversal, a run below the minimum, the rest, the budget. Starts that protection made fill the budget too, since
    they warm the motor, but protection is never refused.

    Args:
        limits: the gate's own.
        history: of this gate's motor.
        direction: +1 opens, -1 closes.
        travel_pct: wanted travel; the sign does not matter.
        stroke_time_s: from closed to open.
        now_s: seconds since boot.
        starts_per_hour: a plan's narrower budget; it never widens the gate's own.
    """
    if history.is_running and history.direction == direction:
        return YES
    reversal = may_reverse(limits, history, direction, now_s)
    if not reversal.ok:
        return reversal
    run_s = abs(travel_pct) / 100.0 * stroke_time_s
    if run_s < limits.min_run_s:
        return Allowed(False, f"a run of {run_s:.1f} s is below the minimum of {limits.min_run_s:g} s", "minimum_run", None)
    rest_s = limits.rest_s - _ago_s(history.ended_at_s, now_s)
    if rest_s > 0.0:
        return Allowed(False, f"the motor rests for {rest_s:.0f} s more", "rest", rest_s)
    return _within_budget(history, min(limits.starts_per_hour, starts_per_hour or limits.starts_per_hour), now_s)


def may_reverse(limits: Limits, history: StartHistory, direction: int, now_s: float) -> Allowed:
    """Whether the gear may be driven in this direction yet. Binds everybody, and lasts seconds."""
    if history.direction in (0, direction):
        return YES
    if history.is_running:
        return Allowed(False, "runs the other way: it must stop first", "reversal", limits.reversal_pause_s)
    pause_s = limits.reversal_pause_s - _ago_s(history.ended_at_s, now_s)
    if pause_s > 0.0:
        return Allowed(False, f"{pause_s:.1f} s more before the direction is reversed", "reversal", pause_s)
    return YES


def record_start(history: StartHistory, direction: int, now_s: float) -> StartHistory:
    """The motor was started. A start in the direction it already runs in is none; against it, it is one."""
    if history.is_running and history.direction == direction:
        return history
    return replace(
        history,
        starts_s=(*_in_window(history, now_s), now_s),
        direction=direction,
        is_running=True,
        opening_starts=history.opening_starts + (direction > 0),
        closing_starts=history.closing_starts + (direction < 0),
    )


def record_stop(history: StartHistory, now_s: float) -> StartHistory:
    """The motor was seen or told to stand still; standing still already changes nothing."""
    return replace(history, is_running=False, ended_at_s=now_s) if history.is_running else history


def withdraw_start(history: StartHistory, now_s: float) -> StartHistory:
    """The start in hand never reached the motor: no device took the command. It counts as a stop, and spends no budget."""
    if not history.is_running or not history.starts_s:
        return record_stop(history, now_s)
    return replace(
        record_stop(history, now_s),
        starts_s=history.starts_s[:-1],
        opening_starts=history.opening_starts - (history.direction > 0),
        closing_starts=history.closing_starts - (history.direction < 0),
    )


def starts_last_hour(history: StartHistory, now_s: float) -> int:
    """For status and alarms."""
    return len(_in_window(history, now_s))


def move_to_boot(history: StartHistory, saved_at_s: float, elapsed_s: float | None, now_s: float) -> StartHistory:
    """The history on the clock of a new boot.

    Args:
        history: as it was saved.
        saved_at_s: seconds since the boot of then.
        elapsed_s: between saving and now; None when no clock can tell: then as if no time had passed, which can only
            refuse too much.
        now_s: seconds since this boot.
    """
    shift_s = now_s - saved_at_s - max(0.0, elapsed_s or 0.0)
    ended_at_s = saved_at_s if history.is_running else history.ended_at_s
    return replace(
        history,
        starts_s=tuple(at_s + shift_s for at_s in history.starts_s),
        is_running=False,
        ended_at_s=None if ended_at_s is None else ended_at_s + shift_s,
    )


def _within_budget(history: StartHistory, starts_per_hour: int, now_s: float) -> Allowed:
    recent_s = _in_window(history, now_s)
    if len(recent_s) < starts_per_hour:
        return YES
    # the start that must leave the window before another one fits in
    wait_s = WINDOW_S - _ago_s(recent_s[len(recent_s) - starts_per_hour], now_s)
    return Allowed(False, f"{len(recent_s)} starts in the last hour, {starts_per_hour} are allowed", "budget", wait_s)


def _in_window(history: StartHistory, now_s: float) -> tuple[float, ...]:
    return tuple(at_s for at_s in history.starts_s if _ago_s(at_s, now_s) < WINDOW_S)


def _ago_s(at_s: float | None, now_s: float) -> float:
    """Age; a time that lies ahead (a clock that was set back) counts as just now, so that doubt waits."""
    return float("inf") if at_s is None else max(0.0, now_s - at_s)
