"""Central and its nats-server are killed again and again while events come in: none is lost, none is there twice."""

import os
import signal
from contextlib import suppress

from deploy.harness.apps import web_app
from deploy.harness.world import World
from tests.fixtures_world import assert_no_event_lost

ROUNDS = 4


async def test_no_event_is_lost_when_central_and_its_bus_are_killed(world: World, app: str) -> None:
    for number in range(ROUNDS):
        version = f"1.{number}.0"
        await world.publish(app, version, web_app(app, version))
        await world.roll_out(app, version)
        await world.until_event("pi-north", "ReleaseVerified", app=app, count=number + 1)
        await _kill_central(world, with_bus=number % 2 == 1)
        await world.central.start()

    for name, node in world.nodes.items():
        await world.until_phase(name, app, "Ready", version=f"1.{ROUNDS - 1}.0", timeout_s=90)
        assert len(await node.events("ReleaseApplied", app=app)) >= 1
        await assert_no_event_lost(world, node)
    status = await world.status()
    assert (status.sequence_gaps, status.events_quarantined) == (0, 0)


async def test_the_bus_alone_is_killed_and_comes_back(world: World, app: str) -> None:
    await world.publish(app, "1.0.0", web_app(app, "1.0.0"))
    await world.roll_out(app, "1.0.0")
    await world.until_event("pi-north", "DesiredAccepted")
    pid = world.central.nats_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    for name, node in world.nodes.items():
        await world.until_phase(name, app, "Ready", version="1.0.0", timeout_s=90)
        await assert_no_event_lost(world, node)
    assert world.central.nats_pid not in (None, pid)


async def _kill_central(world: World, *, with_bus: bool) -> None:
    bus = world.central.nats_pid
    await world.central.kill()
    if with_bus and bus is not None:
        with suppress(ProcessLookupError):
            os.kill(bus, signal.SIGKILL)
