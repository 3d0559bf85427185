"""The picture of the node: what status and heartbeat tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge_agent.receive.inbox import DESIRED_FEATURES
from edge_agent.receive.releases import RELEASE_FEATURES
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.status import AppStatus, ClusterSummary, Heartbeat, NodeStatus, SiteSummary

CAPABILITIES = tuple(sorted({"release/1", "desired/1", *(f"release:{name}" for name in RELEASE_FEATURES | DESIRED_FEATURES)}))
MESSAGES_MAX = 20


@dataclass(frozen=True)
class ViewParts:
    """Where the picture comes from."""

    store: StateStore
    clock: Clock
    node: str
    agent_version: str
    heartbeat_s: float
    apps: Callable[[], Mapping[str, AppStatus]]
    cluster: Callable[[], ClusterSummary]
    site: Callable[[], SiteSummary | None]
    problems: Callable[[], list[str]]


class NodeView:
    """Makes statuses and heartbeats of this moment."""

    def __init__(self, parts: ViewParts) -> None:
        self._parts = parts
        self._revision = 0

    def status(self, *, revision: int | None = None) -> NodeStatus:
        """The newest picture, with a revision of its own unless one is given (0 stands for one that is not sent).

        Raises:
            DiskFull, StoreUnavailable: no revision can be had.
        """
        parts = self._parts
        number = parts.store.next_revision() if revision is None else max(1, revision)
        if revision is None:
            self._revision = number
        epoch, generation = parts.store.desired.order
        return NodeStatus(
            node=parts.node,
            outboxid=parts.store.outbox.outbox_id,
            revision=number,
            at=parts.clock.wall(),
            boot_id=parts.clock.boot_id(),
            agent_version=parts.agent_version,
            desired_epoch=epoch,
            desired_generation=generation,
            apps=dict(parts.apps()),
            cluster=parts.cluster(),
            site=parts.site(),
            capabilities=CAPABILITIES,
            clock_synchronised=parts.clock.is_synchronised(),
            outbox_rows=parts.store.outbox.count(),
            paused_locally=parts.store.is_paused,
            messages=tuple(message[:500] for message in parts.problems()[:MESSAGES_MAX]),
        )

    def heartbeat(self) -> Heartbeat:
        """I am here."""
        parts = self._parts
        epoch, generation = parts.store.desired.order
        site = parts.site()
        return Heartbeat(
            node=parts.node,
            at=parts.clock.wall(),
            boot_id=parts.clock.boot_id(),
            uptime_s=parts.clock.monotonic_s(),
            desired_epoch=epoch,
            desired_generation=generation,
            status_revision=self._revision,
            outbox_rows=parts.store.outbox.count(),
            plan_generation=site.plan_generation if site is not None else 0,
            interval_s=parts.heartbeat_s,
        )
