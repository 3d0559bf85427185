"""A week without central, and a clock that is wrong: the node lives by what it has, over restarts too, and catches up afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.harness.apps import web_app
from deploy.harness.world import NodePlan, World, WorldNode
from edge_agent.main.service import Agent
from edge_agent.main.settings import load_agent_settings, load_trust_root
from edge_agent.store.state import StateStore
from tests.fakes.jump_clock import JumpClock
from tests.fixtures_world import assert_no_event_lost

NODE = "pi-alone"
HOUR_S = 3_600.0
A_WEEK_H = 7 * 24
THREE_DAYS_S = 3 * 24 * HOUR_S


class AgentInTime:
    """The agent of a node in this process, over a clock that can be moved."""

    def __init__(self, node: WorldNode, clock: JumpClock) -> None:
        self.clock = clock
        self._settings = load_agent_settings(node.agent.config_file)
        self._trust = load_trust_root(self._settings.trust_root)
        self._numbers = random.Random(11)
        self._task: asyncio.Task[None] | None = None
        self._store: StateStore | None = None
        self._agent: Agent | None = None

    async def start(self) -> None:
        store = StateStore.open(self._settings.state_dir, self._settings.node, self.clock, lambda: f"{self._numbers.getrandbits(128):032x}")
        agent = Agent(self._settings, self._trust, store, self.clock, self._numbers.random, lambda _: None)
        self._store, self._agent = store, agent
        self._task = asyncio.create_task(agent.run())

    async def stop(self) -> None:
        if self._task is None or self._agent is None or self._store is None:
            return
        self._agent.stop.set()
        await self._task
        self._store.close()
        self._task = None

    def outbox_rows(self) -> int:
        assert self._store is not None
        return self._store.outbox.count()

    async def until_connected(self) -> None:
        """Its next try may be minutes away: they go by."""
        assert self._agent is not None
        async with asyncio.timeout(60):
            while not self._agent.sessions.is_connected:
                self.clock.pass_time(30.0)
                await asyncio.sleep(0.3)

    async def live(self, hours: int) -> None:
        """Hours go by, each with a moment for what is due."""
        for _ in range(hours):
            self.clock.pass_time(HOUR_S)
            await asyncio.sleep(0.03)


@pytest_asyncio.fixture(loop_scope="session")
async def alone(world: World) -> AsyncIterator[WorldNode]:
    yield await world.add_node(NODE, NodePlan(world["pi-south"].plan.cluster, {"role": "alone"}, starts_agent=False))
    await world.remove_node(NODE)


async def test_a_node_lives_a_week_without_central_by_what_it_has(world: World, app: str, alone: WorldNode) -> None:
    agent = AgentInTime(alone, JumpClock())
    await agent.start()
    try:
        await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="role=alone")
        await alone.link.cut()
        await agent.live(A_WEEK_H // 2)
        await _assert_it_heals(world, alone, app, "by hand in the middle of the week")

        await agent.stop()
        agent.clock.reboot(off_s=THREE_DAYS_S)
        agent.clock.synchronised = False
        await agent.start()
        await agent.live(A_WEEK_H // 2)
        await _assert_it_heals(world, alone, app, "by hand after a power cut, with the clock three days behind")

        agent.clock.jump_wall(THREE_DAYS_S)
        agent.clock.synchronised = True
        alone.link.heal()
        await agent.until_connected()
        await world.until_phase(NODE, app, "Ready", version="1.0.0")
        await world.deliver(app, "1.1.0", web_app(app, "1.1.0"), to="role=alone")
        await world.until(lambda: agent.outbox_rows() == 0, what="all that happened in the week is home")
        assert (await alone.view()).sequence_gaps == 0
        assert await alone.events("ReleaseFailed", "AppRemoved", "AppOrphaned", app=app) == []
        assert len(await alone.events("AgentStarted")) == 2
    finally:
        await agent.stop()


async def _assert_it_heals(world: World, node: WorldNode, app: str, change: str) -> None:
    cluster = node.cluster
    assert await cluster.ready_replicas(app) == 1
    await cluster.kube.patch(cluster.path("ConfigMap", app), {"data": {"index.html": change}})

    async def is_back() -> bool:
        found = await cluster.find("ConfigMap", app)
        return found is not None and found["data"] == {"index.html": f"{app} 1.0.0\n"}

    await world.until(is_back, what=f"put back: {change}")


async def test_an_agent_that_starts_with_the_link_down_works_by_what_it_has(world: World, app: str) -> None:
    south = world["pi-south"]
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="site=south")
    await south.link.cut()
    await south.agent.kill()
    await south.cluster.kube.delete(south.cluster.path("Service", app))

    await south.agent.start()

    await world.until(lambda: south.cluster.find("Service", app), what="the Service again, with the link down")
    south.link.heal()
    await world.until_phase("pi-south", app, "Ready", version="1.0.0")
    await assert_no_event_lost(world, south)
