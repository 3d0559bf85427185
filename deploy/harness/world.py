"""A fleet on one machine: central, an operator, and nodes with a cluster, an agent, a link that can be cut, and perhaps a gate.

Every program is the real one in a process of its own. What is waited for is asked of central's API, as an operator would.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from deploy.faults.tcp_proxy import TcpProxy
from deploy.harness.agent import AgentOptions, RunningAgent
from deploy.harness.apps import Manifest
from deploy.harness.central import CentralHandle, reaper, running_central
from deploy.harness.clusters import ClusterKind, NodeCluster, open_cluster
from deploy.harness.gate import RunningGate, RunningSite, running_gate
from deploy.harness.operator import Operator
from deploy.harness.processes import WaitedTooLong
from deploy.local_cluster.in_memory import InMemoryServer
from shared.clock import SystemClock
from shared.contracts.api import EventView, FleetStatus, NodeAppView, NodeEnrolment, NodeView, RolloutView
from shared.errors import MunbonError

POLL_S = 0.15
PATIENCE = float(os.environ.get("MUNBON_PATIENCE", "1"))
"""Environment: factor for every wait, for a very slow machine or an impatient person."""
LOG_LINES = 15


@dataclass(frozen=True)
class NodePlan:
    """What a node is made of.

    Attributes:
        cluster: its kind.
        labels: as central keeps them.
        has_gate: give it a simulated site and a gate process; the site has the node's name unless `site` names it.
        kubeconfig: instead of the cluster's own, for example through a proxy of the test.
        heartbeat_s, resync_s: short, so that nobody waits for them.
        starts_agent: False: the agent is started later by hand.
        own_cluster: instead of a cluster of ours, for example a K3s that is there already.
    """

    cluster: ClusterKind = "memory"
    labels: Mapping[str, str] = field(default_factory=dict)
    has_gate: bool = False
    site: str = ""
    gates: Sequence[str] = ("g1",)
    canal_speed: float = 20.0
    kubeconfig: Path | None = None
    heartbeat_s: float = 1.0
    resync_s: float = 10.0
    log_level: str = "info"
    starts_agent: bool = True
    own_cluster: Callable[[str], Any] | None = None


@dataclass
class WorldNode:
    """One node: its cluster, its link to central, its agent, and where it has one its site and gate process."""

    name: str
    plan: NodePlan
    enrolment: NodeEnrolment
    cluster: NodeCluster
    link: TcpProxy
    agent: RunningAgent
    central: CentralHandle
    stack: AsyncExitStack = field(repr=False)
    site: RunningSite | None = None
    gate: RunningGate | None = None

    async def view(self) -> NodeView:
        """As central sees it."""
        return NodeView.model_validate(await self.central.get(f"nodes/{self.name}"))

    async def app(self, app: str) -> NodeAppView | None:
        """One app as central sees it on this node."""
        return next((each for each in (await self.view()).apps if each.app == app), None)

    async def phase(self, app: str) -> str:
        """Phase of an app as central sees it; empty while nothing is known."""
        found = await self.app(app)
        return str(found.phase) if found is not None else ""

    async def events(self, *types: str, app: str = "") -> list[EventView]:
        """Events that central stored of this node, oldest first; of these short names, about this app."""
        found: list[EventView] = []
        while True:
            after = found[-1].cursor if found else 0
            page = await self.central.get(f"nodes/{self.name}/events", after=after, limit=1000, **({"type": list(types)} if types else {}))
            found += [EventView.model_validate(each) for each in page]
            if len(page) < 1000:
                return [each for each in found if not app or each.subject == app]

    async def power_cut(self) -> None:
        """The agent's process is gone from one moment to the next."""
        await self.agent.kill()

    async def describe(self) -> str:
        """What one wants to read when a wait was in vain."""
        view = await self.view()
        apps = [f"{each.app}: {each.phase} desired={each.desired_version} running={each.running_version} {each.message} {each.cause}"
                for each in view.apps]  # fmt: skip
        log = self.agent.process.log_tail(LOG_LINES)
        return f"{self.name}: {view.presence} {view.accepted_generation}/{view.desired_generation} {apps} {view.messages}\n{log}"


