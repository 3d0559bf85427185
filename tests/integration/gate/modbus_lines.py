"""Lines with somebody at the other end who answers as told: byte by byte on TCP, and on a pseudo terminal for RTU."""

import asyncio
import contextlib
import os
import tty
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

Answer = Callable[[bytes], Awaitable[list[bytes]]]
"""From a request (unit, function and data) to the frames that are sent back."""


class RawTcp:
    """Hands each request to `answer`, with its transaction number, and sends back what it says."""

    def __init__(self, answer: Callable[[int, bytes], Awaitable[list[bytes]]]) -> None:
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: list[asyncio.Task[Any]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> "RawTcp":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._serving.append(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                header = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(header[4:6], "big"))
                self.requests.append(body)
                for frame in await self._answer(int.from_bytes(header[:2], "big"), body):
                    writer.write(frame)
                    await writer.drain()
        self._writers.discard(writer)
        writer.close()


def tcp(transaction: int, unit: int, data: bytes) -> bytes:
    """A frame as pymodbus makes it: a second opinion on our own."""
    return FramerSocket(DecodePDU(True)).encode(data, unit, transaction)


def rtu(unit: int, data: bytes) -> bytes:
    """A serial frame as pymodbus makes it."""
    return FramerRTU(DecodePDU(True)).encode(data, unit, 0)


class RawRtu:
    """The far end of a serial line on a pseudo terminal. Requests are taken as they come: all of ours are 8 bytes (reads) or so."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave = slave  # kept open: the line stays while nobody else has it
        self.requests: list[bytes] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def _ready(self) -> None:
        request = os.read(self._master, 512)
        body = request[:-2]
        self.requests.append(body)
        task = asyncio.create_task(self._reply(body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, body: bytes) -> None:
        for frame in await self._answer(body):
            self.send(frame)

    async def __aenter__(self) -> "RawRtu":
        asyncio.get_running_loop().add_reader(self._master, self._ready)
        return self

    async def __aexit__(self, *_error: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        os.close(self._master)
        os.close(self._slave)


@contextlib.asynccontextmanager
async def closing(reader: Any) -> AsyncIterator[Any]:
    """The reader, closed at the end."""
    try:
        yield reader
    finally:
        await reader.close()


def registers_of(body: bytes, values: dict[int, int] | Callable[[int], int]) -> bytes:
    """The right answer to a read: function, byte count, registers."""
    start, count = int.from_bytes(body[2:4], "big"), int.from_bytes(body[4:6], "big")
    found = [values(index) if callable(values) else values.get(index, 0) for index in range(start, start + count)]
    return bytes((body[1], 2 * count)) + b"".join(value.to_bytes(2, "big") for value in found)
