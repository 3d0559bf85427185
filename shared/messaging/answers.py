"""What the server's answers and the library's errors mean."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from nats import errors as nats_errors
from nats.aio.msg import Msg

from shared.messaging.errors import BusDenied, BusRefused, BusUnavailable

STATUS_HEADER = "Status"
_SEQUENCE_HEADER = "Nats-Sequence"


def check_answer(subject: str, body: bytes) -> dict[str, Any]:
    """Content of a JetStream answer.

    Raises:
        BusRefused: it is an error, or no answer at all.
    """
    try:
        content = json.loads(body)
    except ValueError as error:
        raise BusRefused(f"the answer is no JSON: {body[:200]!r}", subject=subject) from error
    if not isinstance(content, dict):
        raise BusRefused(f"the answer is no JSON object: {body[:200]!r}", subject=subject)
    if problem := content.get("error"):
        raise BusRefused(str(problem.get("description", "refused")), subject=subject, err_code=int(problem.get("err_code", 0)))
    return content


def sequence_of(answer: Msg) -> int:
    """Sequence in the stream of a message that was read directly; 0 where it names none."""
    text = (answer.headers or {}).get(_SEQUENCE_HEADER, "0")
    return int(text) if text.isdecimal() else 0


def is_denial(error: Exception) -> bool:
    """Whether the login was refused or taken back."""
    text = str(error).lower()
    return isinstance(error, nats_errors.AuthorizationError) or "authorization violation" in text or "authentication" in text


def raise_translated(error: Exception, subject: str) -> NoReturn:
    """An error of the library as one of the house.

    Raises:
        BusRefused, BusDenied, BusUnavailable: by what it means for the next try.
    """
    if isinstance(error, nats_errors.MaxPayloadError):
        raise BusRefused("is larger than the server takes", subject=subject) from error
    if isinstance(error, nats_errors.BadSubjectError | nats_errors.BadHeaderError):
        raise BusDenied(f"cannot be sent: {error}", subject=subject) from error
    raise BusUnavailable(f"{type(error).__name__}: {error}", subject=subject) from error
