"""What nodes sent: events once each, sequences, samples, verdicts; and what could not be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select

from central.fleet import samples_of, verdict_of_event
from central.model import NodeReport, QuarantinedMessage, SequenceState, StoredEvent
from central.store import gates, releases, reports, rows, tables
from central.store.database import Transaction
from central.store.sequences import Arrival, save_arrivals
from shared.contracts.event import TYPE_PREFIX, Event
from shared.contracts.status import NodeStatus
from shared.signing.digests import sha256_hex

_TABLE = tables.events
_QUARANTINE = tables.quarantine
MAX_SEQUENCE = 2**53
"""Beyond it JSON numbers are not exact: such an event is no honest one and goes to quarantine."""
_MAX_ID, _MAX_REASON = 64, 2_000


@dataclass(frozen=True)
class IncomingBatch:
    """Messages of one fetch. `events`: node by the subject, event; `quarantine`: subject, body, reason."""

    events: Sequence[tuple[str, Event]] = ()
    statuses: Sequence[NodeStatus] = ()
    quarantine: Sequence[tuple[str, bytes, str]] = ()


@dataclass(frozen=True)
class IngestResult:
    """What a batch changed."""

    stored: tuple[StoredEvent, ...]
    duplicates: int
    reports: tuple[NodeReport, ...]
    """Statuses that replaced an older one."""
    quarantined: int


def store_batch(tx: Transaction, batch: IncomingBatch, received_at: datetime) -> IngestResult:
    """Keep everything of a batch; acknowledge after the commit. A repeat changes nothing."""
    good = [(node, event) for node, event in batch.events if event.sequence <= MAX_SEQUENCE]
    odd = [(f"evt.{node}", _body(event), "sequence beyond 2**53") for node, event in batch.events if event.sequence > MAX_SEQUENCE]
    stored = _add_events(tx, good, received_at)
    # a repeat under another number (of a node that lost its memory) leaves no gap either
    repeats = {(node, event.outboxid, event.sequence): event for node, event in good}
    for item in stored:
        repeats.pop((item.node, item.event.outboxid, item.event.sequence), None)
    save_arrivals(tx, [Arrival(item.node, item.event) for item in stored] + [Arrival(key[0], repeats[key], False) for key in repeats])
    gates.add_samples(tx, (sample for item in stored for sample in samples_of(item.node, item.event)))
    verdicts = (verdict_of_event(item.node, item.event) for item in stored)
    releases.save_verdicts(tx, (verdict for verdict in verdicts if verdict is not None), received_at)
    newer = reports.save_reports(tx, batch.statuses, received_at)
    gates.note_deliveries(tx, stored, newer, received_at)
    quarantined = add_quarantine(tx, [*batch.quarantine, *odd], received_at)
    return IngestResult(stored, len(good) - len(stored), newer, quarantined)


def list_events(
    tx: Transaction,
    *,
    node: str | None = None,
    after: int = 0,
    limit: int = 100,
    types: Iterable[str] | None = None,
    newest: bool = False,
) -> tuple[StoredEvent, ...]:
    """Events with a cursor above `after`, in order of arrival.

    Args:
        tx: transaction.
        node: only of this node.
        after: cursor; 0 for all.
        limit: at most so many.
        types: only these, as `ReleaseReady` or as the full wire type.
        newest: the last `limit` ones instead of the first.
    """
    query = select(_TABLE).where(_TABLE.c.cursor > after)
    if node is not None:
        query = query.where(_TABLE.c.node == node)
    if types is not None:
        query = query.where(or_(False, *(_is_type(name) for name in types)))
    order = _TABLE.c.cursor.desc() if newest else _TABLE.c.cursor
    found = [_record(row) for row in tx.execute(query.order_by(order).limit(limit))]
    return tuple(reversed(found)) if newest else tuple(found)


def count_events(tx: Transaction, node: str | None = None) -> int:
    """How many events are stored."""
    query = select(func.count()).select_from(_TABLE)
    return int(tx.execute(query if node is None else query.where(_TABLE.c.node == node)).scalar_one())


def add_quarantine(tx: Transaction, messages: Iterable[tuple[str, bytes, str]], received_at: datetime) -> int:
    """Keep messages that could not be read, the same one once; how many were new."""
    values = [
        {
            "subject": rows.clean_text(subject, _MAX_REASON),
            "body_digest": sha256_hex(body),
            "body": body,
            "reason": rows.clean_text(reason, _MAX_REASON),
            "received_at": received_at,
        }
        for subject, body, reason in messages
    ]
    return len(rows.insert_new(tx, _QUARANTINE, values, unique=("subject", "body_digest"), returning=(_QUARANTINE.c.number,)))


def count_quarantined(tx: Transaction) -> int:
    """How many messages are in quarantine."""
    return int(tx.execute(select(func.count()).select_from(_QUARANTINE)).scalar_one())


def list_quarantined(tx: Transaction, after: int = 0, limit: int = 100) -> tuple[QuarantinedMessage, ...]:
    """Messages in quarantine with a number above `after`, in order."""
    query = select(_QUARANTINE).where(_QUARANTINE.c.number > after).order_by(_QUARANTINE.c.number).limit(limit)
    return tuple(QuarantinedMessage(row.number, row.subject, bytes(row.body), row.reason, row.received_at) for row in tx.execute(query))


def list_sequences(tx: Transaction, node: str | None = None) -> tuple[SequenceState, ...]:
    """What arrived of each outbox."""
    table = tables.event_sequences
    query = select(table).order_by(table.c.node, table.c.outboxid)
    found = tx.execute(query if node is None else query.where(table.c.node == node))
    return tuple(SequenceState(row.node, row.outboxid, row.highest, row.received, row.thinned) for row in found)


def count_missing(tx: Transaction) -> dict[str, int]:
    """Missing sequence numbers by node, over all its outboxes; only nodes that lack any."""
    missing: dict[str, int] = defaultdict(int)
    for state in list_sequences(tx):
        missing[state.node] += state.missing
    return {node: count for node, count in missing.items() if count}


def _add_events(tx: Transaction, incoming: Sequence[tuple[str, Event]], received_at: datetime) -> tuple[StoredEvent, ...]:
    # the same event twice within one batch: ON CONFLICT would do, but the answer below needs one event for each key
    unique = {(node, rows.clean_text(event.id, _MAX_ID)): event for node, event in reversed(incoming)}
    values = [
        {
            "node": node,
            "event_id": event_id,
            "outboxid": rows.clean_text(event.outboxid, _MAX_ID),
            "sequence": event.sequence,
            "type": event.type,
            "received_at": received_at,
            "event": event.to_json(),
        }
        for (node, event_id), event in reversed(unique.items())
    ]
    added = rows.insert_new(tx, _TABLE, values, unique=("node", "event_id"), returning=(_TABLE.c.cursor, _TABLE.c.node, _TABLE.c.event_id))
    stored = (StoredEvent(row.cursor, row.node, unique[(row.node, row.event_id)], received_at) for row in added)
    return tuple(sorted(stored, key=lambda item: item.cursor))


def _is_type(name: str) -> Any:
    if name.startswith(TYPE_PREFIX):
        return _TABLE.c.type == name
    return _TABLE.c.type.startswith(f"{TYPE_PREFIX}{name}.v", autoescape=True)


def _body(event: Event) -> bytes:
    return event.model_dump_json().encode("utf-8", "replace")


def _record(row: Any) -> StoredEvent:
    return StoredEvent(row.cursor, row.node, Event.model_validate(row.event), row.received_at)
