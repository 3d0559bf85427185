"""A large image takes longer to pull than the release has for its health: that is no failure of a good release."""

from deploy.harness.apps import slow, web_app
from deploy.harness.world import World

HEALTH_DEADLINE_S = 2
PULL_S = 5.0


async def test_a_good_release_with_a_slow_image_is_waited_for(world: World, app: str) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")
    await world.publish(app, "1.1.0", web_app(app, "1.1.0", slow(PULL_S)), "--health-deadline-s", str(HEALTH_DEADLINE_S))

    rollout = await world.roll_out(app, "1.1.0", to="site=north", wait_s=60)

    assert rollout.phase == "Succeeded"
    assert await world["pi-north"].events("ReleaseFailed", app=app) == []
