"""The node's disk is full: what can't be saved is not applied, the node says so, and goes on by itself when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import NodePlan, World, WorldNode

NODE = "pi-full"
pytestmark = pytest.mark.root


@pytest_asyncio.fixture(loop_scope="session")
async def small(world: World) -> AsyncIterator[WorldNode]:
    """A node whose agent has a disk of 16 MiB."""
    node = await world.add_node(NODE, NodePlan(world["pi-north"].plan.cluster, {"role": "small"}, starts_agent=False))
    folder = node.agent.state_dir
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)], check=True)
    try:
        await node.agent.start()
        await world.until_online(NODE)
        yield node
    finally:
        await node.agent.stop()
        subprocess.run(["umount", "-l", str(folder)], check=True)
        await world.remove_node(NODE)


def fill(node: WorldNode) -> None:
    """Not one byte is left."""
    with (node.agent.state_dir / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65_536)
        except OSError:
            pass


async def test_a_release_without_room_waits_and_is_taken_when_there_is_room(world: World, app: str, small: WorldNode) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="role=small")
    fill(small)
    await world.publish(app, "1.1.0", web_app(app, "1.1.0", extra=[config_map(f"{app}-new", {"a": "1"})]))
    await world.roll_out(app, "1.1.0", to="role=small")

    async def says_full() -> bool:
        view = await small.view()
        told = [*view.messages, *(f"{each.message} {each.cause}" for each in view.apps)]
        return any("disk" in each.lower() or "space" in each.lower() for each in told)

    await world.until(says_full, what="the full disk named at central")
    assert await small.cluster.ready_replicas(app) == 1
    assert await small.cluster.find("ConfigMap", f"{app}-new") is None
    assert (await small.view()).presence == "Online"

    (small.agent.state_dir / "filler").unlink()

    await world.until_phase(NODE, app, "Ready", version="1.1.0", timeout_s=90)
    assert await small.events("ReleaseFailed", app=app) == []
