"""Events arrive once each, gaps are known, and statuses only move forward."""

from functools import partial

import pytest

from central.model import SequenceState
from central.store import events, gates, meta, releases, reports
from central.store.database import Database, Transaction
from central.store.events import IncomingBatch
from shared.contracts.event import EventType
from shared.contracts.status import AppPhase
from tests.builders_central import NOW, OUTBOX, app_status, enrol, event, later, publish, status


async def test_an_event_delivered_twice_is_stored_once(database: Database) -> None:
    batch = IncomingBatch(events=[("pi-1", event("pi-1", 1)), ("pi-1", event("pi-1", 2))])
    first = await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    again = await database.run(lambda tx: events.store_batch(tx, batch, later(5)))
    assert [item.event.sequence for item in first.stored] == [1, 2]
    assert (again.stored, again.duplicates) == ((), 2)
    assert await database.read(events.count_events) == 2


async def test_the_same_event_twice_in_one_batch_is_stored_once(database: Database) -> None:
    result = await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", event("pi-1", 1))] * 2), NOW))
    assert (len(result.stored), result.duplicates) == (1, 1)


async def test_two_nodes_may_use_the_same_event_id(database: Database) -> None:
    batch = IncomingBatch(events=[("pi-1", event("pi-1", 1, id="x" * 32)), ("pi-2", event("pi-2", 1, id="x" * 32))])
    assert len((await database.run(lambda tx: events.store_batch(tx, batch, NOW))).stored) == 2


async def test_a_stored_event_comes_back_as_it_was(database: Database) -> None:
    sent = event("pi-1", 1, data={"app": "web", "text": "ประตู \x00 \ud800", "deep": [1, {"a": None}]}, rolloutid="r1")
    await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", sent)]), NOW))
    (stored,) = await database.read(events.list_events)
    assert (stored.event, stored.node, stored.received_at) == (sent, "pi-1", NOW)


async def test_five_hundred_events_go_in_one_transaction_in_order(database: Database) -> None:
    batch = IncomingBatch(events=[("pi-1", event("pi-1", number)) for number in range(1, 501)])
    result = await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    assert [item.event.sequence for item in result.stored] == list(range(1, 501))
    assert [item.cursor for item in result.stored] == sorted({item.cursor for item in result.stored})


async def test_events_are_paged_by_cursor_and_filtered(database: Database) -> None:
    listed = [("pi-1", event("pi-1", number)) for number in range(1, 6)]
    listed += [("pi-2", event("pi-2", 1, EventType.RELEASE_READY)), ("pi-2", event("pi-2", 2, EventType.AGENT_STARTED))]
    await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=listed), NOW))
    page = await database.read(lambda tx: events.list_events(tx, node="pi-1", limit=2))
    rest = await database.read(lambda tx: events.list_events(tx, node="pi-1", after=page[-1].cursor))
    newest = await database.read(lambda tx: events.list_events(tx, node="pi-1", limit=2, newest=True))
    ready = await database.read(lambda tx: events.list_events(tx, types=["ReleaseReady", "io.munbon.AgentStarted.v1"]))
    assert [item.event.sequence for item in page] == [1, 2]
    assert [item.event.sequence for item in rest] == [3, 4, 5]
    assert [item.event.sequence for item in newest] == [4, 5]
    assert [item.node for item in ready] == ["pi-2", "pi-2"]
    assert await database.read(lambda tx: events.list_events(tx, types=["Release_eady"])) == ()


async def test_a_gap_shows_and_closes_when_the_late_event_comes(database: Database) -> None:
    async def arrive(*numbers: int) -> tuple[SequenceState, ...]:
        batch = IncomingBatch(events=[("pi-1", event("pi-1", number)) for number in numbers])
        await database.run(lambda tx: events.store_batch(tx, batch, NOW))
        return await database.read(events.list_sequences)

    assert (await arrive(1, 2, 5, 9))[0].missing == 5
    assert await database.read(events.count_missing) == {"pi-1": 5}
    assert (await arrive(3, 4, 6, 7, 8)) == (SequenceState("pi-1", OUTBOX, 9, 9, 0),)
    assert await database.read(events.count_missing) == {}


async def test_what_a_node_thinned_itself_is_no_gap(database: Database) -> None:
    thinned = event("pi-1", 9, EventType.EVENTS_THINNED, {"first_sequence": 2, "last_sequence": 8, "count": 7})
    batch = IncomingBatch(events=[("pi-1", event("pi-1", 1)), ("pi-1", thinned)])
    await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    (state,) = await database.read(events.list_sequences)
    assert (state.thinned, state.missing) == (7, 0)


async def test_a_node_that_skips_wildly_costs_bounded_space(database: Database) -> None:
    batch = IncomingBatch(events=[("pi-1", event("pi-1", number)) for number in range(1, 2401, 2)])
    await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    (state,) = await database.read(events.list_sequences)
    assert (state.received, state.missing) == (1200, 1199)


async def test_a_sequence_that_no_json_number_holds_goes_to_quarantine(database: Database) -> None:
    odd = event("pi-1", 10**30)
    result = await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", odd), ("pi-1", event("pi-1", 1))]), NOW))
    assert (len(result.stored), result.quarantined) == (1, 1)


async def test_an_unreadable_message_is_kept_once_with_its_reason(database: Database) -> None:
    batch = IncomingBatch(quarantine=[("evt.pi-1.release", b"\x00\xff{", "is not valid \x00 JSON")])
    for _ in range(2):
        await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    (kept,) = await database.read(events.list_quarantined)
    assert (kept.body, kept.subject) == (b"\x00\xff{", "evt.pi-1.release")
    assert kept.reason.startswith("is not valid")
    assert await database.read(events.count_quarantined) == 1


