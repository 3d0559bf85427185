"""All readings of a site in one scan. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now, PointHistory, Quality, Reading, Sample, ValidationContext
from edge_agent.gate_control.validate.agreement import agree
from edge_agent.gate_control.validate.points import validate_fact, validate_point
from edge_agent.gate_control.validate.stillness import PoolFlows, watch_stillness

FACT_STALE_SCANS = 3.0
FACT_STALE_AT_LEAST_S = 3.0
RECENT_SCANS = 1.6
"""A round of sensing begins with each scan and may take 0.6 of it: what the last round said is no older than this."""

Histories = Mapping[str, PointHistory]
_NEW = PointHistory()
"""Made once: the default of a `get` is made whether it is wanted or not."""


def validate_samples(
    site: SiteConfiguration, histories: Histories, samples: Sequence[Sample], now: Now, context: ValidationContext | None = None
) -> tuple[dict[str, PointHistory], dict[str, Reading]]:
    """Histories for the next scan, and readings: by point id, `<gate>.<fact>`, and `<pool>/head` or `<pool>/tail`.

    Samples may come late, in bursts and out of order: they count by sample time, the newest is used, once.
    """
    came: dict[str, list[Sample]] = {}
    for sample in samples:
        came.setdefault(sample.point, []).append(sample)
    recent_s = RECENT_SCANS * site.scan_period_s
    context = context or ValidationContext()
    kept: dict[str, PointHistory] = {}
    readings: dict[str, Reading] = {}
    for point in site.points:
        history = histories.get(point.id, _NEW)
        given = came.get(point.id, ())
        kept[point.id], readings[point.id] = validate_point(point, history, given, now, source=_source(point), recent_s=recent_s)
    _validate_facts(site, histories, came, now, kept, readings)
    points = {point.id: point for point in site.points}
    feeding = Counter(pool.inlet for pool in site.pools)
    for pool in site.pools:
        for end, levels in (("head", pool.head_levels), ("tail", pool.tail_levels)):
            known = [points[level] for level in levels if level in points]
            flows = _flows_around(pool, end, feeding[pool.inlet] > 1, context)
            for point in known:
                kept[point.id], readings[point.id] = _watched(point, pool, flows, kept[point.id], readings[point.id], now)
            if known:
                readings[f"{pool.id}/{end}"], doubted = agree([point.id for point in known], readings, pool.disagree_m)
                readings.update(doubted)
    return kept, readings


def _validate_facts(
    site: SiteConfiguration,
    histories: Histories,
    came: Mapping[str, Sequence[Sample]],
    now: Now,
    kept: dict[str, PointHistory],
    readings: dict[str, Reading],
) -> None:
    stale_after_s = max(FACT_STALE_AT_LEAST_S, FACT_STALE_SCANS * site.scan_period_s)
    recent_s = RECENT_SCANS * site.scan_period_s
    for gate in site.gates():
        for fact in facts_of(gate):
            key = f"{gate.id}.{fact}"
            history, given = histories.get(key, _NEW), came.get(key, ())
            kept[key], readings[key] = validate_fact(history, given, now, stale_after_s, source=key, recent_s=recent_s)


def _watched(point: Point, pool: Pool, flows: PoolFlows, history: PointHistory, reading: Reading, now: Now) -> tuple[PointHistory, Reading]:
    """The reading, bad when its sensor is frozen."""
    stillness, frozen = watch_stillness(history, pool, flows, point.resolution, now.monotonic_s, is_fresh=reading.is_fresh)
    if frozen:
        reading = replace(reading, quality=Quality.BAD, reasons=(*reading.reasons, frozen))
    return replace(history, stillness=stillness), reading


def _flows_around(pool: Pool, end: str, is_shared: bool, context: ValidationContext) -> PoolFlows:
    """Flows at both ends; an end without a structure of this site has a flow that is taken for constant.

    Of a structure that feeds several pools (`is_shared`) nobody knows what each of them gets.
    """
    into_m3s = None if is_shared and pool.inlet is not None else _total((pool.inlet,), context)
    turnouts = tuple(offtake.structure for offtake in pool.offtakes)
    out_m3s = _total((pool.outlet, *turnouts), context)
    out_m3s = None if out_m3s is None else -out_m3s
    return PoolFlows(out_m3s, into_m3s) if end == "tail" else PoolFlows(into_m3s, out_m3s)


def _total(structures: Sequence[str | None], context: ValidationContext) -> float | None:
    """None where one of them is not known: of what nobody measures nothing can be expected."""
    total_m3s = 0.0
    for structure in structures:
        if structure is not None:
            flow_m3s = context.flows_m3s.get(structure)
            if flow_m3s is None or not math.isfinite(flow_m3s):
                return None
            total_m3s += flow_m3s
    return total_m3s


def _source(point: Point) -> str:
    return f"{point.remote}/{point.id}" if point.remote else point.id
