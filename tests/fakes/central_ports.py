"""The API's two ports to the bus, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from central.model import GatePlanRecord, PlanDelivery
from shared.contracts.command import CommandReply
from shared.errors import MunbonError, Retryable


@dataclass(frozen=True)
class ScriptedOutcome:
    delivery: PlanDelivery
    code: str = ""
    reason: str = ""


@dataclass
class FakeAccess:
    """Counts; with `problem` it is a bus that is away."""

    refreshed: int = 0
    problem: str = ""

    async def refresh_users(self) -> None:
        if self.problem:
            raise Retryable(self.problem)
        self.refreshed += 1


@dataclass
class FakeCourier:
    """Answers what it was told to, and remembers what it was given."""

    outcome: ScriptedOutcome = field(default_factory=lambda: ScriptedOutcome(PlanDelivery.ACCEPTED))
    delivered: list[GatePlanRecord] = field(default_factory=list)
    reply: CommandReply | MunbonError = field(default_factory=lambda: Retryable("pi-1 is offline"))
    carried: list[tuple[str, Mapping[str, Any], str]] = field(default_factory=list)

    async def deliver(self, plan: GatePlanRecord, timeout_s: float) -> ScriptedOutcome:
        self.delivered.append(plan)
        return self.outcome

    async def run_command(self, node: str, envelope: Mapping[str, Any], *, actor: str, timeout_s: float) -> CommandReply:
        self.carried.append((node, envelope, actor))
        if isinstance(self.reply, MunbonError):
            raise self.reply
        return self.reply
