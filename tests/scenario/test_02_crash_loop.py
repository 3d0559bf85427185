"""A release crashes as soon as it starts: the node goes back to the last good one alone, and says why."""

from deploy.harness.apps import CRASH_CODE, CRASHING, LAST_WORDS, web_app
from deploy.harness.world import World
from tests.fixtures_world import assert_no_event_lost, on_full_nodes_too

pytestmark = on_full_nodes_too
ROLLOUT_FAILED = 7


async def test_a_crash_loop_brings_back_the_last_good_release_and_its_cause_is_named(world: World, app: str) -> None:
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"))
    await world.publish(app, "1.1.0", web_app(app, "1.1.0", CRASHING))

    outcome = await world.operator.try_run("rollout", "start", f"{app}@1.1.0", "--wait", "--timeout", "90", "-o", "json")

    assert outcome.exit_code == ROLLOUT_FAILED, outcome.errors
    for node in world.nodes.values():
        seen = await world.until_phase(node.name, app, "RolledBack", version="1.0.0")
        assert (seen.desired_version, seen.last_good_version) == ("1.1.0", "1.0.0")
        cause = seen.cause
        assert cause is not None
        assert (cause.code, cause.container, cause.exit_code, cause.last_log_line) == ("CrashLoopBackOff", "web", CRASH_CODE, LAST_WORDS)
        assert cause.pod.startswith(f"{app}-")
        await _assert_last_good_serves(world, node.name, app)
        for event in ("ReleaseFailed", "ReleaseRolledBack"):
            assert len(await node.events(event, app=app)) == 1, event
        await assert_no_event_lost(world, node)


async def _assert_last_good_serves(world: World, node: str, app: str) -> None:
    cluster = world[node].cluster
    deployment = await cluster.find("Deployment", app)
    assert deployment is not None
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "VERSION", "value": "1.0.0"}]

    async def only_good_pods() -> bool:
        pods = await cluster.items("Pod", labelSelector=f"app={app}")
        return [each["spec"]["containers"][0]["env"][0]["value"] for each in pods] == ["1.0.0"] and await cluster.ready_replicas(app) == 1

    await world.until(only_good_pods, what=f"only pods of 1.0.0 of {app} on {node}")
    if cluster.kind == "full":
        # the page's ConfigMap is back, but a kubelet takes a minute to show it in a pod that goes on running
        assert (await cluster.read_page(app)).startswith(f"{app} 1.")
