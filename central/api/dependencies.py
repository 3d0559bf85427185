"""What the API needs from outside, handed in once by `central.main`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol, cast

from fastapi import Depends, Path, Query, Request

from central.model import GatePlanRecord, PlanDelivery
from central.store.database import Database
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.contracts.command import CommandReply
from shared.contracts.envelope import TrustRoot


class NodeAccess(Protocol):
    """Who may connect to the bus."""

    async def refresh_users(self) -> None:
        """Let the bus know every node that the store knows, and no other. A repeat is safe.

        Raises:
            Retryable: the bus cannot be told now; its keeper does it when it can.
        """
        ...


class PlanOutcome(Protocol):
    """What became of one try to deliver a plan."""

    @property
    def delivery(self) -> PlanDelivery:
        """Accepted, refused, or still pending."""
        ...

    @property
    def code(self) -> str:
        """Stable word, where it was not accepted."""
        ...

    @property
    def reason(self) -> str:
        """For people."""
        ...


class PlanCourier(Protocol):
    """Carries gate plans and gate commands to their node."""

    async def deliver(self, plan: GatePlanRecord, timeout_s: float) -> PlanOutcome:
        """One try, and its answer; a node that is offline leaves it pending, as does a bus that is away."""
        ...

    async def run_command(self, node: str, envelope: Mapping[str, Any], *, actor: str, timeout_s: float) -> CommandReply:
        """The answer of the node's gate process to a signed gate command. A repeat is safe: the gate carries out an id once.

        Raises:
            Retryable: the node is offline, or gave no answer.
        """
        ...


@dataclass(frozen=True)
class Check:
    """One thing that must hold before central can work."""

    name: str
    ready: bool
    message: str = ""


@dataclass(frozen=True)
class ApiDependencies:
    """Everything that the API stands on."""

    database: Database
    feed: ChangeFeed
    clock: Clock
    trust_root: TrustRoot
    access: NodeAccess
    courier: PlanCourier
    fleet: str
    version: str
    nats_url: str
    """What a node is told to connect to."""
    new_id: Callable[[], str]
    """Random ids of rollouts and requests."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: streams end."""
    checks: Callable[[], tuple[Check, ...]] = tuple
    """Of the other parts, for `/readyz`."""


def get_dependencies(request: Request) -> ApiDependencies:
    """The one instance of this app."""
    return cast("ApiDependencies", request.app.state.dependencies)


def get_actor(request: Request) -> str:
    """Name of the token that the request came with; the guard has checked it."""
    return cast("str", request.scope["munbon.actor"])


MAX_CURSOR = 2**63 - 1
Cursor = Annotated[int, Query(ge=0, le=MAX_CURSOR, description="Only what came after this one.")]
RolloutId = Annotated[str, Path(pattern=r"^[0-9A-Za-z-]{1,64}$")]
Deps = Annotated[ApiDependencies, Depends(get_dependencies)]
Actor = Annotated[str, Depends(get_actor)]
