"""A release is published and rolled out: every node has it in good health, and central knows."""

from deploy.harness.apps import web_app
from deploy.harness.world import World, WorldNode
from shared.contracts.api import RolloutPhase
from tests.fixtures_world import assert_no_event_lost, on_full_nodes_too

pytestmark = on_full_nodes_too


async def test_a_published_release_gets_ready_on_every_node_and_is_reported(world: World, app: str) -> None:
    rollout = await world.deliver(app, "1.0.0", web_app(app, "1.0.0"))

    assert (rollout.phase, rollout.ready, rollout.total) == (RolloutPhase.SUCCEEDED, 2, 2)
    for node in world.nodes.values():
        assert await node.cluster.ready_replicas(app) == 1
        assert await node.cluster.names("ConfigMap", app) >= {app}
        assert await node.cluster.names("Service", app) == {app}
        await _assert_reported_ready(world, node, app)
        if node.cluster.kind == "full":
            assert await node.cluster.read_page(app) == f"{app} 1.0.0\n"


async def _assert_reported_ready(world: World, node: WorldNode, app: str) -> None:
    seen = await world.until_phase(node.name, app, "Ready", version="1.0.0")
    assert (seen.desired_version, seen.last_good_version, seen.cause) == ("1.0.0", "1.0.0", None)
    for event in ("ReleaseVerified", "ReleaseApplied", "ReleaseReady"):
        told = await node.events(event, app=app)
        assert len(told) == 1, event
        assert told[0].rollout_id or event == "ReleaseVerified", event
    await assert_no_event_lost(world, node)


async def test_the_operator_reads_it_in_the_status(world: World, app: str) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")

    status = await world.operator.status()

    assert status["nodes_online"] == 2
    shown = {each["node"]: {a["app"]: a for a in each["apps"]} for each in status["nodes"]}
    assert shown["pi-north"][app]["phase"] == "Ready"
    assert app not in shown["pi-south"]
    releases = await world.operator.ask("release", "list", "--app", app)
    assert [(each["version"], each["nodes_ready"]) for each in releases] == [("1.0.0", 1)]


async def test_settings_of_a_rollout_arrive_as_a_config_map(world: World, app: str) -> None:
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    await world.operator.run("rollout", "start", f"{app}@1.0.0", "-l", "site=north", "--set", "language=th", "--wait", "--timeout", "60")

    settings = await world["pi-north"].cluster.find("ConfigMap", f"{app}-settings")

    assert settings is not None
    assert settings["data"] == {"language": "th"}
