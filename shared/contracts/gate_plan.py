"""GatePlan: what the gates of a site should do. Signed by keys that the node's owner installed; central cannot make one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import Contract, Document, GateId, SiteName, UtcTime

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
    """Water to a turnout; needs critical feature `orders`."""

    order_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    gate: GateId
    start: UtcTime
    flow_m3s: FlowM3s
    volume_m3: Annotated[float, Field(gt=0)] | None = None
    duration_s: Annotated[float, Field(gt=0)] | None = None
    if_missed: Literal["skip", "start_late"] = "skip"


class GatePlan(Document):
    """The whole plan of a site; a newer generation replaces it whole."""

    KIND: ClassVar[str] = "GatePlan"

    kind: Literal["GatePlan"] = "GatePlan"
    site: SiteName
    generation: Annotated[int, Field(ge=1)]
    valid_from: UtcTime
    author: str = ""
    gates: Annotated[dict[GateId, GateDirective], Field(min_length=1, max_length=16)]
    orders: Annotated[tuple[DeliveryOrder, ...], Field(max_length=1_000)] = ()
