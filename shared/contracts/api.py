"""Models of central's operator API (HTTP, JSON). Requests forbid unknown fields, so a typo is an error; views allow growth."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from shared.contracts.base import AppName, Contract, Digest, NodeId, SemVer, UtcTime
from shared.contracts.event import Cause
from shared.contracts.gate_socket import AlarmView
from shared.contracts.status import AppPhase, GateSummary

API_PREFIX = "/v1"
LabelValue = Annotated[str, StringConstraints(pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$", max_length=63)]
_LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
LabelKey = Annotated[str, StringConstraints(pattern=_LABEL_KEY, max_length=317)]


class Request(Contract):
    """A request body."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProblemView(Contract):
    """Every error answer. `code` is stable; `remedy` says what to do."""

    code: str
    message: str
    remedy: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class ReleasePublish(Request):
    """POST /v1/releases, after PUT /v1/blobs/{blob_digest}; publishing the same content again is no error."""

    envelope: dict[str, Any]


class ReleaseView(Contract):
    """One published release."""

    app: str
    version: str
    release_digest: Digest
    envelope_digest: Digest
    content_digest: Digest
    blob_digest: Digest
    blob_size_bytes: int
    objects_count: int
    images: tuple[str, ...] = ()
    namespace: str = ""
    signed_by: tuple[str, ...] = ()
    published_at: UtcTime
    published_by: str
    nodes_ready: int = 0
    nodes_failed: int = 0
    release: dict[str, Any] | None = None
    """The signed document, on `show`."""


class RolloutStart(Request):
    """POST /v1/rollouts."""

    app: AppName
    version: SemVer
    selector: Annotated[str, StringConstraints(max_length=1_000)] = ""
    """As kubectl's `-l`; empty selects all nodes."""
    settings: dict[str, str] = Field(default_factory=dict)
    reason: Annotated[str, StringConstraints(max_length=1_000)] = ""


class RolloutPhase(StrEnum):
    """Where a rollout stands."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUPERSEDED = "Superseded"


class RolloutNodeView(Contract):
    """One node of a rollout."""

    node: str
    phase: str
    """The node's own word; `Pending` until it says one."""
    outcome: str = ""
    """What the rollout makes of it: `progressing`, `ready`, `failed`, `unreachable` or `paused`."""
    reachable: bool
    version: str = ""
    """What runs there now."""
    cause: Cause | None = None
    message: str = ""
    since: UtcTime | None = None


class RolloutView(Contract):
    """One rollout with its counts."""

    rollout_id: str
    app: str
    version: str
    previous_version: str = ""
    selector: str
    kind: str = "rollout"
    """`rollout` or `rollback`."""
    phase: RolloutPhase
    reason: str = ""
    started_at: UtcTime
    started_by: str
    finished_at: UtcTime | None = None
    total: int = 0
    ready: int = 0
    failed: int = 0
    progressing: int = 0
    unreachable: int = 0
    paused: int = 0
    message: str = ""
    nodes: tuple[RolloutNodeView, ...] = ()
    also_started: tuple[str, ...] = ()
    """Ids of further rollouts that the same request started (a rollback of several assignments)."""


class AppChange(Request):
    """POST /v1/apps/{app}/pause|resume|remove."""

    selector: str | None = None
    """None: every assignment of the app."""
    reason: str = ""


class AppRollback(Request):
    """POST /v1/apps/{app}/rollback: to the last verified release before the current one, or `to`."""

    to: SemVer | None = None
    selector: str | None = None
    reason: str = ""


class AssignmentView(Contract):
    """What stands: nodes that match `selector` get `version`."""

    app: str
    selector: str
    state: str
    version: str = ""
    previous_version: str = ""
    attempt: int = 1
    settings: dict[str, str] = Field(default_factory=dict)
    moved_at: UtcTime
    moved_by: str
    nodes: int = 0
    """How many the selector matches now."""
    paused_selectors: tuple[str, ...] = ()
    """Pauses that lie over the app; the empty selector is all nodes."""


class NodeAdd(Request):
    """POST /v1/nodes."""

    node: NodeId
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)


class NodeLabels(Request):
    """PATCH /v1/nodes/{node}/labels: a value sets, null removes."""

    labels: dict[LabelKey, LabelValue | None]


class NodeEnrolment(Contract):
    """Answer to NodeAdd: everything a node needs, shown once."""

    node: str
    nats_url: str
    nats_user: str
    nats_password: str
    trust_root: dict[str, Any]
    labels: dict[str, str] = Field(default_factory=dict)
    replaced: bool = False


class Presence(StrEnum):
    """Whether a node could answer now."""

    NEVER_SEEN = "NeverSeen"
    ONLINE = "Online"
    OFFLINE = "Offline"


