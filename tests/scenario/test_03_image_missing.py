"""The image of a release can't be pulled: the node names it, and keeps the last good release."""

from deploy.harness.apps import MISSING_IMAGE, UNPULLABLE, web_app
from deploy.harness.world import World

PULL_CODES = ("ImagePullBackOff", "ErrImagePull")


async def test_the_cause_names_the_image_that_is_not_there(world: World, app: str) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")
    await world.publish(app, "1.1.0", web_app(app, "1.1.0", UNPULLABLE))
    await world.roll_out(app, "1.1.0", to="site=north")

    seen = await world.until_phase("pi-north", app, "RolledBack", version="1.0.0")

    assert seen.cause is not None
    assert seen.cause.code in PULL_CODES
    assert MISSING_IMAGE in seen.cause.message
    assert seen.cause.container == "web"
    assert await world["pi-north"].cluster.ready_replicas(app) == 1
