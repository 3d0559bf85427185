"""One release to 100 nodes: real central, real nats-server, real agents on in-memory clusters."""

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

from deploy.harness.agent import AgentOptions, render_agent_toml
from deploy.harness.apps import web_app
from deploy.harness.clusters import memory_cluster
from deploy.harness.processes import Child
from deploy.harness.world import World, throw_away_world
from deploy.local_cluster.in_memory import InMemoryServer
from shared.contracts.api import EventView, RolloutView
from shared.durable_file import write_atomic
from tests.bench.fleet import publish_and_start, seconds
from tests.bench.result import Result

NAMES = ("publish_to_verified_100_nodes_s",)
NODES = 100
PROCESSES = 4
RUNS = 5
APP = "gate-ui"


async def run(wanted: frozenset[str]) -> list[Result]:
    """From the moment at which central accepted a rollout to 100 nodes until it received the last of their 100 ReleaseVerified.

    Times are central's own (`started_at` of the rollout, `received_at` of the events), the release published just before. The agents are
    the real ones with everything they do, 25 in a process, each with its own connection, state and cluster; clusters are in memory.
    All nodes get the release at once; while the last ones verify it the first ones apply it, on the same processors. Value: median.
    """
    async with throw_away_world() as world, hundred_nodes(world) as nodes:
        await deliver(world, nodes, "first")
        last_s, median_s = [], []
        for number in range(RUNS):
            times_s = await deliver(world, nodes, f"run {number}")
            last_s.append(max(times_s))
            median_s.append(median(times_s))
    params = {"goal": 3, "runs": RUNS, "nodes": NODES, "worst": round(max(last_s), 2), "median_node": round(median(median_s), 2),
              "agent_processes": PROCESSES, "cluster": "in memory"}  # fmt: skip
    return [Result(NAMES[0], round(median(last_s), 2), "s", "lower", params)]


@asynccontextmanager
async def hundred_nodes(world: World) -> AsyncIterator[list[str]]:
    """Enrolled, with a cluster each, online."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(InMemoryServer())
        names = [f"pi-{number:03d}" for number in range(NODES)]
        configs = []
        for name in names:
            folder = world.folder / name
            cluster = await stack.enter_async_context(memory_cluster(server, name, folder))
            configs.append(await write_config(world, name, cluster.kubeconfig, folder))
        for number in range(PROCESSES):
            command = [sys.executable, "-m", "tests.bench.many_agents", *map(str, configs[number::PROCESSES])]
            child = Child(f"agents {number}", command, log=world.folder / f"agents-{number}.log")
            stack.push_async_callback(child.stop)
            await child.start()

        async def all_online() -> bool:
            return (await world.status()).nodes_online == NODES

        await world.until(all_online, what=f"{NODES} nodes online", timeout_s=240)
        yield names


async def write_config(world: World, name: str, kubeconfig: Path, folder: Path) -> Path:
    """`agent.toml` of a new node."""
    enrolment = await world.central.add_node(name)
    folder.mkdir(parents=True, exist_ok=True)
    options = AgentOptions(kubeconfig, heartbeat_s=30.0, resync_s=300.0, log_level="warning")
    write_atomic(folder / "trust-root.json", json.dumps(enrolment.trust_root).encode())
    config = folder / "agent.toml"
    write_atomic(config, render_agent_toml(enrolment, options, folder / "state").encode(), mode=0o600)
    return config


async def deliver(world: World, nodes: Sequence[str], word: str) -> list[float]:
    """Seconds until each node had verified a new release; returns when all of them are ready with it."""
    rollout = await publish_and_start(world, APP, web_app(APP, word))

    async def is_over() -> RolloutView | None:
        found = await world.rollout(rollout.rollout_id)
        return found if found.finished_at is not None else None

    finished = await world.until(is_over, what=f"rollout of {word}", timeout_s=240)
    assert finished.ready == len(nodes), finished
    return [await verified_s(world, node, rollout) for node in nodes]


async def verified_s(world: World, node: str, rollout: RolloutView) -> float:
    """Seconds from the rollout's start until central had the node's word of it."""
    page = await world.central.get(f"nodes/{node}/events", type="ReleaseVerified", newest="true", limit=5)
    events = [EventView.model_validate(each) for each in page]
    first = next(each for each in events if each.subject == APP and each.received_at >= rollout.started_at)
    return seconds(rollout.started_at, first.received_at)
