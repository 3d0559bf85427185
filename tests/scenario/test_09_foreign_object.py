"""Somebody else's object has the name of one of ours: it is not taken over, unless its owner says so."""

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import World


async def test_a_foreign_object_is_left_alone_and_named(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    theirs = config_map(app, {"index.html": "theirs"})
    await cluster.kube.apply(cluster.path("ConfigMap", app), theirs, "somebody-else")
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    await world.roll_out(app, "1.0.0", to="site=north")

    seen = await world.until_phase("pi-north", app, "Failed")

    assert seen.cause is not None
    assert seen.cause.object is not None
    assert (seen.cause.object.kind, seen.cause.object.name) == ("ConfigMap", app)
    assert "munbon.io/adopt" in seen.cause.message
    found = await cluster.find("ConfigMap", app)
    assert found is not None
    assert found["data"] == {"index.html": "theirs"}
    assert "munbon.io/app" not in found["metadata"].get("labels", {})


async def test_an_object_that_its_owner_hands_over_is_adopted(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    theirs = config_map(app, {"index.html": "theirs"})
    theirs["metadata"]["annotations"] = {"munbon.io/adopt": app}
    await cluster.kube.apply(cluster.path("ConfigMap", app), theirs, "somebody-else")

    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")

    found = await cluster.find("ConfigMap", app)
    assert found is not None
    assert found["data"] == {"index.html": f"{app} 1.0.0\n"}
    assert found["metadata"]["labels"]["munbon.io/app"] == app
