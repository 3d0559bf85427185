"""Answers written once by pydantic: views are made by us, so they are not validated again on the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from shared.contracts.api import ProblemView
from shared.contracts.base import Contract

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemView, "description": "Refused; `code` says why, `remedy` what to do; nothing was changed."},
    "5XX": {"model": ProblemView, "description": "Central cannot do it now."},
}


def view(content: Contract, status: int = 200) -> Response:
    """One view as JSON."""
    return json_text(content.model_dump_json(), status)


def views(content: Iterable[Contract], status: int = 200) -> Response:
    """A list of views as JSON."""
    return json_text(dump(content), status)


def dump(content: Iterable[Contract]) -> str:
    """A list of views as JSON text; for long lists, inside the store's thread."""
    return "[" + ",".join(item.model_dump_json() for item in content) + "]"


def json_text(text: str, status: int = 200) -> Response:
    """JSON that was written already."""
    return Response(text, status_code=status, media_type="application/json")
