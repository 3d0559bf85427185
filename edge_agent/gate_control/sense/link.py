"""A line to one or more Modbus units: one request at a time, each bounded in time, none ever repeated here."""

from __future__ import annotations

from typing import Protocol

from edge_agent.gate_control.model.devices import Device
from edge_agent.gate_control.sense.rtu import RtuLink
from edge_agent.gate_control.sense.silence import NoAnswer, Refused
from edge_agent.gate_control.sense.tcp import TcpLink
from edge_agent.gate_control.wire.messages import Request
from shared.clock import Clock

__all__ = ["Link", "NoAnswer", "Refused", "link_key", "open_link"]


class Link(Protocol):
    """A queue of requests to the units of one line."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    async def exchange(self, request: Request, timeout_s: float) -> tuple[int, ...]:
        """Registers of the answer; empty for a write.

        Raises:
            NoAnswer: no line, no answer within `timeout_s` of its turn, or none that fits the request.
            Refused: the unit said no.
        """
        ...

    async def rest(self) -> None:
        """Let go of what may still be on its way: the last answers cannot be trusted to belong to their requests."""
        ...

    async def close(self) -> None:
        """Give the line up; no task is left behind."""
        ...


def link_key(device: Device) -> tuple[str, ...]:
    """Devices with the same key share a line."""
    link = device.link
    return ("tcp", link.host, str(link.port)) if link.kind == "modbus_tcp" else ("rtu", link.path)


def open_link(device: Device, clock: Clock) -> Link:
    """The line of a device; nothing is connected yet."""
    link = device.link
    return TcpLink(link, clock) if link.kind == "modbus_tcp" else RtuLink(link, clock)
