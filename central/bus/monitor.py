"""nats-server's monitoring port, which listens on 127.0.0.1 alone and asks no password."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from dataclasses import dataclass
from typing import Any

_LIMIT_S = 3.0


@dataclass(frozen=True)
class ServerFacts:
    """What tells one nats-server from another. `store_folder` is empty where JetStream is off."""

    server_name: str
    store_folder: str
    version: str
    config_digest: str


async def read_facts(port: int) -> ServerFacts | None:
    """Who answers on a monitoring port; None where nobody does, or no nats-server."""
    status, content = await _get_json(port, "/varz")
    if status != 200 or "server_name" not in content:
        return None
    jetstream = content.get("jetstream") or {}
    return ServerFacts(
        server_name=str(content["server_name"]),
        store_folder=str((jetstream.get("config") or {}).get("store_dir", "")),
        version=str(content.get("version", "")),
        config_digest=str(content.get("config_digest", "")),
    )


async def is_ready(port: int) -> bool:
    """Whether the server's streams can be used: an open port alone says nothing of them."""
    status, _ = await _get_json(port, "/healthz?js-enabled-only=true")
    return status == 200


async def describe_listener(host: str, port: int) -> str:
    """Who listens on a port, for an error message; empty where nobody does."""
    try:
        async with asyncio.timeout(_LIMIT_S):
            reader, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return ""
    try:
        async with asyncio.timeout(1.0):
            line = await reader.readline()
        if line.startswith(b"INFO "):
            info = json.loads(line[5:])
            return f"another nats-server (name {info.get('server_name')!r}, version {info.get('version')})"
    except (OSError, ValueError, TimeoutError):
        pass
    finally:
        writer.transport.abort()
    return "another program"


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there now.

    Raises:
        OSError: the address is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def pick_free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


async def _get_json(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        async with asyncio.timeout(_LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
                raw = await reader.read(-1)
            finally:
                writer.transport.abort()
        head, _, body = raw.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        content = json.loads(body)
    except (OSError, ValueError, IndexError, TimeoutError):
        return 0, {}
    return status, content if isinstance(content, dict) else {}
