"""Frozen level sensors. Pure.

A level that stands still proves nothing in a pool that is at rest, or where a gate just made up for what somebody took. It does
when the flows around the pool have changed since the level last moved, by more than anything unmeasured can explain. By
`A dh/dt = Qin(t - tau) - Qout` (integrator-delay model, Schuurmans) the level must then have moved; what counts is only what is certain:

- the flow from the other end arrives after half to one and a half times the pool's delay: the least change of all of them counts;
- of the balance, a twentieth of the pool's flow may be an offtake that nobody measures;
- the larger area of the pool's two; and the level may have been on its way to a halt: a slope before the standstill
  that the flows have since made up for counts against it.

A sensor is frozen when after all that at least three of its resolutions are left: within minutes of a large move. Or when unmeasured
flows must have turned with the gates `TURNS` times while it stood still (see `turns`): within an hour or two of small ones. Where
flows do not change, or only together with the level, nothing tells a frozen sensor from a pool at rest. Tried on both ASCE canals with
gates that move at random and gates that hold levels, and unannounced demand changes: see tests/unit/gate/test_frozen.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import PointHistory, Stillness, Turns
from edge_agent.gate_control.validate.turns import DOOR_RESOLUTIONS, follow

RESOLUTIONS = 3.0
LEAST_SAMPLES = 3
MOVED_SHARE = 0.5
"""Of the resolution: a value that changed by this much is another value."""
LONGEST_STEP_S = 10.0
"""Between two scans; after a longer gap the watch begins anew."""
BINS_A_DELAY = 8
BINS_KEPT = 13
"""One and a half delays, and the bin that is being filled."""
BINS_UNCERTAIN = 10
"""Of them the oldest: from half a delay to one and a half ago, however full the bin in hand is."""
UNMEASURED_SHARE = 0.05
TURNS = 2
LONGEST_SILENCE_S = 60.0
"""Between two samples; what a level did in a longer one nobody knows, and its standstill begins anew."""
LEAST_SLOPE_WINDOW_S = 60.0
SLOPE_WINDOWS_A_DELAY = 4


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
        here = (history.sampled_at_s, history.value)
        begun = Stillness(history.value, history.sampled_at_s, anchor=here, next_anchor=here, updated_at_s=now_s)
        return replace(begun, sampled_at_s=history.sampled_at_s), ""
    if history.value >= pool.bank_m - RESOLUTIONS * resolution:
        # what runs over the bank makes up for any flow, and nobody measures it: nothing is expected of a full pool
        flows = PoolFlows(None, None)
    before = still
    still = _pass_flows(still, pool, flows, now_s)
    still = replace(still, turns=_followed(before, still, pool, flows, resolution, now_s))
    if is_fresh:
        still = _anchored(still, pool, history.value, history.sampled_at_s)
        is_gap = history.sampled_at_s - still.sampled_at_s > LONGEST_SILENCE_S
        if is_gap or abs(history.value - still.value) >= MOVED_SHARE * resolution:
            return _moved(still, resolution, history.value, history.sampled_at_s), ""
        still = replace(still, samples=still.samples + 1, sampled_at_s=history.sampled_at_s)
        still = replace(still, found=_verdict(still, resolution, now_s) or _turned(still, now_s))
    # where nothing came a sensor may be silent, which is not frozen: it stays what its last sample made it
    return still, still.found


def _followed(before: Stillness, still: Stillness, pool: Pool, flows: PoolFlows, resolution: float, now_s: float) -> Turns:
    """Turns with the flows of this scan. Nothing is known while one of them is not, or not for one and a half delays yet."""
    delay_s = _delay_s(pool)
    if flows.near_m3s is None or flows.far_m3s is None or (delay_s > 0.0 and len(still.far_m3s) < BINS_KEPT):
        return Turns()
    room_m3 = DOOR_RESOLUTIONS * resolution * max(pool.low.area_m2, pool.high.area_m2)
    if delay_s <= 0.0:
        return follow(still.turns, flows.near_m3s + flows.far_m3s, (), None, 0.0, room_m3, now_s)
    is_dropped = still.bin_began_s != before.bin_began_s and len(before.far_m3s) == BINS_KEPT
    bin_s = now_s - before.bin_began_s if is_dropped else delay_s / BINS_A_DELAY
    dropped_m3s = before.far_m3s[0] if is_dropped else None
    return follow(still.turns, flows.near_m3s, still.far_m3s, dropped_m3s, bin_s, room_m3, now_s)


def _turned(still: Stillness, now_s: float) -> str:
    """A turn counts once a sample of after it shows the same value."""
    count = sum(at_s < still.sampled_at_s for at_s in still.turns.turned_s)
    if count < TURNS:
        return ""
    return f"frozen: the same value for {now_s - still.since_s:.0f} s, though the flows around it turned {count} times beyond what it bears"


def _verdict(still: Stillness, resolution: float, now_s: float) -> str:
    against_per_s = max(0.0, -still.slope_per_s if still.by_flow_m > 0.0 else still.slope_per_s) + still.slope_error_per_s
    certain_m = abs(still.by_flow_m) - against_per_s * (now_s - still.since_s)
    if still.samples < LEAST_SAMPLES or certain_m < RESOLUTIONS * resolution:
        return ""
    return f"frozen: the same value for {now_s - still.since_s:.0f} s while the flows should have changed it by {still.by_flow_m:+.3g}"


def _moved(still: Stillness, resolution: float, value: float, sampled_at_s: float) -> Stillness:
    """It lives: from here on a new standstill may begin."""
    window_s = max(1.0, sampled_at_s - still.anchor[0])
    return replace(
        still,
        value=value,
        since_s=sampled_at_s,
        samples=0,
        by_flow_m=0.0,
        base_low_m3s=None,
        base_high_m3s=None,
        turns=Turns(),
        sampled_at_s=sampled_at_s,
        found="",
        slope_per_s=(value - still.anchor[1]) / window_s,
        slope_error_per_s=resolution / window_s,
    )


def _anchored(still: Stillness, pool: Pool, value: float, sampled_at_s: float) -> Stillness:
    """Keep one value that is at least a window old, and at most two."""
    window_s = max(LEAST_SLOPE_WINDOW_S, _delay_s(pool) / SLOPE_WINDOWS_A_DELAY)
    if sampled_at_s - still.next_anchor[0] < window_s:
        return still
    return replace(still, anchor=still.next_anchor, next_anchor=(sampled_at_s, value))


def _pass_flows(still: Stillness, pool: Pool, flows: PoolFlows, now_s: float) -> Stillness:
    """Add what the flows of this scan make certain. Where a flow is not known nothing is expected, and the balance is taken anew."""
    step_s = now_s - still.updated_at_s
    if flows.near_m3s is None or flows.far_m3s is None:
        return replace(still, base_low_m3s=None, base_high_m3s=None, updated_at_s=now_s)
    still = _delayed(still, flows.far_m3s, _delay_s(pool), now_s)
    arriving = still.far_m3s[:BINS_UNCERTAIN] or (flows.far_m3s,)
    low_m3s, high_m3s = flows.near_m3s + min(arriving), flows.near_m3s + max(arriving)
    if still.base_low_m3s is None or still.base_high_m3s is None:
        return replace(still, base_low_m3s=low_m3s, base_high_m3s=high_m3s, updated_at_s=now_s)
    unmeasured_m3s = UNMEASURED_SHARE * max(pool.low.flow_m3s, pool.high.flow_m3s)
    more_m3s = max(0.0, low_m3s - still.base_high_m3s - unmeasured_m3s)
    less_m3s = max(0.0, still.base_low_m3s - high_m3s - unmeasured_m3s)
    by_flow_m = still.by_flow_m + (more_m3s - less_m3s) * step_s / max(pool.low.area_m2, pool.high.area_m2)
    return replace(still, by_flow_m=by_flow_m, updated_at_s=now_s)


def _delayed(still: Stillness, far_m3s: float, delay_s: float, now_s: float) -> Stillness:
    """Far flows as means over eighths of the delay."""
    if delay_s <= 0.0:
        return replace(still, far_m3s=())
    if not still.bin_count:
        return replace(still, bin_began_s=now_s, bin_sum_m3s=far_m3s, bin_count=1, far_m3s=still.far_m3s or (far_m3s,))
    if now_s - still.bin_began_s < delay_s / BINS_A_DELAY:
        return replace(still, bin_sum_m3s=still.bin_sum_m3s + far_m3s, bin_count=still.bin_count + 1)
    full = (*still.far_m3s, still.bin_sum_m3s / still.bin_count)
    return replace(still, far_m3s=full[-BINS_KEPT:], bin_began_s=now_s, bin_sum_m3s=far_m3s, bin_count=1)


def _delay_s(pool: Pool) -> float:
    return max(pool.low.delay_s, pool.high.delay_s)
