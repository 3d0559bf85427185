"""`agent.sock`: how `munbon-agent status|pause|resume` reach the running agent. One JSON object a line each way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.errors import MunbonError, Retryable, UsageError
from shared.observability import get_logger

SOCKET_NAME = "agent.sock"
_LINE_BYTES = 4 * 1024 * 1024
_ANSWER_S = 5.0
_CLIENTS = 8
Operation = Callable[[], dict[str, Any]]

_log = get_logger(__name__)


@contextlib.contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """A path to the socket that fits into a socket's address, which holds 108 bytes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


class ControlServer:
    """Answers people on this node: whoever may write to the folder's socket (its owner and root)."""

    def __init__(self, folder: Path, operations: dict[str, Operation]) -> None:
        self._folder = folder
        self._operations = operations
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Where that is not possible the agent runs without: its work does not need it."""
        path = self._folder / SOCKET_NAME
        try:
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with short_path(self._folder) as address:
                listener.bind(address)
            path.chmod(0o600)
            self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=_LINE_BYTES)
        except OSError as error:
            _log.warning("no control socket: munbon-agent status, pause and resume will not work", reason=str(error), path=str(path))

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._clients.add(task)
        try:
            if len(self._clients) <= _CLIENTS:
                async with asyncio.timeout(_ANSWER_S):
                    writer.write(json.dumps(self._answer(await reader.readuntil(b"\n"))).encode() + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # the caller went away, is silent, or we stop
        finally:
            self._clients.discard(task)
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            operation = self._operations[str(json.loads(line)["operation"])]
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "reason": f"unknown request; known are: {', '.join(sorted(self._operations))}"}
        try:
            return {"ok": True, "data": operation()}
        except MunbonError as error:
            return {"ok": False, "reason": str(error)}


def ask_agent(folder: Path, operation: str) -> dict[str, Any]:
    """Data of the running agent's answer. Blocking.

    Raises:
        Retryable: no agent runs on this folder, or it does not answer.
        UsageError: it refused.
    """
    remedy = "is it running? systemctl status munbon-agent"
    try:
        with short_path(folder) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_S)
            connection.connect(address)
            connection.sendall(json.dumps({"operation": operation}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(_LINE_BYTES) or b"null")
    except PermissionError as error:
        raise UsageError("may not be used by this user", subject=str(folder / SOCKET_NAME), remedy="try again with sudo") from error
    except (OSError, ValueError) as error:
        raise Retryable(f"the agent does not answer: {error}", subject=str(folder / SOCKET_NAME), remedy=remedy) from error
    if not isinstance(answer, dict):
        raise Retryable("the agent closed the connection", subject=str(folder / SOCKET_NAME), remedy=remedy)
    if not answer.get("ok"):
        raise Retryable(str(answer.get("reason")), subject="agent")
    data: dict[str, Any] = answer["data"]
    return data
