"""What the gate does without, to stay small beside the agent and K3s on a Pi.

The gate speaks plain Modbus TCP and a Unix socket, and its signatures are libsodium's: OpenSSL would be 5 to 8 MiB for nothing.
asyncio and hashlib have a way of their own without it. structlog draws exceptions with rich where that is installed: 8 MiB that
nobody sees in a journal. pydantic searches what is installed for plugins, of which a gate has none: what it searches with
(importlib.metadata, with email, zipfile and more behind it) would be 2 MiB.
"""

from __future__ import annotations

import gc
import sys
from types import ModuleType
from typing import Any

_LEFT_OUT = ("ssl", "_hashlib", "rich")
_SEARCH = "importlib.metadata"


def leave_out() -> None:
    """Let imports of what was not imported yet fail, as on a Python that was built without it. To be called first of all."""
    for name in _LEFT_OUT:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]
    if _SEARCH not in sys.modules:
        sys.modules[_SEARCH] = _nothing_installed()


def freeze() -> None:
    """What was made until now lives as long as the process: the collector need not walk it in the middle of a scan (8 ms, on a Pi more)."""
    gc.collect()
    gc.freeze()


def _nothing_installed() -> ModuleType:
    """In the place of `importlib.metadata`: there are no entry points. Whatever else is asked of it fails where it is imported."""
    stand_in = ModuleType(_SEARCH, "Finds nothing.")
    vars(stand_in)["entry_points"] = _no_entry_points
    return stand_in


def _no_entry_points(**_wanted: Any) -> tuple[()]:
    return ()
