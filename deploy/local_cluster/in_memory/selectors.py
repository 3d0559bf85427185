"""Label and field selectors as the API takes them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Labels = dict[str, str]
Match = Callable[[Labels], bool]

_SPLIT = re.compile(r",(?![^()]*\))")
_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([^\s!=,()]+)\s*$")


class SelectorError(ValueError):
    """A selector that cannot be read."""


def parse_labels(text: str) -> Match:
    """Read a label selector (``a=b,c!=d,e in (f,g),h,!i``); an empty one matches all.

    Raises:
        SelectorError: the text is no selector.
    """
    checks = [_requirement(part) for part in _SPLIT.split(text) if part.strip()]
    return lambda labels: all(check(labels) for check in checks)


def _requirement(text: str) -> Match:
    if found := _SET.match(text):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(text):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        negated, key = found.groups()
        return lambda labels: (key in labels) != bool(negated)
    raise SelectorError(f"unable to parse requirement: {text.strip()!r} is not 'key', '!key', 'key=value', 'key!=value' or 'key in (a,b)'")


def parse_fields(text: str) -> Callable[[dict[str, Any]], bool]:
    """Read a field selector (``metadata.name=x,status.phase!=Running``) over whole objects.

    Raises:
        SelectorError: the text is no selector.
    """
    checks: list[tuple[list[str], bool, str]] = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = _EQUAL.match(part)
        if found is None:
            raise SelectorError(f"invalid field selector: {part.strip()!r}; can't understand it")
        key, operator, value = found.groups()
        checks.append((key.split("."), operator != "!=", value))
    return lambda obj: all((_at(obj, path) == value) == wanted for path, wanted, value in checks)


def _at(obj: dict[str, Any], path: list[str]) -> str:
    here: Any = obj
    for key in path:
        here = here.get(key) if isinstance(here, dict) else None
    return "" if here is None else str(here)


def matches(selector: dict[str, Any] | None, labels: Labels) -> bool:
    """Whether a ``LabelSelector`` object (``matchLabels``, ``matchExpressions``) selects ``labels``; an absent one selects nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(expression, labels) for expression in selector.get("matchExpressions") or ())


def _expression(expression: dict[str, Any], labels: Labels) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
