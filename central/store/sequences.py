"""Gap-free sequences: what arrived of each node's outbox."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from central.fleet import add_range, count_covered
from central.store import rows, tables
from central.store.database import Transaction
from shared.contracts.event import Event, EventType

_TABLE = tables.event_sequences
MAX_RANGES = 500
"""Ranges kept for one outbox; a node with more gaps has its oldest ones joined (they stay counted as missing)."""
_MAX_THINNED = 2**53


@dataclass(frozen=True)
class Arrival:
    """An event that came; `is_new`: its like was not there before."""

    node: str
    event: Event
    is_new: bool = True


def save_arrivals(tx: Transaction, arrivals: Iterable[Arrival]) -> None:
    """Add sequence numbers of events; each new event must be given once as such."""
    by_outbox: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_outbox[(arrival.node, rows.clean_text(arrival.event.outboxid, 64))].append(arrival)
    rows.upsert(tx, _TABLE, [_add(tx, node, outboxid, found) for (node, outboxid), found in sorted(by_outbox.items())])


def _add(tx: Transaction, node: str, outboxid: str, arrivals: list[Arrival]) -> rows.Row:
    stored = tx.execute(select(_TABLE).where(_TABLE.c.node == node, _TABLE.c.outboxid == outboxid)).first()
    ranges = tuple((first, last) for first, last in stored.ranges) if stored is not None else ()
    received = stored.received if stored is not None else 0
    thinned = stored.thinned if stored is not None else 0
    before = count_covered(ranges)
    for arrival in arrivals:
        ranges = add_range(ranges, arrival.event.sequence, arrival.event.sequence)
        thinned = min(thinned + (_thinned(arrival.event) if arrival.is_new else 0), _MAX_THINNED)
    received += count_covered(ranges) - before
    highest = ranges[-1][1]
    if len(ranges) > MAX_RANGES:
        surplus = len(ranges) - MAX_RANGES
        ranges = ((ranges[0][0], ranges[surplus][1]), *ranges[surplus + 1 :])
    return {"node": node, "outboxid": outboxid, "ranges": ranges, "highest": highest, "received": received, "thinned": thinned}


def _thinned(event: Event) -> int:
    count = event.data.get("count")
    return count if event.event_type is EventType.EVENTS_THINNED and isinstance(count, int) and count > 0 else 0
