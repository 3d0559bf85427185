"""A small canal and the `gate.toml` that fits it: for the demo, for tests, and to try things out."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edge_agent.gate_control.simulation import site as registers
from edge_agent.gate_control.simulation.canal import GateSpec, IntegratorDelayCanal, PoolSpec

AREA_M2 = 4_000.0
DROP_M = 3.0
DEPTH_M = 2.0
"""Depth at the start; the gates pass the inflow near it."""
INFLOW_M3S = 3.0
STROKE_TIME_S = 120.0
DELAY_S = 30.0


def example_canal(gates: Sequence[str] = ("g1",)) -> IntegratorDelayCanal:
    """One pool a gate, in flow order, each `DROP_M` below the one before."""
    inverts = [DROP_M * (len(gates) - 1 - index) for index in range(len(gates))]
    pools = [PoolSpec(area_m2=AREA_M2, delay_s=DELAY_S, invert_m=invert, level_m=invert + DEPTH_M) for invert in inverts]
    specs = [GateSpec(gate, stroke_time_s=STROKE_TIME_S) for gate in gates]
    return IntegratorDelayCanal(specs, pools, inflow_m3s=INFLOW_M3S)


def example_level_m(gates: Sequence[str], gate: str, depth_m: float) -> float:
    """Level above datum of a depth in the pool upstream of a gate."""
    return DROP_M * (len(gates) - 1 - list(gates).index(gate)) + depth_m


def gate_toml(
    *,
    site: str,
    state_dir: str,
    run_dir: str,
    port: int,
    host: str = "127.0.0.1",
    gates: Sequence[str] = ("g1",),
    speed: float = 1.0,
    scan_period_s: float = 1.0,
    trust_root: str = "gate-trust-root.json",
    journal_max_mb: float = 200.0,
    fallback: str = 'kind = "hold"',
) -> str:
    """Configuration for `example_canal(gates)` whose time runs `speed` times as fast as the gate's clock."""
    control_period_s = max(scan_period_s, 20.0 / speed)
    head = f"""\
# levels in m above the site's datum; openings in percent, 0 % = least flow; times in s of the gate's own clock
site = {json.dumps(site)}
state_dir = {json.dumps(state_dir)}
socket = {json.dumps(run_dir + "/gate.sock")}
interlock_file = {json.dumps(run_dir + "/interlock.json")}
trust_root = {json.dumps(trust_root)}
local_plan = "gate-plan.local.json"
scan_period_s = {scan_period_s}
control_period_s = {control_period_s}
series_period_s = {max(2.0, scan_period_s)}
journal_max_mb = {journal_max_mb}
"""
    stale_s = max(5.0, 10 * scan_period_s)
    parts = [
        _gate_table(index, gate, gates, host, port, speed, scan_period_s, fallback)
        + _points_tables(example_level_m(gates, gate, 0.0), speed, stale_s)
        for index, gate in enumerate(gates)
    ]
    return head + "".join(parts)


def _gate_table(
    index: int, gate: str, gates: Sequence[str], host: str, port: int, speed: float, scan_period_s: float, fallback: str
) -> str:
    bottom_m = example_level_m(gates, gate, 0.0)
    return f"""
[[gates]]
id = {json.dumps(gate)}
area_m2 = {AREA_M2}
delay_s = {0.0}
modbus = {{ host = {json.dumps(host)}, port = {port}, device_id = {index + 1}, timeout_s = {min(0.4, scan_period_s / 2)} }}
control = {{ kp_pct_per_m = 400.0, ti_s = {500.0 / speed:.3f}, filter_s = {20.0 / speed:.3f} }}
fallback = {{ {fallback} }}
motion = {{ start_within_s = {max(4 * scan_period_s, 10.0 / speed):.3f}, tolerance_pct = 0.3, stroke_time_s = {STROKE_TIME_S / speed:.3f} }}

[gates.limits]
opening_min_pct = 5.0
opening_max_pct = 95.0
level_min_m = {bottom_m + 1.0}
level_max_m = {bottom_m + 2.8}
deadband_pct = 0.5
max_step_pct = 10.0
rest_s = {10.0 / speed:.3f}

[[gates.interlocks]]
name = "high_high"
point = "upstream_level"
side = "high"
trip_m = {bottom_m + 2.6}
reset_m = {bottom_m + 2.4}
action = "drive_to"
opening_pct = 95.0
flood = true

[[gates.interlocks]]
name = "low_low"
point = "upstream_level"
side = "low"
trip_m = {bottom_m + 1.2}
reset_m = {bottom_m + 1.4}
action = "inhibit_open"
"""


def _points_tables(bottom_m: float, speed: float, stale_s: float) -> str:
    return f"""
[gates.points.upstream_level]
register = {registers.UPSTREAM_FLOAT}
type = "float32"
unit = "m"
valid_min = {bottom_m - 0.1}
valid_max = {bottom_m + 4.0}
max_rate_per_s = {0.02 * speed:.4f}
degraded_after_s = {stale_s / 2}
stale_after_s = {stale_s}
counter_register = {registers.COUNTER}

[gates.points.position]
register = {registers.POSITION}
scale = 0.1
unit = "pct"
valid_min = 0.0
valid_max = 100.0
max_rate_per_s = {3 * 100.0 / STROKE_TIME_S * speed:.3f}
degraded_after_s = {stale_s / 2}
stale_after_s = {stale_s}

[gates.points.desired_position]
register = {registers.DESIRED_POSITION}
table = "holding"
scale = 0.1

[gates.points.status]
register = {registers.STATUS}
"""
