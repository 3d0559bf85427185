"""How fast a pool may fall: the drawdown limit, from the pool's own level history. Pure.

A lined canal whose water falls too fast is lifted off its bed by the ground water behind the lining; 0.15 m in an hour and
0.30 m in a day are widely used. The figures are the owner's (`Drawdown` of `site.yaml`). Give it a filtered level: each
peak of a noisy one counts as water that was there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from edge_agent.gate_control.model.gates import Drawdown

HOUR_S = 3_600.0
DAY_S = 86_400.0
_HOUR_STEP_S = 60.0
_DAY_STEP_S = 900.0


@dataclass(frozen=True)
class Peak:
    """Highest level of a stretch of time that began at `since_s`."""

    since_s: float
    level_m: float


@dataclass(frozen=True)
class LevelHistory:
    """Peaks of the last hour, by the minute, and of the last day, by the quarter of an hour: at most 158 in all."""

    hour: tuple[Peak, ...] = ()
    day: tuple[Peak, ...] = ()


@dataclass(frozen=True)
class DrawdownVerdict:
    """How far the pool may still fall."""

    room_m: float | None = None
    """Until the limit is reached, negative when it is passed; None: no limit, or no level yet."""
    is_limited: bool = False
    """Nothing that lowers the pool is allowed now."""
    reason: str = ""


def record_level(history: LevelHistory, level_m: float, sampled_at_s: float) -> LevelHistory:
    """The history with one more level; what is no number, and a time before the last one, is left out."""
    if not math.isfinite(level_m) or (history.hour and sampled_at_s < history.hour[-1].since_s):
        return history
    return LevelHistory(
        _record(history.hour, level_m, sampled_at_s, _HOUR_STEP_S, HOUR_S), _record(history.day, level_m, sampled_at_s, _DAY_STEP_S, DAY_S)
    )


def judge_drawdown(limits: Drawdown, history: LevelHistory, level_m: float | None, now_s: float) -> DrawdownVerdict:
    """Room between the level and the lowest one that both limits allow now.

    Rule: the level may lie below the peak of the last hour by `per_hour_m`, and below that of the last day by
    `per_day_m`. Windows are whole stretches, so that a peak counts up to a minute (a quarter of an hour) too long,
    never too short. Without a level there is no verdict: what a bad sensor means is said by the gate's fallback.
    """
    if level_m is None or not math.isfinite(level_m):
        return DrawdownVerdict()
    rooms = [
        (limit_m - (peak_m - level_m), f"fell {peak_m - level_m:.3f} m in {what}, {limit_m:g} m are allowed")
        for limit_m, peak_m, what in (
            (limits.per_hour_m, _peak_m(history.hour, level_m, now_s, HOUR_S + _HOUR_STEP_S), "an hour"),
            (limits.per_day_m, _peak_m(history.day, level_m, now_s, DAY_S + _DAY_STEP_S), "a day"),
        )
        if limit_m is not None
    ]
    if not rooms:
        return DrawdownVerdict()
    room_m, reason = min(rooms)
    return DrawdownVerdict(room_m, room_m <= 0.0, reason if room_m <= 0.0 else "")


def lowering_direction(end: Literal["inlet", "outlet"]) -> int:
    """The direction that a limited pool forbids to a gate: +1 (opening) at its outlet, -1 (closing) at its inlet."""
    return 1 if end == "outlet" else -1


def move_to_boot(history: LevelHistory, saved_at_s: float, elapsed_s: float | None, now_s: float) -> LevelHistory:
    """The history on the clock of a new boot; with `elapsed_s` None as if no time had passed, which can only forbid too much."""
    shift_s = now_s - saved_at_s - max(0.0, elapsed_s or 0.0)
    return LevelHistory(_shifted(history.hour, shift_s), _shifted(history.day, shift_s))


def _record(peaks: tuple[Peak, ...], level_m: float, at_s: float, step_s: float, window_s: float) -> tuple[Peak, ...]:
    last = peaks[-1] if peaks else None
    if last is not None and at_s - last.since_s < step_s:
        return (*peaks[:-1], Peak(last.since_s, max(last.level_m, level_m)))
    kept = tuple(peak for peak in peaks if at_s - peak.since_s < window_s + step_s)
    return (*kept, Peak(at_s, level_m))


def _peak_m(peaks: tuple[Peak, ...], level_m: float, now_s: float, window_s: float) -> float:
    return max((peak.level_m for peak in peaks if now_s - peak.since_s < window_s and peak.level_m > level_m), default=level_m)


def _shifted(peaks: tuple[Peak, ...], shift_s: float) -> tuple[Peak, ...]:
    return tuple(Peak(peak.since_s + shift_s, peak.level_m) for peak in peaks)
