"""The API on a real socket, with a real SQLite file; only the bus is fake."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from central.api.app import create_app
from central.api.dependencies import ApiDependencies
from central.identity.keys import DevelopmentIdentity, make_development_identity
from central.store import meta, tokens
from central.store.database import Database, sqlite_url
from central.store.feed import ChangeFeed
from shared.clock import SystemClock
from shared.contracts.gate_plan import GateDirective, GatePlan, UpstreamLevelObjective
from shared.contracts.release import Release
from shared.signing.digests import canonical_json, pack_blob, sha256_hex
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer
from tests.fakes.central_ports import FakeAccess, FakeCourier

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"greeting": "hello"}}


@dataclass
class RunningApi:
    """One API with its parts within reach."""

    url: str
    client: httpx.AsyncClient
    dependencies: ApiDependencies
    identity: DevelopmentIdentity
    access: FakeAccess = field(default_factory=FakeAccess)
    courier: FakeCourier = field(default_factory=FakeCourier)

    @property
    def database(self) -> Database:
        return self.dependencies.database

    async def publish(self, app: str = "weather", version: str = "1.0.0", **options: Any) -> httpx.Response:
        """Upload and publish one release."""
        release, blob = make_release(app, version, **{key: options.pop(key) for key in ("objects", "changes") if key in options})
        (await self.client.put(f"blobs/{sha256_hex(blob)}", content=blob)).raise_for_status()
        return await self.client.post("releases", json={"envelope": seal(release, options.pop("signer", self.identity.operator))})

    async def audit_lines(self) -> int:
        """How many lines the audit has: refused requests add none."""
        return len((await self.client.get("audit", params={"limit": 1000})).json())


def make_release(
    app: str, version: str, *, objects: list[dict[str, Any]] | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[Release, bytes]:
    """A release and its blob; `changes` are laid over the document, right or wrong."""
    content = canonical_json(objects if objects is not None else [CONFIG_MAP])
    blob = pack_blob(content)
    release = Release(
        app=app,
        version=version,
        content_digest=sha256_hex(content),
        content_size_bytes=len(content),
        blob_digest=sha256_hex(blob),
        blob_size_bytes=len(blob),
        objects_count=len(objects) if objects is not None else 1,
    )
    return release.model_copy(update=dict(changes or {})), blob


def seal(document: Any, signer: Signer) -> dict[str, Any]:
    """Signed envelope as JSON data."""
    return dict(json.loads(sign_document(document, [signer])))


def make_plan(site: str = "north", generation: int = 1) -> GatePlan:
    """A plan that holds a level at gate g1."""
    directive = GateDirective(objective=UpstreamLevelObjective(level_m=2.1))
    return GatePlan(site=site, generation=generation, valid_from=SystemClock().wall(), gates={"g1": directive})


class QuietServer(uvicorn.Server):
    """Leaves the signals of the test run alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def running_api(folder: Path) -> AsyncIterator[RunningApi]:
    """The API on a free port of 127.0.0.1, with the development token in the client."""
    identity = make_development_identity(folder)
    database = await asyncio.to_thread(Database.open, sqlite_url(folder / "central.sqlite"))
    clock, numbers = SystemClock(), count(1)
    await database.run(lambda tx: meta.init_meta(tx, "test-instance", "test"))
    await database.run(lambda tx: tokens.add_token(tx, identity.operator_name, identity.operator_token_digest, clock.wall()))
    access, courier = FakeAccess(), FakeCourier()
    dependencies = ApiDependencies(
        database=database,
        feed=ChangeFeed(),
        clock=clock,
        trust_root=identity.trust_root,
        access=access,
        courier=courier,
        fleet="test",
        version="0.0.0-test",
        nats_url="nats://127.0.0.1:4222",
        new_id=lambda: f"id-{next(numbers):04}",
    )
    config = uvicorn.Config(
        create_app(dependencies),
        host="127.0.0.1",
        port=0,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=3,
    )
    server = QuietServer(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    headers = {"Authorization": f"Bearer {identity.operator_token}"}
    async with httpx.AsyncClient(base_url=f"{url}/v1/", headers=headers, timeout=20.0, trust_env=False) as client:
        yield RunningApi(url, client, dependencies, identity, access, courier)
    dependencies.stopping.set()
    server.should_exit = True
    await task
    await database.close()
