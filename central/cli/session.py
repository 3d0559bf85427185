"""What every command needs: the active context's client, the clock, and the signing key."""

from __future__ import annotations

import asyncio
from pathlib import Path

from central.cli.client import Client
from central.cli.config import active_context, home_of
from shared.clock import SystemClock
from shared.errors import UsageError
from shared.signing.keys import Signer, load_signer

clock = SystemClock()
_chosen: dict[str, str] = {}


def choose_context(name: str) -> None:
    """Remember `--context` for this run."""
    _chosen["name"] = name


def connect() -> Client:
    """Client of the active context.

    Raises:
        UsageError: none is set up.
    """
    return Client(active_context(_chosen.get("name", "")))


def signer_of(client: Client, key: Path | None) -> Signer:
    """The operator's signing key: `--key`, else the context's.

    Raises:
        UsageError: none is set up, or it cannot be read.
    """
    path = str(key) if key is not None else client.context.key
    if not path:
        raise UsageError(
            "no signing key is set up",
            subject="munbon",
            remedy="give --key FILE, or log in again with --key; make one with: openssl genpkey -algorithm ed25519",
        )
    return load_signer(home_of(path))


def wait_a_second() -> None:
    """Before a stream that broke is opened again."""
    asyncio.run(clock.sleep(1.0))
