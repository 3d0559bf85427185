"""The agent's end of `gate.sock`: one JSON object a line each way, one request a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from shared.contracts.base import Contract
from shared.contracts.codec import decode, validate
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_socket import GateOperation, GateReply, GateRequest, GateStatus, JournalPage, PlanView
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES
from shared.errors import ContractError, Permanent, Retryable

AnswerT = TypeVar("AnswerT", bound=Contract)
ANSWER_S = 5.0
COMMAND_EXTRA_S = 5.0
"""A command is answered by the scan that carried it out."""


class GateUnreachable(Retryable):
    """The gate process does not listen, does not answer, or answers nonsense."""

    code = "GateUnreachable"


class GateRefused(Permanent):
    """The gate process said no. `code` is its word for it."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message, subject="gate")
        self.code = code


class GateClient:
    """Asks the gate process of this node. Every call is safe to repeat."""

    def __init__(self, path: Path, new_id: Callable[[], str], *, answer_s: float = ANSWER_S) -> None:
        self._path = path
        self._new_id = new_id
        self._answer_s = answer_s

    async def status(self) -> GateStatus:
        """The site as of the last scan.

        Raises:
            GateUnreachable, GateRefused: as their names say.
        """
        return self._read(await self._ask(GateOperation.STATUS, {}), GateStatus)

    async def set_plan(self, envelope: Mapping[str, Any]) -> PlanView:
        """Hand a signed plan over.

        Raises:
            GateUnreachable, GateRefused: as their names say.
        """
        return self._read(await self._ask(GateOperation.PLAN_SET, {"envelope": dict(envelope)}), PlanView)

    async def run_command(self, envelope: Mapping[str, Any]) -> CommandView:
        """Hand a signed gate command over; the gate carries it out once, however often it is handed over.

        Raises:
            GateUnreachable, GateRefused: as their names say.
        """
        return self._read(await self._ask(GateOperation.COMMAND_RUN, {"envelope": dict(envelope)}, extra_s=COMMAND_EXTRA_S), CommandView)

    async def show_plan(self) -> PlanView:
        """The plan in force or on standby.

        Raises:
            GateUnreachable, GateRefused: as their names say.
        """
        return self._read(await self._ask(GateOperation.PLAN_SHOW, {}), PlanView)

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage:
        """Records after a cursor; waits up to `wait_s` for the first.

        Raises:
            GateUnreachable, GateRefused: as their names say.
        """
        params = {"after": after, "limit": limit, "wait_s": wait_s}
        return self._read(await self._ask(GateOperation.JOURNAL_READ, params, extra_s=wait_s), JournalPage)

    async def _ask(self, operation: GateOperation, params: dict[str, Any], *, extra_s: float = 0.0) -> dict[str, Any]:
        request = GateRequest(id=self._new_id(), operation=operation, params=params)
        try:
            async with asyncio.timeout(self._answer_s + extra_s):
                line = await self._exchange(request.model_dump_json().encode() + b"\n")
            reply = decode(line, GateReply)
        except TimeoutError as error:
            raise GateUnreachable(f"no answer within {self._answer_s + extra_s:g} s", subject=str(self._path)) from error
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ContractError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise GateUnreachable(reason, subject=str(self._path), remedy="is munbon-gate running?") from error
        if not reply.ok:
            raise GateRefused(reply.reason or "refused", code=reply.code or "Refused")
        return reply.data

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_SOCKET_LINE_BYTES + 1)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _read(self, data: dict[str, Any], model: type[AnswerT]) -> AnswerT:
        try:
            return validate(data, model, subject=f"answer of {self._path}")
        except ContractError as error:
            raise GateUnreachable(str(error), subject=str(self._path)) from error
