"""What a person changes by hand is put back; what a release drops is deleted; what central no longer lists is left alone."""

from deploy.harness.apps import config_map, web_app
from deploy.harness.world import World


async def test_an_object_changed_by_hand_is_put_back(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")

    await cluster.kube.patch(cluster.path("ConfigMap", app), {"data": {"index.html": "by hand"}})

    async def is_back() -> bool:
        found = await cluster.find("ConfigMap", app)
        return found is not None and found["data"] == {"index.html": f"{app} 1.0.0\n"}

    await world.until(is_back, what="the page of the release")
    await world.until_event("pi-north", "DriftCorrected", app=app)
    assert await world["pi-north"].phase(app) == "Ready"


async def test_an_object_deleted_by_hand_is_made_again(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")

    await cluster.kube.delete(cluster.path("Service", app))

    await world.until(lambda: cluster.find("Service", app), what="the Service again")
    await world.until_phase("pi-north", app, "Ready")


async def test_an_object_that_a_release_drops_is_pruned_after_it_is_healthy(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    extra = [config_map(f"{app}-old", {"a": "1"}), config_map(f"{app}-kept", {"b": "2"})]
    extra[1]["metadata"]["annotations"] = {"munbon.io/prune": "disabled"}
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0", extra=extra), to="site=north")

    await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="site=north")

    async def is_pruned() -> bool:
        return await cluster.find("ConfigMap", f"{app}-old") is None

    await world.until(is_pruned, what="the dropped ConfigMap gone")
    assert await cluster.find("ConfigMap", f"{app}-kept") is not None
    told = await world.until_event("pi-north", "ObjectsPruned", app=app)
    assert [each["name"] for each in told.data["objects"]] == [f"{app}-old"]


async def test_an_app_that_is_removed_is_deleted_from_the_cluster(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=north")

    await world.operator.run("app", "remove", app, "--yes")

    async def is_gone() -> bool:
        return not (await cluster.names("ConfigMap", app) | await cluster.names("Deployment", app) | await cluster.names("Service", app))

    await world.until(is_gone, what="every object of the app gone")
    await world.until_event("pi-north", "AppRemoved", app=app)


async def test_an_app_that_is_no_longer_listed_is_left_running_as_an_orphan(world: World, app: str) -> None:
    cluster = world["pi-north"].cluster
    await world.operator.run("node", "label", "pi-north", f"only={app}")
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to=f"only={app}")

    await world.operator.run("node", "label", "pi-north", "only-")

    await world.until_phase("pi-north", app, "Orphaned")
    assert await cluster.ready_replicas(app) == 1
    assert len(await world["pi-north"].events("AppOrphaned", app=app)) == 1
