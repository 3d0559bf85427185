"""Phase and gain margin of a whole level loop, the age of data that it bears, and gains for a chosen margin. Pure.

The loop (integrator-delay pool of Schuurmans; Litrico and Fromion 2004), with s the Laplace variable:

    L(s) = kp (1 + 1 / (ti s)) * 1 / (1 + filter s) * hold(s) * exp(-(delay + period + age) s) / (area s)

`hold` keeps an output for one control period, which costs half a period of delay. One more period is counted for reading,
deciding and the motion of the gate. With both, the gains of Litrico's script (kp 0.471 A/tau, ti 6.03 tau) behind a filter of
sqrt(2 A R / w_r) keep about 2 degrees on the short pools of ASCE canal 2: they were made for a loop with the delay alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edge_agent.gate_control.model.pools import LevelLoop, Pool, PoolDynamics

AGE_MARGIN_DEG = 30.0
"""What a loop must keep with the oldest data that it uses."""
GAIN_MARGIN_DB = 6.0
"""Schuurmans: a loop gain of 0.5 at most where the phase has turned, and at the pool's resonance."""
NO_GAIN_MARGIN_DB = -99.0
"""Said where no gain whatever is stable."""
_INTEGRAL_SHARE = 1.0 / 3.0
"""Of the phase that may be used up, for the integral; the rest for delay and filter (Litrico's script: 0.42)."""
_PERIODS_S = (10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_PERIODS_PER_DELAY = 5.0
_STEPS = 100


_PLAUSIBLE = {
    "delay_s": (0.0, 1e6),
    "area_m2": (0.1, 1e10),
    "resonance_period_s": (1.0, 1e6),
    "resonance_peak_s_per_m2": (1e-9, 1e6),
    "kp_m2_per_s": (1e-9, 1e9),
    "ti_s": (0.1, 1e9),
    "filter_s": (0.0, 1e6),
    "control_period_s": (0.01, 1e5),
}
"""Far beyond any canal; outside, the sums would lose their meaning."""


@dataclass(frozen=True)
class Margin:
    """How far a loop is from oscillating."""

    phase_margin_deg: float
    gain_margin_db: float
    crossover_rad_s: float


@dataclass(frozen=True)
class SafeRange:
    """Gains that keep a margin at low and at high flow, with the loop's own filter and period."""

    kp_low_m2_per_s: float
    kp_high_m2_per_s: float
    ti_s: float
    """For which the range of kp holds."""
    ti_low_s: float
    """Least ti with the highest kp."""


def implausible(pool: Pool, loop: LevelLoop | None = None) -> list[tuple[tuple[str, ...], float]]:
    """Figures of a pool or loop with which no margin can be worked out: key and value."""
    found = [(("low",), pool.low), (("high",), pool.high), ((), pool), ((), loop)]
    return [
        ((*where, key), value)
        for where, part in found
        for key, (low, high) in _PLAUSIBLE.items()
        if (value := getattr(part, key, None)) is not None and not low <= value <= high
    ]


def loop_margin(dynamics: PoolDynamics, loop: LevelLoop, pool: Pool, age_s: float = 0.0) -> Margin:
    """Margins of a loop at one flow; `age_s` is what the level's age adds to the pool's delay.

    The gain margin is the smaller of that of the integrator-delay model and that at the pool's resonance, where the level
    answers with the peak R (Clemmens, Tian, van Overloop, Litrico 2015).
    """
    circle = _Loop(loop.kp_m2_per_s, loop.ti_s, loop.filter_s, loop.control_period_s, dynamics.delay_s + age_s, dynamics.area_m2)
    crossover = circle.crossover()
    gain_db = circle.gain_margin_db()
    if pool.resonance_period_s is not None:
        gain_db = min(gain_db, -_db(circle.resonance_gain(2.0 * math.pi / pool.resonance_period_s, resonance_peak(pool))))
    return Margin(math.degrees(circle.phase(crossover)), gain_db, crossover)


def worst_margin(pool: Pool, loop: LevelLoop, *, is_local: bool, age_s: float = 0.0, lag_s: float = 0.0) -> Margin:
    """The worse of low and high flow, each figure by itself; the crossover is that of the smaller phase margin."""
    margins = [loop_margin(one, loop, pool, age_s) for one in loop_dynamics(pool, is_local=is_local, lag_s=lag_s)]
    worst = min(margins, key=lambda margin: margin.phase_margin_deg)
    return Margin(worst.phase_margin_deg, min(margin.gain_margin_db for margin in margins), worst.crossover_rad_s)


def loop_dynamics(pool: Pool, *, is_local: bool, lag_s: float = 0.0) -> tuple[PoolDynamics, PoolDynamics]:
    """Low and high flow as a loop meets them: with the sensor's constant lag.

    Where the level stands beside the gate that holds it, there is no delay of the pool.
    """
    if not is_local and lag_s == 0.0:
        return pool.low, pool.high
    low, high = (one.model_copy(update={"delay_s": (0.0 if is_local else one.delay_s) + lag_s}) for one in (pool.low, pool.high))
    return low, high


def max_age_s(dynamics: PoolDynamics, loop: LevelLoop, pool: Pool) -> float:
    """Oldest level that a loop may use at one flow: (phase margin - 30 degrees) / crossover; 0 where there is not that much."""
    margin = loop_margin(dynamics, loop, pool)
    return max(0.0, math.radians(margin.phase_margin_deg - AGE_MARGIN_DEG) / margin.crossover_rad_s)


def loop_max_age_s(pool: Pool, loop: LevelLoop, *, is_local: bool, lag_s: float = 0.0) -> float:
    """Oldest level that a loop may use at low and at high flow; 0 where its figures are none of a canal: it holds, others go on."""
    if implausible(pool, loop):
        return 0.0
    return min(max_age_s(one, loop, pool) for one in loop_dynamics(pool, is_local=is_local, lag_s=lag_s))


def resonance_peak(pool: Pool) -> float:
    """R in s/m2; where nobody gave it, delay/area at the flow where that is larger (for long flat pools within about 10 %)."""
    if pool.resonance_peak_s_per_m2 is not None:
        return pool.resonance_peak_s_per_m2
    return max(one.delay_s / one.area_m2 for one in (pool.low, pool.high))


def resonance_filter_s(pool: Pool) -> float:
    """Filter against the pool's waves, sqrt(A R / w_r) (Schuurmans; van Overloop); 0 without a resonance."""
    if pool.resonance_period_s is None:
        return 0.0
    area_m2 = max(pool.low.area_m2, pool.high.area_m2)
    return math.sqrt(area_m2 * resonance_peak(pool) * pool.resonance_period_s / (2.0 * math.pi))


def default_period_s(pool: Pool) -> float:
    """A control period of a fifth of the pool's delay, from 10 s to 300 s, as a round figure."""
    wanted_s = min(pool.low.delay_s, pool.high.delay_s) / _PERIODS_PER_DELAY
    return max((period_s for period_s in _PERIODS_S if period_s <= wanted_s), default=_PERIODS_S[0])


def tune_loop(
    pool: Pool,
    margin_deg: float,
    *,
    is_local: bool = False,
    control_period_s: float | None = None,
    filter_s: float | None = None,
    lag_s: float = 0.0,
) -> LevelLoop:
    """Gains, filter and period with which a loop keeps `margin_deg` and 6 dB at low and at high flow.

    Rule: the filter takes the resonance down, and is no shorter than the control period, against noise between decisions.
    Of the phase that the margin leaves, two thirds go to delay, hold and filter, which gives the crossover and kp at each
    flow; the smaller kp counts. Then ti is the least that keeps the margin.

    Raises:
        ValueError: the margin is not between 20 and 80 degrees, or the pool is none that can be.
    """
    if not 20.0 <= margin_deg <= 80.0:
        raise ValueError(f"a margin of {margin_deg:g} degrees is not between 20 and 80")
    strange = implausible(pool)
    if strange:
        raise ValueError(f"pool {pool.id}: {'.'.join(strange[0][0])} {strange[0][1]:g} is no figure of a canal")
    period_s = default_period_s(pool) if control_period_s is None else control_period_s
    smooth_s = max(resonance_filter_s(pool), period_s) if filter_s is None else filter_s
    both = loop_dynamics(pool, is_local=is_local, lag_s=lag_s)
    budget = math.radians(90.0 - margin_deg)
    kp = min(_kp_within(budget, _Loop(1.0, math.inf, smooth_s, period_s, one.delay_s, one.area_m2)) for one in both)
    for _ in range(_STEPS):
        ti_s = _least_ti_s(both, kp, smooth_s, period_s, math.radians(margin_deg))
        loop = LevelLoop(kp_m2_per_s=_rounded(kp, down=True), ti_s=_rounded(ti_s), filter_s=round(smooth_s, 1), control_period_s=period_s)
        margin = worst_margin(pool, loop, is_local=is_local, lag_s=lag_s)
        if margin.gain_margin_db >= GAIN_MARGIN_DB and margin.phase_margin_deg >= margin_deg:
            return loop
        kp *= 0.95
    raise ValueError(f"pool {pool.id}: no gains keep {margin_deg:g} degrees and {GAIN_MARGIN_DB:g} dB")


def safe_range(pool: Pool, loop: LevelLoop, margin_deg: float, *, is_local: bool, lag_s: float = 0.0) -> SafeRange:
    """What kp and ti may be with the loop's own filter and period, from the gains that `tune_loop` gives with these.

    Raises:
        ValueError: see `tune_loop`.
    """
    period_s, filter_s = loop.control_period_s, loop.filter_s
    tuned = tune_loop(pool, margin_deg, is_local=is_local, control_period_s=period_s, filter_s=filter_s, lag_s=lag_s)
    margin, both = math.radians(margin_deg), loop_dynamics(pool, is_local=is_local, lag_s=lag_s)
    # half as long again as the least ti, so that a range is left to choose kp from
    ti_s = _rounded(1.5 * tuned.ti_s)
    circles = [_Loop(1.0, ti_s, loop.filter_s, loop.control_period_s, one.delay_s, one.area_m2) for one in both]
    low = max(circle.least_kp(margin) for circle in circles)
    return SafeRange(_rounded(low), tuned.kp_m2_per_s, ti_s, tuned.ti_s)


@dataclass(frozen=True)
class _Loop:
    """The open loop at one flow, on the imaginary axis."""

    kp: float
    ti_s: float
    filter_s: float
    period_s: float
    delay_s: float
    area_m2: float

    @property
    def whole_delay_s(self) -> float:
        return self.delay_s + 1.5 * self.period_s

    def controller_gain(self, w: float) -> float:
        """Of PI, filter and hold."""
        half = 0.5 * w * self.period_s
        hold = abs(math.sin(half)) / half if half > 0.0 else 1.0
        return self.kp * math.hypot(1.0, 1.0 / (w * self.ti_s)) / math.hypot(1.0, w * self.filter_s) * hold

    def gain(self, w: float) -> float:
        return self.controller_gain(w) / (self.area_m2 * w)

    def phase(self, w: float) -> float:
        """Above -180 degrees, in rad."""
        return math.pi / 2 - math.atan(1.0 / (w * self.ti_s)) - math.atan(w * self.filter_s) - w * self.whole_delay_s

    def crossover(self) -> float:
        """Where the gain is 1. It falls all the way to the zero of the hold, so there is one."""
        return _falling_root(lambda w: self.gain(w) - 1.0, 1e-12, 2.0 * math.pi / self.period_s)

    def steepest(self) -> float:
        """Where the phase stands highest; it has one top, for its slope falls through zero once."""

        def slope(w: float) -> float:
            return self.ti_s / (1.0 + (w * self.ti_s) ** 2) - self.filter_s / (1.0 + (w * self.filter_s) ** 2) - self.whole_delay_s

        if math.isinf(self.ti_s) or slope(1e-12) <= 0.0:
            return 1e-12
        return _falling_root(slope, 1e-12, 1.0 / self.ti_s + math.sqrt(1.0 / (self.ti_s * self.whole_delay_s)))

    def gain_margin_db(self) -> float:
        top = self.steepest()
        if self.phase(top) <= 0.0:
            return NO_GAIN_MARGIN_DB
        return -_db(self.gain(_falling_root(self.phase, top, math.pi / self.whole_delay_s)))

    def resonance_gain(self, w: float, peak: float) -> float:
        return self.controller_gain(w) * peak

    def least_kp(self, margin: float) -> float:
        """Smaller ones have less phase than `margin` (rad): the integral gets the upper hand. Infinite where none has it."""
        top = self.steepest()
        if self.phase(top) < margin:
            return math.inf
        return self.kp / self.gain(_falling_root(lambda w: margin - self.phase(w), 1e-12, top))


def _kp_within(budget: float, circle: _Loop) -> float:
    """Of the crossover where delay, hold and filter have used up their share of the phase."""
    share = (1.0 - _INTEGRAL_SHARE) * budget

    def left(w: float) -> float:
        return share - math.atan(w * circle.filter_s) - w * circle.whole_delay_s

    return circle.kp / circle.gain(_falling_root(left, 1e-12, share / circle.whole_delay_s))


def _least_ti_s(both: tuple[PoolDynamics, PoolDynamics], kp: float, filter_s: float, period_s: float, margin: float) -> float:
    """Least ti that keeps the margin at both flows; a longer one lifts the phase and lowers the crossover, so it always helps."""

    def short_of(ti_s: float) -> float:
        circles = [_Loop(kp, ti_s, filter_s, period_s, one.delay_s, one.area_m2) for one in both]
        return margin - min(circle.phase(circle.crossover()) for circle in circles)

    return _falling_root(short_of, 1e-3, 1e9)


def _falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function passes zero, between two positive ends; an end where it does not."""
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        if not low < middle < high:
            break
        if function(middle) > 0.0:
            low = middle
        else:
            high = middle
    return high


def _rounded(value: float, *, down: bool = False) -> float:
    """To three figures, up (or down): on the safe side."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{(math.floor(value / unit) if down else math.ceil(value / unit)) * unit:.6g}")


def _db(gain: float) -> float:
    return 20.0 * math.log10(gain) if gain > 0.0 else NO_GAIN_MARGIN_DB