async def test_texts_that_a_database_refuses_do_not_stop_a_batch(database: Database) -> None:
    odd = event("pi-1", 1, id="\x00" * 16, outboxid="\x00outbox-1")
    result = await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", odd)]), NOW))
    again = await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", odd)]), NOW))
    assert (len(result.stored), again.duplicates) == (1, 1)


async def test_an_older_status_never_replaces_a_newer_one(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-1"))
    new, old = status("pi-1", revision=7, messages=("new",)), status("pi-1", revision=6, messages=("old",))
    first = await database.run(lambda tx: reports.save_reports(tx, [new], NOW))
    second = await database.run(lambda tx: reports.save_reports(tx, [old, new], later(1)))
    assert ([report.node for report in first], second) == (["pi-1"], ())
    stored = await database.read(lambda tx: reports.get_report(tx, "pi-1"))
    assert stored is not None
    assert stored.status == new


async def test_the_status_of_a_node_that_nobody_added_is_left_out(database: Database) -> None:
    result = await database.run(lambda tx: events.store_batch(tx, IncomingBatch(statuses=[status("stranger")]), NOW))
    assert result.reports == ()
    assert await database.read(reports.list_reports) == {}


async def test_verdicts_count_each_node_once(database: Database) -> None:
    def setup(tx: Transaction) -> str:
        enrol(tx, "pi-1", "pi-2")
        return publish(tx).release_digest

    digest = await database.run(setup)
    ready = {"web": app_status(AppPhase.READY)}
    bad = {"web": app_status(AppPhase.ROLLED_BACK, cause="CrashLoopBackOff")}
    said = event("pi-1", 1, EventType.RELEASE_READY, {"app": "web", "release_digest": digest})
    unknown = event("pi-1", 2, EventType.RELEASE_READY, {"app": "web", "release_digest": "f" * 64})
    batch = IncomingBatch(events=[("pi-1", said), ("pi-1", unknown)], statuses=[status("pi-1", ready), status("pi-2", bad)])
    await database.run(lambda tx: events.store_batch(tx, batch, NOW))
    counts = await database.read(releases.counts_by_release)
    assert {key: (count.nodes_ready, count.nodes_failed) for key, count in counts.items()} == {digest: (1, 1)}


async def test_samples_are_read_out_of_events_once_and_pruned(database: Database) -> None:
    samples = [{"at": later(n).isoformat(), "gate": "g1", "level_m": 2.0 + n / 10, "quality": "good"} for n in range(3)]
    sent = event("pi-1", 1, EventType.GATE_SAMPLES_RECORDED, {"site": "north", "samples": [*samples, {"gate": 7}, "nonsense"]})
    for _ in range(2):
        await database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[("pi-1", sent)]), NOW))
    stored = await database.read(lambda tx: gates.list_samples(tx, "north", gate="g1"))
    after = await database.read(lambda tx: gates.list_samples(tx, "north", after=later(0)))
    assert [(item.at, item.level_m) for item in stored] == [(NOW, 2.0), (later(1), 2.1), (later(2), 2.2)]
    assert [item.at for item in after] == [later(1), later(2)]
    assert await database.run(lambda tx: gates.prune_samples(tx, later(2))) == 2
    assert await database.read(events.count_events) == 1


async def test_a_batch_that_fails_in_the_middle_leaves_nothing(database: Database) -> None:
    def fail(tx: Transaction) -> None:
        events.store_batch(tx, IncomingBatch(events=[("pi-1", event("pi-1", 1))]), NOW)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        await database.run(fail)
    assert await database.read(events.count_events) == 0
    assert (await database.read(meta.read_meta)).fleet == "canal"


async def test_what_a_node_that_lost_its_memory_tells_again_is_kept_once_and_leaves_no_gap(database: Database) -> None:
    samples = [{"at": later(n).isoformat(), "gate": gate, "level_m": 2.0} for n in range(4) for gate in ("g1", "g2")]
    alarm = event("pi-1", 1, EventType.GATE_ALARM_RAISED, {"site": "north", "alarm": "stuck"}, id="a" * 32)
    before = [alarm, event("pi-1", 2, EventType.GATE_SAMPLES_RECORDED, {"site": "north", "samples": samples[:5]})]
    more = event("pi-1", 2, EventType.GATE_SAMPLES_RECORDED, {"site": "north", "samples": samples}, id="b" * 32)
    thinned = event("pi-1", 3, EventType.EVENTS_THINNED, {"count": 4})
    again = [each.model_copy(update={"outboxid": "another-card"}) for each in (alarm, more, thinned)]
    for batch in (before, again, again):
        await database.run(partial(events.store_batch, batch=IncomingBatch(events=[("pi-1", each) for each in batch]), received_at=NOW))
    stored = await database.read(lambda tx: gates.list_samples(tx, "north"))
    assert [(item.gate, item.at) for item in stored] == [(gate, later(n)) for n in range(4) for gate in ("g1", "g2")]
    alarms = await database.read(lambda tx: events.list_events(tx, types=("GateAlarmRaised",)))
    assert [item.event.data["alarm"] for item in alarms] == ["stuck"]
    found = {state.outboxid: (state.received, state.thinned) for state in await database.read(events.list_sequences)}
    assert found["another-card"] == (3, 4)
