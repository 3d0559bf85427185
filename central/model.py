"""Central's nouns: frozen records that the store keeps and the pure cores decide on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from shared.contracts.api import RolloutPhase
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.event import Cause, Event
from shared.contracts.gate_plan import GatePlan
from shared.contracts.release import Release, ReleaseRef
from shared.contracts.status import NodeStatus
from shared.errors import Permanent

Order = tuple[int, int]
"""(epoch, generation) of a Desired, compared as a pair."""
NO_ORDER: Order = (0, 0)
DEFAULT_HEARTBEAT_S = 30.0


class NotFound(Permanent):
    """There is no such thing; nothing was changed."""

    exit_code = 4
    code = "NotFound"


class Conflict(Permanent):
    """It does not fit what stands; nothing was changed."""

    exit_code = 3
    code = "Conflict"


class Immutable(Conflict):
    """A published version is never changed."""

    code = "Immutable"


@dataclass(frozen=True)
class NodeRecord:
    """A node that may connect. `last_seen` is None until its first heartbeat or report."""

    node: str
    labels: Mapping[str, str]
    added_at: datetime
    added_by: str
    password_hash: str = field(repr=False)
    last_seen: datetime | None = None
    heartbeat_interval_s: float = DEFAULT_HEARTBEAT_S
    boot_id: str = ""
    outbox_rows: int | None = None
    """Events that waited on the node at its last heartbeat; None where it did not say."""


@dataclass(frozen=True)
class PresenceMark:
    """A sign of life."""

    node: str
    at: datetime
    """When central received it, by central's clock."""
    boot_id: str = ""
    interval_s: float = DEFAULT_HEARTBEAT_S
    outbox_rows: int | None = None


@dataclass(frozen=True)
class NodeReport:
    """The newest NodeStatus of a node."""

    node: str
    status: NodeStatus
    received_at: datetime

    @property
    def order(self) -> Order:
        """Order of the Desired that the node has accepted."""
        return (self.status.desired_epoch, self.status.desired_generation)


@dataclass(frozen=True)
class ReleaseRecord:
    """A published release. The envelope and the objects are blobs, by their digests."""

    release: Release
    release_digest: str
    envelope_digest: str
    envelope_size_bytes: int
    signed_by: tuple[str, ...]
    published_at: datetime
    published_by: str

    @property
    def app(self) -> str:
        """Name of the app."""
        return self.release.app

    @property
    def version(self) -> str:
        """Version as published."""
        return self.release.version

    def ref(self) -> ReleaseRef:
        """What a Desired says of it."""
        return ReleaseRef(
            app=self.app,
            version=self.version,
            release_digest=self.release_digest,
            envelope_digest=self.envelope_digest,
            envelope_size_bytes=self.envelope_size_bytes,
        )


@dataclass(frozen=True)
class AssignmentRecord:
    """What stands: nodes that match `selector` get the release. `move` counts up over all assignments; the newest wins."""

    app: str
    selector: str
    state: Literal[AppState.PRESENT, AppState.ABSENT]
    release_digest: str | None
    version: str
    previous_version: str
    attempt: int
    settings: Mapping[str, str]
    rollout_id: str
    move: int
    moved_at: datetime
    moved_by: str


@dataclass(frozen=True)
class PauseRecord:
    """Nodes that match `selector` keep what they run of the app, whatever its assignments say."""

    app: str
    selector: str
    paused_at: datetime
    paused_by: str
    reason: str = ""


@dataclass(frozen=True)
class PinRecord:
    """After a restore: what the node had been told stays, until an operator acts on the app. None: the app was not listed."""

    node: str
    app: str
    desired: AppDesired | None
    pinned_at: datetime
    reason: str = ""


@dataclass(frozen=True)
class OperatorAct:
    """An operator's word on an app (rollout, rollback, pause, resume, remove). `selector` None: wherever it is assigned."""

    app: str
    selector: str | None


@dataclass(frozen=True)
class Wave:
    """Nodes that get a rollout at the same time; a rollout has one wave, of all nodes that its selector matches."""

    name: str = "all"
    soak_s: int = 0


class NodeOutcome(StrEnum):
    """What a rollout knows of one node."""

    PROGRESSING = "progressing"
    READY = "ready"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    """Offline without a verdict: neither good nor bad; the standing assignment catches it up."""
    PAUSED = "paused"
    """Reachable, told to keep what it runs: not waited for."""


