"""Settings from a TOML file and the environment into a pydantic model, with errors that name file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from shared.errors import UsageError

Settings = TypeVar("Settings", bound=BaseModel)


def load_settings(
    model: type[Settings],
    path: Path | None,
    *,
    environment: Mapping[str, str] | None = None,
    prefix: str = "MUNBON_",
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings of one program: file, then `PREFIX_KEY` (nested: `PREFIX_A__B`), then `overrides`; later ones win.

    Raises:
        UsageError: the file is missing or no TOML, or a value does not fit; names file, key and reason.
    """
    content = _read_toml(path) if path is not None else {}
    for name, value in (environment or {}).items():
        if name.startswith(prefix):
            _put(content, name[len(prefix) :].lower().split("__"), value)
    for key, value in (overrides or {}).items():
        if value is not None:
            _put(content, key.split("."), value)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(_describe(error), subject=str(path or "settings"), remedy="correct the named keys and start again") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", subject=str(path), remedy="give the right path with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"is not valid TOML: {error}", subject=str(path), remedy="correct the named line") from error


def _put(content: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = content.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{key} is a value, not a table", subject=".".join(keys), remedy="remove one of the two")
        content = inner
    content[keys[-1]] = value


def _describe(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(str(part) for part in item['loc']) or '(top)'}: {item['msg']}" for item in error.errors())
