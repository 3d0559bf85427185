"""The agent is killed at each stage of an apply, right before or right after a change reaches the API server: it starts again and
leaves neither an orphan nor a half state."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from deploy.faults.kube_proxy import KubeProxy, Moment
from deploy.harness.apps import Manifest, config_map, web_app
from deploy.harness.world import NodePlan, World, WorldNode
from tests.fixtures_world import assert_no_event_lost

NODE = "pi-killed"
POINTS = [(number, moment) for number in (1, 2, 4, 5, 6) for moment in (Moment.BEFORE, Moment.AFTER)]
"""Which change of the apply, and on which side of it. Changes 1 to 4 apply, 5 and 6 prune."""


class KilledNode:
    """A node whose agent reaches its cluster through a proxy that kills it when told to."""

    def __init__(self, node: WorldNode, proxy: KubeProxy) -> None:
        self.node = node
        self.proxy = proxy


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def killed(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KilledNode]:
    kubeconfig = tmp_path_factory.mktemp("proxy") / "kubeconfig"
    plan = NodePlan(world["pi-north"].plan.cluster, {"role": "killed"}, kubeconfig=kubeconfig, starts_agent=False)
    node = await world.add_node(NODE, plan)
    async with KubeProxy.to(node.cluster.kubeconfig, kubeconfig) as proxy:
        await node.agent.start()
        await world.until_online(NODE)
        yield KilledNode(node, proxy)
        await world.remove_node(NODE)


def objects_of(app: str, version: str, round_number: int) -> list[Manifest]:
    """Each version changes three objects, makes one, and drops the two that the version before had made."""
    return web_app(app, version, extra=[config_map(f"{app}-{round_number}-{half}", {"version": version}) for half in ("a", "b")])


async def test_killed_at_any_point_of_an_apply_it_converges_and_leaves_nothing_behind(world: World, killed: KilledNode, app: str) -> None:
    node, proxy = killed.node, killed.proxy
    await world.deliver(app, "1.0.0", objects_of(app, "1.0.0", 0), to="role=killed")
    for round_number, (change, moment) in enumerate(POINTS, start=1):
        version = f"1.{round_number}.0"
        await world.publish(app, version, objects_of(app, version, round_number))
        proxy.kill_at(change, moment, lambda: node.agent.process.pid)
        await world.roll_out(app, version, to="role=killed")
        await world.until(lambda: proxy.has_killed, what=f"the kill {moment} change {change}")
        await node.agent.process.wait()

        await node.agent.start()

        await world.until_phase(NODE, app, "Ready", version=version)
        await _assert_exactly_this_release(world, node, app, version, round_number)
    await assert_no_event_lost(world, node)


async def _assert_exactly_this_release(world: World, node: WorldNode, app: str, version: str, round_number: int) -> None:
    expected = {app, f"{app}-{round_number}-a", f"{app}-{round_number}-b"}

    async def nothing_else() -> bool:
        return await node.cluster.names("ConfigMap", app) == expected

    await world.until(nothing_else, what=f"only the objects of {version}")
    for name in expected - {app}:
        found = await node.cluster.find("ConfigMap", name)
        assert found is not None
        assert found["data"] == {"version": version}
    deployment = await node.cluster.find("Deployment", app)
    assert deployment is not None
    assert deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == version
