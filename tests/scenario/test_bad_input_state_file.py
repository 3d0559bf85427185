"""The agent's state file is damaged or gone: it is kept aside, and rebuilt from the cluster and central."""

from __future__ import annotations

import pytest

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import World, WorldNode
from tests.fixtures_world import assert_no_event_lost

NODE = "pi-south"


def damage(node: WorldNode, kind: str) -> None:
    content = bytearray(node.agent.state_file.read_bytes())
    if kind == "no database at all":
        content = bytearray(b"this was a database once\n" * 100)
    elif kind == "torn in the middle":
        content[200:] = b"\xff" * (len(content) - 200)
    else:
        content = bytearray()
    for suffix in ("-wal", "-shm"):
        node.agent.state_file.with_name(node.agent.state_file.name + suffix).unlink(missing_ok=True)
    node.agent.state_file.write_bytes(bytes(content))


@pytest.mark.parametrize("kind", ["no database at all", "torn in the middle"])
async def test_a_damaged_state_file_is_kept_aside_and_rebuilt(world: World, app: str, kind: str) -> None:
    node = world[NODE]
    extra = [config_map(f"{app}-old", {"a": "1"})]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0", extra=extra), to="site=south")
    rebuilt = len(await node.events("StateRebuilt"))
    await node.agent.stop()
    aside_before = kept_aside(node)
    damage(node, kind)

    await node.agent.start()

    await world.until_event(NODE, "StateRebuilt", count=rebuilt + 1)
    assert len(kept_aside(node)) > len(aside_before)
    await world.until_phase(NODE, app, "Ready", version="1.0.0", timeout_s=90)
    await _assert_it_still_prunes(world, node, app)
    await assert_no_event_lost(world, node)


async def test_a_state_file_that_is_gone_is_made_anew(world: World, app: str) -> None:
    node = world[NODE]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0", extra=[config_map(f"{app}-old", {"a": "1"})]), to="site=south")
    await node.agent.stop()
    for file in node.agent.state_dir.glob("state.sqlite*"):
        file.unlink()

    await node.agent.start()

    await world.until_phase(NODE, app, "Ready", version="1.0.0", timeout_s=90)
    await _assert_it_still_prunes(world, node, app)


async def _assert_it_still_prunes(world: World, node: WorldNode, app: str) -> None:
    """The inventory was learnt from the cluster."""
    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=south")

    async def is_pruned() -> bool:
        return await node.cluster.find("ConfigMap", f"{app}-old") is None

    await world.until(is_pruned, what="what the release dropped is gone")


def kept_aside(node: WorldNode) -> list[str]:
    return sorted(each.name for each in node.agent.state_dir.iterdir() if each.name.startswith("state.sqlite") and "corrupt" in each.name)
