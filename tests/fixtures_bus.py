"""Central's loops on a real nats-server and a real SQLite file, inside the test's own process.

async with central_rig(handle, folder, nodes=["pi-north"]) -> rig: .database, .feed, .keeper, .desired, .ingest, ...
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from central.bus.keeper import BusKeeper
from central.bus.streams import StreamLimits
from central.ingest.consumer import IngestLoop
from central.ingest.heartbeats import HeartbeatLoop
from central.publish.desired_loop import DesiredLoop
from central.publish.gate_plans import GatePlanLoop
from central.publish.rollout_loop import RolloutLoop
from central.store import meta, operations
from central.store.database import Database, sqlite_url
from central.store.feed import ChangeFeed
from shared.clock import SystemClock
from shared.contracts.api import RolloutStart
from shared.contracts.desired import Desired
from shared.contracts.envelope import Role, TrustRoot
from shared.errors import Retryable
from shared.messaging.session import BusSession
from shared.messaging.settings import BusSettings
from shared.signing.dsse import make_trust_root, verify_document
from shared.signing.keys import Signer, generate_signer
from tests import builders_central as build
from tests.fixtures_nats import NatsHandle

T = TypeVar("T")
WAIT_S = 30.0


async def until(read: Callable[[], Awaitable[T]], holds: Callable[[T], bool], what: str, limit_s: float = WAIT_S) -> T:
    """What `read` gives once it holds; fails with the last value after `limit_s`."""
    last: T | Retryable | None = None
    try:
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    last = found = await read()
                    if holds(found):
                        return found
                except Retryable as error:
                    last = error
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {limit_s:g} s; last seen: {last!r}") from None


@dataclass
class Keys:
    signer: Signer
    trust: TrustRoot


def make_keys() -> Keys:
    signer = generate_signer(name="central")
    return Keys(signer, make_trust_root({Role.DESIRED: [signer.public], Role.COMMAND: [signer.public]}))


@dataclass
class Rig:
    database: Database
    feed: ChangeFeed
    keeper: BusKeeper
    desired: DesiredLoop
    rollouts: RolloutLoop
    ingest: IngestLoop
    heartbeats: HeartbeatLoop
    gate_plans: GatePlanLoop
    keys: Keys

    async def publish(self, version: str, app: str = "web", content: str | None = None) -> None:
        await self.database.run(lambda tx: build.publish(tx, app, version, content))

    async def start_rollout(self, version: str, selector: str = "", app: str = "web") -> str:
        request, number = RolloutStart(app=app, version=version, selector=selector), random.randrange(10**9)
        rollout_id = f"r{number}"
        await self.database.run(
            lambda tx: operations.start_rollout(tx, request, rollout_id=rollout_id, actor="ana", at=SystemClock().wall())
        )
        self.feed.publish("assignments", app)
        self.feed.publish("rollouts", rollout_id)
        return rollout_id

    async def read_desired(self, session: BusSession, node: str) -> Desired | None:
        entry = await session.get_desired(node)
        return None if entry is None else verify_document(entry.body, Desired, self.keys.trust, Role.DESIRED).document

    async def wait_version(self, session: BusSession, node: str, version: str, app: str = "web") -> Desired:
        def holds(document: Desired | None) -> bool:
            wanted = document.apps.get(app) if document else None
            return wanted is not None and wanted.release is not None and wanted.release.version == version

        found = await until(lambda: self.read_desired(session, node), holds, f"{node} told of {app} {version}")
        assert found is not None
        return found


def new_database(folder: Path, nodes: Iterable[str] = ()) -> Database:
    database = Database.open(sqlite_url(folder / "central.sqlite"))
    database.run_sync(lambda tx: meta.init_meta(tx, "instance-1", "test-fleet"))
    database.run_sync(lambda tx: build.enrol(tx, *nodes))
    return database


@asynccontextmanager
async def central_rig(
    settings: BusSettings | NatsHandle, database: Database, keys: Keys, *, limits: StreamLimits | None = None
) -> AsyncIterator[Rig]:
    """All loops run until the end of the block; the database is the caller's."""
    bus_settings = settings.central() if isinstance(settings, NatsHandle) else settings
    clock, feed = SystemClock(), ChangeFeed()
    keeper = BusKeeper(bus_settings, clock, random.Random(2).random, limits)
    desired = DesiredLoop(database, feed, keeper, keys.signer, keys.trust, clock)
    rig = Rig(
        database=database,
        feed=feed,
        keeper=keeper,
        desired=desired,
        rollouts=RolloutLoop(database, feed, clock),
        ingest=IngestLoop(database, feed, keeper, clock),
        heartbeats=HeartbeatLoop(database, feed, keeper, clock, desired.request_republish),
        gate_plans=GatePlanLoop(database, feed, keeper, keys.signer, clock),
        keys=keys,
    )
    loops = (keeper, rig.desired, rig.rollouts, rig.ingest, rig.heartbeats, rig.gate_plans)
    tasks = [asyncio.create_task(loop.run()) for loop in loops]
    try:
        yield rig
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
