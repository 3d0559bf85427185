"""Errors as answers: each error type has one status, each answer is a ProblemView."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from central.model import Conflict, Immutable, NotFound
from central.policy import PolicyRefused
from shared.contracts.api import ProblemView
from shared.errors import ContractError, MunbonError, Retryable, TooLarge, UsageError

_STATUS: tuple[tuple[type[MunbonError], int], ...] = (
    (NotFound, 404),
    (Immutable, 409),
    (Conflict, 409),
    (TooLarge, 413),
    (ContractError, 422),
    (UsageError, 400),
    (Retryable, 503),
)
_SHOWN_ERRORS = 20


def status_of(error: MunbonError) -> int:
    """HTTP status of an error; 422 for a permanent one that has no place of its own."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 422)


def problem_of(error: MunbonError) -> ProblemView:
    """What a user reads of an error."""
    head = f"{error.subject}: {error.message}" if error.subject else error.message
    details: dict[str, Any] = {"subject": error.subject} if error.subject else {}
    if isinstance(error, PolicyRefused):
        details["findings"] = [asdict(finding) for finding in error.findings]
    return ProblemView(code=_code_of(error), message=head, remedy=error.remedy, details=details)


def _code_of(error: MunbonError) -> str:
    if isinstance(error, UsageError):
        return "BadInput"
    if isinstance(error, Retryable):
        return "Unavailable"
    return str(getattr(error, "code", "Refused"))


def problem_response(status: int, problem: ProblemView, headers: dict[str, str] | None = None) -> Response:
    """The answer itself."""
    return Response(problem.model_dump_json(), status_code=status, headers=headers, media_type="application/json")


async def answer_munbon_error(_request: Request, error: Exception) -> Response:
    """Handler of every error that Munbon raises on purpose."""
    if not isinstance(error, MunbonError):
        raise error
    headers = {"Retry-After": str(max(1, round(error.delay_s)))} if isinstance(error, Retryable) else None
    return problem_response(status_of(error), problem_of(error), headers)


async def answer_validation_error(_request: Request, error: Exception) -> Response:
    """Handler of bodies, queries and paths that do not fit their models: names each place, never echoes a value."""
    if not isinstance(error, RequestValidationError):
        raise error
    found = [{"where": ".".join(str(part) for part in item["loc"]), "why": str(item["msg"])} for item in error.errors()]
    message = "; ".join(f"{item['where']}: {item['why']}" for item in found[:_SHOWN_ERRORS])
    problem = ProblemView(
        code="BadInput", message=message, remedy="correct the named fields; nothing was changed", details={"errors": found[:_SHOWN_ERRORS]}
    )
    return problem_response(400, problem)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Handler of what the framework refuses: unknown paths, wrong methods, unreadable bodies."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers) if error.headers else None
    if error.status_code == HTTPStatus.NOT_FOUND:
        problem = ProblemView(
            code="UnknownPath", message=f"{request.method} {request.url.path}: there is no such path", remedy="see GET /openapi.json"
        )
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (headers or {}).get("Allow", "")
        problem = ProblemView(
            code="MethodNotAllowed",
            message=f"{request.url.path} does not take {request.method}",
            remedy=f"use {allowed}" if allowed else "",
        )
    else:
        problem = ProblemView(code="BadInput", message=str(error.detail), remedy="send JSON with Content-Type: application/json")
    return problem_response(error.status_code, problem, headers)
