"""Releases on their way to the node: chunk by chunk, checked, saved whole, refused once."""

import asyncio
from pathlib import Path

import pytest

from edge_agent.model import MaterialState, Target
from edge_agent.receive.artifacts import NotThere, fetch_artifact
from edge_agent.receive.fetcher import Fetcher
from edge_agent.receive.releases import verify_release
from edge_agent.receive.shelf import Shelf
from edge_agent.store.state import StateStore
from shared.contracts.desired import AppDesired
from shared.contracts.event import Event
from shared.contracts.limits import CHUNK_BYTES, MAX_SETTINGS_BYTES
from shared.contracts.release import ReleaseRef
from shared.errors import ContractError, DigestMismatch
from shared.messaging.errors import BusUnavailable
from shared.signing.digests import sha256_hex
from shared.signing.keys import Signer
from tests.builders_agent import OPERATOR, STRANGER, TRUST, MadeRelease, config_map, make_release, open_store, signed_desired
from tests.fakes.fake_bus import FakeBus
from tests.fakes.fake_clock import FakeClock

BIG = bytes(range(256)) * 1_200  # four chunks


class Bench:
    def __init__(self, folder: Path) -> None:
        self.clock, self.bus = FakeClock(), FakeBus()
        self.store: StateStore = open_store(folder, self.clock)
        self.shelf = Shelf(self.store)
        self.changes = 0
        self.fetcher = Fetcher(self.store, self.shelf, TRUST, self.clock, lambda: 0.0, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def fetch(self, *refs: ReleaseRef, seconds: float = 30.0) -> None:
        self.fetcher.want(refs)
        task = asyncio.create_task(self.fetcher.run(await self.bus.open()))
        for _ in range(200):
            await self.clock.advance(seconds / 200)
            await asyncio.sleep(0.001 if not self.changes else 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def state(self, made: MadeRelease) -> MaterialState:
        return self.shelf.material(Target(made.ref)).state

    def events(self) -> list[Event]:
        rows = sorted(self.store.outbox.window(100), key=lambda row: row.sequence)
        return [Event.model_validate_json(row.body) for row in rows]

    def told(self) -> list[str]:
        rows = sorted(self.store.outbox.window(100), key=lambda row: row.sequence)
        return [row.body.decode().split("io.munbon.")[1].split(".")[0] for row in rows]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_release_comes_in_is_checked_and_can_be_loaded(bench: Bench) -> None:
    made = make_release(objects=[config_map("web", {"text": "x" * 1_000})])
    made.put_on(bench.bus)
    assert bench.state(made) is MaterialState.MISSING

    await bench.fetch(made.ref)

    assert bench.state(made) is MaterialState.READY
    assert bench.told() == ["ReleaseVerified"]
    render = bench.shelf.load(Target(made.ref, {"language": "th"}))
    assert [found["metadata"]["name"] for found in render.objects] == ["web", "web-settings"]
    assert render.objects[1]["data"] == {"language": "th"}


@pytest.mark.parametrize("signer", [OPERATOR, STRANGER], ids=["verified", "refused"])
async def test_what_is_said_of_a_release_names_the_rollout_that_brought_it(bench: Bench, signer: Signer) -> None:
    made = make_release(signer=signer)
    made.put_on(bench.bus)
    wanted = AppDesired(release=made.ref, rollout_id="rollout-7", attempt=3)
    bench.store.desired.save(signed_desired({"web": wanted}, 1))

    await bench.fetch(made.ref)

    [event] = bench.events()
    assert (event.rolloutid, event.data["attempt"]) == ("rollout-7", 3)


async def test_a_release_that_is_not_desired_any_more_names_no_rollout(bench: Bench) -> None:
    made, other = make_release(), make_release(version="1.1.0")
    made.put_on(bench.bus)
    bench.store.desired.save(signed_desired({"web": AppDesired(release=other.ref, rollout_id="rollout-8")}, 1))

    await bench.fetch(made.ref)

    assert [event.rolloutid for event in bench.events()] == [""]


async def test_what_is_not_on_the_bus_yet_is_asked_for_again(bench: Bench) -> None:
    made = make_release()

    await bench.fetch(made.ref, seconds=10)
    assert bench.fetcher.troubles() == [
        f"web 1.0.0 is not here yet: artifact {made.ref.envelope_digest[:12]}: chunk 1 of 1 is not on the bus"
    ]
    made.put_on(bench.bus)
    await bench.fetch(made.ref)

    assert bench.state(made) is MaterialState.READY
    assert bench.told() == ["ReleaseVerified"]


async def test_a_bad_release_does_not_keep_a_good_one_waiting(bench: Bench) -> None:
    missing, good = make_release(app="missing"), make_release(app="good")
    good.put_on(bench.bus)

    await bench.fetch(missing.ref, good.ref)

    assert bench.state(good) is MaterialState.READY


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (make_release(signer=STRANGER), "SignatureInvalid"),
        (make_release(critical=("hooks",)), "UnsupportedFeature"),
        (make_release(schema_version="2.0"), "UnsupportedVersion"),
        (make_release(content_digest="0" * 64), "DigestMismatch"),
        (make_release(objects_count=7), "Malformed"),
        (make_release(objects=[{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}]), "ObjectsRefused"),
    ],
)
async def test_a_release_that_may_not_run_is_refused_and_told_once(bench: Bench, made: MadeRelease, code: str) -> None:
    made.put_on(bench.bus)

    await bench.fetch(made.ref)
    await bench.fetch(made.ref)

    material = bench.shelf.material(Target(made.ref))
    assert material.state is (MaterialState.UNSUPPORTED if code.startswith("Unsupported") else MaterialState.REFUSED)
    assert material.cause is not None
    assert material.cause.code == code
    assert bench.told() == ["ReleaseRefused"]


