"""What receiving needs of a session on the bus; see `shared.messaging.session.BusSession`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from shared.messaging.session import BusMessage, DesiredEntry


class ReceiveSession(Protocol):
    """One connection."""

    async def get_desired(self, node: str) -> DesiredEntry | None: ...
    async def get_chunk(self, digest: str, index: int) -> bytes | None: ...
    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None: ...
