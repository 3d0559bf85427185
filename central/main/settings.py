"""What `central.toml` may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from central.store.database import sqlite_url
from shared.contracts.base import APP_PATTERN
from shared.errors import UsageError

CONFIG_FILE = "central.toml"
DATABASE_FILE = "central.sqlite"
DEFAULT_LISTEN = "127.0.0.1:7480"
DEFAULT_NATS_LISTEN = "127.0.0.1:4222"
NATS_SCHEMES = ("nats", "tls", "ws", "wss")


class NatsSettings(BaseModel):
    """The bus: a child of our own, or one that is there already."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: str = DEFAULT_NATS_LISTEN
    """Where the child listens."""
    advertise: str = ""
    """URL that nodes are told; empty: made from `listen`."""
    url: str = ""
    """A running server to use instead of a child; its configuration is then yours."""
    password: str = ""
    """Of user `central` there; for a child it is made by us."""


class CentralSettings(BaseModel):
    """`central.toml`, then `MUNBON_CENTRAL_*`, then options of the command line; later ones win."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fleet: Annotated[str, Field(pattern=APP_PATTERN)] = "munbon"
    listen: str = DEFAULT_LISTEN
    database_url: str = ""
    """Empty: `central.sqlite` in the state folder."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    nats: NatsSettings = NatsSettings()

    @property
    def nats_url(self) -> str:
        """What a node is told to connect to."""
        return self.nats.advertise or self.nats.url or f"nats://{self.nats.listen}"

    def database(self, state_dir: Path) -> str:
        """URL of the store."""
        return self.database_url or sqlite_url(state_dir / DATABASE_FILE)


def parse_listen(text: str, *, name: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, also `[::1]:7480`.

    Raises:
        UsageError: it is none.
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port) < 65_536:
        raise UsageError(f"{text!r} is not HOST:PORT", subject=name, remedy=f"for example {DEFAULT_LISTEN}")
    return host, int(port)


def check_nats_url(url: str) -> None:
    """Raise unless this is the address of a nats-server.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in NATS_SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none
        good = False
    if not good:
        raise UsageError(f"{url!r} is no address of a nats-server", subject="nats.url", remedy="for example nats://HOST:4222")


def render_config(settings: CentralSettings) -> str:
    """Text of a new `central.toml`."""
    lines = [
        "# munbon-central reads this file at its start; MUNBON_CENTRAL_LISTEN and the like go before it.",
        f"fleet = {_text(settings.fleet)}",
        f"listen = {_text(settings.listen)}  # operator API; keep it on loopback or behind a proxy with TLS",
        f"database_url = {_text(settings.database_url)}  # empty: {DATABASE_FILE} in this folder; or postgresql://user:password@host/name",
        f"log_level = {_text(settings.log_level)}",
        "",
        "[nats]",
        f"listen = {_text(settings.nats.listen)}  # nodes connect here",
        f"advertise = {_text(settings.nats.advertise)}  # URL that nodes are told, where it differs from listen",
        f"url = {_text(settings.nats.url)}  # a running server to use instead of a child of central's own",
        "",
    ]
    return "\n".join(lines)


def _text(value: str) -> str:
    """A TOML string; DEL is the one character that JSON leaves as it is and TOML does not take."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
