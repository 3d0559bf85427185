"""The story, step by step. Each step checks what it tells; a step that does not hold ends the story with exit code 1."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from deploy.demo.pages import read_page
from deploy.demo.screen import Screen, StepLine
from deploy.harness.apps import CRASHING, GOOD, LAST_WORDS, Behaviour, Manifest, web_app
from deploy.harness.gate import RunningGate
from deploy.harness.processes import ProcessFailed
from deploy.harness.world import World, WorldNode
from shared.contracts.api import EventView, NodeView, RolloutPhase
from shared.contracts.gate_socket import GateReading
from shared.errors import MunbonError

APP = "gate-ui"
NORTH, SOUTH = "pi-north", "pi-south"
LEVEL_M = 2.0
LEVEL_TOLERANCE_M = 0.10
SELECTOR = "canal=main"
_WAIT_S = 60.0


class StepFailed(MunbonError):
    """What was told did not come true."""


@dataclass
class Story:
    """The world, the screen, and what earlier steps found."""

    world: World
    screen: Screen
    scans_at_cut: dict[str, int] = field(default_factory=dict)

    async def tell(self) -> bool:
        """All steps in order; False when one did not hold."""
        steps: tuple[tuple[str, Callable[[StepLine], Awaitable[None]]], ...] = (
            ("Two nodes and their gates report to central", self.nodes_report),
            ("A signed plan: hold the canal's level", self.plan_is_in_force),
            ("Publish 1.0.0 and roll it out", self.first_release),
            ("Publish 1.1.0, which crashes: both nodes go back alone", self.bad_release),
            (f"Cut the link of {NORTH}: its gate goes on", self.link_is_cut),
            (f"Publish 1.2.0: {SOUTH} gets it, {NORTH} cannot", self.next_release),
            (f"Heal the link: {NORTH} catches up", self.link_is_healed),
            ("No event was lost: sent = stored", self.events_add_up),
        )
        for title, step in steps:
            line = self.screen.begin(title)
            started_s = self.screen.clock.monotonic_s()
            try:
                await step(line)
            except MunbonError as error:
                self.screen.tell(line, str(error))
                self.screen.end(line, held=False, duration_s=self.screen.clock.monotonic_s() - started_s)
                return False
            self.screen.end(line, held=True, duration_s=self.screen.clock.monotonic_s() - started_s)
        return True

    async def nodes_report(self, line: StepLine) -> None:
        """Both online, both clusters reachable, both gates seen."""
        for name in self.world.nodes:
            await self.world.until_online(name)
            view = await self.world.until(partial(_with_cluster, self.world[name]), what=f"{name} reports its cluster", timeout_s=_WAIT_S)
            self.screen.tell(line, f"{name}: online, cluster {view.cluster}, agent {view.agent_version}")
        await self.world.until(self._gates_seen, what="both gates are reported", timeout_s=_WAIT_S)

    async def plan_is_in_force(self, line: StepLine) -> None:
        """Plans signed by the operator, accepted by the gates; levels come to the setpoint."""
        for name, node in self.world.nodes.items():
            answer = await self.world.operator.ask("gate", "plan", "set", node.plan.site, "--level", f"g1={LEVEL_M}")
            if answer["delivery"] != "accepted":
                raise StepFailed(f"plan was {answer['delivery']}: {answer.get('reason')}", subject=name)
            self.screen.tell(line, f"{node.plan.site}: plan {answer['generation']} accepted, level {LEVEL_M} m")
        for node in self.world.nodes.values():
            reading = await self._level_holds(node)
            self.screen.tell(
                line, f"{node.plan.site}: level {reading.level_m:.3f} m, opening {reading.opening_pct or 0:.1f} %, {reading.mode}"
            )

    async def first_release(self, line: StepLine) -> None:
        """1.0.0 is Ready everywhere; on full nodes the page answers through the Service."""
        await self._publish("1.0.0")
        rollout = await self.world.roll_out(APP, "1.0.0", to=SELECTOR, wait_s=_WAIT_S * 2)
        self.screen.tell(line, f"rollout {rollout.phase.value}: {rollout.ready}/{rollout.total} nodes ready")
        if rollout.ready != len(self.world.nodes):
            raise StepFailed("the rollout ended before every reachable node was ready", subject=rollout.rollout_id)
        await self._pages_say(line, "1.0.0", list(self.world.nodes.values()))

    async def bad_release(self, line: StepLine) -> None:
        """1.1.0 fails; last good serves again; cause and time are named by the nodes themselves."""
        await self._publish("1.1.0", CRASHING)
        rollout = await self.world.roll_out(APP, "1.1.0", to=SELECTOR)
        for name in self.world.nodes:
            await self.world.until_phase(name, APP, "RolledBack", version="1.0.0", timeout_s=_WAIT_S * 2)
            applied = await self.world.until_event(name, "ReleaseApplied", app=APP, count=2)
            failed = await self.world.until_event(name, "ReleaseFailed", app=APP)
            back = await self.world.until_event(name, "ReleaseRolledBack", app=APP)
            self.screen.tell(line, f"{name}: {_cause_line(failed)}")
            known_s = (failed.time - applied.time).total_seconds()
            served_s = (back.time - failed.time).total_seconds()
            self.screen.tell(line, f"{name}: known {known_s:.1f} s after the apply; 1.0.0 serves again {served_s:.1f} s later")
        ended = await self.world.until(lambda: self._ended(rollout.rollout_id), what="the rollout is judged", timeout_s=_WAIT_S)
        if ended.phase is not RolloutPhase.FAILED:
            raise StepFailed(f"the rollout of a crashing release ended {ended.phase.value}", subject=ended.rollout_id)
        await self._pages_say(line, "1.0.0", list(self.world.nodes.values()))

    async def link_is_cut(self, line: StepLine) -> None:
        """Central sees the node go; the gate scans on and holds the level."""
        node = self.world[NORTH]
        self.scans_at_cut[NORTH] = (await _gate(node).status()).scan
        await node.link.cut()
        await self.world.until_online(NORTH, is_online=False, timeout_s=_WAIT_S)
        await self.world.until(self._scanned_on, what=f"the gate of {NORTH} scans on", timeout_s=_WAIT_S)
        reading = await self._level_holds(node)
        status = await _gate(node).status()
        self.screen.tell(
            line, f"{NORTH}: offline for central; {status.scan - self.scans_at_cut[NORTH]} scans since, level {reading.level_m:.3f} m"
        )

    async def next_release(self, line: StepLine) -> None:
        """1.2.0 reaches whom it can."""
        await self._publish("1.2.0")
        await self.world.roll_out(APP, "1.2.0", to=SELECTOR)
        await self.world.until_phase(SOUTH, APP, "Ready", version="1.2.0", timeout_s=_WAIT_S * 2)
        await self._pages_say(line, "1.2.0", [self.world[SOUTH]])
        north = await self.world[NORTH].app(APP)
        runs = north.running_version if north else "-"
        self.screen.tell(line, f"{SOUTH}: 1.2.0; {NORTH} was last heard with {runs} and goes on with it")
        await self._level_holds(self.world[NORTH])

    async def link_is_healed(self, line: StepLine) -> None:
        """The node comes back and gets what it missed."""
        self.world[NORTH].link.heal()
        await self.world.until_phase(NORTH, APP, "Ready", version="1.2.0", timeout_s=_WAIT_S * 2)
        await self._pages_say(line, "1.2.0", [self.world[NORTH]])
        self.screen.tell(line, f"{NORTH}: 1.2.0 is Ready")

    async def events_add_up(self, line: StepLine) -> None:
        """Outboxes are empty, and what each node counted is what central stored."""
        await self.world.until(self._outboxes_are_empty, what="outboxes are empty", timeout_s=_WAIT_S)
        for name, node in self.world.nodes.items():
            events = await node.events()
            newest: dict[str, int] = {}
            for event in events:
                newest[event.outboxid] = max(newest.get(event.outboxid, 0), event.sequence)
            sent, stored = sum(newest.values()), len({event.id for event in events})
            self.screen.tell(line, f"{name}: sent {sent}, stored {stored}")
            if sent != stored or len(events) != stored:
                raise StepFailed(f"sent {sent}, stored {stored}, rows {len(events)}", subject=name)

    async def _publish(self, version: str, behaviour: Behaviour = GOOD) -> None:
        manifests: list[Manifest] = web_app(APP, version, behaviour)
        await self.world.publish(APP, version, manifests)

    async def _pages_say(self, line: StepLine, version: str, nodes: list[WorldNode]) -> None:
        for node in nodes:
            if node.cluster.kind != "full":
                if await node.cluster.ready_replicas(APP) < 1:
                    raise StepFailed("no pod is ready", subject=node.name)
                continue
            page = await self.world.until(
                partial(read_page, node, APP, version), what=f"page of {version} on {node.name}", timeout_s=_WAIT_S
            )
            self.screen.tell(line, f"{node.name}: its Service answers: {page}")

    async def _level_holds(self, node: WorldNode) -> GateReading:
        async def look() -> GateReading | None:
            reading = (await _gate(node).status()).gates["g1"]
            return reading if reading.level_m is not None and abs(reading.level_m - LEVEL_M) <= LEVEL_TOLERANCE_M else None

        found: GateReading = await self.world.until(
            look, what=f"level at {node.plan.site} within {LEVEL_TOLERANCE_M} m of {LEVEL_M} m", timeout_s=_WAIT_S
        )
        return found

    async def _gates_seen(self) -> bool:
        status = await self.world.status()
        return {gate.node for gate in status.gates if gate.summary.level_m is not None} == set(self.world.nodes)

    async def _scanned_on(self) -> bool:
        return (await _gate(self.world[NORTH]).status()).scan >= self.scans_at_cut[NORTH] + 5

    async def _ended(self, rollout_id: str) -> object:
        view = await self.world.rollout(rollout_id)
        return view if view.phase is not RolloutPhase.RUNNING else None

    async def _outboxes_are_empty(self) -> bool:
        views = await asyncio.gather(*(node.view() for node in self.world.nodes.values()))
        return all(view.outbox_rows == 0 and view.sequence_gaps == 0 for view in views)


async def _with_cluster(node: WorldNode) -> NodeView | None:
    view = await node.view()
    return view if view.cluster.startswith("v") else None


def _gate(node: WorldNode) -> RunningGate:
    if node.gate is None:
        raise ProcessFailed("has no gate process", subject=node.name)
    return node.gate


def _cause_line(event: EventView) -> str:
    cause = event.data.get("cause") or {}
    said = cause.get("last_log_line") or cause.get("message") or ""
    if LAST_WORDS not in str(said):
        raise StepFailed(f"the cause does not name the last log line: {cause}", subject=event.node)
    return f"{cause.get('code')}, container {cause.get('container')}, exit code {cause.get('exit_code')}: {said}"
