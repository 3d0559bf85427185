"""A site on an ASCE canal: every gate holds the far end of the pool below it, as `site.yaml` would say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import LevelLoop, Pool
from edge_agent.gate_control.simulation.asce import AsceCanal
from shared.contracts.gate_plan import DownstreamLevelObjective, GateDirective, GatePlan

DRIVE_OPEN_PCT = 95.0
RESERVOIR_M2 = 1e8
RESERVOIR_OVER_BANK_M = 1.0
LEAST_DEADBAND_PCT = 0.2
"""Two counts of the position, the least that `check` lets pass."""


@dataclass(frozen=True)
class SiteOptions:
    """What a site leaves to whoever builds it.

    Args:
        tune: gains of a pool's loop, from its configuration and the control period.
        cd: the discharge coefficient that the controller believes in.
        offtakes_m3s: in the middle of each pool's list, instead of the canal's own.
        noise_m: of level sensors.
        starts_per_hour: of each gate's motor (ISO 22153 class B).
        deadband_m: of each gate's opening; no less than two counts of its position.
    """

    tune: Callable[[Pool, float], LevelLoop]
    site: str = "canal"
    cd: float = 0.61
    scan_period_s: float = 1.0
    series_period_s: float = 10.0
    offtakes_m3s: tuple[float, ...] = ()
    noise_m: float = 0.0
    resolution_m: float = 0.001
    stale_after_s: float = 900.0
    """Of levels; what a loop bears follows from its phase margin, and is less."""
    starts_per_hour: int = 30
    deadband_m: float = 0.005
    interlocks: bool = True
    fallback: Mapping[str, Any] = field(default_factory=lambda: {"kind": "hold", "after_s": 1800.0})


def asce_site(canal: AsceCanal, options: SiteOptions) -> SiteConfiguration:
    """One site with the headgate `g1` and a check for every further pool; pool `p1` lies below `g1`.

    The last pool ends in a tail without a gate of ours.
    """
    numbers = range(1, len(canal.reaches) + 1)
    pools = [_pool(canal, number, options) for number in numbers]
    points = [point for number in numbers for point in _points(canal, number, options)]
    document: dict[str, Any] = {
        "site": options.site,
        "state_dir": "state",
        "scan_period_s": options.scan_period_s,
        "series_period_s": options.series_period_s,
        "devices": [{"id": "plc", "link": {"kind": "modbus_tcp", "host": "127.0.0.1"}}],
        "points": points,
        "pools": [_reservoir(canal), *pools],
        "structures": [_structure(canal, number, pools[number - 1], options) for number in numbers],
    }
    return SiteConfiguration.model_validate(document)


def target_plan(site: SiteConfiguration, start: datetime, generation: int = 1) -> GatePlan:
    """Hold every pool below a gate at its target depth."""
    directives: dict[str, GateDirective] = {}
    for structure in site.structures:
        pool = next((pool for pool in site.pools_below(structure.id) if pool.target_depth_m is not None), None)
        if pool is not None and pool.target_depth_m is not None:
            objective = DownstreamLevelObjective(level_m=pool.invert_m + pool.target_depth_m)
            directives[structure.id] = GateDirective(objective=objective)
    return GatePlan(site=site.site, generation=generation, valid_from=start, author="simulation", gates=directives)


def _reservoir(canal: AsceCanal) -> dict[str, Any]:
    """The water before the headgate: so wide that nothing moves it."""
    bed_m, depth_m = canal.inverts_m()[0][0], reservoir_depth_m(canal)
    still = {"flow_m3s": canal.reaches[0].low_flow_m3s, "delay_s": 0.0, "area_m2": RESERVOIR_M2}
    return {
        "id": "reservoir", "outlet": "g1", "invert_m": bed_m, "target_depth_m": depth_m, "bank_m": bed_m + 2.0 * depth_m,
        "low": still, "high": {**still, "flow_m3s": canal.reaches[0].high_flow_m3s}, "tail_levels": ["reservoir"],
        "level_min_m": bed_m + 0.5 * depth_m, "level_max_m": bed_m + 1.5 * depth_m,
    }  # fmt: skip


def reservoir_depth_m(canal: AsceCanal) -> float:
    """Over the headgate's sill; not part of the published statement."""
    return canal.reaches[0].canal_depth_m + RESERVOIR_OVER_BANK_M


def _pool(canal: AsceCanal, number: int, options: SiteOptions) -> dict[str, Any]:
    reach, (_, invert_m) = canal.reaches[number - 1], canal.inverts_m()[number - 1]
    offtake_m3s = options.offtakes_m3s[number - 1] if options.offtakes_m3s else reach.offtake_m3s
    last = number == len(canal.reaches)
    return {
        "id": f"p{number}",
        "inlet": f"g{number}",
        "outlet": None if last else f"g{number + 1}",
        "invert_m": invert_m,
        "target_depth_m": reach.target_depth_m,
        "bank_m": invert_m + reach.canal_depth_m,
        "length_m": reach.length_m,
        "low": {"flow_m3s": reach.low_flow_m3s, "delay_s": reach.low[0], "area_m2": reach.low[1]},
        "high": {"flow_m3s": reach.high_flow_m3s, "delay_s": reach.high[0], "area_m2": reach.high[1]},
        "resonance_period_s": canal.resonance_s(reach, reach.low_flow_m3s) if canal.is_flat(reach) else None,
        "resonance_peak_s_per_m2": canal.resonance_peak_s_per_m2(reach, reach.low_flow_m3s),
        "head_levels": [f"p{number}.head"],
        "tail_levels": [f"p{number}.tail"],
        "level_min_m": invert_m + 0.5 * reach.target_depth_m,
        "level_max_m": invert_m + 0.5 * (reach.target_depth_m + reach.canal_depth_m),
        "offtakes": [{"id": f"t{number}", "nominal_flow_m3s": offtake_m3s}],
    }


