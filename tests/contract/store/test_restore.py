"""Central starts from an older copy of its database: nodes are not ignored, and nothing goes back by itself."""

from collections.abc import Callable, Mapping
from datetime import datetime

from central.model import IssuedDesired, Order
from central.store import assignments, desired, life, meta, nodes, operations, reports, restore
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


def start(
    rollout_id: str, version: str = "1.0.0", app: str = "web", selector: str = "", at_s: float = 2.0
) -> Callable[[Transaction], object]:
    request = RolloutStart(app=app, version=version, selector=selector)
    return lambda tx: operations.start_rollout(tx, request, rollout_id=rollout_id, actor="ana", at=later(at_s))


async def test_what_an_operator_did_after_the_restore_outranks_what_is_seen_later(database: Database) -> None:
    await database.run(old_copy)
    await database.run(life.begin_life)
    await database.run(start("r2"))
    ahead = status("pi-north", {"web": app_status(AppPhase.READY, wanted("1.1.0"))}, desired_epoch=1, desired_generation=5)
    await database.run(lambda tx: reports.save_reports(tx, [ahead], later(3)))
    assert (await database.run(lambda tx: restore.check_restore(tx, {}, later(4)))).ahead == ("pi-north",)
    assert await version_of(database, "pi-north") == "1.0.0"
    assert await database.read(assignments.list_pins) == ()


async def test_what_was_done_before_the_copy_was_made_outranks_nothing(database: Database) -> None:
    await database.run(old_copy)
    await database.run(start("r2"))
    await database.run(life.begin_life)
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0", rollout_id="r9")})}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(3)))
    assert await version_of(database, "pi-north") == "1.1.0"


async def test_an_operators_word_outranks_only_for_the_app_and_the_nodes_that_it_was_about(database: Database) -> None:
    await database.run(old_copy)
    await database.run(lambda tx: nodes.change_labels(tx, "pi-north", {"site": "north"}))
    await database.run(life.begin_life)
    await database.run(start("r2", selector="site=north"))
    newer = {"web": wanted("1.1.0"), "tide": wanted("2.0.0", app="tide")}
    kv: dict[str, Said] = {"pi-north": ((1, 5), newer), "pi-south": ((1, 5), newer)}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(3)))
    pinned = {(pin.node, pin.app) for pin in await database.read(assignments.list_pins)}
    assert pinned == {("pi-north", "tide"), ("pi-south", "tide"), ("pi-south", "web")}


async def test_a_rollout_to_some_nodes_leaves_the_others_where_they_are(database: Database) -> None:
    await database.run(old_copy)
    await database.run(lambda tx: nodes.change_labels(tx, "pi-north", {"site": "north"}))
    newer = {"web": wanted("1.1.0", rollout_id="r9")}
    kv: dict[str, Said] = {"pi-north": ((1, 5), newer), "pi-south": ((1, 5), newer), "pi-added-since": ((1, 5), newer)}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    await database.run(start("r2", selector="site=north"))
    assert (await version_of(database, "pi-north"), await version_of(database, "pi-south")) == ("1.0.0", "1.1.0")
    assert {pin.node for pin in await database.read(assignments.list_pins)} == {"pi-south", "pi-added-since"}
    await database.run(start("r3"))
    assert await database.read(assignments.list_pins) == ()


async def test_a_node_that_was_silent_over_a_restart_does_not_undo_what_was_done_before_it(database: Database) -> None:
    await database.run(old_copy)
    await database.run(life.begin_life)
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0")})}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    await database.run(lambda tx: life.note_bucket(tx, is_empty=False, at=later(1)))
    await database.run(start("r2"))
    await database.run(life.begin_life)
    ahead = status("pi-south", {"web": app_status(AppPhase.READY, wanted("1.1.0"))}, desired_epoch=1, desired_generation=6)
    await database.run(lambda tx: reports.save_reports(tx, [ahead], later(9)))
    assert (await database.run(lambda tx: restore.check_restore(tx, {}, later(10)))).ahead == ("pi-south",)
    assert await version_of(database, "pi-south") == "1.0.0"


