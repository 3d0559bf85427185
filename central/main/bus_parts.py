"""The bus as `serve` uses it: a nats-server of our own, or one that is there already."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from central.api.dependencies import Check
from central.bus.server import NatsServer, NatsServerSettings
from central.bus.server_config import CENTRAL_USER, render_accounts
from central.main.settings import CentralSettings, check_nats_url
from central.store import nodes
from central.store.database import Database
from shared.clock import Clock
from shared.durable_file import write_atomic
from shared.errors import Retryable, UsageError
from shared.messaging.settings import BusSettings
from shared.observability import get_logger

NATS_FOLDER = "nats"
ACCOUNTS_FILE = "accounts.json"
_INBOX = "_INBOX_central"
_LOG = get_logger("central.main.bus")


class PortTaken(UsageError):
    """Somebody else listens there."""


class BusServer(Protocol):
    """What nodes connect to."""

    async def start(self) -> None:
        """Have it there, with the nodes of the store as its users."""
        ...

    async def run(self) -> None:
        """Keep it there; never returns."""
        ...

    async def stop(self) -> None:
        """End it, where it is ours."""
        ...

    async def refresh_users(self) -> None:
        """Let exactly the nodes of the store in."""
        ...

    def login(self) -> BusSettings:
        """Central's own; once `start` has run."""
        ...

    @property
    def denied_remedy(self) -> str:
        """What to do when the server refuses that login."""
        ...

    def check(self) -> Check:
        """For `/readyz`."""
        ...


class OwnServer:
    """A nats-server as our child, or adopted from a central that was killed."""

    def __init__(self, settings: NatsServerSettings, database: Database, clock: Clock, draw: Callable[[], float]) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._draw = draw
        self._started: NatsServer | None = None

    @property
    def _server(self) -> NatsServer:
        if self._started is None:
            raise Retryable("is not started yet", subject="nats-server")
        return self._started

    async def start(self) -> None:
        """As `NatsServer.start`.

        Raises:
            PortTaken: somebody else listens there.
        """
        hashes = await self._database.read(nodes.list_password_hashes)
        self._started = NatsServer(self._settings, hashes, self._clock, self._draw)
        try:
            await self._started.start()
        except UsageError as error:
            if error.message.startswith("port taken"):
                raise PortTaken(error.message, subject=error.subject, remedy=error.remedy) from error
            raise

    async def run(self) -> None:
        """Restart it when it dies."""
        await self._server.run()

    async def stop(self) -> None:
        """End it; what it holds stays on disk."""
        if self._started is not None:
            await self._started.stop()

    async def refresh_users(self) -> None:
        """Write its users and let it read them."""
        await self._server.set_nodes(await self._database.read(nodes.list_password_hashes))

    def login(self) -> BusSettings:
        """With the password that is kept in its folder."""
        return self._server.central_settings()

    @property
    def denied_remedy(self) -> str:
        """Its configuration is written at each start."""
        return "restart munbon-central: it writes the users of its nats-server anew"

    def check(self) -> Check:
        """Whether the process lives."""
        running = self._started is not None and self._started.is_running
        return Check("nats-server", running, f"process {self._server.pid} at {self._server.url}" if running else "does not run")


class ExistingServer:
    """A nats-server that somebody else runs. Its users are its owner's: central writes them down to be included there."""

    def __init__(self, settings: CentralSettings, folder: Path, database: Database) -> None:
        self._settings = settings
        self._folder = folder
        self._database = database

    async def start(self) -> None:
        """Write the accounts."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.refresh_users()

    async def run(self) -> None:
        """Nothing to keep: the keeper of the session says when it is away."""

    async def stop(self) -> None:
        """It is not ours."""

    async def refresh_users(self) -> None:
        """Write `accounts.json`: include it in the server's configuration, and reload the server after each change.

        nats-server takes the path of an included file from the folder of the file that includes it.
        """
        hashes = await self._database.read(nodes.list_password_hashes)
        path = self._folder / ACCOUNTS_FILE
        text = render_external_accounts(self._settings.nats.password, hashes)
        if not path.exists() or path.read_bytes() != text:
            write_atomic(path, text, mode=0o600)
            _LOG.warning("users changed: reload nats-server so that it reads them", file=str(path), url=self._settings.nats.url)

    def login(self) -> BusSettings:
        """With the password of central.toml."""
        nats = self._settings.nats
        return BusSettings(
            urls=(nats.url,), user=CENTRAL_USER, password=SecretStr(nats.password), name="munbon-central", inbox_prefix=_INBOX
        )

    @property
    def denied_remedy(self) -> str:
        """Its users are not ours to change."""
        return (
            f"let nats.password in central.toml be that of user {CENTRAL_USER!r} there, and the server read {self._folder / ACCOUNTS_FILE}"
        )

    def check(self) -> Check:
        """Whether it is there is seen by the session."""
        return Check("nats-server", ready=True, message=f"run by somebody else at {self._settings.nats.url}")


def render_external_accounts(central_password: str, hashes: Mapping[str, str]) -> bytes:
    """Accounts as a JSON document, which nats-server reads as configuration."""
    return json.dumps({"accounts": render_accounts(central_password, hashes)}, indent=2).encode() + b"\n"


def choose_server(
    settings: CentralSettings, state_dir: Path, instance_id: str, database: Database, clock: Clock, draw: Callable[[], float]
) -> BusServer:
    """Our own server, or the one of `nats.url`.

    Raises:
        UsageError: a URL that is none, or one without central's password.
    """
    folder = state_dir / NATS_FOLDER
    if not settings.nats.url:
        own = NatsServerSettings(folder=folder, server_name=f"munbon-{instance_id[:12]}", listen=settings.nats.listen)
        return OwnServer(own, database, clock, draw)
    check_nats_url(settings.nats.url)
    if not settings.nats.password:
        raise UsageError(
            f"{settings.nats.url} needs the password of user {CENTRAL_USER!r}",
            subject="nats.password",
            remedy="set it in central.toml or as MUNBON_CENTRAL_NATS__PASSWORD",
        )
    return ExistingServer(settings, folder, database)
