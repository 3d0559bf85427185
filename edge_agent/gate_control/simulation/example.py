"""A small canal and the `site.yaml` that fits it: for the demo, for tests, and to try things out.

Pool `p1` is fed from outside and ends at gate `g1`; below it lies `p2`, and so on. Each gate holds the level above it, and is a
device of its own with the map of a Rotork IQ.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.simulation.integrator_delay import Canal, canal_of

AREA_M2 = 4_000.0
DROP_M = 3.0
DEPTH_M = 2.0
"""Depth at the start; the gates pass the inflow near it."""
INFLOW_M3S = 3.0
STROKE_TIME_S = 120.0
DELAY_S = 30.0
PERIOD_S = 20.0
MARGIN_DEG = 65.0
LEVEL_REGISTER, AGE_REGISTER = 100, 102


def example_canal(gates: Sequence[str] = ("g1",)) -> Canal:
    """One pool a gate, in flow order, each `DROP_M` below the one before."""
    return canal_of(example_site(gates))


def example_site(gates: Sequence[str] = ("g1",), **options: Any) -> SiteConfiguration:
    """The site of `site_yaml`, read."""
    return SiteConfiguration.model_validate(_document(site="north", state_dir="state", run_dir="run", gates=gates, **options))


def example_level_m(gates: Sequence[str], gate: str, depth_m: float) -> float:
    """Level above datum of a depth in the pool upstream of a gate."""
    return DROP_M * (len(gates) - 1 - list(gates).index(gate)) + depth_m


def site_yaml(*, site: str, state_dir: str, run_dir: str, port: int, gates: Sequence[str] = ("g1",), **options: Any) -> str:
    """Configuration for `example_canal(gates)`; `speed` in the options: how much faster its time runs than the gate's clock."""
    document = _document(site=site, state_dir=state_dir, run_dir=run_dir, port=port, gates=gates, **options)
    head = "# levels in m above the site's datum; openings in percent, 0 % = least flow; times in s of the gate's own clock\n"
    lines: list[str] = []
    for key, value in document.items():
        if isinstance(value, list):
            # YAML is JSON with less ink: one row each keeps the file readable
            lines += [f"{key}:", *(f"  - {json.dumps(row)}" for row in value)]
        else:
            lines.append(f"{key}: {json.dumps(value)}")
    return head + "\n".join(lines) + "\n"


def _document(
    *,
    site: str,
    state_dir: str,
    run_dir: str,
    port: int = 502,
    host: str = "127.0.0.1",
    gates: Sequence[str] = ("g1",),
    speed: float = 1.0,
    scan_period_s: float = 1.0,
    trust_root: str = "gate-trust-root.json",
    journal_max_mb: float = 200.0,
    fallback: dict[str, Any] | None = None,
) -> dict[str, Any]:
    stale_s = max(5.0, 10 * scan_period_s)
    pools = [_pool(gates, index, speed) for index in range(len(gates))]
    return {
        "site": site,
        "state_dir": state_dir,
        "socket": f"{run_dir}/gate.sock",
        "interlock_file": f"{run_dir}/interlock.json",
        "trust_root": trust_root,
        "local_plan": "gate-plan.local.json",
        "scan_period_s": scan_period_s,
        "series_period_s": max(2.0, scan_period_s),
        "journal_max_mb": journal_max_mb,
        "devices": [_device(gate, index, host, port, scan_period_s) for index, gate in enumerate(gates)],
        "points": [point for gate in gates for point in _points(gate, example_level_m(gates, gate, 0.0), speed, stale_s)],
        "pools": pools,
        "structures": [
            _structure(gate, pools[index], speed, scan_period_s, fallback or {"kind": "hold"}) for index, gate in enumerate(gates)
        ],
    }


def _device(gate: str, index: int, host: str, port: int, scan_period_s: float) -> dict[str, Any]:
    link = {"kind": "modbus_tcp", "host": host, "port": port}
    return {"id": gate, "link": link, "device_id": index + 1, "timeout_s": min(0.4, scan_period_s / 2)}


