"""The NATS library's client with an end that cannot hang. The only place that reaches into the library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nats.aio.client import Client

_CLOSE_LIMIT_S = 1.0


class OneShotClient(Client):
    """For one connection, with `allow_reconnect=False`.

    The library closes by sending what is pending and waiting for the peer; on a half-open link that takes until the kernel
    gives up, a quarter of an hour, and meanwhile it tells nobody. Here the socket goes first, and `on_end` is told first.
    """

    def __init__(self, on_end: Callable[[Exception | None], None]) -> None:
        super().__init__()
        self._on_end = on_end

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        self._on_end(self._err)
        self.abort_socket()
        self._pending: list[bytes] = []
        self._pending_data_size = 0
        await super()._close(status, do_cbs)

    def abort_socket(self) -> None:
        """Drop the socket, unsent bytes and all. Safe to repeat."""
        transport: Any = self._transport
        # both: after the TLS upgrade the plain one underneath stays referenced
        for name in ("_io_writer", "_bare_io_writer"):
            writer: Any = getattr(transport, name, None)
            if writer is not None:
                writer.transport.abort()

    async def discard(self) -> None:
        """End everything within a second, whatever the link does. Safe to repeat."""
        self.abort_socket()
        closing = asyncio.ensure_future(self._close_quietly())
        try:
            # the library swallows cancellations while it closes, so it is waited for from outside and never awaited
            await asyncio.wait({closing}, timeout=_CLOSE_LIMIT_S)
        finally:
            closing.cancel()
            self._cancel_tasks()

    async def _close_quietly(self) -> None:
        # the connection is already given up; whatever its close says changes nothing
        with suppress(Exception):
            await self.close()

    def _cancel_tasks(self) -> None:
        for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
            if task is not None and task is not asyncio.current_task() and not task.done():
                task.cancel()
