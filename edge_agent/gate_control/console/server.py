"""`gate.sock`: one JSON object a line each way. A bad, slow or greedy client harms itself alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from edge_agent.gate_control.console.callers import Caller, role_of
from edge_agent.gate_control.console.operations import Operations, Site, refusal
from edge_agent.gate_control.decide.modes import Role
from shared.contracts.gate_socket import GateReply
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES
from shared.observability import get_logger

MAX_CLIENTS = 16
MAX_VIEWERS = 12
"""The rest is kept for those who may act."""
IDLE_S = 300.0
SEND_S = 5.0

log = get_logger("gate.console")


class ConsoleServer:
    """Listens, asks the kernel who calls, answers."""

    def __init__(self, path: Path, site: Site, *, roles: Mapping[int, str]) -> None:
        """`roles` by user id: viewer, operator or maintainer; root and the gate's own user maintain."""
        self._path = path
        self._operations = Operations(site)
        self._roles = dict(roles)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. The lock of the process says that a socket found there is a dead one.

        Raises:
            OSError: the folder is missing or may not be written.
        """
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, str(self._path), limit=MAX_SOCKET_LINE_BYTES + 1)
        # who may really speak is checked by peer credentials; the file lets configured users reach us
        self._path.chmod(0o666)

    async def stop(self) -> None:
        """Stop listening and let go of all clients."""
        if self._server is not None:
            self._server.close()
        for client in tuple(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._clients.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, silent, or we stop
        except Exception:
            log.exception("client failed")
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = _peer_uid(writer)
        role = role_of(uid, os.getuid(), self._roles)
        if role is None:
            log.warning("caller refused", uid=uid)
            await _send(writer, refusal("-", "Forbidden", f"user id {uid} has no role in console_roles of the gate's configuration"))
            return
        caller = Caller(uid, _user_name(uid), role)
        most = MAX_CLIENTS if role > Role.VIEWER else MAX_VIEWERS
        if len(self._clients) > most:
            await _send(writer, refusal("-", "Busy", f"{most} clients are connected already"))
            return
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                await _send(writer, refusal("-", "TooLarge", f"a line may have {MAX_SOCKET_LINE_BYTES} bytes"))
                return
            await _send(writer, await self._operations.answer(line, caller))


async def _send(writer: asyncio.StreamWriter, reply: GateReply) -> None:
    writer.write(reply.model_dump_json().encode() + b"\n")
    async with asyncio.timeout(SEND_S):
        await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
