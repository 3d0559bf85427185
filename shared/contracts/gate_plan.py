"""GatePlan: what the gates of a site should do. Signed by keys that the node's owner installed; central cannot make one."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from shared.contracts.base import Contract, Document, GateId, SchemaVersion, SiteName, UtcTime

OpeningPct = Annotated[float, Field(ge=0.0, le=100.0)]
LevelM = Annotated[float, Field(ge=-500.0, le=9_000.0)]
FlowM3s = Annotated[float, Field(ge=0.0, le=10_000.0)]


class PositionObjective(Contract):
    """Hold an opening."""

    kind: Literal["position"] = "position"
    opening_pct: OpeningPct


class FlowObjective(Contract):
    """Hold a flow through the gate."""

    kind: Literal["flow"] = "flow"
    flow_m3s: FlowM3s


class UpstreamLevelObjective(Contract):
    """Hold the level just upstream of the gate, in m above the site's datum."""

    kind: Literal["upstream_level"] = "upstream_level"
    level_m: LevelM


class DownstreamLevelObjective(Contract):
    """Hold a level downstream of the gate (local, or at the far end of its pool), in m above the site's datum."""

    kind: Literal["downstream_level"] = "downstream_level"
    level_m: LevelM


Objective = Annotated[PositionObjective | FlowObjective | UpstreamLevelObjective | DownstreamLevelObjective, Field(discriminator="kind")]


class ScheduleEntry(Contract):
    """From `at` on, this objective."""

    at: UtcTime
    objective: Objective


class GateLimits(Contract):
    """Narrower than the site's own limits, never wider."""

    opening_min_pct: OpeningPct | None = None
    opening_max_pct: OpeningPct | None = None
    level_min_m: LevelM | None = None
    level_max_m: LevelM | None = None


class GateDirective(Contract):
    """One gate's part of the plan."""

    objective: Objective
    schedule: Annotated[tuple[ScheduleEntry, ...], Field(max_length=1_000)] = ()
    limits: GateLimits = GateLimits()


class DeliveryOrder(Contract):
    """Water to a turnout; needs critical feature `orders`. It ends at its volume or after its duration, whichever comes first.

    Volume alone: it also ends after one and a half times the time that the volume takes at the ordered flow, so that an order
    whose flow cannot be had does not run for ever.
    """

    order_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]
    """Never used twice: an order that has begun is not begun again, whatever later plans say of it."""
    turnout: GateId
    """The structure that delivers."""
    start: UtcTime
    flow_m3s: Annotated[FlowM3s, Field(gt=0.0)]
    volume_m3: Annotated[float, Field(gt=0)] | None = None
    duration_s: Annotated[float, Field(gt=0, le=31_622_400.0)] | None = None
    if_missed: Literal["skip", "start_late", "keep_end"] = "skip"
    """Not begun within `start_window_s`: not at all; late and whole; or late, with the end where it would have been."""
    start_window_s: Annotated[float, Field(ge=0.0, le=86_400.0)] = 300.0
    latest_start: UtcTime | None = None
    """Later than this it is not begun, `start_late` or not."""

    @model_validator(mode="before")
    @classmethod
    def _called_gate_before(cls, data: Any) -> Any:
        """Reads orders that name their turnout `gate`, as the first version did."""
        if isinstance(data, dict) and "gate" in data and "turnout" not in data:
            return {**data, "turnout": data["gate"]}
        return data

    @property
    def gate(self) -> str:
        """The turnout, as the first version called it."""
        return self.turnout

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.volume_m3 is None and self.duration_s is None:
            raise ValueError("an order needs volume_m3 or duration_s: it must end")
        if self.latest_start is not None and self.latest_start < self.start:
            raise ValueError("latest_start lies before start")
        return self


class GatePlan(Document):
    """The whole plan of a site; a newer generation replaces it whole."""

    KIND: ClassVar[str] = "GatePlan"

    kind: Literal["GatePlan"] = "GatePlan"
    schema_version: SchemaVersion = "1.1"
    """1.1: orders name a turnout, and say what becomes of them when their start was missed."""
    site: SiteName
    generation: Annotated[int, Field(ge=1)]
    valid_from: UtcTime
    author: str = ""
    gates: Annotated[dict[GateId, GateDirective], Field(min_length=1, max_length=16)]
    orders: Annotated[tuple[DeliveryOrder, ...], Field(max_length=1_000)] = ()