@dataclass(frozen=True)
class RolloutNodeRecord:
    """One node of a rollout. `phase` is the node's own word (AppPhase), or empty where it has not said any yet."""

    node: str
    outcome: NodeOutcome
    phase: str = ""
    reachable: bool = False
    version: str = ""
    """What runs there now."""
    cause: Cause | None = None
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class RolloutRecord:
    """One move of an assignment, and what came of it."""

    rollout_id: str
    app: str
    version: str
    release_digest: str
    selector: str
    kind: Literal["rollout", "rollback"]
    phase: RolloutPhase
    attempt: int
    settings: Mapping[str, str]
    started_at: datetime
    started_by: str
    previous_version: str = ""
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None
    waves: tuple[Wave, ...] = (Wave(),)
    wave: int = 0
    """Index of the wave that runs."""
    number: int = 0
    """Counts up over all rollouts."""
    nodes: tuple[RolloutNodeRecord, ...] = ()
    """Sorted by name."""


@dataclass(frozen=True)
class IssuedDesired:
    """The newest Desired that central signed for a node. `kv_revision` is None until the bus took it."""

    node: str
    epoch: int
    generation: int
    apps: Mapping[str, AppDesired]
    envelope: bytes = field(repr=False)
    issued_at: datetime
    kv_revision: int | None = None

    @property
    def order(self) -> Order:
        """(epoch, generation)."""
        return (self.epoch, self.generation)


@dataclass(frozen=True)
class StoredEvent:
    """An event with its place in central's order of arrival."""

    cursor: int
    node: str
    event: Event
    received_at: datetime


@dataclass(frozen=True)
class QuarantinedMessage:
    """A message that could not be read; kept as it came."""

    number: int
    subject: str
    body: bytes = field(repr=False)
    reason: str
    received_at: datetime


@dataclass(frozen=True)
class SequenceState:
    """What arrived of one outbox. `missing` falls again when late events come in."""

    node: str
    outboxid: str
    highest: int
    received: int
    thinned: int
    """Dropped by the node itself, and said so."""

    @property
    def missing(self) -> int:
        """Sequence numbers below the highest that neither arrived nor were thinned."""
        return max(0, self.highest - self.received - self.thinned)


class PlanDelivery(StrEnum):
    """What became of a gate plan."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True)
class GatePlanRecord:
    """A gate plan that central carries; signed by a person's key, never by central's."""

    site: str
    node: str
    plan: GatePlan
    plan_digest: str
    envelope: bytes = field(repr=False)
    set_at: datetime
    set_by: str
    delivery: PlanDelivery = PlanDelivery.PENDING
    code: str = ""
    reason: str = ""
    delivered_at: datetime | None = None

    @property
    def generation(self) -> int:
        """The plan's own generation."""
        return self.plan.generation


@dataclass(frozen=True)
class GateSample:
    """One recorded sample of a gate."""

    node: str
    site: str
    gate: str
    at: datetime
    level_m: float | None = None
    opening_pct: float | None = None
    flow_m3s: float | None = None
    quality: str = ""
    cursor: int = 0
    """Central's order of arrival; 0 before it is stored."""


@dataclass(frozen=True)
class AuditRecord:
    """One line of the audit; `digest` is SHA-256 over the RFC 8785 JSON of the line and the digest before it."""

    number: int
    at: datetime
    actor: str
    action: str
    target: str
    details: Mapping[str, Any]
    previous_digest: str
    digest: str


@dataclass(frozen=True)
class AuditVerdict:
    """Whether the chain of the audit holds."""

    intact: bool
    lines: int
    first_bad: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class TokenRecord:
    """A named token; only its SHA-256 is kept. The name is the actor in the audit."""

    name: str
    token_digest: str = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True)
class FleetMeta:
    """What central knows of itself."""

    instance_id: str
    fleet: str
    epoch: int
    restored_at: datetime | None = None
    """When central noticed that it runs from an older copy of its database; None: it does not."""


@dataclass(frozen=True)
class ReleaseCounts:
    """On how many nodes a release was ever Ready, and on how many it failed."""

    nodes_ready: int = 0
    nodes_failed: int = 0
