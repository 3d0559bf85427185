"""What the gate does without, to stay small beside the agent and K3s on a Pi.

The gate speaks plain Modbus TCP and a Unix socket, and its signatures are libsodium's: OpenSSL would be 5 to 8 MiB for nothing.
asyncio and hashlib have a way of their own without it; the Modbus library needs three names of `ssl` to be there.
"""

from __future__ import annotations

import sys
import types

_LEFT_OUT = ("ssl", "_hashlib", "rich")


class _NoTls:
    """For `ssl.SSLContext`: the Modbus library makes one as a default argument while it is imported, and never uses it here."""

    def __init__(self, *_arguments: object) -> None:
        return


def leave_out_openssl() -> None:
    """Let imports of what was not imported yet fail, as on a Python that was built without it. To be called first of all."""
    for name in _LEFT_OUT:
        if name not in sys.modules:
            sys.modules[name] = None  # type: ignore[assignment]


def stand_in_for_ssl() -> None:
    """Give the Modbus library the names it needs. To be called before it is imported; where `ssl` is there, nothing happens."""
    if sys.modules.get("ssl", sys) is not None:
        return
    import asyncio  # noqa: F401 - now, while ssl is absent: it then does without

    module = types.ModuleType("ssl")
    module.__dict__.update(SSLContext=_NoTls, PROTOCOL_TLS_CLIENT=0, SSLWantReadError=type("SSLWantReadError", (OSError,), {}))
    sys.modules["ssl"] = module
