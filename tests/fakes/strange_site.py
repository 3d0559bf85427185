"""The site on `StrangeCanal`: two bays, an overshot gate that tells counts, and a turnout on relays that delivers orders."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.simulation import START
from shared.contracts.gate_plan import DeliveryOrder, DownstreamLevelObjective, GateDirective, GatePlan

GATES = ("h-1", "h-2", "mid", "branch")
P1_M, P2_M = 11.3, 9.8
FIRST_ORDER_S, SECOND_ORDER_S = 120, 700


def strange_site(scan_period_s: float = 1.0, *, starts_per_hour: int = 12, sharing: str = "equal") -> SiteConfiguration:
    """With these figures everywhere."""
    p1, p2, p3 = _pools()
    document: dict[str, Any] = {
        "site": "strange",
        "state_dir": "state",
        "scan_period_s": scan_period_s,
        "devices": [{"id": "plc", "link": {"kind": "modbus_tcp", "host": "127.0.0.1"}}],
        "points": _points(),
        "pools": [_reservoir(), p1, p2, p3],
        "structures": [
            {
                "id": "head",
                "sharing": sharing,
                "gates": [_bay(number, starts_per_hour) for number in (1, 2)],
                "downstream_loop": {**_loop(p1), "decoupler_structure": "mid"},
                "capacity_m3s": 5.0,
            },
            {"id": "mid", "gates": [_mid(starts_per_hour)], "downstream_loop": _loop(p2), "capacity_m3s": 4.0},
            {"id": "branch", "gates": [_branch(starts_per_hour)], "flow_loop": {"flow_points": ["branch.flow"]}, "capacity_m3s": 1.2},
        ],
    }
    return SiteConfiguration.model_validate(document)


def strange_plan(generation: int = 1, *, p1_m: float = P1_M, p2_m: float = P2_M) -> GatePlan:
    """Holds both levels, and delivers twice."""
    objectives = {"head": DownstreamLevelObjective(level_m=p1_m), "mid": DownstreamLevelObjective(level_m=p2_m)}
    orders = [
        DeliveryOrder(
            order_id=f"o{number}",
            turnout="branch",
            start=START + timedelta(seconds=start_s),
            flow_m3s=0.3,
            duration_s=200.0,
            if_missed="start_late",
        )
        for number, start_s in ((1, FIRST_ORDER_S), (2, SECOND_ORDER_S))
    ]
    directives = {name: GateDirective(objective=objective) for name, objective in objectives.items()}
    return GatePlan(site="strange", generation=generation, valid_from=START, gates=directives, orders=tuple(orders))


def _level(name: str, register: int, low_m: float) -> dict[str, Any]:
    return {
        "id": name, "device": "plc", "register": register, "scale": 0.001, "offset": low_m, "valid_min": low_m, "valid_max": low_m + 3.1,
        "max_rate_per_s": 0.05, "resolution": 0.001, "stale_after_s": 120.0,
    }  # fmt: skip


def _position(gate: str, register: int) -> dict[str, Any]:
    percent = {"unit": "pct", "scale": 0.1, "valid_min": -1.0, "valid_max": 101.0, "max_rate_per_s": 5.0, "resolution": 0.1}
    counts = {"unit": "count", "valid_min": -10.0, "valid_max": 4010.0, "max_rate_per_s": 100.0, "resolution": 1.0}
    return {
        "id": f"{gate}.position", "device": "plc", "register": register, "stale_after_s": 30.0, **(counts if gate == "mid" else percent)
    }  # fmt: skip


def _points() -> list[dict[str, Any]]:
    lows = {"res.tail": 11.0, "p1.tail": 9.5, "p1.head": 9.5, "p2.tail": 8.1, "p2.head": 8.1, "p3.tail": 8.7, "p3.head": 8.7}
    levels = [_level(name, register, low_m) for register, (name, low_m) in enumerate(lows.items())]
    flow = {**_level("branch.flow", 20, 0.0), "unit": "m3s", "valid_min": -0.1, "max_rate_per_s": 0.5}
    return [*levels, flow, *(_position(gate, 30 + number) for number, gate in enumerate(GATES))]


def _reservoir() -> dict[str, Any]:
    still = {"flow_m3s": 1.5, "delay_s": 0.0, "area_m2": 1e7}
    return {
        "id": "res", "outlet": "head", "invert_m": 10.0, "bank_m": 14.0, "level_min_m": 11.5, "level_max_m": 13.5,
        "tail_levels": ["res.tail"],
        "low": still, "high": {**still, "flow_m3s": 4.0},
    }  # fmt: skip


def _pools() -> list[dict[str, Any]]:
    figures: dict[str, dict[str, Any]] = {
        "p1": {
            "inlet": "head", "outlet": "mid", "invert_m": 10.0, "target_depth_m": 1.3, "bank_m": 12.0, "length_m": 2000.0,
            "level_min_m": 10.8, "level_max_m": 11.65, "offtakes": [{"id": "branch", "structure": "branch"}, {"id": "t1"}],
            "low": {"flow_m3s": 1.5, "delay_s": 520.0, "area_m2": 9000.0}, "high": {"flow_m3s": 4.0, "delay_s": 450.0, "area_m2": 11000.0},
        },
        "p2": {
            "inlet": "mid", "invert_m": 8.6, "target_depth_m": 1.2, "bank_m": 10.4, "length_m": 1500.0,
            "level_min_m": 9.2, "level_max_m": 10.1, "offtakes": [{"id": "t2", "nominal_flow_m3s": 1.2}],
            "low": {"flow_m3s": 1.0, "delay_s": 420.0, "area_m2": 5500.0}, "high": {"flow_m3s": 3.0, "delay_s": 360.0, "area_m2": 7000.0},
        },
        "p3": {
            "inlet": "branch", "invert_m": 9.2, "target_depth_m": 0.8, "bank_m": 10.5, "length_m": 1000.0,
            "level_min_m": 9.5, "level_max_m": 10.3,
            "low": {"flow_m3s": 0.2, "delay_s": 330.0, "area_m2": 2500.0}, "high": {"flow_m3s": 0.8, "delay_s": 300.0, "area_m2": 3000.0},
        },
    }  # fmt: skip
    return [{"id": name, "head_levels": [f"{name}.head"], "tail_levels": [f"{name}.tail"], **rest} for name, rest in figures.items()]


def _loop(pool: dict[str, Any]) -> dict[str, Any]:
    return tune_loop(Pool.model_validate(pool), 50.0, control_period_s=60.0).model_dump()


def _gate(name: str, geometry: dict[str, Any], actuator: dict[str, Any], interlocks: list[dict[str, Any]], starts: int) -> dict[str, Any]:
    return {
        "id": name,
        "geometry": geometry,
        "actuator": {"device": "plc", "position": f"{name}.position", **actuator},
        "interlocks": [{"side": "high", "delay_s": 3.0, **one} for one in interlocks],
        "limits": {"deadband_pct": 0.6, "starts_per_hour": starts, "opening_max_pct": 95.0},
    }


def _bay(number: int, starts: int) -> dict[str, Any]:
    desired = {"device": "plc", "register": 100 + number, "table": "holding", "scale": 0.1}
    high = {"name": "p1-high", "points": ["p1.tail"], "action": "inhibit_open", "trip": 11.75, "reset": 11.65}
    actuator = {"profile": "position", "stroke_time_s": 120.0, "desired_position": desired}
    return _gate(f"h-{number}", {"width_m": 1.5, "sill_m": 10.1, "height_m": 1.0}, actuator, [high], starts)


def _mid(starts: int) -> dict[str, Any]:
    actuator = {
        "profile": "rotork_iq",
        "stroke_time_s": 180.0,
        "desired_position": {"device": "plc", "register": 6, "table": "holding"},
        "table": [{"count": 0, "opening_m": 0.0}, {"count": 1500, "opening_m": 0.3}, {"count": 4000, "opening_m": 1.0}],
    }
    interlocks: list[dict[str, Any]] = [
        {"name": "p2-high", "points": ["p2.tail"], "action": "inhibit_open", "trip": 10.2, "reset": 10.12, "priority": 1},
        {"name": "p1-flood", "points": ["p1.tail"], "action": "drive_to", "opening_pct": 95.0, "trip": 11.85, "reset": 11.7, "priority": 2},
    ]
    return _gate("mid", {"kind": "overshot", "width_m": 4.0, "sill_m": 10.4, "height_m": 1.0}, actuator, interlocks, starts)


def _branch(starts: int) -> dict[str, Any]:
    output = {"device": "plc", "register": 130, "table": "holding", "type": "bit", "bit": 0}
    relays = {"raise_output": output, "lower_output": {**output, "bit": 1}, "hardware_pulse_limit_s": 10.0}
    high = {"name": "p3-high", "points": ["p3.tail"], "action": "inhibit_open", "trip": 10.35, "reset": 10.3}
    actuator = {"profile": "relays", "stroke_time_s": 90.0, "relays": relays}
    return _gate("branch", {"width_m": 1.0, "sill_m": 10.3, "height_m": 0.8}, actuator, [high], starts)
