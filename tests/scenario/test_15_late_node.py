"""Assignments stand: a node that is added later, or comes back with a new SD card, gets what its labels say."""

from collections.abc import AsyncIterator

import pytest_asyncio

from deploy.harness.apps import web_app
from deploy.harness.world import NodePlan, World

LATE = "pi-late"


@pytest_asyncio.fixture(loop_scope="session")
async def late_plan(world: World) -> AsyncIterator[NodePlan]:
    yield NodePlan(world["pi-south"].plan.cluster, {"role": "late"})
    if LATE in world.nodes:
        await world.remove_node(LATE)


async def test_a_node_added_later_gets_its_releases(world: World, app: str, late_plan: NodePlan) -> None:
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    rollout = await world.roll_out(app, "1.0.0", to="role=late")
    assert rollout.total == 0

    late = await world.add_node(LATE, late_plan)

    await world.until_phase(LATE, app, "Ready", version="1.0.0", timeout_s=90)
    assert await late.cluster.ready_replicas(app) == 1


async def test_a_node_with_a_new_sd_card_gets_what_it_had(world: World, app: str, late_plan: NodePlan) -> None:
    old = await world.add_node(LATE, late_plan)
    await world.deliver(app, "1.0.0", web_app(app, "1.0.0"), to="role=late")
    await old.stack.aclose()

    enrolment = await world.central.add_node(LATE, replace=True)
    new = await world.install(LATE, late_plan, enrolment, folder_name="pi-late-new-card")

    assert enrolment.labels == {"role": "late"}

    async def runs_there() -> bool:
        return await new.cluster.ready_replicas(app) == 1

    await world.until(runs_there, what="the app on the new card", timeout_s=90)
    await world.until_phase(LATE, app, "Ready", version="1.0.0")


async def test_the_credentials_of_the_old_card_are_worth_nothing(world: World, late_plan: NodePlan) -> None:
    old = await world.add_node(LATE, late_plan)
    await world.until_online(LATE)

    await world.central.add_node(LATE, replace=True)

    await world.until_online(LATE, is_online=False)
    assert old.agent.process.is_running
