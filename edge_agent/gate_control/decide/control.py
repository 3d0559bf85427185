"""First-order filter and PI in velocity form. Pure."""

from __future__ import annotations

import math


def filter_level(previous_m: float | None, level_m: float, elapsed_s: float, filter_s: float) -> float:
    """First-order low-pass, exact for any elapsed time; the first value passes as it is."""
    if previous_m is None or filter_s <= 0.0:
        return level_m
    share = 1.0 - math.exp(-max(0.0, elapsed_s) / filter_s)
    return previous_m + share * (level_m - previous_m)


def pi_increment(error: float, previous_error: float | None, elapsed_s: float, kp: float, ti_s: float) -> float:
    """Change of the output: `kp * (error - previous_error) + kp * elapsed_s / ti_s * error`.

    With no previous error there is no proportional kick, which makes every take-over bumpless.
    """
    proportional = 0.0 if previous_error is None else error - previous_error
    return kp * (proportional + elapsed_s / ti_s * error)


def clamp(value: float, low: float, high: float) -> float:
    """`value` brought between `low` and `high`; what is no number becomes `low`; the ends win over the value."""
    if math.isnan(value):
        return low
    return max(low, min(high, value))


def quantise(value: float, step: float, low: float, high: float) -> float:
    """Nearest multiple of `step` that lies between `low` and `high`; where none does, the clamped value itself."""
    step = abs(step)
    if step < 1e-6 or not math.isfinite(step):
        return clamp(value, low, high)
    count = round(clamp(value, low, high) / step)
    for candidate in (count, count - 1, count + 1):
        rounded = round(candidate * step, 6)
        if low <= rounded <= high:
            return rounded
    return clamp(value, low, high)
