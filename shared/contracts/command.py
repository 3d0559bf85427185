"""Command: ask now, answer now. Signed by central, names its node, carries a nonce and an expiry."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Document, NodeId, UtcTime
from shared.contracts.limits import MAX_ENVELOPE_BYTES

VERB_PING = "ping"
VERB_GATE_PLAN_SET = "gate.plan.set"
VERB_GATE_PLAN_SHOW = "gate.plan.show"
VERB_GATE_STATUS = "gate.status"
VERB_GATE_COMMAND_RUN = "gate.command.run"


class Command(Document):
    """`payload` of `gate.plan.set` and `gate.command.run` is `{"envelope": <DSSE envelope of a GatePlan or GateCommand>}`.

    Central carries these and cannot make one.
    """

    KIND: ClassVar[str] = "Command"
    MAX_BYTES: ClassVar[int] = MAX_ENVELOPE_BYTES

    kind: Literal["Command"] = "Command"
    command_id: Annotated[str, StringConstraints(min_length=16, max_length=64)]
    node: NodeId
    verb: Annotated[str, StringConstraints(max_length=128)]
    issued_at: UtcTime
    expires_at: UtcTime
    actor: str = ""
    payload: dict[str, Any] = Field(default_factory=dict)


class CommandReply(Document):
    """The node's answer."""

    KIND: ClassVar[str] = "CommandReply"

    kind: Literal["CommandReply"] = "CommandReply"
    command_id: str
    node: NodeId
    accepted: bool
    code: str = ""
    """Stable word for a refusal: `Expired`, `SignatureInvalid`, `GateUnreachable`, `PlanRefused`, ..."""
    reason: str = ""
    data: dict[str, Any] = Field(default_factory=dict)
