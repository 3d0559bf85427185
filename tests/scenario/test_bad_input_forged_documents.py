"""Somebody with central's login to the bus writes what is not signed as it must be: the node refuses it, says why, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import NodePlan, World, open_world
from shared.contracts.api import EventView
from tests.fixtures_forger import Forger, open_forger
from tests.fixtures_world import USUAL, kind_param

NODE = "pi-south"
GARBAGE = {"cut": b"{", "zeros": b"\x00" * 64, "shape": b'{"payload": 1}', "deep": b"[" * 100_000}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[kind_param(USUAL)])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A fleet of one, apart from the shared one: central takes a forged document of its own key for a sign that it was restored."""
    async with open_world(tmp_path_factory.mktemp("forged"), {NODE: NodePlan(request.param, {"site": "south"})}) as opened:
        await opened.until_online(NODE)
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def forger(world: World) -> AsyncIterator[Forger]:
    async with open_forger(world) as opened:
        yield opened


async def until_refused(world: World, already: int) -> EventView:
    return await world.until_event(NODE, "DesiredRefused", count=already + 1)


async def count_refused(world: World) -> int:
    return len(await world[NODE].events("DesiredRefused"))


async def assert_still_at(world: World, generation: int) -> None:
    assert (await world[NODE].view()).accepted_generation == generation


async def test_desired_state_that_central_did_not_sign_is_refused(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    before, refused = await forger.desired_of(NODE), await count_refused(world)

    await forger.put(NODE, await forger.next_desired(NODE), forger.stranger)

    told = await until_refused(world, refused)
    assert "SignatureInvalid" in str(told.data)
    await assert_still_at(world, before.generation)
    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=south")


async def test_desired_state_signed_by_an_operator_is_refused(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    refused = await count_refused(world)

    await forger.put(NODE, await forger.next_desired(NODE), forger.operator)

    assert "SignatureInvalid" in str((await until_refused(world, refused)).data)


async def test_desired_state_of_another_node_is_refused(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    before, refused = await forger.desired_of(NODE), await count_refused(world)

    await forger.put(NODE, await forger.next_desired(NODE, node="pi-north"), forger.central)

    assert "pi-north" in str((await until_refused(world, refused)).data)
    await assert_still_at(world, before.generation)


async def test_an_older_generation_changes_nothing(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    old = await forger.raw_desired_of(NODE)
    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=south")
    newer = await forger.desired_of(NODE)

    await forger.put_raw(NODE, old)
    await world[NODE].agent.restart()

    await world.until_event(NODE, "AgentStarted", count=len(await world[NODE].events("AgentStarted")))
    await world.until_phase(NODE, app, "Ready", version="1.1.0")
    assert (await world[NODE].view()).accepted_generation >= newer.generation
    await world.deliver(app, "1.2.0", web_app(app, "1.2.0"), to="site=south")


async def test_an_older_epoch_changes_nothing(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    now = await forger.desired_of(NODE)
    higher = await forger.next_desired(NODE, epoch=now.epoch + 1)
    await forger.put(NODE, higher, forger.central)
    await _until_accepted(world, higher.generation)

    await forger.put(NODE, await forger.next_desired(NODE, epoch=now.epoch, generation=higher.generation + 5), forger.central)

    async def is_above() -> bool:
        return (await forger.desired_of(NODE)).epoch > higher.epoch

    await world.until(is_above, what="central issues above all that it was shown")
    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=south")


async def _until_accepted(world: World, generation: int) -> None:
    async def is_accepted() -> bool:
        return (await world[NODE].view()).accepted_generation >= generation

    await world.until(is_accepted, what=f"generation {generation} accepted")


async def test_an_unknown_critical_feature_is_refused_as_unsupported(world: World, app: str, forger: Forger) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    before, refused = await forger.desired_of(NODE), await count_refused(world)

    await forger.put(NODE, await forger.next_desired(NODE, critical=("teleport",)), forger.central)

    told = str((await until_refused(world, refused)).data)
    assert "teleport" in told
    assert "Unsupported" in told
    await assert_still_at(world, before.generation)


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"\x00" * 64, b'{"payload": 1}', b"[" * 100_000], ids=["empty", "cut", "zeros", "shape", "deep"]
)
async def test_garbage_under_the_nodes_key_changes_nothing(world: World, app: str, forger: Forger, garbage: bytes) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")

    await forger.put_raw(NODE, garbage)

    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=south")


async def test_a_release_signed_by_a_stranger_is_refused_by_the_node(world: World, app: str, forger: Forger) -> None:
    forged = await forger.release(app, "6.6.6", [config_map(app, {"evil": "yes"})], forger.stranger)

    await forger.put(NODE, await forger.next_desired(NODE, {app: forged}), forger.central)

    told = await world.until_event(NODE, "ReleaseRefused", app=app)
    assert "SignatureInvalid" in str(told.data)
    assert await world[NODE].cluster.find("ConfigMap", app) is None


async def test_a_release_signed_by_central_is_refused_by_the_node(world: World, app: str, forger: Forger) -> None:
    forged = await forger.release(app, "6.6.6", [config_map(app, {"evil": "yes"})], forger.central)

    await forger.put(NODE, await forger.next_desired(NODE, {app: forged}), forger.central)

    assert "SignatureInvalid" in str((await world.until_event(NODE, "ReleaseRefused", app=app)).data)
    assert await world[NODE].cluster.find("ConfigMap", app) is None


async def test_a_release_that_needs_what_the_node_does_not_know_is_unsupported(world: World, app: str, forger: Forger) -> None:
    windowed = await forger.release(app, "1.0.0", [config_map(app, {"a": "1"})], forger.operator, critical=("windows",))

    await forger.put(NODE, await forger.next_desired(NODE, {app: windowed}), forger.central)

    told = str((await world.until_event(NODE, "ReleaseRefused", app=app)).data)
    assert "windows" in told
    assert await world[NODE].cluster.find("ConfigMap", app) is None


@pytest.mark.parametrize("swap", [lambda blob: blob + b"more", lambda blob: bytes(len(blob))], ids=["longer", "zeros"])
async def test_other_bytes_under_an_honest_digest_are_never_applied(
    world: World, app: str, forger: Forger, swap: Callable[[bytes], bytes]
) -> None:
    swapped = await forger.release(app, "1.0.0", [config_map(app, {"a": app})], forger.operator, swap=swap)

    await forger.put(NODE, await forger.next_desired(NODE, {app: swapped}), forger.central)

    def is_named() -> bool:
        lines = [line for line in world[NODE].agent.read_log().splitlines() if f'"{app}"' in line]
        return any("not here yet" in line or "DigestMismatch" in line for line in lines)

    await world.until(is_named, what="the agent says that these are not the bytes")
    assert await world[NODE].cluster.find("ConfigMap", app) is None


async def test_a_plain_secret_without_the_flag_is_refused_by_the_node_too(world: World, app: str, forger: Forger) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": app, "namespace": "default"}, "stringData": {"password": "x"}}
    forged = await forger.release(app, "1.0.0", [secret], forger.operator)

    await forger.put(NODE, await forger.next_desired(NODE, {app: forged}), forger.central)

    told = str((await world.until_event(NODE, "ReleaseRefused", app=app)).data)
    assert "Secret" in told
    assert await world[NODE].cluster.find("Secret", app) is None
