"""Small sites of the new configuration for tests of sensing and actuating: gate i ends pool i."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Now, Sample

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)


def now_at(time_s: float) -> Now:
    return Now(time_s, START + timedelta(seconds=min(time_s, 1e9)), True)


def level_point(point_id: str, device: str, register: int, **options: Any) -> dict[str, Any]:
    point = {
        "id": point_id, "device": device, "register": register, "type": "uint16", "scale": 0.001, "unit": "m",
        "valid_min": 0.0, "valid_max": 4.0, "max_rate_per_s": 0.1, "resolution": 0.001, "stale_after_s": 10.0,
    }  # fmt: skip
    return {**point, **options}


def tcp_device(device_id: str, port: int = 502, unit: int = 1, **options: Any) -> dict[str, Any]:
    link = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port}
    return {"id": device_id, "link": link, "device_id": unit, **options}


def rtu_device(device_id: str, path: str, unit: int = 1, **options: Any) -> dict[str, Any]:
    # a pseudo terminal knows no parity
    link = {"kind": "modbus_rtu", "path": path, "baud_rate": 115_200, "parity": "N", "max_response_s": options.pop("max_response_s", 0.2)}
    return {"id": device_id, "link": link, "device_id": unit, **options}


def actuator(profile: str, device: str, gate: str, **options: Any) -> dict[str, Any]:
    wanted = {"rotork_iq": 6, "auma": 0x1002, "position": 6}
    given: dict[str, Any] = {"profile": profile, "device": device, "position": f"{gate}-position", "stroke_time_s": 60.0}
    if profile in wanted:
        given["desired_position"] = {"device": device, "register": wanted[profile], "table": "holding", "scale": 0.1}
    return {**given, **options}


def position_point(gate: str, device: str, profile: str = "rotork_iq", **options: Any) -> dict[str, Any]:
    register = {"rotork_iq": 3, "auma": 0x3002}.get(profile, 3)
    given = {"scale": 0.1, "unit": "pct", "valid_max": 100.0, "resolution": 0.1, "max_rate_per_s": 10.0}
    return level_point(f"{gate}-position", device, register, **(given | options))


def gate(gate_id: str, device: str, profile: str = "rotork_iq", **options: Any) -> dict[str, Any]:
    geometry = {"width_m": 2.0, "sill_m": 0.0, "height_m": 1.2}
    return {"id": gate_id, "geometry": geometry, "actuator": actuator(profile, device, gate_id, **options)}


def pool(pool_id: str, **options: Any) -> dict[str, Any]:
    given = {
        "id": pool_id, "invert_m": 0.0, "bank_m": 3.0, "level_min_m": 0.5, "level_max_m": 2.9,
        "low": {"flow_m3s": 1.0, "delay_s": 80.0, "area_m2": 800.0},
        "high": {"flow_m3s": 4.0, "delay_s": 80.0, "area_m2": 1000.0},
    }  # fmt: skip
    return {**given, **options}


def site(
    *,
    devices: Sequence[Mapping[str, Any]] = (),
    points: Sequence[Mapping[str, Any]] = (),
    gates: Sequence[Mapping[str, Any]] = (),
    pools: Sequence[Mapping[str, Any]] = (),
    **options: Any,
) -> SiteConfiguration:
    """A site; without devices one device `d1`, without gates one gate `g1` on it."""
    gates = gates or [gate("g1", "d1")]
    named = {str(point["id"]) for point in points}
    positions = [
        position_point(item["id"], item["actuator"]["device"], item["actuator"]["profile"])
        for item in gates
        if f"{item['id']}-position" not in named
    ]
    return SiteConfiguration.model_validate(
        {
            "site": "north", "state_dir": "state", "devices": list(devices) or [tcp_device("d1")],
            "points": [*points, *positions], "pools": list(pools),
            "structures": [{"id": item["id"], "gates": [item], "capacity_m3s": 5.0} for item in gates],
            **options,
        }
    )  # fmt: skip


def sample(point: str, value: float | None, at_s: float, error: str = "") -> Sample:
    return Sample(point, value, at_s, error)
