"""A release turns bad while the link is down: the node goes back alone, and tells of it when it can."""

from deploy.harness.apps import IMAGE, Behaviour, web_app
from deploy.harness.world import World
from deploy.local_cluster.pod_script import CrashLoopBackOff, Unready
from tests.fixtures_world import assert_no_event_lost

BY_SCRIPT = Behaviour(outcome={})


async def test_the_node_goes_back_with_the_link_down_and_reports_it_later(world: World, app: str) -> None:
    north = world["pi-north"]
    image = f"{IMAGE}:1.1.0-{app}"
    assert north.cluster.kubelet is not None
    script = north.cluster.kubelet.script
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")
    script.change(by_image={image: Unready()})
    await world.publish(app, "1.1.0", web_app(app, "1.1.0", BY_SCRIPT, image=image))
    await world.roll_out(app, "1.1.0", to="site=north")
    await world.until_phase("pi-north", app, "Progressing")
    await north.link.cut()

    script.change(by_image={image: CrashLoopBackOff(exit_code=4, last_log="sensor table is empty")})

    async def is_back() -> bool:
        deployment = await north.cluster.find("Deployment", app)
        container = deployment["spec"]["template"]["spec"]["containers"][0] if deployment else {}
        return bool(container.get("image") == f"{IMAGE}:1.0.0") and await north.cluster.ready_replicas(app) == 1

    await world.until(is_back, what="last good serves with the link down")
    north.link.heal()
    seen = await world.until_phase("pi-north", app, "RolledBack", version="1.0.0", timeout_s=90)
    assert seen.cause is not None
    assert (seen.cause.exit_code, seen.cause.last_log_line) == (4, "sensor table is empty")
    assert len(await north.events("ReleaseRolledBack", app=app)) == 1
    await assert_no_event_lost(world, north)
