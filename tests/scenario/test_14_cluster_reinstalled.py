"""K3s is reinstalled under the agent: the agent notices the other cluster and applies everything anew."""

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import World


async def test_everything_is_applied_to_the_new_cluster(world: World, app: str) -> None:
    south = world["pi-south"]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0", extra=[config_map(f"{app}-more", {"a": "1"})]), to="site=south")
    before = await south.cluster.kube_system_uid()

    await south.cluster.reinstall()

    assert await south.cluster.kube_system_uid() != before
    await world.until_event("pi-south", "ClusterChanged", timeout_s=90)

    async def is_all_there() -> bool:
        return await south.cluster.ready_replicas(app) == 1 and await south.cluster.names("ConfigMap", app) == {app, f"{app}-more"}

    await world.until(is_all_there, what="the app on the new cluster", timeout_s=90)
    await world.until_phase("pi-south", app, "Ready", version="1.0.0")


async def test_a_cluster_that_is_away_for_a_while_is_no_fault_of_the_release(world: World, app: str) -> None:
    south = world["pi-south"]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    await south.cluster.stop()
    try:
        await world.publish(app, "1.1.0", web_app(app, "1.1.0"))
        await world.roll_out(app, "1.1.0", to="site=south")
        await world.until_event("pi-south", "ReleaseVerified", app=app, count=2)
    finally:
        await south.cluster.start()

    await world.until_phase("pi-south", app, "Ready", version="1.1.0", timeout_s=90)
    assert await south.events("ReleaseFailed", app=app) == []
