"""A real nats-server on free ports for one test, with central's and each node's login.

async with running_nats(nodes=["pi-north"]) -> handle.url, handle.central(), handle.node("pi-north"), handle.server
"""

import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt
from pydantic import SecretStr

from central.bus.central_session import CentralBus
from central.bus.monitor import pick_free_port
from central.bus.server import NatsServer, NatsServerSettings
from central.bus.streams import StreamLimits
from shared.clock import SystemClock
from shared.contracts.subjects import inbox_prefix
from shared.messaging.session import BusSession
from shared.messaging.settings import BusSettings

SERVER_NAME = "munbon-test"


def password_of(node: str) -> str:
    return f"secret-of-{node}"


def hash_of(node: str) -> str:
    return bcrypt.hashpw(password_of(node).encode(), bcrypt.gensalt(4)).decode()


def hashes_of(nodes: Iterable[str]) -> dict[str, str]:
    return {node: hash_of(node) for node in nodes}


def make_server(folder: Path, *, port: int, nodes: Iterable[str] = (), server_name: str = SERVER_NAME) -> NatsServer:
    settings = NatsServerSettings(folder=folder, server_name=server_name, listen=f"127.0.0.1:{port}")
    return NatsServer(settings, hashes_of(nodes), SystemClock(), random.Random(1).random)


@dataclass
class NatsHandle:
    """A running server and the ways into it."""

    server: NatsServer
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return self.server.url

    def central(self) -> BusSettings:
        return self.server.central_settings()

    def node(self, name: str, *, url: str | None = None) -> BusSettings:
        return BusSettings(
            urls=(url or self.url,),
            user=name,
            password=SecretStr(password_of(name)),
            name=name,
            inbox_prefix=inbox_prefix(name),
            connect_timeout_s=10.0,
            request_timeout_s=5.0,
        )

    @asynccontextmanager
    async def central_bus(self, limits: StreamLimits | None = None) -> AsyncIterator[CentralBus]:
        bus = await CentralBus.open(self.central(), limits or StreamLimits(), clock=SystemClock())
        try:
            yield bus
        finally:
            await bus.abort()

    @asynccontextmanager
    async def node_session(self, name: str, *, url: str | None = None) -> AsyncIterator[BusSession]:
        session = await BusSession.open(self.node(name, url=url))
        try:
            yield session
        finally:
            await session.abort()


@asynccontextmanager
async def running_nats(nodes: Iterable[str] = (), *, folder: Path | None = None, port: int | None = None) -> AsyncIterator[NatsHandle]:
    own = Path(tempfile.mkdtemp(prefix="munbon-nats-")) if folder is None else None
    place = folder or own
    assert place is not None
    chosen = port or pick_free_port()
    server = make_server(place / "nats", port=chosen, nodes=nodes)
    try:
        await server.start()
        yield NatsHandle(server, place / "nats", chosen)
    finally:
        await server.stop()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
