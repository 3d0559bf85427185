"""Frozen level sensors. Pure.

A level that stands still proves nothing in a pool that is at rest. It does when the flows around the pool have changed since the
level last moved: by `A dh/dt = Qin(t - tau) - Qout` (integrator-delay model, Schuurmans) it should have moved by a known amount.
A sensor is called frozen when that amount, and also that amount with the level's own trend before it stood still, is at least
three of its resolutions. The larger area and the longer delay of the pool are used, which expects less and later.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.values import PointHistory, Stillness

RESOLUTIONS = 3.0
LEAST_SAMPLES = 3
MOVED_SHARE = 0.5
"""Of the resolution: a value that changed by this much is another value."""
LONGEST_STEP_S = 10.0
"""Between two scans; after a longer gap the watch begins anew."""
BINS = 8
"""In a pool's delay."""


@dataclass(frozen=True)
class PoolFlows:
    """Balance of the flows at a level's own end of its pool and at the other end, into the pool positive; None: not known."""

    near_m3s: float | None
    far_m3s: float | None


def watch_stillness(
    history: PointHistory, pool: Pool, flows: PoolFlows, resolution: float, now_s: float, *, is_fresh: bool
) -> tuple[Stillness | None, str]:
    """The watch after this scan, and why the sensor is frozen, or nothing."""
    if history.value is None:
        return None, ""
    still = history.stillness
    if still is None or not 0.0 <= now_s - still.updated_at_s <= LONGEST_STEP_S:
        return Stillness(history.value, history.sampled_at_s, updated_at_s=now_s), ""
    still = _pass_flows(still, pool, flows, now_s)
    if is_fresh and abs(history.value - still.value) >= MOVED_SHARE * resolution:
        return _moved(still, history.value, history.sampled_at_s), ""
    still = replace(still, samples=still.samples + is_fresh)
    return still, _verdict(still, resolution, now_s)


def _verdict(still: Stillness, resolution: float, now_s: float) -> str:
    least_m = RESOLUTIONS * resolution
    by_trend_m = still.trend_per_s * (now_s - still.since_s)
    if still.samples < LEAST_SAMPLES or abs(still.by_flow_m) < least_m or abs(still.by_flow_m + by_trend_m) < least_m:
        return ""
    return f"frozen: the same value for {now_s - still.since_s:.0f} s while the flows should have changed it by {still.by_flow_m:+.3g}"


def _moved(still: Stillness, value: float, sampled_at_s: float) -> Stillness:
    lasted_s = sampled_at_s - still.since_s
    trend_per_s = (value - still.value) / lasted_s if lasted_s > 0.0 else 0.0
    return replace(still, value=value, since_s=sampled_at_s, trend_per_s=trend_per_s, samples=0, by_flow_m=0.0, base_m3s=None)


def _pass_flows(still: Stillness, pool: Pool, flows: PoolFlows, now_s: float) -> Stillness:
    """Add what the flows of this scan make expected. Where a flow is not known nothing is expected, and the balance is taken anew."""
    step_s = now_s - still.updated_at_s
    if flows.near_m3s is None or flows.far_m3s is None:
        return replace(still, base_m3s=None, updated_at_s=now_s)
    still = _delayed(still, flows.far_m3s, max(pool.low.delay_s, pool.high.delay_s), now_s)
    balance_m3s = flows.near_m3s + (still.far_m3s[0] if still.far_m3s else flows.far_m3s)
    base_m3s = balance_m3s if still.base_m3s is None else still.base_m3s
    by_flow_m = still.by_flow_m + (balance_m3s - base_m3s) * step_s / max(pool.low.area_m2, pool.high.area_m2)
    return replace(still, base_m3s=base_m3s, by_flow_m=by_flow_m, updated_at_s=now_s)


def _delayed(still: Stillness, far_m3s: float, delay_s: float, now_s: float) -> Stillness:
    """Far flows as means over eighths of the delay; the oldest is what arrives now."""
    if delay_s <= 0.0:
        return replace(still, far_m3s=())
    if not still.bin_count:
        return replace(still, bin_began_s=now_s, bin_sum_m3s=far_m3s, bin_count=1, far_m3s=still.far_m3s or (far_m3s,))
    if now_s - still.bin_began_s < delay_s / BINS:
        return replace(still, bin_sum_m3s=still.bin_sum_m3s + far_m3s, bin_count=still.bin_count + 1)
    full = (*still.far_m3s, still.bin_sum_m3s / still.bin_count)
    return replace(still, far_m3s=full[-BINS - 1 :], bin_began_s=now_s, bin_sum_m3s=far_m3s, bin_count=1)
