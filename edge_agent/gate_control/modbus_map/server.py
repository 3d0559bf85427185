"""The map's Modbus TCP server: reads only, for addresses on the list, at a bounded cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from edge_agent.gate_control.modbus_map.layout import MapSnapshot, RegisterMap
from edge_agent.gate_control.model.configuration import ModbusMap, SiteConfiguration
from edge_agent.gate_control.wire.frames import MAX_FRAME_BYTES, take_tcp_frame, tcp_frame
from edge_agent.gate_control.wire.messages import ILLEGAL_ADDRESS, NotAnAnswer, exception_reply, parse_request, read_reply
from shared.clock import Clock
from shared.observability import get_logger

MAX_CONNECTIONS = 16
IDLE_S = 60.0
PAUSE_S = 0.02
"""After each answer of a connection: 50 requests a second are plenty, and a flood costs the scan little."""
CLOSE_WITHIN_S = 1.0

log = get_logger("gate.modbus_map")


class ModbusMapServer:
    """Serves the newest snapshot. Has no way to take a value in."""

    def __init__(self, site: SiteConfiguration, settings: ModbusMap, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._map = RegisterMap(site)
        self._allowed = may_read(settings.allow)
        self._snapshot = MapSnapshot()
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self.refused = 0
        """Connections that were closed at once: strangers, and more than there is room for."""

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._settings.port if self._server is None else int(self._server.sockets[0].getsockname()[1])

    def show(self, snapshot: MapSnapshot) -> None:
        """From now on show this."""
        self._snapshot = snapshot

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        self._server = await asyncio.start_server(self._serve, self._settings.host, self._settings.port, limit=MAX_FRAME_BYTES)

    async def stop(self) -> None:
        """Close the door and every connection; no task is left behind."""
        if self._server is None:
            return
        self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        task = asyncio.current_task()
        if task is None or not self._allowed(peer) or len(self._clients) >= MAX_CONNECTIONS:
            self.refused += 1
            writer.close()
            return
        self._clients[task] = writer
        # a client that is cut off, silent or talks nonsense is let go; it can come again
        with contextlib.suppress(OSError, TimeoutError, NotAnAnswer, EOFError, asyncio.CancelledError):
            await self._answer_all(reader, writer)
        del self._clients[task]
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await writer.wait_closed()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = b""
        while True:
            frame, received = take_tcp_frame(received)
            if frame is None:
                async with asyncio.timeout(IDLE_S):
                    came = await reader.read(MAX_FRAME_BYTES)
                if not came:
                    return
                received += came
                continue
            writer.write(tcp_frame(frame.transaction, frame.unit, self._reply(frame.data)))
            async with asyncio.timeout(IDLE_S):
                await writer.drain()
            await self._clock.sleep(PAUSE_S)

    def _reply(self, data: bytes) -> bytes:
        parsed = parse_request(data)
        if isinstance(parsed, int):
            return exception_reply(data[0] if data else 0, parsed)
        function, start, count = parsed
        registers = self._map.read(self._snapshot, start, count, self._clock.monotonic_s())
        return exception_reply(function, ILLEGAL_ADDRESS) if registers is None else read_reply(function, registers)


def may_read(allow: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether an address is on the list; with an empty list only this machine's own."""
    networks = [ip_network(text, strict=False) for text in allow]

    def is_allowed(peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in networks) if networks else address.is_loopback

    return is_allowed
