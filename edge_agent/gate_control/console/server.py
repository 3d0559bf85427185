"""`gate.sock`: one JSON object a line each way. A bad, slow or greedy client harms itself alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from edge_agent.gate_control.console.plans import envelope_bytes
from shared.contracts.base import Contract
from shared.contracts.codec import decode
from shared.contracts.gate_socket import GateOperation, GateReply, GateRequest, GateStatus, JournalPage, PlanView
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES
from shared.errors import ContractError, Malformed, MunbonError
from shared.observability import get_logger

MAX_CLIENTS = 16
MAX_WAIT_S = 30.0
MAX_PAGE_RECORDS = 1_000
IDLE_S = 300.0
SEND_S = 5.0

log = get_logger("gate.console")


class Site(Protocol):
    """What the socket speaks for."""

    def status(self) -> GateStatus: ...

    async def set_plan(self, envelope: bytes) -> PlanView: ...

    def plan_view(self) -> PlanView: ...

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage: ...


class ConsoleServer:
    """Listens, asks the kernel who calls, answers."""

    def __init__(self, path: Path, site: Site, *, allowed_uids: tuple[int, ...] = ()) -> None:
        self._path = path
        self._site = site
        self._allowed = {0, os.getuid(), *allowed_uids}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._operations: dict[GateOperation, Callable[[dict[str, Any]], Awaitable[Contract]]] = {
            GateOperation.STATUS: self._status,
            GateOperation.PLAN_SET: self._plan_set,
            GateOperation.PLAN_SHOW: self._plan_show,
            GateOperation.JOURNAL_READ: self._journal_read,
        }

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
        if uid not in self._allowed:
            log.warning("caller refused", uid=uid)
            await _send(writer, _refusal("-", "Forbidden", f"user id {uid} is not among socket_uids of the gate's configuration"))
            return
        if len(self._clients) > MAX_CLIENTS:
            await _send(writer, _refusal("-", "Busy", f"{MAX_CLIENTS} clients are connected already"))
            return
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                await _send(writer, _refusal("-", "TooLarge", f"a line may have {MAX_SOCKET_LINE_BYTES} bytes"))
                return
            await _send(writer, await self._answer(line))

    async def _answer(self, line: bytes) -> GateReply:
        request_id = "-"
        try:
            request = decode(line, GateRequest)
            request_id = request.id
            data = await self._operations[request.operation](request.params)
            return GateReply(id=request_id, ok=True, data=data.to_json())
        except ContractError as error:
            return _refusal(request_id, error.code, str(error))
        except MunbonError as error:
            return _refusal(request_id, "Failed", str(error))
        except Exception as error:
            log.exception("request failed")
            return _refusal(request_id, "Failed", f"the gate could not answer: {type(error).__name__}: {error}")

    async def _status(self, _params: dict[str, Any]) -> Contract:
        return self._site.status()

    async def _plan_set(self, params: dict[str, Any]) -> Contract:
        return await self._site.set_plan(envelope_bytes(params.get("envelope")))

    async def _plan_show(self, _params: dict[str, Any]) -> Contract:
        return self._site.plan_view()

    async def _journal_read(self, params: dict[str, Any]) -> Contract:
        after = _number(params, "after", 0, 0, 2**62)
        limit = _number(params, "limit", 100, 1, MAX_PAGE_RECORDS)
        wait_s = _number(params, "wait_s", 0, 0, MAX_WAIT_S)
        return await self._site.read_journal(int(after), int(limit), wait_s)


def _number(params: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value:
        raise Malformed(f"params.{name} is {value!r}, expected a number from {low:g} on", subject="journal.read")
    return min(value, high)


def _refusal(request_id: str, code: str, reason: str) -> GateReply:
    return GateReply(id=request_id, ok=False, code=code, reason=reason)


async def _send(writer: asyncio.StreamWriter, reply: GateReply) -> None:
    writer.write(reply.model_dump_json().encode() + b"\n")
    async with asyncio.timeout(SEND_S):
        await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    credentials = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
