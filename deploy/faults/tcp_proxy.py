"""A TCP link that fails when told to: cut (connections die, new ones are refused) or frozen (they stay, and nothing passes)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_BLOCK_BYTES = 64 * 1024


class TcpProxy:
    """Listens on a port of 127.0.0.1 and passes bytes to one target. Between `cut` and `heal` the port stays the same."""

    def __init__(self, host: str, port: int, *, listen_port: int = 0) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._cut = False
        self.port = listen_port
        self.connections = 0
        """How many were accepted so far."""
        self.bytes_up = 0
        """From clients to the target."""
        self.bytes_down = 0
        """From the target to clients."""

    @classmethod
    @asynccontextmanager
    async def to(cls, host: str, port: int, *, listen_port: int = 0) -> AsyncIterator[TcpProxy]:
        """A proxy in front of `host:port`, gone at the end of the block."""
        proxy = cls(host, port, listen_port=listen_port)
        await proxy.start()
        try:
            yield proxy
        finally:
            await proxy.stop()

    @property
    def url(self) -> str:
        """As a NATS client wants it."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen. Safe to repeat."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop_links()

    async def cut(self) -> None:
        """Cut the cable: open connections are reset, new ones are dropped at once."""
        self._cut = True
        await self._drop_links()

    def freeze(self) -> None:
        """Half-open: connections stay up and new ones are taken, but no byte passes either way."""
        self._flowing.clear()

    def heal(self) -> None:
        """Undo `cut` and `freeze`."""
        self._cut = False
        self._flowing.set()

    async def _drop_links(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        # a cancelled link is a cut one, nothing to complain about
        with suppress(asyncio.CancelledError):
            await self._link(reader, writer)
        self._links.discard(task)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            up = asyncio.create_task(self._pump(reader, far_writer, is_up=True))
            down = asyncio.create_task(self._pump(far_reader, writer, is_up=False))
            try:
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                up.cancel()
                down.cancel()
                await asyncio.gather(up, down, return_exceptions=True)
        except OSError:
            pass
        finally:
            # abort, not close: the peer must see a reset at once, and unsent bytes must not arrive after a cut
            writer.transport.abort()
            if far_writer is not None:
                far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        while True:
            await self._flowing.wait()
            block = await reader.read(_BLOCK_BYTES)
            if not block:
                return
            await self._flowing.wait()
            writer.write(block)
            await writer.drain()
            if is_up:
                self.bytes_up += len(block)
            else:
                self.bytes_down += len(block)