class World:
    """The fleet of one story. Made by `open_world`; nodes may be added at any time."""

    def __init__(self, folder: Path, central: CentralHandle, operator: Operator, memory: InMemoryServer, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.central = central
        self.operator = operator
        self.nodes: dict[str, WorldNode] = {}
        self._memory = memory
        self._stack = stack
        self._clock = SystemClock()

    def __getitem__(self, node: str) -> WorldNode:
        return self.nodes[node]

    async def add_node(self, name: str, plan: NodePlan | None = None) -> WorldNode:
        """Enrol a node, bring up its cluster, its link and its gate, and start its agent."""
        return await self.install(name, plan or NodePlan(), await self.central.add_node(name, (plan or NodePlan()).labels))

    async def install(self, name: str, plan: NodePlan, enrolment: NodeEnrolment, *, folder_name: str = "") -> WorldNode:
        """Bring up the machine of a node that is enrolled: a first one, or its replacement after `replace` (with another folder name)."""
        folder = self.folder / (folder_name or name)
        stack = AsyncExitStack()
        self._stack.push_async_callback(stack.aclose)
        opened_cluster = plan.own_cluster(name) if plan.own_cluster else open_cluster(plan.cluster, name, folder, self._memory)
        cluster = await stack.enter_async_context(opened_cluster)
        link = await stack.enter_async_context(TcpProxy.to("127.0.0.1", self.central.nats_port))
        options = AgentOptions(
            plan.kubeconfig or cluster.kubeconfig, nats_url=link.url, heartbeat_s=plan.heartbeat_s, resync_s=plan.resync_s,
            log_level=plan.log_level,
        )  # fmt: skip
        site = gate = None
        if plan.has_gate:
            opened = running_gate(
                folder / "gate", site=plan.site or name, trust_root=enrolment.trust_root, gates=plan.gates, speed=plan.canal_speed
            )
            site, gate = await stack.enter_async_context(opened)
            options = _with_gate(options, gate)
        agent = RunningAgent(folder / "agent", enrolment, options)
        stack.push_async_callback(agent.stop)
        node = WorldNode(name, plan, enrolment, cluster, link, agent, self.central, stack, site, gate)
        self.nodes[name] = node
        if plan.starts_agent:
            await agent.start()
        return node

    async def remove_node(self, name: str) -> None:
        """Take a node's machine away, and let central forget it."""
        await self.nodes.pop(name).stack.aclose()
        await self.central.request("DELETE", f"nodes/{name}")

    async def publish(self, app: str, version: str, manifests: Sequence[Manifest], *options: str) -> Any:
        """Write the objects to files and publish them with the CLI."""
        folder = self.folder / "releases" / f"{app}-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "objects.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=False))
        return await self.operator.publish(folder, app, version, *options)

    async def roll_out(self, app: str, version: str, *, to: str = "", wait_s: float | None = None) -> RolloutView:
        """Start a rollout with the CLI; with `wait_s`, wait for its success."""
        return RolloutView.model_validate(await self.operator.roll_out(app, version, selector=to, wait_s=wait_s))

    async def deliver(self, app: str, version: str, manifests: Sequence[Manifest], *, to: str = "", wait_s: float = 60.0) -> RolloutView:
        """Publish and roll out, and wait until every node has it in good health."""
        await self.publish(app, version, manifests)
        return await self.roll_out(app, version, to=to, wait_s=wait_s)

    async def status(self) -> FleetStatus:
        """The fleet as central sees it."""
        return FleetStatus.model_validate(await self.central.get("status"))

    async def rollout(self, rollout_id: str) -> RolloutView:
        """One rollout."""
        return RolloutView.model_validate(await self.central.get(f"rollouts/{rollout_id}"))

    async def until(self, condition: Callable[[], Any], *, what: str, timeout_s: float = 60.0) -> Any:
        """Wait until `condition()` (plain or awaitable) is true, and give what it gave.

        Raises:
            WaitedTooLong: it did not come true; with what each node says and the ends of the agents' logs.
        """
        timeout_s *= PATIENCE
        until_s = self._clock.monotonic_s() + timeout_s
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            if self._clock.monotonic_s() >= until_s:
                raise WaitedTooLong(f"not within {timeout_s:.0f} s\n{await self._describe()}", subject=what)
            await self._clock.sleep(POLL_S)

    async def until_phase(self, node: str, app: str, phase: str, *, version: str = "", timeout_s: float = 60.0) -> NodeAppView:
        """Wait until central sees an app of a node in a phase (and, where given, with this version running)."""

        async def look() -> NodeAppView | None:
            found = await self.nodes[node].app(app)
            fits = found is not None and found.phase == phase and version in ("", found.running_version)
            return found if fits else None

        wanted = f"{app} on {node} {phase} {version}".rstrip()
        found: NodeAppView = await self.until(look, what=wanted, timeout_s=timeout_s)
        return found

    async def until_event(self, node: str, event: str, *, app: str = "", count: int = 1, timeout_s: float = 60.0) -> EventView:
        """Wait until central stored the `count`-th event of a type; gives the newest of them."""

        async def look() -> EventView | None:
            found = await self.nodes[node].events(event, app=app)
            return found[-1] if len(found) >= count else None

        found: EventView = await self.until(look, what=f"event {event} of {node} about {app or 'anything'}", timeout_s=timeout_s)
        return found

    async def until_online(self, node: str, *, is_online: bool = True, timeout_s: float = 60.0) -> None:
        """Wait until central sees a node as online, or as gone."""

        async def look() -> bool:
            return ((await self.nodes[node].view()).presence == "Online") is is_online

        await self.until(look, what=f"{node} {'online' if is_online else 'offline'}", timeout_s=timeout_s)

    async def _describe(self) -> str:
        try:
            return "\n".join([await node.describe() for node in self.nodes.values()])
        except (MunbonError, httpx.HTTPError) as error:
            return f"central does not answer: {error}; its log:\n{self.central.process.log_tail(LOG_LINES)}"


def _with_gate(options: AgentOptions, gate: RunningGate) -> AgentOptions:
    return AgentOptions(
        options.kubeconfig, options.nats_url, gate.socket, gate.interlock_file, options.heartbeat_s, options.resync_s, options.log_level
    )


@asynccontextmanager
async def open_world(folder: Path, nodes: Mapping[str, NodePlan] | Iterable[str] = ()) -> AsyncIterator[World]:
    """A world in `folder`, with these nodes. All of it is gone after the block, also when this process is killed.

    Args:
        folder: empty; keeps state and logs.
        nodes: names with plans, or names of nodes with in-memory clusters.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(reaper(folder))
        memory = await stack.enter_async_context(InMemoryServer())
        central = await stack.enter_async_context(running_central(folder))
        operator = Operator(folder / "operator")
        await operator.log_in(central)
        world = World(folder, central, operator, memory, stack)
        plans = nodes if isinstance(nodes, Mapping) else {name: NodePlan() for name in nodes}
        for name, plan in plans.items():
            await world.add_node(name, plan)
        yield world


@asynccontextmanager
async def throw_away_world(nodes: Mapping[str, NodePlan] | Iterable[str] = ()) -> AsyncIterator[World]:
    """A world in a temporary folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="munbon-world-", ignore_cleanup_errors=True) as folder:
        async with open_world(Path(folder), nodes) as world:
            yield world