class NodeAppView(Contract):
    """One app on one node."""

    app: str
    phase: AppPhase | str
    desired_version: str = ""
    running_version: str = ""
    last_good_version: str = ""
    cause: Cause | None = None
    message: str = ""
    since: UtcTime | None = None


class NodeView(Contract):
    """One node."""

    node: str
    labels: dict[str, str] = Field(default_factory=dict)
    presence: Presence
    last_seen: UtcTime | None = None
    added_at: UtcTime
    agent_version: str = ""
    cluster: str = ""
    desired_generation: int = 0
    """Newest that central issued."""
    accepted_generation: int = 0
    """Newest that the node reported."""
    pinned: bool = False
    """Held at what the node had, after central was restored from an older copy."""
    apps: tuple[NodeAppView, ...] = ()
    outbox_rows: int = 0
    sequence_gaps: int = 0
    messages: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()


class EventView(Contract):
    """One stored event."""

    cursor: int
    node: str
    id: str
    type: str
    subject: str = ""
    time: UtcTime
    received_at: UtcTime
    sequence: int
    outboxid: str
    rollout_id: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class GateView(Contract):
    """One gate of the fleet."""

    site: str
    gate: str
    node: str
    presence: Presence
    summary: GateSummary
    plan_generation: int = 0
    """Of the newest plan of central that the gate process accepted: in force, unless `local_plan`."""
    local_plan: bool = False
    """A plan made at the site is in force: central's stands by."""
    reachable: bool = False
    """Whether the node's agent reached the gate process."""
    hold: bool = False
    hold_reasons: tuple[str, ...] = ()


class GateSampleView(Contract):
    """One recorded sample."""

    at: UtcTime
    gate: str
    level_m: float | None = None
    opening_pct: float | None = None
    flow_m3s: float | None = None
    quality: str = ""


class GatePlanSet(Request):
    """PUT /v1/gates/{site}/plan: a signed GatePlan."""

    envelope: dict[str, Any]


class GatePlanInForce(Contract):
    """What the gate process of a site obeys, as its node reported it last."""

    generation: int = 0
    """Of the newest plan of central that it accepted; 0 for none."""
    local: bool = False
    """A plan made at the site outranks it until a person releases that one."""
    reported_at: UtcTime
    reachable: bool = False
    """Whether the gate process answered then."""
    set_at: UtcTime | None = None
    set_by: str = ""
    plan: dict[str, Any] | None = None
    """None where central does not have that plan."""


class GatePlanView(Contract):
    """The newest plan that was sent to a site, and what became of it; where that was refused, the one before is in force."""

    site: str
    node: str
    generation: int
    delivery: str
    """`accepted`, `refused` or `pending` (node offline: delivered when it is back)."""
    code: str = ""
    reason: str = ""
    set_at: UtcTime
    set_by: str
    plan: dict[str, Any] | None = None
    in_force: GatePlanInForce | None = None
    """None where no node has reported the site."""


class GateCommandSend(Request):
    """POST /v1/gates/{site}/commands: a signed GateCommand. It is for now: where the node is offline it is not kept."""

    envelope: dict[str, Any]


class GateAlarmView(AlarmView):
    """One alarm of the fleet, as its node reported it last."""

    site: str
    node: str


class FleetStatus(Contract):
    """GET /v1/status."""

    at: UtcTime
    central_version: str
    nodes_total: int = 0
    nodes_online: int = 0
    events_stored: int = 0
    events_quarantined: int = 0
    sequence_gaps: int = 0
    restored: bool = False
    """Central runs from an older database copy: nodes are pinned until an operator moves the app."""
    assignments: tuple[AssignmentView, ...] = ()
    rollouts: tuple[RolloutView, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    gates: tuple[GateView, ...] = ()
    messages: tuple[str, ...] = ()


class AuditView(Contract):
    """One line of the hash-chained audit."""

    number: int
    at: UtcTime
    actor: str
    action: str
    target: str
    details: dict[str, Any] = Field(default_factory=dict)
    digest: Digest


class BlobView(Contract):
    """PUT /v1/blobs/{digest}."""

    digest: Digest
    size_bytes: int
    created: bool
    """False: it was there already."""


class CheckView(Contract):
    """One thing that must hold before central can work."""

    name: str
    ready: bool
    message: str = ""


class HealthView(Contract):
    """GET /livez and /readyz."""

    status: str
    checks: tuple[CheckView, ...] = ()


class WhoAmI(Contract):
    """GET /v1/whoami."""

    actor: str
    central_version: str
    fleet: str = ""
    trust_root: dict[str, Any] = Field(default_factory=dict)
