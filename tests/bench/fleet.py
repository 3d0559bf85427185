"""What the benches of whole releases share: versions that follow each other, and times by central's own clock."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from statistics import quantiles

from deploy.harness.apps import Manifest
from deploy.harness.clusters import ClusterKind
from deploy.harness.world import NodePlan, World, WorldNode
from deploy.local_cluster import preflight
from shared.contracts.api import EventView, RolloutView
from tests.bench.device import node_python, run_on
from tests.bench.result import NotHere

_numbers = itertools.count(1)


def next_version() -> str:
    """A version that was never published."""
    return f"1.{next(_numbers)}.0"


def best_real_cluster() -> ClusterKind:
    """The best kind with a real API server.

    Raises:
        NotHere: there is none.
    """
    kind, reason = preflight.best_kind()
    if kind == "full":
        return "full"
    if kind == "control_plane":
        return "control_plane"
    raise NotHere(f"no real control plane: {reason}")


async def add_lean_node(world: World, name: str, plan: NodePlan) -> tuple[WorldNode, str]:
    """A node whose agent runs with what a Pi installs; and words about its environment."""
    interpreter, environment = await node_python("agent")
    node = await world.add_node(name, NodePlan(**{**vars(plan), "starts_agent": False}))
    run_on(node.agent.process, "munbon-agent", "edge_agent.main", interpreter)
    await node.agent.start()
    await world.until_online(name)
    return node, environment


async def publish_and_start(world: World, app: str, manifests: Sequence[Manifest], *, to: str = "") -> RolloutView:
    """Publish a new version and start its rollout with the CLI, as an operator does."""
    version = next_version()
    await world.publish(app, version, manifests)
    return await world.roll_out(app, version, to=to)


async def event_of(world: World, node: str, event: str, rollout: RolloutView, *, timeout_s: float = 120.0) -> EventView:
    """The first event of a type that a node sent since a rollout was accepted."""

    async def look() -> EventView | None:
        found = await world[node].events(event, app=rollout.app)
        return next((each for each in found if each.received_at >= rollout.started_at), None)

    found: EventView = await world.until(look, what=f"{event} of {rollout.app} on {node}", timeout_s=timeout_s)
    return found


def seconds(start: datetime, end: datetime) -> float:
    """From one moment to another, of the same machine's clock."""
    return (end - start).total_seconds()


def p99(values: Sequence[float]) -> float:
    """99th percentile; of fewer than 100 values the worst is near it."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