async def test_a_start_that_never_saw_the_bus_does_not_count_as_one(database: Database) -> None:
    await database.run(old_copy)
    await database.run(life.begin_life)
    await database.run(start("r2"))
    await database.run(life.begin_life)
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0")})}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(4)))
    assert await version_of(database, "pi-north") == "1.0.0"


async def test_one_node_that_claims_too_much_pins_itself_alone(database: Database) -> None:
    """A false alarm: a node with another fleet's state, or a liar. A rollout that is on its way to others goes on."""
    await database.run(old_copy)
    behind = status("pi-south", {"web": app_status(AppPhase.READY, wanted("0.9.0"))}, desired_epoch=1, desired_generation=2)
    liar = status("pi-north", {"web": app_status(AppPhase.READY, wanted("6.6.6"))}, desired_epoch=1, desired_generation=900)
    await database.run(lambda tx: reports.save_reports(tx, [behind, liar], later(1)))
    assert (await database.run(lambda tx: restore.check_restore(tx, {}, later(1)))).ahead == ("pi-north",)
    assert {pin.node for pin in await database.read(assignments.list_pins)} == {"pi-north"}
    assert await version_of(database, "pi-south") == "1.0.0"
    assert await database.read(lambda tx: restore.silent_nodes(tx, ["pi-south"])) == frozenset()


async def test_a_second_restore_is_noticed_as_one(database: Database) -> None:
    await database.run(old_copy)
    first: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0")})}
    await database.run(lambda tx: restore.check_restore(tx, first, later(1)))
    second: dict[str, Said] = {"pi-north": ((2, 9), {"web": wanted("1.1.0")})}
    assert (await database.run(lambda tx: restore.check_restore(tx, second, later(50)))).epoch == 3
    assert (await database.read(meta.read_meta)).restored_at == later(50)
    assert await database.read(lambda tx: restore.silent_nodes(tx, ["pi-north"])) == {"pi-south"}


async def test_after_the_bus_lost_everything_nothing_new_is_said_to_a_node_until_it_spoke(database: Database) -> None:
    """Bus and database may both be older: only the node knows what it was told last."""
    await database.run(old_copy)
    await database.run(lambda tx: mark_put(tx, "pi-north", 7))
    await database.run(life.begin_life)
    await database.run(lambda tx: life.note_bucket(tx, is_empty=True, at=later(1)))
    assert await database.read(life.unheard_nodes) == {"pi-north", "pi-south"}
    await database.run(lambda tx: enrol_at(tx, "pi-new", later(2)))
    await database.run(lambda tx: reports.save_reports(tx, [status("pi-north")], later(3)))
    assert await database.read(life.unheard_nodes) == {"pi-south"}
    await database.run(lambda tx: reports.save_reports(tx, [status("pi-south")], later(4)))
    assert await database.read(life.unheard_nodes) == frozenset()


async def test_an_empty_bus_is_no_loss_at_first_nor_while_central_runs(database: Database) -> None:
    await database.run(old_copy)
    await database.run(life.begin_life)
    await database.run(lambda tx: life.note_bucket(tx, is_empty=True, at=later(1)))
    assert await database.read(life.unheard_nodes) == frozenset(), "nothing was ever put there"
    await database.run(lambda tx: mark_put(tx, "pi-north", 7))
    await database.run(lambda tx: life.note_bucket(tx, is_empty=True, at=later(2)))
    assert await database.read(life.unheard_nodes) == frozenset(), "this life has seen it before"


def enrol_at(tx: Transaction, node: str, at: datetime) -> None:
    nodes.add_node(tx, node, {}, "$2b$04$hash", actor="ana", at=at)


async def test_a_release_tried_before_the_restore_is_tried_anew_with_a_higher_attempt(database: Database) -> None:
    """Else a node that knows it as bad would not try it, whatever the operator says."""
    await database.run(old_copy)
    kv: dict[str, Said] = {"pi-north": ((1, 5), {"web": wanted("1.1.0", attempt=3, rollout_id="r9")})}
    await database.run(lambda tx: restore.check_restore(tx, kv, later(1)))
    await database.run(start("r2", version="1.1.0"))
    assert (await database.read(lambda tx: assignments.list_assignments(tx, "web")))[-1].attempt == 4


def mark_put(tx: Transaction, node: str, revision: int) -> None:
    desired.mark_put(tx, desired.list_issued(tx).values(), {node: revision})
