"""Nodes, releases, issued Desired, gate plans, tokens, audit: what goes in comes out, and rules hold."""

from dataclasses import replace
from functools import partial

import pytest
import sqlalchemy

from central.model import Conflict, Immutable, IssuedDesired, NotFound, PlanDelivery, PresenceMark
from central.store import assignments, audit, blobs, desired, events, gates, meta, nodes, operations, releases, reports, tables, tokens
from central.store.database import Database, Transaction
from shared.contracts.desired import AppState
from shared.contracts.event import EventType
from shared.contracts.status import SiteSummary
from shared.errors import DigestMismatch, UsageError
from shared.signing.digests import sha256_hex
from tests.builders_central import NOW, enrol, envelope, event, gate_plan, later, publish, release_record, status
from tests.builders_central import desired as wanted


async def test_a_node_keeps_its_labels_when_it_gets_new_credentials(database: Database) -> None:
    def enrol_again(tx: Transaction) -> bool:
        return operations.enrol_node(tx, "pi-1", {}, "new", actor="ana", at=later(9), replace=True)[1]

    await database.run(lambda tx: enrol(tx, "pi-1", site="north"))
    await database.run(lambda tx: reports.save_reports(tx, [status("pi-1", at=later(99))], NOW))
    with pytest.raises(Conflict, match="--replace"):
        await database.run(lambda tx: enrol(tx, "pi-1"))
    assert await database.run(enrol_again)
    record = await database.read(lambda tx: nodes.get_node(tx, "pi-1"))
    assert (record.labels, record.password_hash, record.added_at) == ({"site": "north"}, "new", NOW)
    # the new card's first report counts though its clock is behind
    assert await database.run(lambda tx: reports.save_reports(tx, [status("pi-1", outboxid="outbox-new")], later(10)))


@pytest.mark.parametrize("name", ["Pi", "pi.north", "", "a" * 64, "pi_1", "pi-1\n", "ä"])
async def test_a_node_name_outside_the_pattern_is_refused(database: Database, name: str) -> None:
    with pytest.raises(UsageError, match="not allowed"):
        await database.run(lambda tx: enrol(tx, name))
    assert await database.read(nodes.list_nodes) == ()


