"""The loops that publish and take in, made in one place."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from central.api.dependencies import PlanCourier, PlanOutcome
from central.bus.keeper import BusKeeper
from central.ingest.consumer import IngestLoop
from central.ingest.heartbeats import HeartbeatLoop
from central.model import GatePlanRecord
from central.publish.commands import deliver_plan, send_command
from central.publish.desired_loop import DesiredLoop
from central.publish.gate_plans import GatePlanLoop
from central.publish.rollout_loop import RolloutLoop
from central.store.database import Database
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.contracts.command import VERB_GATE_COMMAND_RUN, CommandReply
from shared.contracts.envelope import TrustRoot
from shared.signing.keys import Signer


@dataclass(frozen=True)
class Courier:
    """Carries gate plans and gate commands for the API."""

    bus: BusKeeper
    signer: Signer
    clock: Clock

    async def deliver(self, plan: GatePlanRecord, timeout_s: float) -> PlanOutcome:
        """One try, and its answer."""
        return await deliver_plan(self.bus, self.signer, plan, clock=self.clock, timeout_s=timeout_s)

    async def run_command(self, node: str, envelope: Mapping[str, Any], *, actor: str, timeout_s: float) -> CommandReply:
        """The gate's answer; see `send_command` for what can fail."""
        payload = {"envelope": dict(envelope)}
        return await send_command(
            self.bus, self.signer, node, VERB_GATE_COMMAND_RUN, payload, actor=actor, timeout_s=timeout_s, clock=self.clock
        )


@dataclass(frozen=True)
class Loops:
    """Every loop beside the API, and the API's way to a node."""

    courier: PlanCourier
    desired: DesiredLoop
    rollouts: RolloutLoop
    gate_plans: GatePlanLoop
    ingest: IngestLoop
    heartbeats: HeartbeatLoop

    @classmethod
    def make(cls, database: Database, feed: ChangeFeed, bus: BusKeeper, signer: Signer, trust: TrustRoot, clock: Clock) -> Loops:
        """Nothing runs yet."""
        desired = DesiredLoop(database, feed, bus, signer, trust, clock)
        return cls(
            courier=Courier(bus, signer, clock),
            desired=desired,
            rollouts=RolloutLoop(database, feed, clock),
            gate_plans=GatePlanLoop(database, feed, bus, signer, clock),
            ingest=IngestLoop(database, feed, bus, clock),
            heartbeats=HeartbeatLoop(database, feed, bus, clock, on_behind=desired.request_republish),
        )

    def runs(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """One coroutine a loop, with its name; none of them returns."""
        return [
            ("desired", self.desired.run()),
            ("rollouts", self.rollouts.run()),
            ("gate plans", self.gate_plans.run()),
            ("ingest", self.ingest.run()),
            ("heartbeats", self.heartbeats.run()),
        ]
