"""Keeps the process small beside K3s on a Pi. Nothing here changes what the agent does."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

FIRST_SETTLE_S = 10.0
SETTLE_EVERY_S = 60.0
_ARENA_MAX, _TRIM_THRESHOLD = -8, -1  # mallopt(3)
_TRIM_BYTES = 128 * 1024


def prepare() -> None:
    """To be called before anything large is imported."""
    # structlog draws exceptions with it where it is installed: 8 MiB that nobody sees in a journal
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
    # else pydantic searches all installed distributions for plugins
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        # one heap: threads here only unpack a release now and then
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_TRIM_THRESHOLD, _TRIM_BYTES)


def freeze() -> None:
    """What was made until now lives as long as the process: the collector need not look at it again."""
    gc.collect()
    gc.freeze()


def settle() -> None:
    """Give freed memory back to the machine; a few milliseconds."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
