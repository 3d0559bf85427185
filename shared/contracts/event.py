"""Event: CloudEvents 1.0 JSON with a gap-free sequence per (source, outboxid)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import AppName, Contract, Digest, NodeId, UtcTime
from shared.contracts.limits import MAX_EVENT_BYTES

TYPE_PREFIX = "io.munbon."


class EventType(StrEnum):
    """Past tense: what happened on a node. The wire type is `io.munbon.<value>.v1`."""

    AGENT_STARTED = "AgentStarted"
    STATE_REBUILT = "StateRebuilt"
    DESIRED_ACCEPTED = "DesiredAccepted"
    DESIRED_REFUSED = "DesiredRefused"
    RELEASE_VERIFIED = "ReleaseVerified"
    RELEASE_REFUSED = "ReleaseRefused"
    RELEASE_HELD = "ReleaseHeld"
    RELEASE_APPLIED = "ReleaseApplied"
    RELEASE_READY = "ReleaseReady"
    RELEASE_FAILED = "ReleaseFailed"
    RELEASE_ROLLED_BACK = "ReleaseRolledBack"
    ROLLBACK_FAILED = "RollbackFailed"
    APP_REMOVED = "AppRemoved"
    APP_ORPHANED = "AppOrphaned"
    APP_PAUSED = "AppPaused"
    DRIFT_CORRECTED = "DriftCorrected"
    OBJECTS_PRUNED = "ObjectsPruned"
    CLUSTER_CHANGED = "ClusterChanged"
    GATE_SAMPLES_RECORDED = "GateSamplesRecorded"
    GATE_ALARM_RAISED = "GateAlarmRaised"
    GATE_ALARM_RETURNED = "GateAlarmReturned"
    GATE_PLAN_ACCEPTED = "GatePlanAccepted"
    GATE_PLAN_REFUSED = "GatePlanRefused"
    GATE_MODE_CHANGED = "GateModeChanged"
    GATE_COMMAND_ACCEPTED = "GateCommandAccepted"
    GATE_COMMAND_REFUSED = "GateCommandRefused"
    GATE_JOURNALED = "GateJournaled"
    EVENTS_THINNED = "EventsThinned"


_BY_NAME = {item.value: item for item in EventType}


def wire_type(event_type: EventType, major: int = 1) -> str:
    """CloudEvents `type`."""
    return f"{TYPE_PREFIX}{event_type.value}.v{major}"


def subject_kind(event_type: EventType) -> str:
    """Last part of the NATS subject: `gate`, `release` or `agent`; a coarse filter only."""
    if event_type.value.startswith("Gate"):
        return "gate"
    if event_type in (EventType.AGENT_STARTED, EventType.STATE_REBUILT, EventType.EVENTS_THINNED, EventType.CLUSTER_CHANGED):
        return "agent"
    return "release"


class ObjectRef(Contract):
    """A Kubernetes object by group, kind, namespace and name (never by version)."""

    group: str = ""
    kind: str
    namespace: str = ""
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


class Cause(Contract):
    """Why something is not good, named so that nobody has to log in to the node."""

    code: Annotated[str, StringConstraints(max_length=64)]
    """Stable word: `CrashLoopBackOff`, `ImagePullBackOff`, `OOMKilled`, `DeadlineExceeded`, `ApplyConflict`, ..."""
    message: Annotated[str, StringConstraints(max_length=2_000)] = ""
    object: ObjectRef | None = None
    pod: str = ""
    container: str = ""
    exit_code: int | None = None
    last_log_line: Annotated[str, StringConstraints(max_length=1_000)] = ""
    blames: Literal["release", "world", "unknown"] = "release"
    """Whether the release is bad or the world is (no registry, no disk, no uplink)."""


class Event(Contract):
    """One CloudEvent. `id` is random, or made of what may be told again; `sequence` counts up by one per (source, outboxid)."""

    MAX_BYTES: ClassVar[int] = MAX_EVENT_BYTES

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, StringConstraints(min_length=16, max_length=64)]
    source: NodeId
    type: Annotated[str, StringConstraints(pattern=r"^io\.munbon\.[A-Za-z]{1,64}\.v\d{1,4}$")]
    subject: Annotated[str, StringConstraints(max_length=256)] = ""
    """What it is about: an app or a gate."""
    time: UtcTime
    datacontenttype: Literal["application/json"] = "application/json"
    outboxid: Annotated[str, StringConstraints(min_length=8, max_length=64)]
    sequence: Annotated[int, Field(ge=1)]
    monotonictime: float
    """Seconds since boot `bootid`."""
    bootid: str
    traceparent: str = ""
    rolloutid: str = ""
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def event_type(self) -> EventType | None:
        """The known type, or None for one of a newer version."""
        name = self.type.removeprefix(TYPE_PREFIX).rsplit(".v", 1)[0]
        return _BY_NAME.get(name)


class ReleaseEventData(Contract):
    """`data` of every `Release*`, `App*`, `Rollback*`, `Drift*` and `Objects*` event."""

    app: AppName
    version: str = ""
    release_digest: Digest | None = None
    attempt: int = 1
    last_good_version: str = ""
    last_good_digest: Digest | None = None
    objects: tuple[ObjectRef, ...] = ()
    objects_count: int = 0
    cause: Cause | None = None
    duration_s: float | None = None
    """From the start of what the event names until now (apply to ready, failure to last good serving)."""


class ThinnedData(Contract):
    """`data` of `EventsThinned`: a counted range that was dropped to keep the outbox within its bound."""

    first_sequence: int
    last_sequence: int
    count: int
    types: dict[str, int] = Field(default_factory=dict)
