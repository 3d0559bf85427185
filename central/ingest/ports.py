"""What ingest needs of the bus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from shared.messaging.session import BusMessage


class IncomingEvent(Protocol):
    """One message of the event stream; see `central.bus.event_puller.EventMessage`."""

    @property
    def subject(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    async def ack(self) -> None: ...
    async def term(self) -> None: ...


class IngestBus(Protocol):
    """One session; see `central.bus.central_session.CentralBus`."""

    async def fetch_events(self, batch: int, wait_s: float) -> Sequence[IncomingEvent]: ...
    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None: ...
    async def wait_lost(self) -> str: ...


class IngestSource(Protocol):
    """Where the session of the moment comes from; see `central.bus.keeper.BusKeeper`."""

    async def session(self) -> IngestBus: ...
    async def ensure_streams(self) -> None: ...
