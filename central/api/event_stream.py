"""Server-sent events: a stream ends when its source does, when the client goes, and when the server stops.

FastAPI's own answer for events ends only with its source or its client: a stop of the server would have to wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.clock import Clock
from shared.errors import MunbonError
from shared.observability import get_logger

KEEP_ALIVE_S = 15.0
_KEEP_ALIVE = b": keep-alive\n\n"
_HELLO = b": connected\n\n"
_LOG = get_logger("central.api.stream")
Writer = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True)
class StreamItem:
    """One event: `data` is JSON on one line, `cursor` becomes its id."""

    event: str
    data: str
    cursor: str = ""

    def encode(self) -> bytes:
        """As the wire wants it."""
        head = f"id: {self.cursor}\n" if self.cursor else ""
        return f"{head}event: {self.event}\ndata: {self.data}\n\n".encode()


class EventStream(Response):
    """Sends what `items` gives; between items a comment every 15 s, so that proxies and clients know that it lives.

    The source is read by a task of its own: waiting for the next item is never cancelled to send a comment.
    """

    media_type = "text/event-stream"

    def __init__(self, items: AsyncIterator[StreamItem], *, stopping: asyncio.Event, clock: Clock, status_code: int = 200) -> None:
        super().__init__(status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._items = items
        self._stopping = stopping
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": _HELLO, "more_body": True})
        lock = asyncio.Lock()

        async def write(body: bytes) -> None:
            async with lock:
                await send({"type": "http.response.body", "body": body, "more_body": True})

        work = [
            asyncio.create_task(self._write_items(write)),
            asyncio.create_task(self._keep_alive(write)),
            asyncio.create_task(_client_gone(receive)),
            asyncio.create_task(self._stopping.wait()),
        ]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            results = await asyncio.gather(*work, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise result
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write_items(self, write: Writer) -> None:
        try:
            async for item in self._items:
                await write(item.encode())
        except MunbonError as error:  # the store is away: the client comes again, with its cursor
            _LOG.warning("stream ended", reason=str(error))
        finally:
            close = getattr(self._items, "aclose", None)
            if close is not None:
                await close()

    async def _keep_alive(self, write: Writer) -> None:
        while True:
            await self._clock.sleep(KEEP_ALIVE_S)
            await write(_KEEP_ALIVE)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
