"""What the gate does without, to stay small beside the agent and K3s on a Pi.

The gate speaks plain Modbus TCP and a Unix socket, and its signatures are libsodium's: OpenSSL would be 5 to 8 MiB for nothing.
asyncio and hashlib have a way of their own without it.
"""

from __future__ import annotations

import sys

_LEFT_OUT = ("ssl", "_hashlib", "rich")


def leave_out_openssl() -> None:
    """Let imports of what was not imported yet fail, as on a Python that was built without it. To be called first of all."""
    for name in _LEFT_OUT:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]
