"""The operations of `gate.sock`: what each takes, who may ask, and how an answer is made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable
from typing import Protocol

from edge_agent.gate_control.console.callers import Caller, check_operation
from edge_agent.gate_control.console.desk import Desk, action_of
from edge_agent.gate_control.console.plans import envelope_bytes
from shared.contracts.base import Contract
from shared.contracts.codec import decode
from shared.contracts.gate_command import CommandView
from shared.contracts.gate_socket import PLAN_STANDBY, GateOperation, GateReply, GateRequest, GateStatus, JournalPage, PlanView
from shared.errors import ContractError, Malformed, MunbonError
from shared.observability import get_logger

MAX_WAIT_S = 30.0
MAX_PAGE_RECORDS = 1_000
MAX_NOTE = 500

log = get_logger("gate.console")
Handler = Callable[[GateRequest, Caller], Awaitable[Contract]]


class Site(Protocol):
    """What the socket speaks for."""

    @property
    def desk(self) -> Desk: ...

    def status(self) -> GateStatus: ...

    async def set_plan(self, envelope: bytes) -> PlanView: ...

    async def set_local_plan(self, content: bytes, author: str) -> PlanView: ...

    def plan_view(self) -> PlanView: ...

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage: ...


class Operations:
    """One line in, one answer out; an error is an answer too."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._handlers: dict[GateOperation, Handler] = {
            GateOperation.STATUS: self._status,
            GateOperation.PLAN_SET: self._plan_set,
            GateOperation.PLAN_SHOW: self._plan_show,
            GateOperation.PLAN_SET_LOCAL: self._plan_set_local,
            GateOperation.JOURNAL_READ: self._journal_read,
            GateOperation.COMMAND_RUN: self._command_run,
            GateOperation.ACT: self._act,
        }

    async def answer(self, line: bytes, caller: Caller) -> GateReply:
        """The answer to one line. Never raises."""
        request_id = "-"
        try:
            request = decode(line, GateRequest)
            request_id = request.id
            check_operation(caller, request.operation)
            data = await self._handlers[request.operation](request, caller)
            if isinstance(data, CommandView) and not data.accepted:
                return refusal(request_id, data.code, data.reason).model_copy(update={"data": data.to_json()})
            return GateReply(id=request_id, ok=True, data=data.to_json())
        except ContractError as error:
            return refusal(request_id, error.code, str(error))
        except MunbonError as error:
            return refusal(request_id, getattr(error, "code", "Failed"), str(error))
        except Exception as error:
            log.exception("request failed")
            return refusal(request_id, "Failed", f"the gate could not answer: {type(error).__name__}: {error}")

    async def _status(self, _request: GateRequest, _caller: Caller) -> Contract:
        view = self._site.plan_view()
        is_local = view.local is not None or view.state == PLAN_STANDBY
        return self._site.status().model_copy(update={"plan_generation": view.generation, "local_plan": is_local})

    async def _plan_set(self, request: GateRequest, _caller: Caller) -> Contract:
        return await self._site.set_plan(envelope_bytes(request))

    async def _plan_show(self, _request: GateRequest, _caller: Caller) -> Contract:
        return self._site.plan_view()

    async def _plan_set_local(self, request: GateRequest, caller: Caller) -> Contract:
        return await self._site.set_local_plan(json.dumps(request.params.get("plan")).encode(), caller.name)

    async def _journal_read(self, request: GateRequest, _caller: Caller) -> Contract:
        after = _number(request, "after", 0, 0, 2**62)
        limit = _number(request, "limit", 100, 1, MAX_PAGE_RECORDS)
        wait_s = _number(request, "wait_s", 0, 0, MAX_WAIT_S)
        return await self._site.read_journal(int(after), int(limit), wait_s)

    async def _command_run(self, request: GateRequest, _caller: Caller) -> Contract:
        return await self._site.desk.run_signed(envelope_bytes(request))

    async def _act(self, request: GateRequest, caller: Caller) -> Contract:
        asked_at_s = _number(request, "asked_at_s", 0, 0, math.inf) if "asked_at_s" in request.params else None
        return await self._site.desk.run_local(request.id, action_of(request.params), caller, _text(request, "note"), asked_at_s)


def refusal(request_id: str, code: str, reason: str) -> GateReply:
    """A reply that says no."""
    return GateReply(id=request_id, ok=False, code=code, reason=reason)


def _number(request: GateRequest, name: str, default: float, low: float, high: float) -> float:
    value = request.params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value:
        raise Malformed(f"params.{name} is {value!r}, expected a number from {low:g} on", subject=request.operation.value)
    return min(value, high)


def _text(request: GateRequest, name: str) -> str:
    value = request.params.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_NOTE:
        raise Malformed(f"params.{name} must be text of up to {MAX_NOTE} characters", subject=request.operation.value)
    return value