async def test_nodes_are_selected_by_labels(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-1", site="north"))
    await database.run(lambda tx: enrol(tx, "pi-2", site="south"))
    chosen = await database.read(lambda tx: nodes.list_nodes(tx, "site!=north"))
    assert [record.node for record in chosen] == ["pi-2"]


async def test_presence_never_goes_back_and_ignores_strangers(database: Database) -> None:
    def mark(seconds: int) -> PresenceMark:
        return PresenceMark("pi-1", later(seconds), "boot", 10.0, outbox_rows=2**60 if seconds == 5 else 0)

    await database.run(lambda tx: enrol(tx, "pi-1"))
    for seconds in (5, 3):
        await database.run(partial(nodes.save_presence, marks=[mark(seconds), PresenceMark("x", NOW)]))
    record = await database.read(lambda tx: nodes.get_node(tx, "pi-1"))
    assert (record.last_seen, record.heartbeat_interval_s, record.boot_id) == (later(5), 10.0, "boot")
    assert record.outbox_rows == 2**31 - 1, "an absurd figure breaks nothing"


async def test_a_deleted_node_leaves_its_events_and_its_highest_order(database: Database) -> None:
    def setup(tx: Transaction) -> None:
        enrol(tx, "pi-1")
        desired.save_issued(tx, IssuedDesired("pi-1", 1, 7, {}, b"envelope", NOW))
        reports.save_reports(tx, [status("pi-1")], NOW)
        events.store_batch(tx, events.IncomingBatch(events=[("pi-1", event("pi-1", 1))]), NOW)
        operations.forget_node(tx, "pi-1", actor="ana", at=NOW)
        enrol(tx, "pi-1")

    await database.run(setup)
    assert await database.read(lambda tx: desired.get_issued(tx, "pi-1")) is None
    assert await database.read(desired.highest_orders) == {"pi-1": (1, 7)}
    assert await database.read(events.count_events) == 1
    with pytest.raises(Conflict, match="not above"):
        await database.run(lambda tx: desired.save_issued(tx, IssuedDesired("pi-1", 1, 7, {}, b"x", NOW)))


async def test_an_issued_desired_comes_back_and_is_marked_when_the_bus_took_it(database: Database) -> None:
    issued = IssuedDesired("pi-1", 1, 1, {"web": wanted()}, b"\x00envelope", NOW)
    await database.run(lambda tx: enrol(tx, "pi-1"))
    await database.run(lambda tx: desired.save_issued(tx, issued))
    assert await database.read(desired.list_issued) == {"pi-1": issued}
    await database.run(lambda tx: desired.mark_put(tx, [issued], {"pi-1": 42, "pi-2": 1}))
    await database.run(lambda tx: desired.mark_put(tx, [replace(issued, generation=2)], {"pi-1": 43}))
    stored = await database.read(lambda tx: desired.get_issued(tx, "pi-1"))
    assert stored is not None
    assert stored.kv_revision == 42, "what was replaced meanwhile is not on the bus"


async def test_documents_are_kept_together_or_not_at_all(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-1", "pi-2"))
    await database.run(lambda tx: desired.save_issued(tx, IssuedDesired("pi-2", 1, 7, {}, b"x", NOW)))
    batch = [IssuedDesired("pi-1", 1, 1, {}, b"x", NOW), IssuedDesired("pi-2", 1, 7, {}, b"x", NOW)]
    with pytest.raises(Conflict, match="desired of pi-2"):
        await database.run(lambda tx: desired.save_issued(tx, *batch))
    assert await database.read(desired.highest_orders) == {"pi-2": (1, 7)}


async def test_a_version_is_immutable_and_the_same_content_again_is_no_error(database: Database) -> None:
    first = await database.run(publish)
    assert await database.run(publish) == first
    with pytest.raises(Immutable, match="other content"):
        await database.run(lambda tx: publish(tx, content="changed"))
    assert [item.release_digest for item in await database.read(releases.list_releases)] == [first.release_digest]
    assert await database.read(lambda tx: releases.find_release(tx, first.release_digest)) == first
    assert await database.read(lambda tx: blobs.get_blob(tx, first.envelope_digest)) == envelope(first.release)
    lines = await database.read(audit.list_audit)
    assert [line.action for line in lines] == ["release.publish"]


async def test_a_release_without_its_blob_is_refused(database: Database) -> None:
    record = release_record()
    with pytest.raises(NotFound, match="was not uploaded"):
        await database.run(lambda tx: releases.add_release(tx, record, envelope(record.release)))


async def test_blobs_are_checked_and_unused_ones_go(database: Database) -> None:
    record = await database.run(publish)
    with pytest.raises(DigestMismatch):
        await database.run(lambda tx: blobs.put_blob(tx, "0" * 64, b"x", NOW))
    assert await database.run(lambda tx: blobs.put_blob(tx, sha256_hex(b"stray"), b"stray", NOW))
    assert not await database.run(lambda tx: blobs.put_blob(tx, sha256_hex(b"stray"), b"stray", later(10)))
    assert await database.run(lambda tx: blobs.delete_unused_blobs(tx, later(5))) == 0
    assert await database.run(lambda tx: blobs.delete_unused_blobs(tx, later(50))) == 1
    assert await database.read(lambda tx: blobs.blob_size(tx, record.release.blob_digest)) == record.release.blob_size_bytes


async def test_a_gate_plan_rises_only_and_is_marked_by_its_own_node(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-north"))
    await database.run(lambda tx: gates.add_plan(tx, gate_plan(generation=3)))
    with pytest.raises(Conflict, match="generation 4"):
        await database.run(lambda tx: operations.set_gate_plan(tx, gate_plan(generation=3), actor="ana", at=NOW))

    async def hear(node: str, sequence: int, kind: EventType, data: dict[str, object]) -> PlanDelivery:
        batch = events.IncomingBatch(events=[(node, event(node, sequence, kind, data))])
        await database.run(lambda tx: events.store_batch(tx, batch, later(5)))
        plan = await database.read(lambda tx: gates.get_plan(tx, "north"))
        assert plan is not None
        return plan.delivery

    about = {"site": "north", "generation": 3}
    assert await hear("pi-south", 1, EventType.GATE_PLAN_ACCEPTED, about) is PlanDelivery.PENDING
    assert await hear("pi-north", 1, EventType.GATE_PLAN_REFUSED, {**about, "code": "PlanRefused"}) is PlanDelivery.REFUSED
    assert await hear("pi-north", 2, EventType.GATE_PLAN_ACCEPTED, about) is PlanDelivery.ACCEPTED
    assert await hear("pi-north", 3, EventType.GATE_PLAN_REFUSED, about) is PlanDelivery.ACCEPTED


async def test_a_plan_made_at_the_site_is_not_taken_for_one_of_central(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-north"))
    await database.run(lambda tx: gates.add_plan(tx, gate_plan(generation=3)))
    made_there = event("pi-north", 1, EventType.GATE_PLAN_ACCEPTED, {"site": "north", "generation": 3, "state": "local", "author": "som"})
    await database.run(lambda tx: events.store_batch(tx, events.IncomingBatch(events=[("pi-north", made_there)]), later(5)))
    assert len(await database.read(gates.list_undelivered)) == 1


async def test_where_the_newest_plan_was_refused_the_one_in_force_is_still_carried(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-north"))
    for generation, delivery in (
        (2, PlanDelivery.ACCEPTED),
        (3, PlanDelivery.ACCEPTED),
        (4, PlanDelivery.REFUSED),
        (5, PlanDelivery.REFUSED),
    ):
        record = replace(gate_plan(generation=generation), delivery=delivery)
        await database.run(partial(gates.add_plan, record=record))
    assert [plan.generation for plan in await database.read(gates.list_plans)] == [3, 5]
    found = await database.read(lambda tx: gates.find_plan(tx, "north", 3))
    assert found is not None
    assert found.plan.generation == 3
    assert await database.read(lambda tx: gates.find_plan(tx, "north", 9)) is None


async def test_a_status_that_shows_the_plan_in_force_marks_it_accepted(database: Database) -> None:
    await database.run(lambda tx: enrol(tx, "pi-north"))
    await database.run(lambda tx: gates.add_plan(tx, gate_plan(generation=3)))
    assert len(await database.read(gates.list_undelivered)) == 1
    said = status("pi-north", site=SiteSummary(site="north", plan_generation=3))
    await database.run(lambda tx: events.store_batch(tx, events.IncomingBatch(statuses=[said]), later(5)))
    assert await database.read(gates.list_undelivered) == ()
    (plan,) = await database.read(gates.list_plans)
    assert (plan.delivery, plan.delivered_at, plan.plan) == (PlanDelivery.ACCEPTED, later(5), gate_plan(generation=3).plan)


async def test_tokens_are_found_by_digest_until_revoked_and_names_are_never_reused(database: Database) -> None:
    await database.run(lambda tx: tokens.add_token(tx, "ana", "d" * 64, NOW))
    found = await database.read(lambda tx: tokens.find_token(tx, "d" * 64))
    assert found is not None
    assert found.name == "ana"
    await database.run(lambda tx: tokens.revoke_token(tx, "ana", later(1)))
    assert (await database.run(lambda tx: tokens.revoke_token(tx, "ana", later(2)))).revoked_at == later(1)
    assert await database.read(lambda tx: tokens.find_token(tx, "d" * 64)) is None
    with pytest.raises(Conflict, match="taken"):
        await database.run(lambda tx: tokens.add_token(tx, "ana", "e" * 64, NOW))
    with pytest.raises(NotFound):
        await database.run(lambda tx: tokens.revoke_token(tx, "bo", NOW))
    assert [token.name for token in await database.read(tokens.list_tokens)] == ["ana"]


async def test_the_audit_shows_a_changed_a_missing_and_a_cut_line(database: Database) -> None:
    async def fill() -> None:
        def work(tx: Transaction) -> None:
            tx.execute(tables.audit.delete())
            meta.set_value(tx, "audit_head", "0 " + "0" * 64)
            for number in range(1, 6):
                audit.append_audit(tx, at=later(number), actor="ana", action="test", target=f"t{number}", details={"n": number, "ü": None})

        await database.run(work)

    table = tables.audit
    spoil: dict[str, sqlalchemy.Executable] = {
        "line 3 was changed": table.update().where(table.c.number == 3).values(actor="eve"),
        "line 2 is missing": table.delete().where(table.c.number == 2),
        "missing at the end": table.delete().where(table.c.number == 5),
    }
    for reason, statement in spoil.items():
        await fill()
        assert (await database.read(audit.verify_audit)).intact
        await database.run(partial(Transaction.execute, statement=statement))
        verdict = await database.read(audit.verify_audit)
        assert not verdict.intact
        assert reason in verdict.reason


async def test_a_database_has_one_identity(database: Database) -> None:
    with pytest.raises(Conflict, match="initialised already"):
        await database.run(lambda tx: meta.init_meta(tx, "other", "other"))
    with pytest.raises(Conflict, match="below"):
        await database.run(lambda tx: meta.raise_epoch(tx, 0))
    assert (await database.read(meta.read_meta)).instance_id == "instance-1"


async def test_moves_of_assignments_never_share_a_number(database: Database) -> None:
    def setup(tx: Transaction) -> list[int]:
        record = publish(tx)
        for selector in ("", "a=b", "", "c"):
            assignments.move_assignment(
                tx,
                app="web",
                selector=selector,
                state=AppState.PRESENT,
                release=record,
                attempt=1,
                settings={},
                rollout_id="r",
                actor="ana",
                at=NOW,
            )
        return [item.move for item in assignments.list_assignments(tx)]

    assert await database.run(setup) == [2, 3, 4]
