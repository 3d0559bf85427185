"""A node's network: a namespace, and a link between it and the machine. No way out, no address of the machine is touched."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local_cluster.layout import SERVICE_RANGE
from deploy.make.capabilities import system_path
from shared.errors import MunbonError

# One /30 for each node, in the first of these that touches no route of this machine
CANDIDATES = ("10.213.0.0/16", "172.29.0.0/16", "192.168.0.0/16")
SLOTS = 250
LINK_PREFIX = "mb-"
NAMESPACES = Path("/run/netns")


class NetworkFailed(MunbonError):
    """A step of the node's network did not work."""


@dataclass(frozen=True)
class Link:
    """The two ends of a node's link."""

    host_address: str
    node_address: str
    prefix: int


def link_of(slot: int, network: str) -> Link:
    """Addresses of node `slot` in `network`. Pure."""
    start = ipaddress.ip_network(network)[0] + 4 * slot
    return Link(str(start + 1), str(start + 2), 30)


def unused_network() -> str:
    """The first candidate range that no address and no route of this machine touches, links of our own nodes aside.

    Raises:
        NetworkFailed: all are in use.
    """
    used = used_networks()
    for candidate in CANDIDATES:
        if not any(ipaddress.ip_network(candidate).overlaps(each) for each in used):
            return candidate
    raise NetworkFailed(
        f"{', '.join(CANDIDATES)} are all routed on this machine",
        subject="address ranges",
        remedy="take down the VPN or bridge that uses one of them",
    )


def used_networks() -> list[ipaddress.IPv4Network]:
    """Networks that this machine routes, without the default route and without links of our own nodes."""
    routes = json.loads(_run("ip", "-json", "-4", "route", "show", "table", "all") or "[]")
    found = []
    for route in routes:
        if route["dst"] == "default" or str(route.get("dev", "")).startswith(LINK_PREFIX):
            continue
        try:
            found.append(ipaddress.ip_network(route["dst"], strict=False))
        except ValueError:
            continue
    return [each for each in found if isinstance(each, ipaddress.IPv4Network)]


def make(netns: str, link: str, ends: Link) -> None:
    """Make the namespace and its link.

    Raises:
        NetworkFailed: a command refused; its words are in the message.
    """
    _run("ip", "netns", "add", netns)
    _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", netns)
    _run("ip", "address", "add", f"{ends.host_address}/{ends.prefix}", "dev", link)
    _run("ip", "link", "set", link, "up")
    inside = ("ip", "-netns", netns)
    _run(*inside, "link", "set", "lo", "up")
    _run(*inside, "address", "add", f"{ends.node_address}/{ends.prefix}", "dev", "eth0")
    _run(*inside, "link", "set", "eth0", "up")
    # Without a default route an unreachable registry fails at once; Services still need a way from the node itself
    _run(*inside, "route", "add", SERVICE_RANGE, "dev", "eth0")
    _run("nsenter", f"--net={NAMESPACES / netns}", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")


def remove(netns: str, link: str) -> None:
    """Remove link and namespace; a repeat is safe."""
    if link and Path("/sys/class/net", link).exists():
        _run("ip", "link", "delete", link, check=False)
    if netns and (NAMESPACES / netns).exists():
        _run("ip", "netns", "delete", netns, check=False)


def exists(netns: str, link: str) -> bool:
    """Whether link or namespace are there."""
    return bool(link and Path("/sys/class/net", link).exists()) or bool(netns and (NAMESPACES / netns).exists())


def _run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": system_path(), "LC_ALL": "C"})
    if check and done.returncode != 0:
        raise NetworkFailed(f"{done.stderr.strip() or done.returncode}", subject=" ".join(command))
    return done.stdout
