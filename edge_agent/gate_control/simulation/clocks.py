"""A clock that goes as the simulation says; who sleeps on it is woken by `advance_to`."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import datetime, timedelta


class SimulatedClock:
    """The clock of one site's computer; a `shared.clock.Clock`."""

    def __init__(self, start_wall: datetime, name: str = "") -> None:
        self._start_wall = start_wall
        self._name = name
        self._plant_s = 0.0
        self._booted_at_s = 0.0
        self._boots = 1
        self._wall_error_s = 0.0
        self._is_trusted = True
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def wall(self) -> datetime:
        """The site's wall time, right or wrong."""
        return self._start_wall + timedelta(seconds=self._plant_s + self._wall_error_s)

    @property
    def plant_s(self) -> float:
        """The time of the plant, which nobody at the site knows."""
        return self._plant_s

    def monotonic_s(self) -> float:
        """Since the site's last boot."""
        return self._plant_s - self._booted_at_s

    def boot_id(self) -> str:
        """Another one after each reboot."""
        return f"boot-{self._name}-{self._boots}"

    def is_synchronised(self) -> bool:
        """Whether a time source set the wall clock since boot."""
        return self._is_trusted

    async def sleep(self, delay_s: float) -> None:
        """Until the simulation has come that far."""
        event_loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = event_loop.create_future()
        if delay_s <= 0.0:
            event_loop.call_soon(future.set_result, None)
        else:
            heapq.heappush(self._sleepers, (self._plant_s + delay_s, next(self._numbers), future))
        await future

    def advance_to(self, plant_s: float) -> None:
        """Let time pass; the wall clock goes with it."""
        self._plant_s = plant_s
        while self._sleepers and self._sleepers[0][0] <= plant_s + 1e-9:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)

    def local_s(self, plant_s: float) -> float:
        """A time of the plant on this computer's monotonic clock."""
        return plant_s - self._booted_at_s

    def step(self, step_s: float, *, is_trusted: bool) -> None:
        """The wall clock jumps."""
        self._wall_error_s += step_s
        self._is_trusted = is_trusted

    def reboot(self, wall_error_s: float, *, is_trusted: bool) -> None:
        """A new boot; the monotonic clock begins at 0."""
        self._boots += 1
        self._booted_at_s = self._plant_s
        self._wall_error_s = wall_error_s
        self._is_trusted = is_trusted
