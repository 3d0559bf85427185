"""The gate holds its level while agent, K3s, network and disk fail: water never waits for any of them."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.faults.slow_disk import SlowDisk, compiler
from deploy.harness.gate import RunningGate, RunningSite
from deploy.harness.world import World, WorldNode
from shared.contracts.gate_socket import GateReading
from tests.fixtures_world import assert_no_event_lost, on_full_nodes_too

LEVEL_M = 2.05
NEAR_M = 0.06
USUAL_INFLOW, MORE_INFLOW = 3.0, 4.0
FSYNC_S = 10
LATEST_SCAN_MS = 900.0


class Canal:
    """The gate of `pi-north`, holding a level."""

    def __init__(self, world: World, node: WorldNode, site: RunningSite, gate: RunningGate) -> None:
        self.world = world
        self.node = node
        self.site = site
        self.gate = gate
        self.inflow_m3s = USUAL_INFLOW

    async def reading(self) -> GateReading:
        return (await self.gate.status()).gates["g1"]

    async def until_level_held(self) -> None:
        async def is_near() -> bool:
            now = await self.reading()
            return now.mode == "AUTO" and now.level_m is not None and abs(now.level_m - LEVEL_M) <= NEAR_M

        await self.world.until(is_near, what=f"level held at {LEVEL_M} m", timeout_s=90)

    async def until_answered(self, inflow_m3s: float) -> None:
        """More or less water comes: the gate moves, and the level is held again."""
        before = (await self.reading()).opening_pct
        assert before is not None
        await self.site.play(f"inflow {inflow_m3s}")
        self.inflow_m3s = inflow_m3s

        async def has_moved() -> bool:
            now = (await self.reading()).opening_pct
            return now is not None and abs(now - before) > 3.0

        await self.world.until(has_moved, what="the gate answers the water")
        await self.until_level_held()

    async def assert_in_time(self) -> None:
        status = await self.gate.status()
        assert status.lateness_p99_ms is not None
        assert status.lateness_p99_ms < LATEST_SCAN_MS


@pytest_asyncio.fixture(loop_scope="session")
async def canal(world: World) -> AsyncIterator[Canal]:
    node = world["pi-north"]
    assert node.site is not None
    assert node.gate is not None
    held = Canal(world, node, node.site, node.gate)
    await _set_plan(world)
    await held.until_level_held()
    yield held
    if held.inflow_m3s != USUAL_INFLOW:
        # the next one's water must find a gate that stands for the usual inflow, or it has nothing to answer
        await held.until_answered(USUAL_INFLOW)


async def _set_plan(world: World) -> None:
    await world.operator.run("gate", "plan", "set", "north", "--level", f"g1={LEVEL_M}")

    async def is_accepted() -> bool:
        return bool((await world.central.get("gates/north/plan"))["delivery"] == "accepted")

    await world.until(is_accepted, what="the plan in force")


@on_full_nodes_too
async def test_the_level_is_held_with_agent_cluster_and_network_gone(world: World, canal: Canal) -> None:
    node = canal.node
    await node.agent.kill()
    await node.link.cut()
    await node.cluster.stop()
    try:
        cut_at = (await canal.gate.status()).scanned_at
        await canal.until_answered(MORE_INFLOW)
        back_at = (await canal.gate.status()).scanned_at
        await canal.assert_in_time()
    finally:
        await node.cluster.start()
        node.link.heal()
        await node.agent.start()

    await world.until_online(node.name)
    await _until_samples_are_home(world, cut_at, back_at)
    await assert_no_event_lost(world, node)


async def _until_samples_are_home(world: World, since: datetime, until: datetime) -> None:
    async def are_home() -> bool:
        samples = await world.central.get("gates/north/samples", gate="g1", after=since.isoformat())
        times = [datetime.fromisoformat(each["at"]) for each in samples]
        return any(since < at < until for at in times)

    await world.until(are_home, what="the levels of the outage at central")


@pytest.mark.root
async def test_a_gate_that_starts_on_a_read_only_disk_holds_its_level(world: World, canal: Canal) -> None:
    await canal.gate.stop()
    _mount_read_only(canal.gate.state_dir)
    try:
        await canal.gate.start()
        await _set_plan(world)
        await canal.until_level_held()
        await canal.until_answered(MORE_INFLOW)
        await canal.assert_in_time()
        assert any("not_saved" in each or "not_written" in each for each in await _site_alarms(canal))
    finally:
        await canal.gate.stop()
        subprocess.run(["umount", "-l", str(canal.gate.state_dir)], check=True)
        await canal.gate.start()
    await canal.until_level_held()


def _mount_read_only(folder: Path) -> None:
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)


async def _site_alarms(canal: Canal) -> list[str]:
    log = canal.gate.read_log()
    return [line for line in log.splitlines() if "alarm" in line] + list((await canal.reading()).alarms)


@pytest.mark.skipif(compiler() is None, reason="no C compiler, which builds the slow disk; install gcc")
async def test_a_disk_that_needs_ten_seconds_for_a_write_delays_no_scan(canal: Canal, tmp_path: Path) -> None:
    disk = SlowDisk(tmp_path)
    await disk.build()
    await canal.gate.stop()
    canal.gate.environment.update(disk.environment)
    try:
        await canal.gate.start()
        await canal.until_level_held()
        disk.set_delay(FSYNC_S)
        await canal.until_answered(MORE_INFLOW)
        await canal.assert_in_time()
    finally:
        disk.set_delay(0)
        canal.gate.environment.clear()
        await canal.gate.stop()
        await canal.gate.start()
    await canal.until_level_held()
