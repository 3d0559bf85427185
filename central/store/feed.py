"""Change notices inside the process, for server-sent events and loops. A notice says what to read again, never what it is."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Final

TOPICS: Final = frozenset({"nodes", "events", "rollouts", "gates", "assignments", "releases"})
MAX_PENDING = 1_000
"""Different notices kept for one reader; beyond it a single `EVERYTHING` takes their place."""


@dataclass(frozen=True)
class Change:
    """Something of this topic changed; `key` names it, or is empty for all of the topic."""

    topic: str
    key: str = ""


EVERYTHING: Final = Change("*")
"""The reader was too slow: read all again."""


class Subscription:
    """Notices for one reader: `async for change in subscription`, or `next_changes` in a loop with a beat of its own.

    Equal notices that wait are one. It hears from the moment it is made until it is closed or forgotten.
    """

    def __init__(self, topics: frozenset[str]) -> None:
        self._topics = topics
        self._pending: dict[Change, None] = {}
        self._ready = asyncio.Event()
        self._closed = False

    def offer(self, change: Change) -> None:
        """Take a notice in if it is of a wanted topic; never blocks."""
        if self._closed or change.topic not in self._topics or EVERYTHING in self._pending:
            return
        self._pending[change] = None
        if len(self._pending) > MAX_PENDING:
            self._pending = {EVERYTHING: None}
        self._ready.set()

    async def next_changes(self, timeout_s: float | None = None) -> tuple[Change, ...]:
        """All notices that wait, in order; waits for the first, at most `timeout_s`. Empty after that time, or when closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return ()
        changes, self._pending = tuple(self._pending), {}
        if not self._closed:
            self._ready.clear()
        return changes

    def close(self) -> None:
        """Hear no more; a waiting reader is woken and ends after what still waits."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Change:
        await self._ready.wait()
        if not self._pending:
            raise StopAsyncIteration
        change = next(iter(self._pending))
        del self._pending[change]
        if not self._pending and not self._closed:
            self._ready.clear()
        return change

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class ChangeFeed:
    """Fan-out to all readers of this process. Use it from the event loop's thread only."""

    def __init__(self) -> None:
        self._readers: weakref.WeakSet[Subscription] = weakref.WeakSet()

    def publish(self, topic: str, key: str = "") -> None:
        """Tell all readers of a topic; after the commit, never before.

        Raises:
            ValueError: the topic is unknown.
        """
        _check({topic})
        for reader in list(self._readers):
            reader.offer(Change(topic, key))

    def subscribe(self, topics: Collection[str]) -> Subscription:
        """A new reader; it hears everything that is published from now on.

        Raises:
            ValueError: a topic is unknown.
        """
        _check(topics)
        reader = Subscription(frozenset(topics))
        self._readers.add(reader)
        return reader


def _check(topics: Collection[str]) -> None:
    unknown = set(topics) - TOPICS
    if unknown:
        raise ValueError(f"unknown topic(s): {', '.join(sorted(unknown))}")
