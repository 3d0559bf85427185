"""The way to a neighbour's map: host, port, and whether its allow-list lets this site in. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.check.site_file import FileRemark, SiteFile
from edge_agent.gate_control.model.configuration import ModbusMap
from edge_agent.gate_control.model.devices import Device, ModbusTcp

Address = IPv4Address | IPv6Address
_SILENT = "no answer would ever come, and the site would count as lost"


def way_remarks(files: Sequence[SiteFile]) -> Iterator[FileRemark]:
    """Everything about devices that stand for another site."""
    owners = {file.name: file for file in files}
    sought: dict[tuple[str, int], str] = {}
    for reader, number, device, name in _neighbours(files):
        path: Path = ("devices", number, "link")
        owner = owners.get(name)
        if not isinstance(device.link, ModbusTcp):
            problem = f"device {device.id} stands for site {name} on a serial line"
            yield reader, Remark(path, problem, "a site shows its values by Modbus TCP", "write 'kind: modbus_tcp' with host and port")
            continue
        other = sought.setdefault((device.link.host, device.link.port), name)
        if other != name:
            problem = f"site {name} is sought at {device.link.host}:{device.link.port}, where others seek {other}"
            yield reader, Remark((*path, "host"), problem, "one of them would be taken for the other", "correct one of the two addresses")
        if owner is not None and owner.site.modbus_map is not None:
            ways = (_listens(device.link, owner.site.modbus_map, owner), _lets_in(device.link, owner.site.modbus_map, owner, reader, files))
            yield from ((reader, remark) for way in ways for remark in ((Remark(path, *way),) if way else ()))


def unknown_address(reader: SiteFile, files: Sequence[SiteFile]) -> tuple[str, ...]:
    """Sites whose allow-list cannot be judged, since nothing says by which address this one asks them."""
    if _addresses(reader, files):
        return ()
    names = {name for file, _, device, name in _neighbours(files) if file is reader and not _is_here(device)}
    return tuple(
        sorted(file.name for file in files if file.name in names and file.site.modbus_map is not None and file.site.modbus_map.allow)
    )


def _neighbours(files: Sequence[SiteFile]) -> Iterator[tuple[SiteFile, int, Device, str]]:
    """Each device by which a site reads another one."""
    for reader in files:
        pairs = {(point.device, point.remote): None for point in reader.site.points if point.remote and point.remote != reader.name}
        for number, device in enumerate(reader.site.devices):
            yield from ((reader, number, device, name) for asked, name in pairs if asked == device.id)


def _listens(link: ModbusTcp, shown: ModbusMap, owner: SiteFile) -> tuple[str, str, str] | None:
    if link.port != shown.port:
        return f"port {link.port}, and the map of {owner.name} is at port {shown.port}", _SILENT, f"write 'port: {shown.port}'"
    listens, sought = _address(shown.host), _address(link.host)
    if listens is None or sought is None or listens.is_unspecified:
        return None
    if listens.is_loopback and not sought.is_loopback:
        problem = f"the map of {owner.name} listens on {shown.host}, for its own machine alone"
        return problem, _SILENT, f"let {owner.source} listen on 0.0.0.0, or on its address in the canal's network"
    if listens != sought:
        return f"the map of {owner.name} listens on {shown.host}, and is sought at {link.host}", _SILENT, "correct one of the two"
    return None


def _lets_in(
    link: ModbusTcp, shown: ModbusMap, owner: SiteFile, reader: SiteFile, files: Sequence[SiteFile]
) -> tuple[str, str, str] | None:
    sought = _address(link.host)
    if link.host == "localhost" or (sought is not None and sought.is_loopback):
        return None
    if not shown.allow:
        return f"the map of {owner.name} allows nobody", _SILENT, f"put this site's address under allow in {owner.source}"
    known = _addresses(reader, files)
    networks = [ip_network(text, strict=False) for text in shown.allow]
    if not known or any(address in network for address in known for network in networks):
        return None
    problem = f"the map of {owner.name} allows {', '.join(shown.allow)}, and not {', '.join(map(str, known))}, where {reader.name} is"
    return problem, _SILENT, f"put this site's address under allow in {owner.source}"


def _addresses(site: SiteFile, files: Sequence[SiteFile]) -> list[Address]:
    """Where a site is, as far as the others, or its own map, say."""
    hosts = [device.link.host for _, _, device, name in _neighbours(files) if name == site.name and isinstance(device.link, ModbusTcp)]
    hosts += [site.site.modbus_map.host] if site.site.modbus_map is not None else []
    found = {address for host in hosts if (address := _address(host)) is not None}
    return sorted((address for address in found if not address.is_unspecified and not address.is_loopback), key=str)


def _is_here(device: Device) -> bool:
    address = _address(device.link.host) if isinstance(device.link, ModbusTcp) else None
    return address is not None and address.is_loopback


def _address(host: str) -> Address | None:
    """None: a name, which only the network can tell."""
    try:
        return ip_address(host)
    except ValueError:
        return None