def _points(canal: AsceCanal, number: int, options: SiteOptions) -> list[dict[str, Any]]:
    reach, (upper_m, lower_m) = canal.reaches[number - 1], canal.inverts_m()[number - 1]
    # the upper end of a steep pool may stand at normal depth there, or (integrator-delay) as high as its far end
    levels = [
        _level_point(f"p{number}.head", 100 + number, lower_m, upper_m - lower_m + reach.canal_depth_m, options),
        _level_point(f"p{number}.tail", 120 + number, lower_m, reach.canal_depth_m, options),
    ]
    if number == 1:
        levels.append(_level_point("reservoir", 99, upper_m, 2.0 * reservoir_depth_m(canal), options))
    position = {
        "id": f"g{number}.position", "device": "plc", "register": 140 + number, "unit": "pct", "scale": 0.1,
        "valid_min": 0.0, "valid_max": 100.0, "max_rate_per_s": 300.0 / canal.stroke_time_s, "resolution": 0.1,
        "stale_after_s": max(15.0, 5.0 * options.scan_period_s),
    }  # fmt: skip
    return [*levels, position]


def _level_point(name: str, register: int, invert_m: float, depth_m: float, options: SiteOptions) -> dict[str, Any]:
    return {
        "id": name, "device": "plc", "register": register, "scale": options.resolution_m, "offset": invert_m,
        "valid_min": invert_m - 0.5, "valid_max": invert_m + depth_m + 1.5, "max_rate_per_s": 0.05,
        "resolution": options.resolution_m, "noise": options.noise_m, "stale_after_s": options.stale_after_s,
    }  # fmt: skip


def _structure(canal: AsceCanal, number: int, pool: dict[str, Any], options: SiteOptions) -> dict[str, Any]:
    inverts = canal.inverts_m()
    if number == 1:
        width_m, height_m, sill_m = canal.headgate_width_m, canal.headgate_height_m, inverts[0][0]
    else:
        above = canal.reaches[number - 2]
        width_m, height_m, sill_m = above.gate_width_m, above.gate_height_m, inverts[number - 2][1]
    loop = options.tune(Pool.model_validate(pool), canal.control_period_s)
    last = number == len(canal.reaches)
    return {
        "id": f"g{number}",
        "downstream_loop": {**loop.model_dump(), "decoupler_structure": None if last else f"g{number + 1}"},
        "downstream_end": "distant",
        "capacity_m3s": 1.2 * canal.reaches[number - 1].high_flow_m3s,
        "gates": [
            {
                "id": f"g{number}",
                "geometry": {"width_m": width_m, "sill_m": sill_m, "height_m": height_m, "cd": options.cd},
                "actuator": {
                    "profile": "rotork_iq",
                    "device": "plc",
                    "position": f"g{number}.position",
                    "desired_position": {"device": "plc", "register": 160 + number, "table": "holding", "scale": 0.1},
                    "status": {"device": "plc", "register": 180 + number},
                    "stroke_time_s": canal.stroke_time_s,
                },
                "limits": {
                    "deadband_pct": max(LEAST_DEADBAND_PCT, 100.0 * options.deadband_m / height_m),
                    "starts_per_hour": options.starts_per_hour,
                    "opening_max_pct": DRIVE_OPEN_PCT,
                },
                "interlocks": _interlocks(canal, number) if options.interlocks else [],
                "fallback": dict(options.fallback),
            }
        ],
    }  # fmt: skip


def _interlocks(canal: AsceCanal, number: int) -> list[dict[str, Any]]:
    """A pool near its bank stops its feeder from opening; the pool above, near its own, drives the check open, and wins."""
    freeboard_m, bank_m, point = _freeboard(canal, number)
    found = [
        {
            "name": f"p{number}-high", "points": [point], "side": "high", "action": "inhibit_open", "priority": 1,
            "trip": bank_m - 0.35 * freeboard_m, "reset": bank_m - 0.5 * freeboard_m, "delay_s": 5.0,
        }
    ]  # fmt: skip
    if number > 1:
        freeboard_m, bank_m, point = _freeboard(canal, number - 1)
        found.append(
            {
                "name": f"p{number - 1}-flood", "points": [point], "side": "high", "action": "drive_to", "priority": 2,
                "opening_pct": DRIVE_OPEN_PCT, "flood": True,
                "trip": bank_m - 0.15 * freeboard_m, "reset": bank_m - 0.35 * freeboard_m, "delay_s": 5.0,
            }
        )  # fmt: skip
    return found


def _freeboard(canal: AsceCanal, number: int) -> tuple[float, float, str]:
    reach, (_, invert_m) = canal.reaches[number - 1], canal.inverts_m()[number - 1]
    return reach.canal_depth_m - reach.target_depth_m, invert_m + reach.canal_depth_m, f"p{number}.tail"
