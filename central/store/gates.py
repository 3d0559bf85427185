"""Gate plans that central carries, and samples that came home."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select

from central.model import Conflict, GatePlanRecord, GateSample, NodeReport, PlanDelivery, StoredEvent
from central.store import rows, tables
from central.store.database import Transaction
from shared.contracts.event import EventType
from shared.contracts.gate_plan import GatePlan

_PLANS = tables.gate_plans
_SAMPLES = tables.gate_samples
_MAX_CODE, _MAX_REASON = 64, 2_000
_LOCAL = "local"
"""State of a plan that was made at the site: its generation has nothing to do with those of central."""


def add_plan(tx: Transaction, record: GatePlanRecord) -> GatePlanRecord:
    """Keep a plan as the newest of its site.

    Raises:
        Conflict: the site has one of this generation or a higher one.
    """
    stored = get_plan(tx, record.site)
    if stored is not None and stored.generation >= record.generation:
        raise Conflict(
            f"generation {record.generation} is not above {stored.generation}, the newest",
            subject=f"gate plan of {record.site}",
            remedy=f"sign the plan with generation {stored.generation + 1}",
        )
    tx.execute(
        _PLANS.insert().values(
            site=record.site,
            generation=record.generation,
            node=record.node,
            plan=record.plan.to_json(),
            plan_digest=record.plan_digest,
            envelope=record.envelope,
            set_at=record.set_at,
            set_by=record.set_by,
            delivery=record.delivery.value,
            code=record.code,
            reason=record.reason,
            delivered_at=record.delivered_at,
        )
    )
    return record


def get_plan(tx: Transaction, site: str) -> GatePlanRecord | None:
    """Newest plan of a site, or None."""
    row = tx.execute(select(_PLANS).where(_PLANS.c.site == site).order_by(_PLANS.c.generation.desc()).limit(1)).first()
    return None if row is None else _plan(row)


def find_plan(tx: Transaction, site: str, generation: int) -> GatePlanRecord | None:
    """The plan of a site with this generation, or None."""
    row = tx.execute(select(_PLANS).where(_PLANS.c.site == site, _PLANS.c.generation == generation)).first()
    return None if row is None else _plan(row)


def list_plans(tx: Transaction) -> tuple[GatePlanRecord, ...]:
    """Newest plan of each site, and where that was refused the newest that was accepted, which is in force; by site."""
    newest = _newest(tx, select(_PLANS.c.site, func.max(_PLANS.c.generation).label("generation")))
    accepted = _PLANS.c.delivery == PlanDelivery.ACCEPTED.value
    before = _newest(tx, select(_PLANS.c.site, func.max(_PLANS.c.generation).label("generation")).where(accepted))
    outdone = {plan.site for plan in newest if plan.delivery is PlanDelivery.REFUSED}
    return tuple(sorted((*newest, *(plan for plan in before if plan.site in outdone)), key=lambda plan: (plan.site, plan.generation)))


def _newest(tx: Transaction, of_each_site: Select[tuple[str, int]]) -> list[GatePlanRecord]:
    named = of_each_site.group_by(_PLANS.c.site).subquery()
    same = (_PLANS.c.site == named.c.site) & (_PLANS.c.generation == named.c.generation)
    return [_plan(row) for row in tx.execute(select(_PLANS).join(named, same))]


def list_undelivered(tx: Transaction, node: str | None = None) -> tuple[GatePlanRecord, ...]:
    """Newest plans of sites that their gate has neither accepted nor refused yet."""
    return tuple(plan for plan in list_plans(tx) if plan.delivery is PlanDelivery.PENDING and node in (None, plan.node))


def mark_delivery(
    tx: Transaction, site: str, generation: int, delivery: PlanDelivery, *, code: str = "", reason: str = "", at: datetime
) -> bool:
    """Note what became of a plan; False where nothing changed. An accepted plan stays accepted."""
    condition = (_PLANS.c.site == site, _PLANS.c.generation == generation, _PLANS.c.delivery != PlanDelivery.ACCEPTED.value)
    values = {
        "delivery": delivery.value,
        "code": rows.clean_text(code, _MAX_CODE),
        "reason": rows.clean_text(reason, _MAX_REASON),
        "delivered_at": None if delivery is PlanDelivery.PENDING else at,
    }
    changes = _PLANS.c.delivery != delivery.value
    return tx.execute(_PLANS.update().where(*condition, changes).values(**values)).rowcount > 0


def note_deliveries(tx: Transaction, stored: Iterable[StoredEvent], reports: Iterable[NodeReport], at: datetime) -> None:
    """Mark plans by what their own node says, in events or in its status."""
    said: list[tuple[str, Any, Any, PlanDelivery, dict[str, Any]]] = []
    for item in stored:
        if item.event.event_type is EventType.GATE_PLAN_ACCEPTED and item.event.data.get("state") != _LOCAL:
            said.append((item.node, item.event.data.get("site"), item.event.data.get("generation"), PlanDelivery.ACCEPTED, {}))
        elif item.event.event_type is EventType.GATE_PLAN_REFUSED:
            data = item.event.data
            said.append((item.node, data.get("site"), data.get("generation"), PlanDelivery.REFUSED, data))
    sites = ((report.node, report.status.site) for report in reports)
    said += [(node, site.site, site.plan_generation, PlanDelivery.ACCEPTED, {}) for node, site in sites if site is not None]
    if not said:
        return
    known = {(plan.node, plan.site, plan.generation) for plan in list_plans(tx)}
    for node, place, generation, delivery, data in said:
        if isinstance(place, str) and isinstance(generation, int) and (node, place, generation) in known:
            code, reason = str(data.get("code", "")), str(data.get("reason", ""))
            mark_delivery(tx, place, generation, delivery, code=code, reason=reason, at=at)


def add_samples(tx: Transaction, samples: Iterable[GateSample]) -> int:
    """Keep samples that were not there before; how many. A gate has one sample of a moment, however often it is told."""
    told = {(sample.site, sample.gate, sample.at): sample for sample in samples}
    known = _known_samples(tx, told)
    values = [
        {
            "node": sample.node,
            "site": sample.site,
            "gate": sample.gate,
            "at": sample.at,
            "level_m": sample.level_m,
            "opening_pct": sample.opening_pct,
            "flow_m3s": sample.flow_m3s,
            "quality": rows.clean_text(sample.quality, _MAX_CODE),
        }
        for key, sample in told.items()
        if key not in known
    ]
    if values:
        tx.execute(_SAMPLES.insert(), values)
    return len(values)


def list_samples(
    tx: Transaction, site: str, *, gate: str | None = None, after: datetime | None = None, limit: int = 1_000
) -> tuple[GateSample, ...]:
    """Samples of a site in order of time: those after `after`, or without it the newest `limit`."""
    query = select(_SAMPLES).where(_SAMPLES.c.site == site)
    if gate is not None:
        query = query.where(_SAMPLES.c.gate == gate)
    if after is not None:
        ordered = query.where(_SAMPLES.c.at > after).order_by(_SAMPLES.c.at, _SAMPLES.c.cursor).limit(limit)
        return tuple(_sample(row) for row in tx.execute(ordered))
    newest = query.order_by(_SAMPLES.c.at.desc(), _SAMPLES.c.cursor.desc()).limit(limit)
    return tuple(reversed([_sample(row) for row in tx.execute(newest)]))


def prune_samples(tx: Transaction, before: datetime) -> int:
    """Delete samples older than `before`; how many. The events that carried them stay."""
    return tx.execute(_SAMPLES.delete().where(_SAMPLES.c.at < before)).rowcount


def _known_samples(tx: Transaction, told: Collection[tuple[str, str, datetime]]) -> set[tuple[str, str, datetime]]:
    """Those that are stored already, by site, gate and time."""
    known: set[tuple[str, str, datetime]] = set()
    for site in {site for site, _, _ in told}:
        times = [at for place, _, at in told if place == site]
        query = select(_SAMPLES.c.gate, _SAMPLES.c.at).where(_SAMPLES.c.site == site, _SAMPLES.c.at.between(min(times), max(times)))
        known |= {(site, row.gate, row.at) for row in tx.execute(query)}
    return known


def _plan(row: Any) -> GatePlanRecord:
    return GatePlanRecord(
        site=row.site,
        node=row.node,
        plan=GatePlan.model_validate(row.plan),
        plan_digest=row.plan_digest,
        envelope=bytes(row.envelope),
        set_at=row.set_at,
        set_by=row.set_by,
        delivery=PlanDelivery(row.delivery),
        code=row.code,
        reason=row.reason,
        delivered_at=row.delivered_at,
    )


def _sample(row: Any) -> GateSample:
    return GateSample(row.node, row.site, row.gate, row.at, row.level_m, row.opening_pct, row.flow_m3s, row.quality, row.cursor)
