"""Full-jitter backoff as a pure function. The caller passes the random number and does the waiting."""

from __future__ import annotations


def full_jitter_s(attempt: int, unit: float, *, base_s: float = 1.0, cap_s: float = 60.0) -> float:
    """Delay before try number `attempt` (0 is the first retry), in seconds.

    Rule: `unit * min(cap_s, base_s * 2**attempt)` with `unit` uniform in [0, 1] ("full jitter"); spreads a herd evenly.

    Raises:
        ValueError: `attempt` is negative or `unit` lies outside [0, 1].
    """
    if attempt < 0:
        raise ValueError(f"attempt must not be negative, got {attempt}")
    if not 0.0 <= unit <= 1.0:
        raise ValueError(f"unit must lie in [0, 1], got {unit}")
    # 2**attempt overflows a float near 1024: the cap is reached long before
    return unit * min(cap_s, base_s * 2.0 ** min(attempt, 64))
