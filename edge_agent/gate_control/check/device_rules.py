"""Devices and points: what can be read, how fast, and what it can show. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Device, ModbusRtu, ModbusTcp, Point, RegisterType

SCANS_TO_STALE = 2.0
EXCHANGE_BYTES, BITS_PER_BYTE = 15, 11
"""Of reading one register over RTU: 8 bytes there, 7 back; start, parity and stop bit with each."""
_RAW_RANGE = {
    RegisterType.UINT16: (0.0, 65_535.0),
    RegisterType.INT16: (-32_768.0, 32_767.0),
    RegisterType.UINT32: (0.0, 4_294_967_295.0),
    RegisterType.INT32: (-2_147_483_648.0, 2_147_483_647.0),
    RegisterType.BIT: (0.0, 1.0),
}


def device_remarks(site: SiteConfiguration) -> Iterator[Remark]:
    """Everything about devices, points and cabinet inputs."""
    yield from _devices(site)
    for index, point in enumerate(site.points):
        path: Path = ("points", index)
        yield from _freshness(site, point, path)
        yield from _figures(point, path)
    for index, site_input in enumerate(site.inputs):
        given = site.point(site_input.point)
        if given is not None and given.unit != "state":
            problem = f"point {given.id} is in {given.unit}, not a state"
            yield Remark(("inputs", index, "point"), problem, "an input is 0 or 1", "name a point of unit 'state'")


def unit_of(device: Device) -> str:
    """The physical unit behind a device: two devices with the same one are one thing with two names."""
    link = device.link
    return f"{link.path} unit {device.device_id}" if isinstance(link, ModbusRtu) else f"{link.host}:{link.port} unit {device.device_id}"


def _devices(site: SiteConfiguration) -> Iterator[Remark]:
    units: dict[str, str] = {}
    lines: dict[str, tuple[str, ModbusRtu]] = {}
    for index, device in enumerate(site.devices):
        unit = unit_of(device)
        if unit in units:
            why = "two queues would talk to one unit at once, and take each other's answers"
            yield Remark(("devices", index), f"device {device.id} is the same unit as {units[unit]}: {unit}", why, "make them one device")
        units.setdefault(unit, device.id)
        if isinstance(device.link, ModbusTcp):
            yield from host_remarks(device.link.host, ("devices", index, "link", "host"))
            if device.link.host in ("0.0.0.0", "::"):
                yield Remark(
                    ("devices", index, "link", "host"), f"{device.link.host} is nobody's address", "nothing answers there", "name it"
                )
        if isinstance(device.link, ModbusRtu):
            yield from _line_time(site, device, device.link, ("devices", index))
            other, link = lines.setdefault(device.link.path, (device.id, device.link))
            if link != device.link:
                problem = f"device {device.id} sets {device.link.path} otherwise than {other}"
                why = "a serial line has one speed, parity and stop bit"
                yield Remark(("devices", index, "link"), problem, why, "give all units of the line the same settings")


def host_remarks(host: str, path: Path) -> Iterator[Remark]:
    """An address, or a name that the network may know."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        return
    if re.fullmatch(r"[0-9.]+", host) or not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})", host):
        problem = f"'{host}' is neither an address nor a name"
        yield Remark(
            path, problem, "nothing would ever be found there", "write an address like 192.0.2.7, or a name, without port and path"
        )


def _line_time(site: SiteConfiguration, device: Device, link: ModbusRtu, path: Path) -> Iterator[Remark]:
    """What a serial line needs for the shortest question and answer, at its own speed."""
    exchange_s = EXCHANGE_BYTES * BITS_PER_BYTE / link.baud_rate
    if device.timeout_s < exchange_s:
        problem = f"timeout_s {device.timeout_s:g}, and at {link.baud_rate} baud the shortest answer takes {exchange_s:.2g} s"
        yield Remark((*path, "timeout_s"), problem, "no answer would ever be in time", "give more time, or a faster line")
    same = [one for one in site.devices if isinstance(one.link, ModbusRtu) and one.link.path == link.path]
    round_s = exchange_s * len(same)
    for number, point in enumerate(site.points):
        if point.device == device.id and point.stale_after_s < 2.0 * round_s:
            problem = f"stale_after_s {point.stale_after_s:g}, and one round over {link.path} takes {round_s:.2g} s at least"
            yield Remark(("points", number, "stale_after_s"), problem, "one lost answer would stop control", "give more, or a faster line")


