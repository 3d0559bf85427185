"""Raw figures go after their time; what tells the fleet's story stays."""

from datetime import timedelta

from central.store import blobs, events, gates, releases, retention
from central.store.database import Database, Transaction
from shared.contracts.event import EventType
from shared.signing.digests import sha256_hex
from tests.builders_central import NOW, event, publish


async def test_each_kind_goes_after_its_own_time(database: Database) -> None:
    sample = {"at": NOW.isoformat(), "gate": "g1", "level_m": 2.0}
    carrier = event("pi-1", 1, EventType.GATE_SAMPLES_RECORDED, {"site": "north", "samples": [sample]})

    def setup(tx: Transaction) -> None:
        publish(tx)
        blobs.put_blob(tx, sha256_hex(b"stray"), b"stray", NOW)
        batch = events.IncomingBatch(events=[("pi-1", carrier), ("pi-1", event("pi-1", 2))], quarantine=[("evt.x", b"{", "no JSON")])
        events.store_batch(tx, batch, NOW)

    await database.run(setup)

    async def prune(days: int) -> retention.Pruned:
        return await database.run(lambda tx: retention.prune(tx, NOW + timedelta(days=days, seconds=1)))

    assert await prune(6) == retention.Pruned(0, 0, 0, 0)
    assert await prune(8) == retention.Pruned(samples=1, events=0, quarantined=0, blobs=1)
    assert await prune(31) == retention.Pruned(0, events=1, quarantined=0, blobs=0)
    assert await prune(91) == retention.Pruned(0, 0, quarantined=1, blobs=0)
    assert await prune(9_999) == retention.Pruned(0, 0, 0, 0)
    assert [item.event.sequence for item in await database.read(events.list_events)] == [2]
    assert await database.read(lambda tx: gates.list_samples(tx, "north")) == ()
    assert len(await database.read(releases.list_releases)) == 1


async def test_a_sample_event_that_was_deleted_leaves_no_gap(database: Database) -> None:
    batch = events.IncomingBatch(events=[("pi-1", event("pi-1", n, EventType.GATE_SAMPLES_RECORDED)) for n in (1, 2, 3)])
    await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    await database.run(lambda tx: retention.prune(tx, NOW + timedelta(days=60)))
    assert await database.read(events.count_events) == 0
    assert await database.read(events.count_missing) == {}
