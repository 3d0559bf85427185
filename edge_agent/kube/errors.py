"""Errors of Kubernetes with the object's name in them, sorted by whether to try again. Foreign errors end here."""

from __future__ import annotations

from typing import Any

from shared.errors import MunbonError, Permanent, Retryable

_RETRYABLE_STATUS = frozenset({401, 408, 410, 429, 500, 502, 503, 504})
_MAX_MESSAGE = 1_500
_HEAD = 500
_UNTYPED_PATCH = "failed to create typed patch object"
"""The API server answers an apply with an unknown field or a wrong type with 500, though it will never succeed."""


class KubeError(MunbonError):
    """The API server refused, or did not answer.

    `status` is the HTTP code (0: no answer), `reason` Kubernetes' own word, `details` the `details` of its Status object.
    """

    def __init__(
        self,
        message: str,
        *,
        subject: str = "",
        remedy: str = "",
        status: int = 0,
        reason: str = "",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.status = status
        self.reason = reason
        self.details = details or {}


class KubeUnavailable(KubeError, Retryable):
    """No answer, or one that may be different in a moment (429, 5xx)."""

    def __init__(self, message: str, *, delay_s: float = 1.0, **more: Any) -> None:
        super().__init__(message, **more)
        self.delay_s = delay_s


class KubeRefused(KubeError, Permanent):
    """The request itself is not acceptable (400, 403, 405, 413, 415, 422, ...)."""


class KubeNotFound(KubeRefused):
    """404: no such object, or nothing served at this path."""


class KubeConflict(KubeRefused):
    """409: another owner of a field, a precondition that does not hold, or a newer version."""


class KubeExpired(KubeUnavailable):
    """410: the history from that resourceVersion on is gone; list again."""


class KubeUnknownKind(KubeRefused):
    """The cluster does not serve this kind."""


def error_from(status: int, body: Any, subject: str, retry_after_s: float | None = None) -> KubeError:
    """The error for an HTTP answer.

    Args:
        status: the HTTP code, 400 or more.
        body: the parsed answer: a Status object, or text.
        subject: what the request was about.
        retry_after_s: the header of that name.
    """
    found = body if isinstance(body, dict) else {}
    reason = str(found.get("reason") or "")
    message = str(found.get("message") or (body if isinstance(body, str) and body.strip() else f"HTTP {status}")).strip()
    details = found.get("details")
    more: dict[str, Any] = {
        "subject": subject,
        "status": status,
        "reason": reason,
        "details": details if isinstance(details, dict) else {},
    }
    message = _shorten(message)
    if status == 410:
        return KubeExpired(message, delay_s=0.0, **more)
    if status in _RETRYABLE_STATUS and _UNTYPED_PATCH not in message:
        remedy = "the kubeconfig's credentials are not accepted" if status == 401 else ""
        return KubeUnavailable(message, delay_s=retry_after_s if retry_after_s is not None else 1.0, remedy=remedy, **more)
    kinds = {404: KubeNotFound, 409: KubeConflict}
    return kinds.get(status, KubeRefused)(message, **more)


def no_answer(error: BaseException, subject: str, host: str) -> KubeUnavailable:
    """The error for a request that got no answer."""
    said = str(error).strip() or type(error).__name__
    if isinstance(error, TimeoutError):
        said = "no answer in time"
    return KubeUnavailable(
        f"API server {host}: {said}"[:_MAX_MESSAGE], subject=subject, remedy="is K3s running? systemctl status k3s", reason="NoAnswer"
    )


def _shorten(message: str) -> str:
    """Head and tail: for an invalid field the server repeats the whole object in the middle, and says what is wrong at the end."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return f"{message[:_HEAD]} … {message[-(_MAX_MESSAGE - _HEAD) :]}"
