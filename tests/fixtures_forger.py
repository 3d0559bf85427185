"""Somebody who holds central's login to the bus, and writes what central would never write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from central.bus.central_session import CentralBus
from central.bus.streams import StreamLimits
from central.identity.keys import load_central_signer, load_trust_root
from deploy.harness.world import World
from shared.clock import SystemClock
from shared.contracts.desired import AppDesired, Desired
from shared.contracts.envelope import Role
from shared.contracts.release import Release, ReleaseRef
from shared.messaging.session import BusSession
from shared.messaging.settings import BusSettings
from shared.signing.digests import canonical_json, pack_blob, sha256_hex
from shared.signing.dsse import sign_document, verify_document
from shared.signing.keys import Signer, generate_signer


class Forger:
    """Puts documents and artifacts on the bus past central. `stranger` is a key that no trust root lists."""

    def __init__(self, world: World, bus: CentralBus) -> None:
        self.world = world
        self.bus = bus
        self.stranger = generate_signer(name="stranger")
        self.central = load_central_signer(world.central.state_dir)
        self.operator = world.central.operator_key

    async def desired_of(self, node: str) -> Desired:
        """The document that stands on the bus."""
        entry = (await self.bus.get_desired_keys())[node]
        trust = load_trust_root(self.world.central.state_dir)
        return verify_document(entry.body, Desired, trust, Role.DESIRED).document

    async def raw_desired_of(self, node: str) -> bytes:
        """The same, as it is carried."""
        return (await self.bus.get_desired_keys())[node].body

    async def put(self, node: str, desired: Desired, signer: Signer) -> None:
        """Write a document under a node's key."""
        await self.put_raw(node, sign_document(desired, [signer]))

    async def put_raw(self, node: str, body: bytes) -> None:
        """Write any bytes under a node's key."""
        await self.bus.put_desired(node, body)

    async def next_desired(self, of_node: str, apps: Mapping[str, AppDesired] | None = None, **changes: Any) -> Desired:
        """What stands, one generation higher, with these apps added."""
        desired = await self.desired_of(of_node)
        added = {**desired.apps, **(apps or {})}
        later = {"generation": desired.generation + 1, "issued_at": SystemClock().wall(), "apps": added}
        return desired.model_copy(update={**later, **changes})

    async def release(
        self,
        app: str,
        version: str,
        objects: Sequence[Mapping[str, Any]],
        signer: Signer,
        *,
        swap: Callable[[bytes], bytes] = bytes,
        **changes: Any,
    ) -> AppDesired:
        """Upload a release of its own making; gives what points at it. `swap` gives other bytes under the honest digest."""
        content = canonical_json([dict(each) for each in objects])
        packed = pack_blob(content)
        release = Release(
            app=app,
            version=version,
            content_digest=sha256_hex(content),
            content_size_bytes=len(content),
            blob_digest=sha256_hex(packed),
            blob_size_bytes=len(packed),
            objects_count=len(objects),
            **changes,
        )
        envelope = sign_document(release, [signer])
        await self.bus.upload_artifact(sha256_hex(packed), swap(packed))
        await self.bus.upload_artifact(sha256_hex(envelope), envelope)
        digest = sha256_hex(canonical_json(release.to_json()))
        ref = ReleaseRef(
            app=app, version=version, release_digest=digest, envelope_digest=sha256_hex(envelope), envelope_size_bytes=len(envelope)
        )
        return AppDesired(release=ref)


@asynccontextmanager
async def open_forger(world: World) -> AsyncIterator[Forger]:
    """A forger with a connection of its own."""
    password = (world.central.state_dir / "nats" / "central.password").read_text().strip()
    login = {"user": "central", "password": SecretStr(password), "name": "forger", "inbox_prefix": "_INBOX_forger"}
    settings = BusSettings.model_validate({"urls": (world.central.nats_url,), **login})
    session = await BusSession.open(settings, clock=SystemClock())
    try:
        yield Forger(world, CentralBus(session, StreamLimits()))
    finally:
        await session.abort()
