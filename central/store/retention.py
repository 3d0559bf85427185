"""What is not kept for ever: raw figures and leftovers. Releases, rollouts, audit and all other events stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from central.store import blobs, gates, tables
from central.store.database import Transaction
from shared.contracts.event import TYPE_PREFIX, EventType

SAMPLES_KEPT = timedelta(days=7)
"""A hundred gates that report every ten seconds make six million rows in this time."""
SAMPLE_EVENTS_KEPT = timedelta(days=30)
"""The events that carried samples; long enough that no outbox sends one again after it was deleted."""
QUARANTINE_KEPT = timedelta(days=90)
UNUSED_BLOBS_KEPT = timedelta(days=7)


@dataclass(frozen=True)
class Pruned:
    """How many rows went."""

    samples: int
    events: int
    quarantined: int
    blobs: int


def prune(tx: Transaction, now: datetime) -> Pruned:
    """Delete what has had its time; a repeat is safe. Meant to be called about once an hour."""
    events, quarantine = tables.events, tables.quarantine
    carriers = events.c.type.startswith(f"{TYPE_PREFIX}{EventType.GATE_SAMPLES_RECORDED.value}.v", autoescape=True)
    return Pruned(
        samples=gates.prune_samples(tx, now - SAMPLES_KEPT),
        events=tx.execute(events.delete().where(carriers, events.c.received_at < now - SAMPLE_EVENTS_KEPT)).rowcount,
        quarantined=tx.execute(quarantine.delete().where(quarantine.c.received_at < now - QUARANTINE_KEPT)).rowcount,
        blobs=blobs.delete_unused_blobs(tx, now - UNUSED_BLOBS_KEPT),
    )
