"""Central starts from an older copy of its database: nodes are not ignored, and nothing goes back by itself."""

from collections.abc import Mapping

from central.model import IssuedDesired, Order
from central.store import desired, meta, operations, reports, restore
from central.store.database import Database, Transaction
from shared.contracts.api import RolloutStart
from shared.contracts.desired import AppDesired
from shared.contracts.status import AppPhase
from tests.builders_central import NOW, app_status, enrol, later, publish, status
from tests.builders_central import desired as wanted

Said = tuple[Order, Mapping[str, AppDesired]]


def old_copy(tx: Transaction) -> None:
    """The copy knows 1.0.0 on two nodes, issued as generation 3."""
    enrol(tx, "pi-north", "pi-south")
    publish(tx, version="1.0.0")
    publish(tx, version="1.1.0")
    operations.start_rollout(tx, RolloutStart(app="web", version="1.0.0"), rollout_id="r1", actor="ana", at=NOW)
    for node in ("pi-north", "pi-south"):
        desired.save_issued(tx, IssuedDesired(node, 1, 3, desired.compose_fleet(tx)[node], b"x", NOW))


async def version_of(database: Database, node: str) -> str:
    app = (await database.read(desired.compose_fleet))[node].get("web")
    return app.release.version if app is not None and app.release is not None else "none"


async def test_an_up_to_date_database_is_no_older_copy(database: Database) -> None:
    await database.run(old_copy)
    composed = await database.read(desired.compose_fleet)
    kv: dict[str, Said] = {node: ((1, 3), apps) for node, apps in composed.items()}
    verdict = await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    assert not verdict.restored
    assert not await database.read(restore.is_restored)
    assert await database.read(lambda tx: restore.silent_nodes(tx, [])) == frozenset()


async def test_nodes_are_pinned_to_what_the_bucket_says_until_an_operator_acts(database: Database) -> None:
    await database.run(old_copy)
    newer = wanted("1.1.0", rollout_id="r9")
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": newer}), "pi-south": ((1, 5), {})}
    verdict = await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    assert (verdict.restored, verdict.epoch, verdict.ahead) == (True, 2, ("pi-north", "pi-south"))
    assert (await version_of(database, "pi-north"), await version_of(database, "pi-south")) == ("1.1.0", "none")
    assert await database.read(restore.is_restored)
    assert (await database.read(meta.read_meta)).epoch == 2
    await database.run(
        lambda tx: operations.start_rollout(tx, RolloutStart(app="web", version="1.0.0"), rollout_id="r2", actor="ana", at=later(2))
    )
    assert (await version_of(database, "pi-north"), await version_of(database, "pi-south")) == ("1.0.0", "1.0.0")
    assert not await database.read(restore.is_restored)


async def test_looking_again_changes_nothing(database: Database) -> None:
    await database.run(old_copy)
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0")})}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    assert not (await database.run(lambda tx: restore.check_restore(tx, kv, later(2)))).restored
    await database.run(lambda tx: desired.save_issued(tx, IssuedDesired("pi-north", 2, 6, {}, b"x", later(2))))
    assert not (await database.run(lambda tx: restore.check_restore(tx, kv, later(3)))).restored
    assert (await database.read(meta.read_meta)).restored_at == later(1)


async def test_with_the_bucket_lost_too_a_silent_node_is_left_alone_until_it_speaks(database: Database) -> None:
    await database.run(old_copy)
    ahead = status("pi-north", {"web": app_status(AppPhase.READY, wanted("1.1.0"))}, desired_epoch=1, desired_generation=5)
    await database.run(lambda tx: reports.save_reports(tx, [ahead], later(10)))
    assert (await database.run(lambda tx: restore.check_restore(tx, {}, later(10)))).ahead == ("pi-north",)
    assert await database.read(lambda tx: restore.silent_nodes(tx, [])) == {"pi-south"}
    also = status("pi-south", {"web": app_status(AppPhase.READY, wanted("1.1.0"))}, desired_epoch=1, desired_generation=6)
    await database.run(lambda tx: reports.save_reports(tx, [also], later(20)))
    assert (await database.run(lambda tx: restore.check_restore(tx, {}, later(20)))).ahead == ("pi-south",)
    assert await database.read(lambda tx: restore.silent_nodes(tx, [])) == frozenset()
    assert (await version_of(database, "pi-north"), await version_of(database, "pi-south")) == ("1.1.0", "1.1.0")
    assert (await database.read(meta.read_meta)).epoch == 2


async def test_a_bucket_entry_of_an_unknown_node_is_news_only_once(database: Database) -> None:
    await database.run(old_copy)
    kv: dict[str, Said] = {"pi-added-since": ((1, 9), {"web": wanted("1.1.0")})}
    assert (await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))).restored
    assert not (await database.run(lambda tx: restore.check_restore(tx, kv, later(2)))).restored
    await database.run(lambda tx: enrol(tx, "pi-added-since"))
    assert await version_of(database, "pi-added-since") == "1.1.0"


async def test_a_node_that_claims_an_absurd_order_moves_nothing(database: Database) -> None:
    await database.run(old_copy)
    liar = status("pi-north", desired_epoch=2**62, desired_generation=1)
    await database.run(lambda tx: reports.save_reports(tx, [liar], later(1)))
    assert not (await database.run(lambda tx: restore.check_restore(tx, {}, later(1)))).restored
