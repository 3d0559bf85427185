"""Contexts of the CLI: which central, with which token and which signing key. One file, readable by its owner only."""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.durable_file import write_atomic
from shared.errors import UsageError

CONFIG_VARIABLE = "MUNBON_CONFIG"


@dataclass(frozen=True)
class Context:
    """One central. `key` is the path of the operator's signing key, or empty."""

    name: str
    url: str
    token: str
    key: str = ""


@dataclass(frozen=True)
class Config:
    """All contexts and the one in use."""

    current: str = ""
    contexts: tuple[Context, ...] = ()

    def find(self, name: str) -> Context | None:
        """Context by name."""
        return next((context for context in self.contexts if context.name == name), None)

    def with_context(self, context: Context) -> Config:
        """The same with this context added or replaced, and in use."""
        others = tuple(item for item in self.contexts if item.name != context.name)
        return Config(current=context.name, contexts=tuple(sorted((*others, context), key=lambda item: item.name)))

    def without(self, name: str) -> Config:
        """The same less one context."""
        rest = tuple(item for item in self.contexts if item.name != name)
        return Config(current="" if self.current == name else self.current, contexts=rest)


def config_path() -> Path:
    """`$MUNBON_CONFIG`, else `munbon/config.toml` below the user's configuration folder.

    Raises:
        UsageError: nothing says where the home folder is.
    """
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    if base := os.environ.get("XDG_CONFIG_HOME"):
        return Path(base) / "munbon" / "config.toml"
    return home_of("~/.config") / "munbon" / "config.toml"


def home_of(path: str) -> Path:
    """A path of the user, with `~` replaced.

    Raises:
        UsageError: nothing says where the home folder is.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(
            f"{path}: nothing says where your home folder is", subject="munbon", remedy=f"set HOME, or {CONFIG_VARIABLE} to a file"
        ) from error


def load_config(path: Path | None = None) -> Config:
    """The stored contexts; empty where there is no file.

    Raises:
        UsageError: the file is damaged.
    """
    file = path or config_path()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"cannot be read: {error}", subject=str(file), remedy="correct it, or remove it and run 'munbon login' again"
        ) from error
    return Config(current=str(content.get("current", "")), contexts=tuple(_contexts(content, file)))


def _contexts(content: dict[str, Any], file: Path) -> list[Context]:
    tables = content.get("contexts", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise UsageError("contexts must be tables", subject=str(file), remedy="remove the file and run 'munbon login' again")
    return [
        Context(name=name, url=str(table.get("url", "")), token=str(table.get("token", "")), key=str(table.get("key", "")))
        for name, table in tables.items()
    ]


def save_config(config: Config, path: Path | None = None) -> Path:
    """Write all contexts, mode 0600.

    Raises:
        UsageError: the folder or file cannot be written.
    """
    file = path or config_path()
    lines = [f"current = {json.dumps(config.current)}", ""]
    for context in config.contexts:
        lines += [f"[contexts.{json.dumps(context.name)}]", f"url = {json.dumps(context.url)}", f"token = {json.dumps(context.token)}"]
        lines += [f"key = {json.dumps(context.key)}", ""]
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(file, "\n".join(lines).encode(), mode=0o600)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(file), remedy=f"set {CONFIG_VARIABLE} to another path"
        ) from error
    return file


def active_context(name: str = "") -> Context:
    """Context to use now: `name`, else the current one; MUNBON_URL, MUNBON_TOKEN and MUNBON_KEY override single parts.

    Raises:
        UsageError: none is set up, or `name` is unknown.
    """
    config = _stored_config()
    wanted = name or os.environ.get("MUNBON_CONTEXT", "") or config.current
    found = config.find(wanted) if wanted else None
    if wanted and found is None:
        known = ", ".join(context.name for context in config.contexts) or "none"
        raise UsageError(f"context {wanted!r} is unknown; known: {known}", subject="munbon", remedy="see 'munbon context list'")
    context = found or Context(name="environment", url="", token="")
    context = replace(
        context,
        url=os.environ.get("MUNBON_URL", context.url),
        token=os.environ.get("MUNBON_TOKEN", context.token),
        key=os.environ.get("MUNBON_KEY", context.key),
    )
    if not context.url:
        raise UsageError("not logged in to any central", subject="munbon", remedy="run: munbon login URL --token-file FILE")
    return context


def _stored_config() -> Config:
    """As `load_config`; without a home folder (a service, a CI job) the environment alone has to do."""
    try:
        config_path()
    except UsageError:
        if not os.environ.get("MUNBON_URL"):
            raise
        return Config()
    return load_config()
