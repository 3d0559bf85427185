"""The only place that reads a clock or sleeps. Everything else takes time as an argument or a `Clock`."""

from __future__ import annotations

import asyncio
import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5  # adjtimex(2): clock not synchronised


class Clock(Protocol):
    """Wall time, monotonic time and waiting."""

    def wall(self) -> datetime:
        """Now, aware, UTC. May jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since boot, suspended time included; the same for every process of one boot."""
        ...

    def boot_id(self) -> str:
        """Identity of this boot: monotonic times of different boots must not be compared."""
        ...

    def is_synchronised(self) -> bool:
        """Whether the wall clock was set by a time source since boot."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait `delay_s` seconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self._boot_id = _read_boot_id()

    def wall(self) -> datetime:
        """Now, aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """CLOCK_BOOTTIME in seconds."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        """The kernel's boot id."""
        return self._boot_id

    def is_synchronised(self) -> bool:
        """What the kernel says (adjtimex); a machine that cannot tell counts as synchronised."""
        return _kernel_clock_state() != _TIME_ERROR

    async def sleep(self, delay_s: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(max(0.0, delay_s))


def _read_boot_id() -> str:
    try:
        return _BOOT_ID_FILE.read_text().strip()
    except OSError:
        return "unknown"


def _kernel_clock_state() -> int:
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads
        return int(libc.adjtimex(ctypes.create_string_buffer(512)))
    except (OSError, AttributeError):
        return 0
