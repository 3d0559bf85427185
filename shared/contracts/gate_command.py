"""GateCommand: what a person asks of a gate now. Signed by keys of the gate's own trust root; central carries it and cannot make one.

A plan says what a gate should do from now on; a command is for this moment: it expires within the hour, names one gate (or the
whole site), and is carried out once, however often it arrives.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from shared.contracts.base import Contract, Document, SiteName, UtcTime
from shared.contracts.codec import describe_validation
from shared.contracts.gate_plan import OpeningPct

MAX_LIFETIME_S: Final = 3_600.0
"""From issue to expiry: ids need not be kept for ever."""
MAX_MOTION_S: Final = 86_400.0
MAX_SHELVED_S: Final = 7 * 86_400.0
COMMAND_FEATURES: Final[frozenset[str]] = frozenset()
"""Critical features known to this version."""

CommandId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{16,64}$")]
GateOrSite = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{0,63}$")]
"""A gate's name; empty where the whole site is meant."""
AlarmName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9-]{1,63}/)?[a-z0-9_.-]{0,63}$")]
"""Name of an alarm of the gate (without a gate: of the site), or its whole key `<gate, pool or site>/<name>`."""
Note = Annotated[str, StringConstraints(max_length=500)]


class GateVerb(StrEnum):
    """What may be asked from afar. Tagouts are not among them: they are set and cleared at the site."""

    MOVE = "move"
    STOP = "stop"
    MODE = "mode"
    SERVICE = "service"
    ACK = "ack"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    RESET_TRIP = "reset_trip"
    PLAN_RELEASE = "plan_release"


class MoveParams(Contract):
    """Bring the gate to an opening; where it is not there in time, motion ends and the gate holds. Its mode is then manual."""

    opening_pct: OpeningPct
    expires_after_s: Annotated[float, Field(ge=1.0, le=MAX_MOTION_S)] = 600.0


class ModeParams(Contract):
    """Who moves the gate: its controller, or people."""

    mode: Literal["auto", "manual"]


class ServiceParams(Contract):
    """Out of service: no command reaches the gate, not even protection's."""

    service: Literal["in", "out"]


class AckParams(Contract):
    """One alarm; empty: all of the gate, and without a gate all there are."""

    alarm: AlarmName = ""


class ShelveParams(Contract):
    """Keep an alarm quiet for a while; it comes back by itself."""

    alarm: Annotated[AlarmName, Field(min_length=1)]
    for_s: Annotated[float, Field(ge=60.0, le=MAX_SHELVED_S)] = 3_600.0


class UnshelveParams(Contract):
    """Let a shelved alarm speak again."""

    alarm: Annotated[AlarmName, Field(min_length=1)]


class NoParams(Contract):
    """The verb says it all."""


Params = MoveParams | ModeParams | ServiceParams | AckParams | ShelveParams | UnshelveParams | NoParams
PARAMS: Final[dict[GateVerb, type[Params]]] = {
    GateVerb.MOVE: MoveParams,
    GateVerb.STOP: NoParams,
    GateVerb.MODE: ModeParams,
    GateVerb.SERVICE: ServiceParams,
    GateVerb.ACK: AckParams,
    GateVerb.SHELVE: ShelveParams,
    GateVerb.UNSHELVE: UnshelveParams,
    GateVerb.RESET_TRIP: NoParams,
    GateVerb.PLAN_RELEASE: NoParams,
}
OF_SITE: Final = frozenset({GateVerb.ACK, GateVerb.SHELVE, GateVerb.UNSHELVE, GateVerb.PLAN_RELEASE, GateVerb.STOP})
"""Verbs that may leave out the gate: `stop` and `ack` then mean all gates."""


class GateAction(Contract):
    """What is to be done, signed or asked at the site."""

    gate: GateOrSite = ""
    verb: GateVerb
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _params_are_of_the_verb(self) -> Self:
        _parse(self.verb, self.params)
        if not self.gate and self.verb not in OF_SITE:
            raise ValueError(f"{self.verb} needs a gate")
        if self.gate and self.verb is GateVerb.PLAN_RELEASE:
            raise ValueError("plan_release is for the whole site: leave out the gate")
        return self

    @property
    def details(self) -> Params:
        """The parameters with their types."""
        return _parse(self.verb, self.params)


class GateCommand(GateAction, Document):
    """A signed action. `params` by verb: see PARAMS."""

    KIND: ClassVar[str] = "GateCommand"
    MAX_BYTES: ClassVar[int] = 16 * 1024

    kind: Literal["GateCommand"] = "GateCommand"
    id: CommandId
    site: SiteName
    issued_at: UtcTime
    expires_at: UtcTime
    author: Annotated[str, StringConstraints(max_length=200)] = ""
    note: Note = ""
    """Why, for the journal."""

    @model_validator(mode="after")
    def _is_for_now(self) -> Self:
        lifetime_s = (self.expires_at - self.issued_at).total_seconds()
        if not 0.0 < lifetime_s <= MAX_LIFETIME_S:
            raise ValueError(f"expires {lifetime_s:g} s after its issue, expected up to {MAX_LIFETIME_S:g} s")
        return self


class CommandView(Contract):
    """The gate's answer to a command: accepted, or refused with the reason. A repeat gets the same answer."""

    id: str
    gate: str = ""
    verb: str = ""
    accepted: bool
    code: str = ""
    """Stable word of a refusal: `Expired`, `WrongSite`, `UnknownGate`, `SignatureInvalid`, `Replayed`, `NotAllowed`, `TaggedOut`, ..."""
    reason: str = ""
    reasons: tuple[str, ...] = ()
    """What the gate said in the scan that carried it out: moving where to, or what holds it."""
    at: UtcTime | None = None
    repeated: bool = False
    """It had been carried out before; nothing was done now."""
    data: dict[str, Any] = Field(default_factory=dict)
    """Of the first step of taking off a tag: `code`, and how long it is good (`valid_s`)."""


def _parse(verb: GateVerb, params: dict[str, Any]) -> Params:
    try:
        return PARAMS[verb].model_validate(params)
    except ValidationError as error:
        raise ValueError(f"params of {verb}: {describe_validation(error)}") from error
