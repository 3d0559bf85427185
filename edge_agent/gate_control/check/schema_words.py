"""What the model says of a wrong value, in words for the person who wrote it. Pure."""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from edge_agent.gate_control.check.finding import Path, Remark
from edge_agent.gate_control.model.configuration import SiteConfiguration

_TAGS = frozenset({"modbus_tcp", "modbus_rtu"})
"""Kinds of links, which pydantic puts into its paths though they are no keys."""
_STRICT = "a site is read strictly: what it does not say exactly is not guessed"
_RANGE = "outside that range it cannot be meant"
_ADVICE: Mapping[str, tuple[str, str]] = {
    "missing": ("there is no safe default", "add it"),
    "extra_forbidden": ("a mistyped key would be ignored without a word", "correct or remove it"),
    "value_error": ("the values do not fit each other", "change one of them"),
    "string_pattern_mismatch": (
        "names go into topics, files and logs",
        "use small letters, digits and '-', beginning with a letter or digit",
    ),
    "too_short": ("nothing could be controlled without it", "add at least one"),
    "too_long": ("a site has a bounded size", "split the site"),
}


def in_words(error: ErrorDetails) -> Remark:
    """A remark for one of pydantic's errors."""
    path, kind = tuple(part for part in error["loc"] if part not in _TAGS), error["type"]
    name = str(path[-1]) if path else "the site"
    reason, remedy = _ADVICE.get(kind, (_STRICT if kind.endswith("_type") or "parsing" in kind else _RANGE, "correct the value"))
    match kind:
        case "missing":
            problem = f"{name} is missing"
        case "extra_forbidden":
            problem = f"key '{name}' is not known"
            close = difflib.get_close_matches(name, list(_keys_at(path[:-1])), n=1)
            remedy = f"did you mean '{close[0]}'?" if close else "decimals have a point, not a comma" if name.isdigit() else remedy
        case "value_error":
            problem = str(error.get("ctx", {}).get("error", error["msg"]))
        case _:
            problem = f"{_shown(error['input'])}: {_lowered(error['msg'])}"
            if kind.endswith("_type") and isinstance(error["input"], str):
                remedy = "write a plain number, without quotes or unit"
    return Remark(path, problem, reason, remedy)


def is_echo(error: ErrorDetails) -> bool:
    """Whether an error only repeats others: a list whose items are all wrong is called too short."""
    return error["type"] == "too_short" and bool(error["input"])


def _lowered(message: str) -> str:
    message = message.replace("Input should be", "must be").replace("String should", "must")
    return message[:1].lower() + message[1:]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(path: Path) -> Iterator[str]:
    """Keys that the model knows at a path."""
    for model in _models_at(path):
        for name, field in model.model_fields.items():
            yield field.alias or name


def _models_at(path: Path) -> list[type[BaseModel]]:
    models: list[type[BaseModel]] = [SiteConfiguration]
    for part in path:
        if not isinstance(part, str):
            continue
        found = [
            inner
            for model in models
            for name, field in model.model_fields.items()
            if part in (name, field.alias)
            for inner in _models_in(field.annotation)
        ]
        models = found or models
    return models


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in typing.get_args(annotation):
        yield from _models_in(inner)
