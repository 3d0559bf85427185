"""`gate.sock`: one JSON object a line each way; the gate listens and checks peer credentials.

Requests: `status`, `plan.set`, `plan.show`, `journal.read`. Answers carry the request's `id`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Document, UtcTime
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES

PLAN_IN_FORCE = "in_force"
PLAN_STANDBY = "standby"
"""Accepted, but a plan made at the local console outranks it."""


class GateOperation(StrEnum):
    """What may be asked."""

    STATUS = "status"
    PLAN_SET = "plan.set"
    PLAN_SHOW = "plan.show"
    JOURNAL_READ = "journal.read"


class GateRequest(Document):
    """`params` by operation: plan.set {envelope}; journal.read {after: int, limit: int, wait_s: float}."""

    KIND: ClassVar[str] = "GateRequest"
    MAX_BYTES: ClassVar[int] = MAX_SOCKET_LINE_BYTES

    kind: Literal["GateRequest"] = "GateRequest"
    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    operation: GateOperation
    params: dict[str, Any] = Field(default_factory=dict)


class GateReply(Document):
    """`data` by operation: status -> GateStatus; plan.set/plan.show -> PlanView; journal.read -> JournalPage."""

    KIND: ClassVar[str] = "GateReply"
    MAX_BYTES: ClassVar[int] = MAX_SOCKET_LINE_BYTES

    kind: Literal["GateReply"] = "GateReply"
    id: str
    ok: bool
    code: str = ""
    reason: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class GateReading(Contract):
    """One gate as of the last scan."""

    level_m: float | None = None
    level_age_s: float | None = None
    opening_pct: float | None = None
    flow_m3s: float | None = None
    target: str = ""
    """For people: `upstream_level 2.100 m`."""
    mode: str = "OBSERVE"
    quality: str = "bad"
    moving: bool = False
    alarms: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class GateStatus(Contract):
    """The site as of the last scan."""

    site: str
    scan: int
    scanned_at: UtcTime
    scan_period_s: float
    lateness_p99_ms: float | None = None
    plan_generation: int = 0
    hold: bool = True
    hold_reasons: tuple[str, ...] = ()
    gates: dict[str, GateReading] = Field(default_factory=dict)
    journal_last: int = 0
    capabilities: tuple[str, ...] = ()


class PlanView(Contract):
    """The plan in force or on standby."""

    state: Literal["none", "in_force", "standby"] = "none"
    generation: int = 0
    plan: dict[str, Any] | None = None
    accepted_at: UtcTime | None = None


class JournalKind(StrEnum):
    """What a record is about."""

    STARTED = "started"
    STOPPED = "stopped"
    SAMPLES = "samples"
    COMMANDED = "commanded"
    ALARM_RAISED = "alarm_raised"
    ALARM_RETURNED = "alarm_returned"
    PLAN_ACCEPTED = "plan_accepted"
    PLAN_REFUSED = "plan_refused"
    MODE_CHANGED = "mode_changed"
    RECORDS_LOST = "records_lost"


class JournalRecord(Contract):
    """One journal line. `cursor` counts up by one; the journal's `journal_id` changes when the file is made anew."""

    cursor: Annotated[int, Field(ge=1)]
    at: UtcTime
    monotonic_s: float
    boot_id: str
    kind: JournalKind
    gate: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class JournalPage(Contract):
    """Records after a cursor."""

    journal_id: str
    records: tuple[JournalRecord, ...] = ()
    first: int = 0
    """Oldest cursor that is still kept."""
    last: int = 0
