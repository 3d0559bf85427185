"""The first release of an app is bad: there is nothing to go back to. And a rollback by hand never goes back twice."""

from deploy.harness.apps import CRASHING, web_app
from deploy.harness.world import World


async def test_a_bad_first_release_is_kept_and_reported(world: World, app: str) -> None:
    await world.publish(app, "1.0.0", web_app(app, "1.0.0", CRASHING))
    await world.roll_out(app, "1.0.0", to="site=north")

    seen = await world.until_phase("pi-north", app, "Failed")

    assert seen.last_good_version == ""
    assert seen.cause is not None
    assert seen.cause.code == "CrashLoopBackOff"
    assert await world["pi-north"].cluster.find("Deployment", app) is not None
    assert await world["pi-north"].events("ReleaseRolledBack", app=app) == []


async def test_a_fixed_release_after_a_bad_first_one_gets_ready(world: World, app: str) -> None:
    await world.publish(app, "1.0.0", web_app(app, "1.0.0", CRASHING))
    await world.roll_out(app, "1.0.0", to="site=north")
    await world.until_phase("pi-north", app, "Failed")

    await world.deliver(app, "1.0.1", web_app(app, "1.0.1"), to="site=north")

    await world.until_phase("pi-north", app, "Ready", version="1.0.1")


async def test_a_rollback_by_hand_after_an_automatic_one_does_not_go_back_twice(world: World, app: str) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")
    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=north")
    await world.publish(app, "1.2.0", web_app(app, "1.2.0", CRASHING))
    await world.roll_out(app, "1.2.0", to="site=north")
    await world.until_phase("pi-north", app, "RolledBack", version="1.1.0")

    rollback = await world.operator.ask("rollback", app)

    assert rollback["version"] == "1.1.0"
    seen = await world.until_phase("pi-north", app, "Ready", version="1.1.0")
    assert (seen.desired_version, seen.last_good_version) == ("1.1.0", "1.1.0")
