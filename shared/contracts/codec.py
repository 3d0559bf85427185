"""Bytes in, checked document out. Doubt leads to refusal."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from shared.contracts.base import Document
from shared.errors import Malformed, TooLarge, UnsupportedFeature, UnsupportedVersion

DocumentT = TypeVar("DocumentT", bound=Document)
ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_json_object(raw: bytes, *, subject: str, max_bytes: int) -> dict[str, Any]:
    """A JSON object with unique keys and finite numbers.

    Raises:
        TooLarge: `raw` has more than `max_bytes`.
        Malformed: anything else is wrong.
    """
    if len(raw) > max_bytes:
        raise TooLarge(f"has {len(raw)} bytes, the limit is {max_bytes}", subject=subject)
    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"is not valid JSON: {error}", subject=subject) from error
    if not isinstance(content, dict):
        raise Malformed(f"is a JSON {type(content).__name__}, not an object", subject=subject)
    return content


def decode(raw: bytes, model: type[DocumentT], *, features: Collection[str] = (), subject: str = "") -> DocumentT:
    """Document of type `model`, or a refusal.

    Order of checks: size, JSON, kind, major version, critical features, fields; so that a document of a newer
    major version is told apart from a broken one.

    Args:
        raw: UTF-8 JSON.
        model: the expected type.
        features: critical features known here.
        subject: what to call it in errors; default is the kind.

    Raises:
        TooLarge, Malformed, UnsupportedVersion, UnsupportedFeature: as their names say.
    """
    name = subject or model.KIND
    content = parse_json_object(raw, subject=name, max_bytes=model.MAX_BYTES)
    if content.get("kind") != model.KIND:
        raise Malformed(f"kind is {content.get('kind')!r}, expected {model.KIND!r}", subject=name)
    _check_version(content.get("schema_version"), model, name)
    _check_features(content.get("critical", []), features, name)
    return validate(content, model, subject=name)


def validate(content: object, model: type[ModelT], *, subject: str) -> ModelT:
    """Plain data as `model`.

    Raises:
        Malformed: a field is missing or wrong; the message names each.
    """
    try:
        return model.model_validate_json(json.dumps(content))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Malformed(describe_validation(error), subject=subject) from error


def describe_validation(error: Exception) -> str:
    """One line: each wrong field and why."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(_describe(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors())


def _describe(place: str, message: str) -> str:
    said = message.removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def _check_version(version: object, model: type[Document], subject: str) -> None:
    major = version.split(".")[0] if isinstance(version, str) else ""
    if not major.isdecimal():
        raise Malformed(f"schema_version is {version!r}, expected like '{model.MAJOR}.0'", subject=subject)
    if int(major) != model.MAJOR:
        raise UnsupportedVersion(
            f"schema_version {version} is not known here, only {model.MAJOR}.x", subject=subject, remedy="upgrade the program that reads it"
        )


def _check_features(critical: object, features: Collection[str], subject: str) -> None:
    if not isinstance(critical, list) or not all(isinstance(item, str) for item in critical):
        raise Malformed("critical must be a list of feature names", subject=subject)
    unknown = sorted(set(critical) - set(features))
    if unknown:
        raise UnsupportedFeature(
            f"needs critical feature(s) unknown here: {', '.join(unknown)}", subject=subject, remedy="upgrade the program that reads it"
        )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice!r} stands twice")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
