"""Central comes back from an older copy of its database: no node is ignored, and nothing goes back by itself."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from deploy.harness.apps import web_app
from deploy.harness.clusters import ClusterKind
from deploy.harness.world import NodePlan, World, open_world
from tests.fixtures_world import assert_no_event_lost, in_usual_kind

NODE = "pi-north"


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy, as a backup tool makes it."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def put_back(copy: Path, database: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, database)


async def live_on_after_the_copy(world: World, copy: Path) -> None:
    """1.0.0 is in the copy; 1.1.0 and a second app come after it."""
    database = world.central.state_dir / "central.sqlite"
    await world.deliver("web", "1.0.0", web_app("web", "1.0.0"))
    copy_database(database, copy)
    await world.deliver("web", "1.1.0", web_app("web", "1.1.0"))
    await world.deliver("later", "1.0.0", web_app("later", "1.0.0"))


async def until_pinned(world: World) -> None:
    async def is_pinned() -> bool:
        view = await world[NODE].view()
        return view.presence == "Online" and view.pinned and view.accepted_generation == view.desired_generation

    await world.until(is_pinned, what="the node pinned to what it has, and heard")


async def assert_nothing_went_back(world: World, ready_before: int) -> None:
    cluster = world[NODE].cluster
    deployment = await cluster.find("Deployment", "web")
    assert deployment is not None
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "1.1.0"
    assert await cluster.ready_replicas("later") == 1
    assert len(await world[NODE].events("ReleaseReady")) <= ready_before


@in_usual_kind
async def test_nothing_goes_back_and_the_next_rollout_takes_over(kind: ClusterKind, folder: Path) -> None:
    async with open_world(folder, {NODE: NodePlan(kind)}) as world:
        copy = folder / "copy.sqlite"
        await live_on_after_the_copy(world, copy)
        ready_before = len(await world[NODE].events("ReleaseReady"))
        await world.central.stop()
        put_back(copy, world.central.state_dir / "central.sqlite")
        await world.central.start()

        await until_pinned(world)

        assert (await world.status()).restored
        await assert_nothing_went_back(world, ready_before)
        await world.deliver("web", "1.2.0", web_app("web", "1.2.0"), wait_s=90)
        await world.until_phase(NODE, "web", "Ready", version="1.2.0")
        await world.until(lambda: world[NODE].cluster.ready_replicas("later"), what="the later app lives on")


@in_usual_kind
@pytest.mark.slow
async def test_the_nodes_report_is_enough_where_the_bus_was_wiped_as_well(kind: ClusterKind, folder: Path) -> None:
    async with open_world(folder, {NODE: NodePlan(kind)}) as world:
        copy = folder / "copy.sqlite"
        await live_on_after_the_copy(world, copy)
        ready_before = len(await world[NODE].events("ReleaseReady"))
        await world.central.stop()
        put_back(copy, world.central.state_dir / "central.sqlite")
        wipe_bus(world)
        await world.central.start()

        await until_pinned(world)

        await assert_nothing_went_back(world, ready_before)


@in_usual_kind
@pytest.mark.slow
async def test_a_wiped_bus_is_rebuilt_from_the_database(kind: ClusterKind, folder: Path) -> None:
    async with open_world(folder, {NODE: NodePlan(kind)}) as world:
        await world.deliver("web", "1.0.0", web_app("web", "1.0.0"))
        await world[NODE].agent.stop()
        await world.publish("web", "1.1.0", web_app("web", "1.1.0"))
        await world.roll_out("web", "1.1.0")
        await world.central.stop()
        wipe_bus(world)
        await world.central.start()

        await world[NODE].agent.start()

        await world.until_phase(NODE, "web", "Ready", version="1.1.0", timeout_s=90)
        assert not (await world.status()).restored
        await assert_no_event_lost(world, world[NODE])


@in_usual_kind
async def test_an_operator_who_acts_in_the_first_second_is_obeyed(kind: ClusterKind, folder: Path) -> None:
    """Central does not know yet that it is an older copy; what it finds out then must not take his word back."""
    async with open_world(folder, {NODE: NodePlan(kind)}) as world:
        copy = folder / "copy.sqlite"
        await live_on_after_the_copy(world, copy)
        await world.central.stop()
        put_back(copy, world.central.state_dir / "central.sqlite")

        await start_and_act_at_once(world, "web", "1.0.0")

        await world.until_phase(NODE, "web", "Ready", version="1.0.0", timeout_s=90)
        assert (await world.status()).restored
        await assert_only_the_other_app_is_held(world)


@in_usual_kind
@pytest.mark.slow
async def test_an_operators_word_stands_when_the_nodes_newer_state_comes_to_light_later(kind: ClusterKind, folder: Path) -> None:
    """The bus was lost as well, and the node is away: nobody but the node knows the newer state."""
    async with open_world(folder, {NODE: NodePlan(kind)}) as world:
        copy, north = folder / "copy.sqlite", world[NODE]
        await live_on_after_the_copy(world, copy)
        await north.link.cut()
        await world.central.stop()
        put_back(copy, world.central.state_dir / "central.sqlite")
        wipe_bus(world)
        await start_and_act_at_once(world, "web", "1.0.0")
        assert not (await world.status()).restored
        # a second word, on another app: were it issued unheard, its order would pass that of the node and take `later` back
        await world.publish("more", "1.0.0", web_app("more", "1.0.0"))
        await world.roll_out("more", "1.0.0")

        north.link.heal()

        await world.until_phase(NODE, "web", "Ready", version="1.0.0", timeout_s=90)
        await world.until_phase(NODE, "more", "Ready", version="1.0.0", timeout_s=90)
        assert (await world.status()).restored
        await assert_only_the_other_app_is_held(world)


async def start_and_act_at_once(world: World, app: str, version: str) -> None:
    """Start central, and act as soon as its API takes a request at all."""
    await world.central.process.start()

    async def is_taken() -> bool:
        try:
            await world.central.request("POST", "rollouts", body={"app": app, "version": version})
        except httpx.TransportError:
            return False
        return True

    await world.until(is_taken, what="the rollout taken")
    await world.central.wait_ready()


async def assert_only_the_other_app_is_held(world: World) -> None:
    """`later` came after the copy: it lives on untouched, and only its pin is left."""
    assert await world[NODE].cluster.ready_replicas("later") == 1
    assert [event.type for event in await world[NODE].events("AppRemoved", "AppOrphaned", app="later")] == []
    await world.central.restart()
    await until_pinned(world)
    assert await world[NODE].cluster.ready_replicas("later") == 1
    assert await world[NODE].phase("later") == "Ready"


def wipe_bus(world: World) -> None:
    """JetStream's files are gone; configuration and passwords stay."""
    stores = list((world.central.state_dir / "nats").glob("js"))
    assert stores
    for store in stores:
        shutil.rmtree(store)
