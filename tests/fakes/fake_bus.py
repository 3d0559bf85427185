"""A bus of one node in memory: its Desired, artifacts by chunk, a stream that knows message ids, a link that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.contracts.limits import CHUNK_BYTES
from shared.messaging.errors import BusRefused, BusUnavailable
from shared.messaging.session import BusMessage, DesiredEntry, PubAck
from shared.signing.digests import sha256_hex


@dataclass
class FakeBus:
    """What outlives sessions."""

    desired: bytes | None = None
    artifacts: dict[str, bytes] = field(default_factory=dict)
    stored: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Of the stream: message id to subject and body."""
    published: list[tuple[str, bytes]] = field(default_factory=list)
    is_cut: bool = False
    is_full: bool = False
    lose_acks: int = 0
    """So many events are stored, and their acknowledgement is lost."""
    attempts: list[str] = field(default_factory=list)
    chunk_reads: list[tuple[str, int]] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)

    def add_artifact(self, content: bytes) -> str:
        digest = sha256_hex(content)
        self.artifacts[digest] = content
        return digest

    async def open(self) -> FakeSession:
        if self.is_cut:
            raise BusUnavailable("cannot connect", subject="bus")
        session = FakeSession(self)
        self.sessions.append(session)
        return session

    def cut(self) -> None:
        self.is_cut = True
        for session in self.sessions:
            session.lose("link cut")

    async def notice(self, subject: str, body: bytes = b"") -> None:
        for session in self.sessions:
            if session.is_healthy:
                await session.deliver(subject, body)


class FakeSession:
    """One connection; see `shared.messaging.session.BusSession`."""

    def __init__(self, bus: FakeBus) -> None:
        self._bus = bus
        self._problem = ""
        self._handlers: list[tuple[str, Callable[[BusMessage], Awaitable[None]]]] = []
        self.last_round_trip_s = 0.0
        self.pings = 0
        self.was_aborted = False

    @property
    def is_healthy(self) -> bool:
        return not self._problem

    @property
    def problem(self) -> str:
        return self._problem

    def lose(self, reason: str) -> None:
        self._problem = self._problem or reason

    async def publish_event(self, subject: str, body: bytes, message_id: str) -> PubAck:
        await self._reach()
        self._bus.attempts.append(message_id)
        if self._bus.is_full:
            raise BusRefused("maximum messages exceeded", subject=subject, delay_s=0.01)
        known = message_id in self._bus.stored
        self._bus.stored.setdefault(message_id, (subject, body))
        if self._bus.lose_acks > 0:
            self._bus.lose_acks -= 1
            raise BusUnavailable("no answer within 15 s", subject=subject, delay_s=0.01)
        return PubAck("EVT", len(self._bus.stored), known)

    async def publish(self, subject: str, body: bytes) -> None:
        await self._reach()
        self._bus.published.append((subject, body))

    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None:
        await self._reach()
        self._handlers.append((subject.removesuffix(">"), handler))

    async def deliver(self, subject: str, body: bytes) -> None:
        for prefix, handler in self._handlers:
            if subject.startswith(prefix):
                await handler(BusMessage(subject, body, {}, "", self))  # type: ignore[arg-type]

    async def get_desired(self, node: str) -> DesiredEntry | None:
        await self._reach()
        return DesiredEntry(self._bus.desired, 1) if self._bus.desired is not None else None

    async def get_chunk(self, digest: str, index: int) -> bytes | None:
        await self._reach()
        self._bus.chunk_reads.append((digest, index))
        content = self._bus.artifacts.get(digest)
        return None if content is None else content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES] or None

    async def ping(self, timeout_s: float) -> float:
        self.pings += 1
        await self._reach()
        return 0.001

    async def abort(self) -> None:
        self.was_aborted = True
        self.lose("aborted")

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self._problem or self._bus.is_cut:
            raise BusUnavailable(self._problem or "link cut", subject="bus")