def _points(gate: str, bottom_m: float, speed: float, stale_s: float) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{gate}-level", "device": gate, "register": LEVEL_REGISTER, "type": "float32", "unit": "m", "valid_min": bottom_m - 0.1,
            "valid_max": bottom_m + 4.0, "max_rate_per_s": 0.02 * speed, "resolution": 0.001, "stale_after_s": stale_s,
            "counter_register": AGE_REGISTER,
        },
        {
            "id": f"{gate}-position", "device": gate, "register": 3, "scale": 0.1, "unit": "pct", "valid_min": 0.0, "valid_max": 100.0,
            "max_rate_per_s": round(3 * 100.0 / STROKE_TIME_S * speed, 3), "resolution": 0.1, "stale_after_s": stale_s,
        },
    ]  # fmt: skip


def _pool(gates: Sequence[str], index: int, speed: float) -> dict[str, Any]:
    bottom_m = example_level_m(gates, gates[index], 0.0)
    dynamics = {"flow_m3s": INFLOW_M3S, "delay_s": DELAY_S / speed, "area_m2": AREA_M2 / speed}
    feeding = {"inlet": gates[index - 1]} if index else {}
    return {
        "id": f"p{index + 1}", **feeding, "outlet": gates[index], "invert_m": bottom_m, "target_depth_m": DEPTH_M,
        "bank_m": bottom_m + 3.0, "low": dynamics, "high": dynamics, "tail_levels": [f"{gates[index]}-level"],
        "level_min_m": bottom_m + 1.5, "level_max_m": bottom_m + 2.5,
        "offtakes": [{"id": f"{gates[index]}-field", "nominal_flow_m3s": 0.0}],
    }  # fmt: skip


def _structure(gate: str, pool: dict[str, Any], speed: float, scan_period_s: float, fallback: dict[str, Any]) -> dict[str, Any]:
    bottom_m = pool["invert_m"]
    period_s = max(scan_period_s, PERIOD_S / speed)
    loop = tune_loop(Pool.model_validate(pool), MARGIN_DEG, is_local=True, control_period_s=period_s, filter_s=PERIOD_S / speed)
    level = [f"{gate}-level"]
    return {
        "id": gate,
        "capacity_m3s": 8.0,
        "upstream_loop": loop.model_dump(mode="json", exclude_defaults=True),
        "gates": [
            {
                "id": gate,
                "geometry": {"width_m": 2.0, "sill_m": bottom_m, "height_m": 1.2},
                "actuator": {
                    "profile": "rotork_iq", "device": gate, "position": f"{gate}-position",
                    "desired_position": {"device": gate, "register": 6, "table": "holding", "scale": 0.1},
                    "stroke_time_s": round(STROKE_TIME_S / speed, 3),
                },
                "limits": {
                    "opening_min_pct": 5.0, "opening_max_pct": 95.0, "max_step_pct": 10.0, "deadband_pct": 0.5,
                    "rest_s": round(10.0 / speed, 3), "reversal_pause_s": round(5.0 / speed, 3),
                    "starts_per_hour": min(1_200, round(60 * speed)),
                },
                "motion": {
                    "start_within_s": round(max(4 * scan_period_s, 10.0 / speed), 3), "tolerance_pct": 0.3,
                    "settle_s": round(max(scan_period_s, 2.0 / speed), 3),
                },
                "interlocks": [
                    {
                        "name": "high_high", "points": level, "side": "high", "trip": bottom_m + 2.6, "reset": bottom_m + 2.5,
                        "action": "drive_to", "opening_pct": 95.0, "priority": 2, "flood": True,
                    },
                    {
                        "name": "low_low", "points": level, "side": "low", "trip": bottom_m + 1.2, "reset": bottom_m + 1.4,
                        "action": "inhibit_open", "priority": 1,
                    },
                ],
                "fallback": fallback,
            }
        ],
    }  # fmt: skip
