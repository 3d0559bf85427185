"""What systemd is told, if it started us."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(state: str) -> None:
    """Send one line of sd_notify(3), for example `READY=1`; without systemd nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect("\0" + address[1:] if address.startswith("@") else address)
        line.send(state.encode())
