"""Asking the gate over its socket, as `munbon-gate status` and `plan show` do. Blocking, one request a call."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import Any

from shared.contracts.codec import decode
from shared.contracts.gate_socket import GateOperation, GateReply, GateRequest
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES
from shared.errors import Permanent, Retryable


def ask(path: Path, operation: GateOperation, params: dict[str, Any] | None = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """Data of the gate's answer.

    Raises:
        Retryable: the gate does not listen or does not answer in time.
        Permanent: it refused; the message is its reason.
    """
    request = GateRequest(id=uuid.uuid4().hex, operation=operation, params=params or {})
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(path))
            connection.sendall(request.model_dump_json().encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline(MAX_SOCKET_LINE_BYTES + 1)
    except OSError as error:
        raise Retryable(f"gate does not answer: {error}", subject=str(path), remedy="is munbon-gate running? see its log") from error
    if not line:
        raise Retryable("gate closed the connection without an answer", subject=str(path))
    reply = decode(line, GateReply)
    if not reply.ok:
        raise Permanent(f"{reply.code}: {reply.reason}", subject="gate")
    return reply.data
