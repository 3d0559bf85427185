"""Signed releases, Desired documents and an agent's parts for tests of the agent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.loop.cluster import ClusterKeeper
from edge_agent.loop.loop import AgentLoop
from edge_agent.loop.worker import WorkerParts
from edge_agent.model import Target
from edge_agent.receive.fetcher import Fetcher
from edge_agent.receive.inbox import Inbox, Receipt
from edge_agent.receive.shelf import Shelf
from edge_agent.store.state import StateStore
from shared.contracts.desired import AppDesired, AppState, Desired
from shared.contracts.envelope import Role
from shared.contracts.event import Event
from shared.contracts.interlock import Interlock
from shared.contracts.objects import normalise_objects
from shared.contracts.release import DeliveryPolicy, Release, ReleaseRef
from shared.contracts.status import AppStatus
from shared.signing.digests import canonical_json, pack_blob, sha256_hex
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import Signer, signer_from_seed
from tests.fakes.fake_bus import FakeBus
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_engine import FakeCluster, FakeClusterPort

NODE = "pi-north"
CENTRAL = signer_from_seed(b"c" * 32, name="central")
OPERATOR = signer_from_seed(b"o" * 32, name="operator")
STRANGER = signer_from_seed(b"x" * 32, name="stranger")
TRUST = make_trust_root({Role.RELEASE: [OPERATOR.public], Role.DESIRED: [CENTRAL.public], Role.COMMAND: [CENTRAL.public]})


def config_map(name: str, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(data or {})}


@dataclass(frozen=True)
class MadeRelease:
    """A signed release with its blob."""

    release: Release
    envelope: bytes
    blob: bytes

    @property
    def ref(self) -> ReleaseRef:
        return ReleaseRef(
            app=self.release.app,
            version=self.release.version,
            release_digest=sha256_hex(canonical_json(self.release.to_json())),
            envelope_digest=sha256_hex(self.envelope),
            envelope_size_bytes=len(self.envelope),
        )

    def put_on(self, bus: FakeBus) -> None:
        bus.add_artifact(self.envelope)
        bus.add_artifact(self.blob)


def make_release(
    app: str = "web",
    version: str = "1.0.0",
    objects: list[dict[str, Any]] | None = None,
    *,
    signer: Signer = OPERATOR,
    delivery: DeliveryPolicy | None = None,
    **more: Any,
) -> MadeRelease:
    listed = objects if objects is not None else [config_map(app, {"version": version})]
    content = canonical_json(normalise_objects(listed, "default"))
    blob = pack_blob(content)
    fields: dict[str, Any] = {
        "app": app,
        "version": version,
        "content_digest": sha256_hex(content),
        "content_size_bytes": len(content),
        "blob_digest": sha256_hex(blob),
        "blob_size_bytes": len(blob),
        "objects_count": len(listed),
        "delivery": delivery or DeliveryPolicy(),
    } | more
    release = Release(**fields)
    return MadeRelease(release, sign_document(release, [signer]), blob)


def target(version: str = "1.0.0", *, app: str = "web", attempt: int = 1, settings: Mapping[str, str] | None = None) -> Target:
    ref = ReleaseRef(
        app=app,
        version=version,
        release_digest=sha256_hex(f"{app} {version}".encode()),
        envelope_digest=sha256_hex(f"envelope of {app} {version}".encode()),
        envelope_size_bytes=100,
    )
    return Target(ref, dict(settings or {}), attempt)


def present(made: MadeRelease | Target, *, attempt: int = 1, settings: Mapping[str, str] | None = None) -> AppDesired:
    return AppDesired(release=made.ref, attempt=attempt, settings=dict(settings or {}), rollout_id="rollout-1")


ABSENT = AppDesired(state=AppState.ABSENT)


def paused(made: MadeRelease | Target) -> AppDesired:
    return AppDesired(state=AppState.PAUSED, release=made.ref)


def desired_document(apps: Mapping[str, AppDesired], generation: int, *, epoch: int = 1, node: str = NODE, **more: Any) -> Desired:
    return Desired(node=node, epoch=epoch, generation=generation, issued_at=START, apps=dict(apps), **more)


def signed_desired(apps: Mapping[str, AppDesired], generation: int, *, signer: Signer = CENTRAL, **more: Any) -> bytes:
    return sign_document(desired_document(apps, generation, **more), [signer])


def interlock_bytes(clock: FakeClock, *, hold: bool, flood: bool = False, reason: str = "gate g1 is moving") -> bytes:
    document = Interlock(
        site="north",
        written_at=clock.wall(),
        boot_id=clock.boot_id(),
        monotonic_s=clock.monotonic_s(),
        scan_period_s=1.0,
        hold=hold,
        reasons=(reason,) if hold else (),
        flood_alarm=flood,
    )
    return document.model_dump_json().encode()


_ids = itertools.count(1)


def new_id() -> str:
    return f"{next(_ids):032x}"


def open_store(folder: Path, clock: FakeClock, **more: Any) -> StateStore:
    return StateStore.open(folder, NODE, clock, new_id, **more)


@dataclass
class Bench:
    """An agent without a process: its parts over one folder, a fake bus and a fake cluster. `restart` is a power cut."""

    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    bus: FakeBus = field(default_factory=FakeBus)
    cluster: FakeCluster = field(default_factory=FakeCluster)
    interlock_file: Path | None = None
    apps: dict[str, AppDesired] = field(default_factory=dict)
    generation: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.store = open_store(self.folder, self.clock)
        self.shelf = Shelf(self.store)
        self.port = FakeClusterPort(self.cluster, self.store.inventory)
        self.keeper = ClusterKeeper(self.port, self.store, self.clock, lambda: 0.0, lambda: None)
        parts = WorkerParts(
            self.store, self.shelf, self.keeper, self.clock, lambda: 0.5, asyncio.Semaphore(4), lambda: None, self.interlock_file
        )
        self.fetcher = Fetcher(self.store, self.shelf, TRUST, self.clock, lambda: 0.0, lambda: None)
        self.loop = AgentLoop(parts, self.fetcher, lambda: None)
        self.inbox = Inbox(self.store, TRUST, NODE, self.clock, lambda: None)

    def restart(self) -> None:
        self.store.close()
        self.start()

    def want(self, **apps: AppDesired) -> Receipt:
        """Central issues a new Desired with these apps changed."""
        self.apps |= apps
        self.generation += 1
        return self.inbox.take(signed_desired(self.apps, self.generation))

    def want_only(self, **apps: AppDesired) -> Receipt:
        self.apps = {}
        return self.want(**apps)

    def put(self, made: MadeRelease) -> None:
        """Have the objects of a release on the node, as if fetched."""
        self.store.blobs.save(made.ref.envelope_digest, made.envelope)
        self.store.blobs.save(made.release.blob_digest, made.blob)

    async def passes(self, count: int = 1, *, every_s: float = 1.0) -> None:
        for _ in range(count):
            await self.loop.pass_once()
            await self.clock.advance(every_s)

    async def settle(self) -> None:
        await self.passes(12)

    def status(self, app: str = "web") -> AppStatus:
        return self.loop.statuses()[app]

    def events(self, name: str = "") -> list[Event]:
        rows = sorted(self.store.outbox.window(10_000), key=lambda row: row.sequence)
        found = [Event.model_validate_json(row.body) for row in rows]
        return [event for event in found if event.event_type is not None and (not name or event.event_type.value == name)]

    def told(self) -> list[str]:
        return [event.event_type.value for event in self.events() if event.event_type is not None]
