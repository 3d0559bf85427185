"""Gate samples out of events."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, ValidationError

from central.model import GateSample
from shared.contracts.base import NODE_PATTERN, Contract, GateId, UtcTime
from shared.contracts.event import Event, EventType

_SITE = re.compile(NODE_PATTERN)
_Figure = Annotated[float, Field(allow_inf_nan=False)]


class _Sample(Contract):
    at: UtcTime
    gate: GateId
    level_m: _Figure | None = None
    opening_pct: _Figure | None = None
    flow_m3s: _Figure | None = None
    quality: Annotated[str, Field(max_length=64)] = ""


def samples_of(node: str, event: Event) -> tuple[GateSample, ...]:
    """Samples that a `GateSamplesRecorded` event carries; of other events none.

    A sample that cannot be read is left out: the event itself is kept whole.
    """
    if event.event_type is not EventType.GATE_SAMPLES_RECORDED:
        return ()
    listed, site = event.data.get("samples"), event.data.get("site")
    if not isinstance(listed, list):
        return ()
    place = site if isinstance(site, str) and _SITE.fullmatch(site) else node
    found = (_read(item) for item in listed)
    return tuple(
        GateSample(node, place, item.gate, item.at, item.level_m, item.opening_pct, item.flow_m3s, item.quality)
        for item in found
        if item is not None
    )


def _read(item: Any) -> _Sample | None:
    try:
        return _Sample.model_validate(item)
    except ValidationError:
        return None
