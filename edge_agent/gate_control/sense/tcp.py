"""Modbus TCP: a connection that heals itself beside the scan, and never holds it up."""

from __future__ import annotations

import asyncio
import contextlib

from edge_agent.gate_control.model.devices import ModbusTcp
from edge_agent.gate_control.sense.silence import LineDown, NoAnswer, Refused
from edge_agent.gate_control.wire.frames import MAX_FRAME_BYTES, take_tcp_frame, tcp_frame
from edge_agent.gate_control.wire.messages import NotAnAnswer, RefusedByDevice, Request, parse_reply
from shared.clock import Clock

CONNECT_TIMEOUT_S = 3.0
RECONNECT_FIRST_S = 0.1
RECONNECT_MAX_S = 2.0
FAILURES_UNTIL_RECONNECT = 3
"""Requests without answer in a row, of whichever unit, after which the connection is thrown away."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TcpLink:
    """One connection to a device or gateway. The transaction number tells a late answer from the one that is awaited."""

    def __init__(self, settings: ModbusTcp, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._streams: Streams | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._connect_error = ""
        self._received = b""
        self._transaction = 0
        self._failures = 0

    @property
    def name(self) -> str:
        """`host:port`."""
        return f"{self._settings.host}:{self._settings.port}"

    async def exchange(self, request: Request, timeout_s: float) -> tuple[int, ...]:
        """See `Link`."""
        async with self._turn:
            streams = self._connected()
            self._transaction = self._transaction % 0xFFFF + 1
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._ask(streams, request)
            except (TimeoutError, OSError, EOFError, NotAnAnswer) as error:
                raise self._failed(error, timeout_s) from error
            return self._judge(request, reply)

    async def rest(self) -> None:
        """Nothing to wait for: what comes late carries the number of its own request."""

    async def close(self) -> None:
        """See `Link`."""
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
        if self._streams is not None:
            writer = self._streams[1]
            self._drop()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()

    async def _ask(self, streams: Streams, request: Request) -> bytes:
        reader, writer = streams
        writer.write(tcp_frame(self._transaction, request.unit, request.to_bytes()))
        await writer.drain()
        while True:
            frame, self._received = take_tcp_frame(self._received)
            if frame is None:
                came = await reader.read(MAX_FRAME_BYTES)
                if not came:
                    raise EOFError("it closed the connection")
                self._received += came
            elif frame.transaction == self._transaction:
                if frame.unit != request.unit:
                    raise NotAnAnswer(f"unit {frame.unit} answered")
                return frame.data

    def _judge(self, request: Request, reply: bytes) -> tuple[int, ...]:
        self._failures = 0  # the line works, whatever the unit says
        try:
            return parse_reply(request, reply)
        except RefusedByDevice as refusal:
            raise Refused(str(refusal), code=refusal.code, subject=self.name) from refusal
        except NotAnAnswer as error:
            raise NoAnswer(f"no valid answer: {error}", subject=self.name) from error

    def _connected(self) -> Streams:
        if self._streams is not None and not self._streams[1].is_closing():
            return self._streams
        if self._connecting is None or self._connecting.done():
            self._drop()
            self._connecting = asyncio.create_task(self._connect(), name=f"connect {self.name}")
        raise LineDown(f"is not connected{f': {self._connect_error}' if self._connect_error else ''}", subject=self.name)

    async def _connect(self) -> None:
        """Try until it holds."""
        delay_s = RECONNECT_FIRST_S
        while True:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    self._streams = await asyncio.open_connection(self._settings.host, self._settings.port)
            except (OSError, TimeoutError) as error:
                self._connect_error = str(error) or "no answer"
            else:
                self._received, self._failures, self._connect_error = b"", 0, ""
                return
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MAX_S)

    def _failed(self, error: Exception, timeout_s: float) -> NoAnswer:
        self._failures += 1
        if not isinstance(error, TimeoutError) or self._failures >= FAILURES_UNTIL_RECONNECT:
            self._drop()
        what = f"no answer in {timeout_s:g} s" if isinstance(error, TimeoutError) else f"no valid answer: {error}"
        return NoAnswer(what, subject=self.name)

    def _drop(self) -> None:
        streams, self._streams = self._streams, None
        self._failures, self._received = 0, b""
        if streams is not None:
            streams[1].close()
