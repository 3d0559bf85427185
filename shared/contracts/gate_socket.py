"""`gate.sock`: one JSON object a line each way; the gate listens and checks peer credentials.

What is signed (`plan.set`, `command.run`) any allowed user may carry: the gate verifies it. `act` and `plan.set.local` are asked
by people at the site, who need a role for them. Answers carry the request's `id`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Document, GateId, UtcTime
from shared.contracts.limits import MAX_SOCKET_LINE_BYTES

PLAN_IN_FORCE: Final = "in_force"
PLAN_STANDBY: Final = "standby"
"""Accepted, but a plan made at the local console outranks it."""


class GateOperation(StrEnum):
    """What may be asked."""

    STATUS = "status"
    PLAN_SET = "plan.set"
    PLAN_SHOW = "plan.show"
    JOURNAL_READ = "journal.read"
    COMMAND_RUN = "command.run"
    ACT = "act"
    PLAN_SET_LOCAL = "plan.set.local"


class SiteVerb(StrEnum):
    """What only people at the site may ask of a gate."""

    TAG = "tag"
    TAG_CLEAR = "tag_clear"
    """First step of taking a tag off: gives a code."""
    TAG_CONFIRM = "tag_confirm"
    """Second step: gives the code back."""
    OWNER_CLAIM = "owner_claim"
    """The console has the command of the gate; central's commands are refused."""
    OWNER_RELEASE = "owner_release"
    COMMISSION = "commission"
    ARM = "arm"
    """The gate may act: after it was set up, or after its state was lost."""


class SiteAction(Contract):
    """`note`: why, of a tag; `holder`: whose tag, may be left out where there is one; `code`: of the second step."""

    gate: GateId
    verb: SiteVerb
    note: Annotated[str, StringConstraints(max_length=500)] = ""
    holder: Annotated[str, StringConstraints(max_length=200)] = ""
    code: Annotated[str, StringConstraints(max_length=32)] = ""


class GateRequest(Document):
    """`params` by operation.

    plan.set and command.run {envelope}; journal.read {after: int, limit: int, wait_s: float}; act {gate, verb, params, note}: a
    GateAction, or {gate, verb, note, holder, code}: a SiteAction; plan.set.local {plan: a GatePlan, unsigned}. `id` is the
    identity of an act: the same id is carried out once.
    """

    KIND: ClassVar[str] = "GateRequest"
    MAX_BYTES: ClassVar[int] = MAX_SOCKET_LINE_BYTES

    kind: Literal["GateRequest"] = "GateRequest"
    id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    operation: GateOperation
    params: dict[str, Any] = Field(default_factory=dict)


class GateReply(Document):
    """`data` by operation.

    status: GateStatus; plan.*: PlanView; journal.read: JournalPage; command.run and act: CommandView, also where `ok` is false
    because the gate refused.
    """

    KIND: ClassVar[str] = "GateReply"
    MAX_BYTES: ClassVar[int] = MAX_SOCKET_LINE_BYTES

    kind: Literal["GateReply"] = "GateReply"
    id: str
    ok: bool
    code: str = ""
    reason: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class AlarmView(Contract):
    """One row of the alarm table (after ISA-18.2)."""

    key: str
    """`<gate, pool or site>/<name>`."""
    gate: str = ""
    name: str
    state: str
    """`unacknowledged`, `acknowledged`, `returned` (and not acknowledged yet) or `shelved`."""
    priority: str = "medium"
    reason: str = ""
    raised_at: UtcTime | None = None
    acknowledged_by: str = ""
    shelved_until: UtcTime | None = None
    is_first: bool = False
    """The first of its burst: the others may be its consequences."""


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
    selector: str = ""
    """The hard switch as read: `remote`, `local` or `unwired`."""
    control: str = ""
    """`auto` or `manual`."""
    in_service: bool = True
    health: str = ""
    owner: str = ""
    """Whose commands count: `console` or `central`."""
    commissioned: bool = True
    trip: str = ""
    """Why the gate takes no more commands until an operator resets it."""
    tagout: str = ""
    """Who tagged it out, since when, and why."""
    manual_until_s: float | None = None
    """Seconds that a manual motion command still has."""


class GateStatus(Contract):
    """The site as of the last scan."""

    site: str
    scan: int
    scanned_at: UtcTime
    scan_period_s: float
    lateness_p99_ms: float | None = None
    plan_generation: int = 0
    """Of the newest plan of central that was accepted; 0 for none."""
    local_plan: bool = False
    """A plan made at the site is in force: central's stands by."""
    hold: bool = True
    hold_reasons: tuple[str, ...] = ()
    gates: dict[str, GateReading] = Field(default_factory=dict)
    journal_last: int = 0
    capabilities: tuple[str, ...] = ()
    alarm_table: tuple[AlarmView, ...] = ()


class PlanView(Contract):
    """The plan in force or on standby."""

    state: Literal["none", "in_force", "standby"] = "none"
    generation: int = 0
    plan: dict[str, Any] | None = None
    accepted_at: UtcTime | None = None
    local: dict[str, Any] | None = None
    """The plan made at the site, while there is one: it outranks the other until a person releases it."""


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
    COMMAND_ACCEPTED = "command_accepted"
    COMMAND_REFUSED = "command_refused"
    ORDER = "order"
    """What became of a delivery order: begun, missed, estimated, ended, short."""
    ACTUATOR_CHECKED = "actuator_checked"
    """What an actuator does when communication is lost: what was set in it, what is wrong, what cannot be read back."""


class JournalRecord(Contract):
    """One journal line. `cursor` counts up by one; the journal's `journal_id` changes when the file is made anew."""

    cursor: Annotated[int, Field(ge=1)]
    at: UtcTime
    monotonic_s: float
    boot_id: str
    kind: Annotated[JournalKind | str, Field(union_mode="left_to_right")]
    """Text where the gate process is newer than its reader: the record is carried all the same."""
    gate: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class JournalPage(Contract):
    """Records after a cursor."""

    journal_id: str
    records: tuple[JournalRecord, ...] = ()
    first: int = 0
    """Oldest cursor that is still kept."""
    last: int = 0