async def test_an_allowed_secret_passes(bench: Bench) -> None:
    made = make_release(objects=[{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}], allow_secrets=True)
    made.put_on(bench.bus)

    await bench.fetch(made.ref)

    assert bench.state(made) is MaterialState.READY


def test_a_release_must_be_the_one_that_central_named() -> None:
    made, other = make_release(version="1.0.0"), make_release(version="1.1.0")
    assert verify_release(made.envelope, made.ref, TRUST) == made.release
    for wrong in ({"release_digest": other.ref.release_digest}, {"version": "1.1.0"}, {"app": "ui"}, {"envelope_digest": "0" * 64}):
        with pytest.raises(ContractError):
            verify_release(made.envelope, made.ref.model_copy(update=wrong), TRUST)


async def test_chunks_that_came_before_a_cut_are_not_fetched_again(bench: Bench) -> None:
    digest = bench.bus.add_artifact(BIG)
    session = await bench.bus.open()
    bench.bus.artifacts[digest] = BIG[: 2 * CHUNK_BYTES]
    with pytest.raises(NotThere):
        await fetch_artifact(session, bench.store.blobs, digest, len(BIG), window=1)
    bench.bus.artifacts[digest] = BIG
    bench.bus.chunk_reads.clear()

    assert await fetch_artifact(session, bench.store.blobs, digest, len(BIG)) == BIG
    assert sorted(bench.bus.chunk_reads) == [(digest, 2), (digest, 3)]


async def test_chunks_that_do_not_make_the_digest_are_thrown_away(bench: Bench) -> None:
    digest = sha256_hex(BIG)
    bench.bus.artifacts[digest] = b"y" * len(BIG)
    session = await bench.bus.open()

    with pytest.raises(NotThere, match="SHA-256"):
        await fetch_artifact(session, bench.store.blobs, digest, len(BIG))
    bench.bus.artifacts[digest] = BIG

    assert await fetch_artifact(session, bench.store.blobs, digest, len(BIG)) == BIG


async def test_a_cut_link_ends_a_fetch_at_once(bench: Bench) -> None:
    digest = bench.bus.add_artifact(BIG)
    session = await bench.bus.open()
    bench.bus.cut()

    with pytest.raises(BusUnavailable):
        await fetch_artifact(session, bench.store.blobs, digest, len(BIG))


async def test_a_damaged_blob_is_missing_from_then_on(bench: Bench) -> None:
    made = make_release()
    made.put_on(bench.bus)
    await bench.fetch(made.ref)
    path = bench.store.folder / "blobs" / made.release.blob_digest
    path.write_bytes(b"z" * made.release.blob_size_bytes)

    with pytest.raises(DigestMismatch):
        bench.shelf.load(Target(made.ref))

    assert bench.state(made) is MaterialState.MISSING


def test_settings_that_are_too_large_are_refused(bench: Bench) -> None:
    material = bench.shelf.material(Target(make_release().ref, {"text": "x" * (MAX_SETTINGS_BYTES + 1)}))

    assert material.state is MaterialState.REFUSED
    assert material.cause is not None
    assert material.cause.code == "TooLarge"
