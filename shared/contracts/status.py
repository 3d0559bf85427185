"""NodeStatus: the newest picture only, coalesced. Heartbeat: I am here."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.contracts.base import AppName, Contract, Digest, Document, GateId, NodeId, SchemaVersion, UtcTime
from shared.contracts.desired import AppDesired
from shared.contracts.event import Cause
from shared.contracts.gate_socket import AlarmView

MAX_ALARMS = 100


class AppPhase(StrEnum):
    """Where an app stands on a node."""

    PENDING = "Pending"
    FETCHING = "Fetching"
    HELD = "Held"
    APPLYING = "Applying"
    PROGRESSING = "Progressing"
    READY = "Ready"
    DEGRADED = "Degraded"
    """Was ready, is not healthy now; nothing new was applied."""
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    """The desired release is known bad; last good serves."""
    FAILED = "Failed"
    """Bad, and nothing to go back to (or going back failed); kept as it is."""
    REFUSED = "Refused"
    UNSUPPORTED = "Unsupported"
    PAUSED = "Paused"
    REMOVING = "Removing"
    REMOVED = "Removed"
    ORPHANED = "Orphaned"


class AppStatus(Contract):
    """One app as the node sees it."""

    phase: AppPhase
    desired: AppDesired | None = None
    """As accepted: lets a restored central learn what it had said."""
    running_digest: Digest | None = None
    running_version: str = ""
    last_good_digest: Digest | None = None
    last_good_version: str = ""
    cause: Cause | None = None
    message: str = ""
    since: UtcTime
    objects_count: int = 0


class GateSummary(Contract):
    """One gate at a glance."""

    level_m: float | None = None
    opening_pct: float | None = None
    flow_m3s: float | None = None
    setpoint: str = ""
    mode: str = ""
    quality: str = ""
    alarms: tuple[str, ...] = ()
    control: str = ""
    """`auto` or `manual`."""
    owner: str = ""
    """Whose commands count: `console` or `central`."""
    in_service: bool = True
    trip: str = ""
    tagout: str = ""
    sampled_at: UtcTime | None = None


class SiteSummary(Contract):
    """The gate process as the agent last saw it."""

    site: str = ""
    reachable: bool = False
    plan_generation: int = 0
    """Of the newest plan of central that the gate process accepted."""
    local_plan: bool = False
    """A plan made at the site is in force: central's stands by."""
    hold: bool = False
    hold_reasons: tuple[str, ...] = ()
    gates: dict[GateId, GateSummary] = Field(default_factory=dict)
    alarms: tuple[AlarmView, ...] = ()
    """The site's alarm table, the most urgent first; at most MAX_ALARMS."""


class ClusterSummary(Contract):
    """The local K3s."""

    reachable: bool = False
    version: str = ""
    uid: str = ""
    """UID of the namespace kube-system: changes when K3s is reinstalled."""
    message: str = ""


class NodeStatus(Document):
    """Newest picture of a node; `revision` counts up, also over restarts (per `outboxid`)."""

    KIND: ClassVar[str] = "NodeStatus"

    kind: Literal["NodeStatus"] = "NodeStatus"
    schema_version: SchemaVersion = "1.1"
    """1.1: the gates' modes and the site's alarm table."""
    node: NodeId
    outboxid: str
    revision: Annotated[int, Field(ge=1)]
    at: UtcTime
    boot_id: str
    agent_version: str
    desired_epoch: int = 0
    desired_generation: int = 0
    apps: dict[AppName, AppStatus] = Field(default_factory=dict)
    cluster: ClusterSummary = ClusterSummary()
    site: SiteSummary | None = None
    capabilities: tuple[str, ...] = ()
    clock_synchronised: bool = True
    outbox_rows: int = 0
    paused_locally: bool = False
    messages: tuple[str, ...] = ()
    extra: dict[str, Any] = Field(default_factory=dict)


class Heartbeat(Document):
    """Small and lossy; carries just enough to notice what central should re-send or the node should re-read."""

    KIND: ClassVar[str] = "Heartbeat"
    MAX_BYTES: ClassVar[int] = 4096

    kind: Literal["Heartbeat"] = "Heartbeat"
    node: NodeId
    at: UtcTime
    boot_id: str
    uptime_s: float
    desired_epoch: int = 0
    desired_generation: int = 0
    status_revision: int = 0
    outbox_rows: int = 0
    plan_generation: int = 0
    interval_s: float = 30.0
