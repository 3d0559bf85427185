"""Memory of the agent on a node with a real cluster, and the gate's punctuality while the agent applies releases beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from statistics import median

from deploy.harness.apps import CRASHING, many_objects, web_app
from deploy.harness.world import NodePlan, World, WorldNode, throw_away_world
from tests.bench.device import memory_mib, node_python, prefer_as_unit, run_on
from tests.bench.fleet import add_lean_node, best_real_cluster, event_of, next_version, publish_and_start
from tests.bench.result import Result

IDLE = "agent_pss_idle_mib"
PEAK = "agent_pss_peak_mib"
LATENESS = "gate_scan_lateness_p99_ms"
NAMES = (IDLE, PEAK, LATENESS)
NODE = "pi-north"
IDLE_RUNS = 3
IDLE_S = 30.0
LATENESS_S = 120.0
GATE_MODULE = "edge_agent.gate_control.main"
OBJECTS = 100


async def run(wanted: frozenset[str]) -> list[Result]:
    """All three on one node with a gate under way: a full node where this machine can, else a control plane with scripted pods.

    agent_pss_idle_mib: PSS of `munbon-agent run` 30 s after its start, with two apps in place, watches open, session up, the gate's
    journal read; nothing is applied. Median of 3 processes.

    agent_pss_peak_mib: highest PSS, read each 50 ms, of one process that starts, applies a release of 103 objects, then a bad one
    with as many that are all changed, and goes back to the last good one.

    gate_scan_lateness_p99_ms: how late scans of the gate process begin (period 1 s), as it measures it itself, over 2 minutes in which
    the agent beside it applies one release of 103 objects after the other.
    """
    results = []
    async with throw_away_world() as world:
        kind = best_real_cluster()
        node, environment = await add_lean_node(
            world, NODE, NodePlan(kind, has_gate=True, canal_speed=1.0, heartbeat_s=30.0, resync_s=300.0)
        )
        await restart_gate_lean(node)
        shared = {"cluster": kind, "environment": environment}
        await world.deliver("page", next_version(), web_app("page", "1"), wait_s=120)
        await world.deliver("many", next_version(), many_objects("many", "1", OBJECTS), wait_s=120)
        if IDLE in wanted:
            results.append(await idle(world, node, shared))
        if PEAK in wanted:
            results.append(await peak(world, node, shared))
        if LATENESS in wanted:
            results.append(await lateness(world, node, shared))
    return results


async def restart_gate_lean(node: WorldNode) -> None:
    """The gate process with what a Pi installs, and the priority of its unit."""
    assert node.gate is not None
    interpreter, _ = await node_python("gate")
    await node.gate.stop()
    if GATE_MODULE not in node.gate.process.command:
        run_on(node.gate.process, "munbon-gate", GATE_MODULE, interpreter)
    await node.gate.start()
    assert node.gate.process.pid is not None, node.gate.process.log_tail()
    prefer_as_unit(node.gate.process.pid, "munbon-gate")


def agent_memory(node: WorldNode) -> dict[str, float]:
    """Of the running process."""
    pid = node.agent.process.pid
    assert pid is not None, node.agent.process.log_tail()
    return dict(memory_mib(pid))


async def idle(world: World, node: WorldNode, shared: dict[str, str]) -> Result:
    """What the agent holds when nothing is to do."""
    readings = []
    for _ in range(IDLE_RUNS):
        await node.agent.restart()
        await asyncio.sleep(IDLE_S)
        await world.until_online(NODE)
        readings.append(agent_memory(node))
    values = [reading["Pss"] for reading in readings]
    params = {"goal": "52, try for 44", "runs": IDLE_RUNS, "worst": round(max(values), 1),
              "private": round(median(each["Private_Clean"] + each["Private_Dirty"] for each in readings), 1),
              "rss": round(median(each["Rss"] for each in readings), 1), "after_s": IDLE_S, "apps": 2, **shared}  # fmt: skip
    return Result(IDLE, round(median(values), 1), "MiB", "lower", params)


async def peak(world: World, node: WorldNode, shared: dict[str, str]) -> Result:
    """What the agent holds at most while it applies."""
    await node.agent.restart()
    highest = [0.0]

    async def watch() -> None:
        while True:
            with suppress(OSError):
                highest[0] = max(highest[0], agent_memory(node)["Pss"])
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        await world.deliver("many", next_version(), many_objects("many", "peak", OBJECTS), wait_s=120)
        bad = [*many_objects("many", "bad", OBJECTS)[3:], *web_app("many", "bad", CRASHING)]
        rollout = await publish_and_start(world, "many", bad)
        await event_of(world, NODE, "ReleaseRolledBack", rollout)
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    params = {"goal": 72, "runs": 1, "objects": OBJECTS + 3, "rollbacks": 1, **shared}
    return Result(PEAK, round(highest[0], 1), "MiB", "lower", params)


@asynccontextmanager
async def releases_all_the_time(world: World) -> AsyncIterator[list[str]]:
    """One release after the other while the block lasts; gives the versions applied so far."""
    applied: list[str] = []

    async def work() -> None:
        while True:
            version = next_version()
            await world.deliver("many", version, many_objects("many", version, OBJECTS), wait_s=120)
            applied.append(version)

    working = asyncio.create_task(work())
    try:
        yield applied
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def lateness(world: World, node: WorldNode, shared: dict[str, str]) -> Result:
    """How punctual the gate is beside a busy agent."""
    assert node.gate is not None
    async with releases_all_the_time(world) as applied:
        await restart_gate_lean(node)
        await asyncio.sleep(LATENESS_S)
        status = await node.gate.status()
        assert status.lateness_p99_ms is not None, status
        assert applied, "no release was applied meanwhile"
        params = {"goal": 100, "scans": status.scan, "releases": len(applied), "objects": OBJECTS + 3, **shared}
    return Result(LATENESS, round(status.lateness_p99_ms, 1), "ms", "lower", params)
