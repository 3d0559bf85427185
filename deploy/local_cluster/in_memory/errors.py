"""API errors as Kubernetes answers them: an exception that carries a ``Status`` object. Pure."""

from __future__ import annotations

from typing import Any

from deploy.local_cluster.in_memory.kinds import Kind

NO_STATUS = "-"
"""Reason of an error whose answer is text and no ``Status``."""


class ApiError(Exception):
    """A request that fails with an HTTP code, a machine-readable reason and a message."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> dict[str, Any]:
        """The ``Status`` object that goes into the answer."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return status


def details_of(kind: Kind, name: str, uid: str = "", causes: list[dict[str, str]] | None = None, as_kind: bool = False) -> dict[str, Any]:
    """The ``details`` part: name, group, and the resource (or the kind, where Kubernetes puts the kind there)."""
    details: dict[str, Any] = {"name": name, "kind": kind.kind if as_kind else kind.plural}
    if kind.group:
        details["group"] = kind.group
    if uid:
        details["uid"] = uid
    if causes:
        details["causes"] = causes
    return details


def not_found(kind: Kind, name: str) -> ApiError:
    """404 for an object."""
    return ApiError(404, "NotFound", f'{kind.resource} "{name}" not found', details_of(kind, name))


def no_such_path() -> ApiError:
    """404 for a path that serves nothing (unknown group, kind or sub-resource)."""
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def no_such_group() -> ApiError:
    """404 for a path of an API group that does not exist: text, as nothing of Kubernetes answers there."""
    return ApiError(404, NO_STATUS, "404 page not found\n")


def already_exists(kind: Kind, name: str) -> ApiError:
    """409 for a POST of a name that is taken."""
    return ApiError(409, "AlreadyExists", f'{kind.resource} "{name}" already exists', details_of(kind, name))


def conflict(kind: Kind, name: str, problem: str) -> ApiError:
    """409 for an optimistic lock or a precondition that does not hold."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {kind.resource} "{name}": {problem}', details_of(kind, name))


def lost_object(kind: Kind, name: str, problem: str) -> ApiError:
    """409 for a precondition of a DELETE; Kubernetes names the kind here, not the resource."""
    return ApiError(409, "Conflict", f'Operation cannot be fulfilled on {kind.kind} "{name}": {problem}', details_of(kind, name))


def modified(kind: Kind, name: str) -> ApiError:
    """409 because the object's resourceVersion is not the one that was sent."""
    return conflict(kind, name, "the object has been modified; please apply your changes to the latest version and try again")


def invalid(kind: Kind, name: str, causes: list[dict[str, str]]) -> ApiError:
    """422 with one cause per field."""
    shown = [f"{cause['field']}: {cause['message']}" for cause in causes]
    problem = shown[0] if len(shown) == 1 else "[" + ", ".join(shown) + "]"
    details = details_of(kind, name, causes=causes, as_kind=True)
    qualified = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return ApiError(422, "Invalid", f'{qualified} "{name}" is invalid: {problem}', details)


def cause(field: str, reason: str, message: str) -> dict[str, str]:
    """One cause of an invalid object."""
    return {"reason": reason, "message": message, "field": field}


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(kind: Kind, name: str, problem: str) -> ApiError:
    """403."""
    return ApiError(403, "Forbidden", f'{kind.resource} "{name}" is forbidden: {problem}', details_of(kind, name))


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> ApiError:
    """410: the history from that resourceVersion on is gone; list again."""
    return ApiError(410, "Expired", message)
