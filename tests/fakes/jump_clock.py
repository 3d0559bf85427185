"""The machine's clock, that a test can move ahead by hours: whoever sleeps until then wakes at once. For agents on real sockets."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from shared.clock import SystemClock


class JumpClock:
    """Runs as the machine's clock does. `pass_time` moves both clocks ahead, `jump_wall` the wall clock alone."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._passed_s = 0.0
        self._wall_off_s = 0.0
        self._boot = 1
        self._jumped = asyncio.Event()
        self.synchronised = True

    def wall(self) -> datetime:
        return self._real.wall() + timedelta(seconds=self._passed_s + self._wall_off_s)

    def monotonic_s(self) -> float:
        return self._real.monotonic_s() + self._passed_s

    def boot_id(self) -> str:
        return f"boot-{self._boot}"

    def is_synchronised(self) -> bool:
        return self.synchronised

    async def sleep(self, delay_s: float) -> None:
        until_s = self.monotonic_s() + delay_s
        while (left_s := until_s - self.monotonic_s()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._jumped.wait()
            except TimeoutError:
                pass
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        self._passed_s += seconds
        jumped, self._jumped = self._jumped, asyncio.Event()
        jumped.set()

    def jump_wall(self, seconds: float) -> None:
        self._wall_off_s += seconds

    def reboot(self, *, off_s: float = 0.0) -> None:
        """Another boot; a machine without a battery for its clock wakes up in the past."""
        self._boot += 1
        self._wall_off_s -= off_s