def _freshness(site: SiteConfiguration, point: Point, path: Path) -> Iterator[Remark]:
    least_s = SCANS_TO_STALE * site.scan_period_s
    if point.stale_after_s < least_s:
        problem = f"stale_after_s {point.stale_after_s:g} is less than two scans ({least_s:g} s)"
        yield Remark((*path, "stale_after_s"), problem, "one lost answer would stop control", f"give at least {least_s:g}")
    if point.max_rate_per_s * site.scan_period_s < point.resolution:
        problem = f"max_rate_per_s {point.max_rate_per_s:g} allows less than one resolution ({point.resolution:g}) in a scan"
        yield Remark(
            (*path, "max_rate_per_s"), problem, "every change would be disbelieved", "give the fastest change that is real, with room"
        )


def _figures(point: Point, path: Path) -> Iterator[Remark]:
    span = point.valid_max - point.valid_min
    if point.unit != "state" and point.resolution > span / 10.0:
        problem = f"resolution {point.resolution:g} is more than a tenth of the valid range {point.valid_min:g} to {point.valid_max:g}"
        yield Remark((*path, "resolution"), problem, "the units do not fit", f"give it in {point.unit}, as the point itself")
    if point.unit != "state" and point.noise > span / 10.0:
        problem = f"noise {point.noise:g} is more than a tenth of the valid range {point.valid_min:g} to {point.valid_max:g}"
        yield Remark((*path, "noise"), problem, "the units do not fit", f"give the standard deviation in {point.unit}")
    if (point.unit == "state") != (point.type is RegisterType.BIT):
        yield Remark((*path, "unit"), "unit 'state' and type 'bit' belong together", "a state is one bit", "correct unit or type")
    loop = point.current_loop
    if loop is not None:
        if loop.low == loop.high:
            problem = f"the current loop says {loop.low:g} at 4 mA and at 20 mA"
            yield Remark((*path, "current_loop"), problem, "every current would be the same value", "give the sensor's range")
            return
        low, high = sorted(end + point.offset for end in (loop.low, loop.high))
        if min(high, point.valid_max) - max(low, point.valid_min) < 0.5 * span:
            problem = f"the current loop shows {low:g} to {high:g}, less than half of {point.valid_min:g} to {point.valid_max:g}"
            yield Remark(
                (*path, "current_loop"), problem, "no reading would ever be valid", "correct the loop's range, offset or valid range"
            )
        return
    yield from _register(point, path)


def _register(point: Point, path: Path) -> Iterator[Remark]:
    raw = _RAW_RANGE.get(point.type)
    if raw is None:
        return
    low, high = sorted(value * point.scale + point.offset for value in raw)
    if min(high, point.valid_max) - max(low, point.valid_min) < 0.5 * (point.valid_max - point.valid_min):
        problem = f"the register can show {low:g} to {high:g} {point.unit}, less than half of {point.valid_min:g} to {point.valid_max:g}"
        yield Remark((*path, "scale"), problem, "the units do not fit", "correct scale, offset or valid range")
    elif point.unit != "state" and abs(point.scale) > point.resolution * 1.000001:
        problem = f"resolution {point.resolution:g} is finer than a step of the register, {abs(point.scale):g} {point.unit}"
        why = "a gauge that stands still between two steps would be taken for frozen, and deadbands would be too small"
        yield Remark((*path, "resolution"), problem, why, f"give at least {abs(point.scale):g}")
