"""The link is cut in the middle of a rollout: the node finishes alone, catches up when it is healed, and no event is lost or doubled."""

from deploy.harness.apps import web_app
from deploy.harness.world import World
from tests.fixtures_world import assert_no_event_lost, on_full_nodes_too

pytestmark = on_full_nodes_too


async def test_a_node_behind_a_cut_link_converges_after_it_is_healed(world: World, app: str) -> None:
    north, south = world["pi-north"], world["pi-south"]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"))
    await south.link.cut()
    await world.publish(app, "1.1.0", web_app(app, "1.1.0"))
    rollout = await world.roll_out(app, "1.1.0")
    await world.until_phase(north.name, app, "Ready", version="1.1.0")
    await world.until_online(south.name, is_online=False)
    assert await south.cluster.ready_replicas(app) == 1

    south.link.heal()
    await world.until_phase(south.name, app, "Ready", version="1.1.0", timeout_s=90)

    async def is_done() -> bool:
        return (await world.rollout(rollout.rollout_id)).phase == "Succeeded"

    await world.until(is_done, what="the rollout's success")
    for node in (north, south):
        assert len(await node.events("ReleaseReady", app=app)) == 2
        await assert_no_event_lost(world, node)


async def test_what_happened_while_the_link_was_cut_is_told_once_afterwards(world: World, app: str) -> None:
    south = world["pi-south"]
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    await world.roll_out(app, "1.0.0", to="site=south")
    await world.until_event(south.name, "ReleaseVerified", app=app)

    await south.link.cut()
    await world.until(lambda: south.cluster.ready_replicas(app), what="the node finishes with the link cut")
    await south.agent.restart()
    south.link.heal()

    await world.until_phase(south.name, app, "Ready", version="1.0.0", timeout_s=90)
    for event in ("ReleaseApplied", "ReleaseReady"):
        assert len(await south.events(event, app=app)) == 1, event
    await assert_no_event_lost(world, south)


async def test_a_link_on_which_nothing_passes_is_noticed_and_left(world: World, app: str) -> None:
    south = world["pi-south"]
    south.link.freeze()
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    await world.roll_out(app, "1.0.0", to="site=south")
    await world.until_online(south.name, is_online=False)
    before = south.link.connections

    south.link.heal()

    await world.until_phase(south.name, app, "Ready", version="1.0.0", timeout_s=90)
    assert south.link.connections >= before
    await assert_no_event_lost(world, south)
