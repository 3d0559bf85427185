"""Asking the gate over its socket, as the commands of `munbon-gate` do. Blocking, one request a call."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import Any, TypeVar

from shared.clock import SystemClock
from shared.contracts.base import Contract
from shared.contracts.codec import decode, validate
from shared.contracts.gate_socket import GateOperation, GateReply, GateRequest
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES
from shared.errors import ContractError, Permanent, Retryable

AnswerT = TypeVar("AnswerT", bound=Contract)
EXIT_REFUSED = 3
EXIT_NOT_ALLOWED = 6
_NOT_ALLOWED = frozenset({"NotAllowed", "Forbidden"})
_AGAIN = frozenset({"Busy", "Unavailable"})


class GateSaidNo(Permanent):
    """The gate refused. `code` is its word for it, `data` what it added."""

    def __init__(self, reply: GateReply) -> None:
        super().__init__(reply.reason or "refused", subject=f"gate refused ({reply.code})")
        self.code = reply.code
        self.data = reply.data
        self.exit_code = EXIT_NOT_ALLOWED if reply.code in _NOT_ALLOWED else EXIT_REFUSED


def ask(path: Path, operation: GateOperation, params: dict[str, Any] | None = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """Data of the gate's answer.

    Raises:
        Retryable: the gate does not listen or does not answer in time.
        GateSaidNo: it refused; the message is its reason.
    """
    return _ask(path, GateRequest(id=uuid.uuid4().hex, operation=operation, params=params or {}), timeout_s)


def act(path: Path, params: dict[str, Any], *, timeout_s: float = 15.0) -> dict[str, Any]:
    """Have something done. Where the answer is lost it is asked for once more under the same id, which never acts twice.

    Raises:
        Retryable: the gate does not answer; whether it acted is not known where it was reached at all.
        GateSaidNo: it refused.
    """
    # a process that was held up must not act on it after its caller was told that no answer came
    timed = {**params, "asked_at_s": round(SystemClock().monotonic_s(), 3)}
    request = GateRequest(id=uuid.uuid4().hex, operation=GateOperation.ACT, params=timed)
    try:
        return _ask(path, request, timeout_s)
    except AnswerLost:
        return _ask(path, request, timeout_s)


def as_answer(data: dict[str, Any], model: type[AnswerT]) -> AnswerT:
    """The gate's data as what it should be.

    Raises:
        Retryable: it is something else: a gate of another version, or no gate.
    """
    try:
        return validate(data, model, subject="answer of the gate")
    except ContractError as error:
        raise Retryable(f"{error}", subject="gate", remedy="use the munbon-gate of the version that runs") from error


class AnswerLost(Retryable):
    """The gate was asked, and its answer did not come."""


def _ask(path: Path, request: GateRequest, timeout_s: float) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
        except OSError as error:
            remedy = "is munbon-gate running? see its log; another socket: --socket"
            raise Retryable(f"gate does not answer: {error}", subject=str(path), remedy=remedy) from error
        try:
            connection.sendall(request.model_dump_json().encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline(MAX_SOCKET_LINE_BYTES + 1)
        except OSError as error:
            raise AnswerLost(f"gate gave no answer: {error}", subject=str(path), remedy="look at munbon-gate status") from error
    if not line:
        raise AnswerLost("gate closed the connection without an answer", subject=str(path), remedy="look at munbon-gate status")
    try:
        reply = decode(line, GateReply)
    except ContractError as error:
        raise Retryable(f"what listens there is no gate: {error}", subject=str(path)) from error
    if reply.ok:
        return reply.data
    if reply.code in _AGAIN:
        raise Retryable(f"{reply.code}: {reply.reason}", subject="gate", remedy="try again in some seconds")
    raise GateSaidNo(reply)
