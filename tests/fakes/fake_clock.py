"""A clock that a test moves by hand: `sleep` ends when the test has moved it far enough."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class FakeClock:
    """Both clocks; `advance` moves them together, `jump_wall` the wall clock alone, `reboot` begins a new boot."""

    def __init__(self, *, synchronised: bool = True) -> None:
        self._wall = START
        self._monotonic_s = 1_000.0
        self._boot = 1
        self.synchronised = synchronised
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def wall(self) -> datetime:
        return self._wall

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def boot_id(self) -> str:
        return f"boot-{self._boot}"

    def is_synchronised(self) -> bool:
        return self.synchronised

    async def sleep(self, delay_s: float) -> None:
        if delay_s <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._monotonic_s + delay_s, next(self._order), waiter))
        await waiter

    def tick(self, seconds: float) -> None:
        """Move both clocks, waking nobody: for tests without tasks."""
        self._monotonic_s += seconds
        self._wall += timedelta(seconds=seconds)

    def jump_wall(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)

    def reboot(self, off_s: float = 0.0) -> None:
        self._boot += 1
        self._monotonic_s = 5.0
        self._wall += timedelta(seconds=off_s)

    async def advance(self, seconds: float) -> None:
        """Move both clocks and let everybody run whose time has come, in order."""
        until_s = self._monotonic_s + seconds
        await self.settle()
        while self._waiting and self._waiting[0][0] <= until_s:
            due_s, _, waiter = heapq.heappop(self._waiting)
            self.tick(max(0.0, due_s - self._monotonic_s))
            if not waiter.done():
                waiter.set_result(None)
                await self.settle()
        self.tick(until_s - self._monotonic_s)
        await self.settle()

    async def settle(self) -> None:
        """Let tasks run until they wait for something."""
        for _ in range(50):
            await asyncio.sleep(0)
