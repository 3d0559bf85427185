"""Events from the ingest consumer: asked for ahead, so that a batch costs no round trip of its own."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass

from shared.contracts import subjects
from shared.messaging.errors import BusNoResponder, BusUnavailable
from shared.messaging.session import BusMessage, BusSession

_NEXT = f"$JS.API.CONSUMER.MSG.NEXT.{subjects.STREAM_EVENTS}.{subjects.INGEST_CONSUMER}"
_NO_RESPONDERS = "503"
_GATHER_S = 0.005
_NS = 1_000_000_000


@dataclass(frozen=True)
class EventMessage:
    """One message of EVT. Neither `ack` nor `term` waits: where one is lost, the message comes again."""

    subject: str
    body: bytes
    message: BusMessage

    async def ack(self) -> None:
        """It is in the database; the stream may forget it."""
        await self.message.respond(b"+ACK")

    async def term(self) -> None:
        """It will never be readable; the stream may forget it."""
        await self.message.respond(b"+TERM")


class EventPuller:
    """One pull request is open at a time; what arrives between two fetches waits in memory."""

    def __init__(self, session: BusSession) -> None:
        self._session = session
        self._inbox = ""
        self._arrived: asyncio.Queue[BusMessage] = asyncio.Queue()
        self._open = 0
        """Messages that the open request still may bring."""
        self._request = 0

    async def start(self) -> None:
        """Listen for answers.

        Raises:
            BusUnavailable: the connection is gone.
        """
        self._inbox = self._session.new_inbox()
        await self._session.subscribe(f"{self._inbox}.*", self._arrived_one)

    async def fetch(self, batch: int, wait_s: float) -> list[EventMessage]:
        """As `CentralBus.fetch_events`."""
        found: list[EventMessage] = []
        self._take_ready(found, batch)
        if not found:
            if self._open <= 0:
                await self._ask(batch, wait_s)
            with suppress(TimeoutError):
                # the server ends the request at `wait_s`; the second more is for its word of that to arrive
                async with asyncio.timeout(wait_s + 1.0):
                    while not found and self._open > 0:
                        self._take(await self._next(), found)
            if not found:
                self._open = 0
                return []
        await self._gather(found, batch)
        return found

    async def _gather(self, found: list[EventMessage], batch: int) -> None:
        """The rest of a burst is on its way already: wait as long as it keeps coming."""
        with suppress(TimeoutError):
            while len(found) < batch and self._open > 0:
                async with asyncio.timeout(_GATHER_S):
                    self._take(await self._arrived.get(), found)

    async def _next(self) -> BusMessage:
        arrival = asyncio.ensure_future(self._arrived.get())
        loss = asyncio.ensure_future(self._session.wait_lost())
        try:
            await asyncio.wait({arrival, loss}, return_when=asyncio.FIRST_COMPLETED)
            if arrival.done():
                return arrival.result()
            raise BusUnavailable(f"connection lost: {loss.result()}", subject=_NEXT)
        finally:
            arrival.cancel()
            loss.cancel()

    async def _ask(self, batch: int, wait_s: float) -> None:
        self._request += 1
        self._open = batch
        content = {"batch": batch, "expires": int(wait_s * _NS)}
        await self._session.publish(_NEXT, json.dumps(content).encode(), reply=f"{self._inbox}.{self._request}")

    async def _arrived_one(self, message: BusMessage) -> None:
        self._arrived.put_nowait(message)

    def _take_ready(self, found: list[EventMessage], batch: int) -> None:
        while len(found) < batch and not self._arrived.empty():
            self._take(self._arrived.get_nowait(), found)

    def _take(self, message: BusMessage, found: list[EventMessage]) -> None:
        if not message.status:
            self._open -= 1
            found.append(EventMessage(message.subject, message.body, message))
            return
        if not message.subject.endswith(f".{self._request}"):
            return  # the end of an older request
        self._open = 0
        if message.status == _NO_RESPONDERS:
            raise BusNoResponder("the ingest consumer is not there", subject=subjects.STREAM_EVENTS)
