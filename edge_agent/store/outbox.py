"""Events on their way home: numbered without gaps, kept until the stream has them, thinned and counted where they are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.store.database import Database
from shared.clock import Clock
from shared.contracts.event import Event, EventType, ThinnedData, subject_kind, wire_type
from shared.contracts.limits import MAX_EVENT_BYTES

MAX_BYTES = 32 * 1024 * 1024
_ROOM_SHARE = 0.9
"""Thinned down to this share, so that it is not done for every event."""
_OUTBOX_ID, _NEXT = "outbox_id", "outbox_next"
_SERIES, _CHATTER, _NEWS = 2, 1, 0
_PRIORITY = {
    EventType.GATE_SAMPLES_RECORDED: _SERIES,
    EventType.GATE_JOURNALED: _CHATTER,
    EventType.DRIFT_CORRECTED: _CHATTER,
    EventType.RELEASE_HELD: _CHATTER,
    EventType.DESIRED_ACCEPTED: _CHATTER,
    EventType.RELEASE_VERIFIED: _CHATTER,
}
"""Lower is worth more: sent first, thinned last. All others are news."""


@dataclass(frozen=True)
class OutboxRow:
    """One event as it is sent. `id` is also the message id, so that a repeat is known as one."""

    sequence: int
    id: str
    kind: str
    """Last part of its subject."""
    body: bytes


class Outbox:
    """The table of events that the stream does not have yet."""

    def __init__(self, database: Database, node: str, clock: Clock, new_id: Callable[[], str], *, max_bytes: int = MAX_BYTES) -> None:
        self._database = database
        self._node = node
        self._clock = clock
        self._new_id = new_id
        self._max_bytes = max_bytes
        self._listeners: list[Callable[[], None]] = []
        self.attempted: set[int] = set()
        """Sent at least once, without an answer yet: may be there already, so never thinned (they would count twice)."""
        self.outbox_id = database.get_meta(_OUTBOX_ID)
        if not self.outbox_id:
            self.outbox_id = new_id()
            database.set_meta(_OUTBOX_ID, self.outbox_id)
        self._size_bytes = int(database.rows("SELECT COALESCE(SUM(size_bytes), 0) FROM outbox")[0][0])

    def on_added(self, listener: Callable[[], None]) -> None:
        """Call `listener` when there is something to send."""
        self._listeners.append(listener)

    def add(self, kind: EventType, data: Mapping[str, Any], *, subject: str = "", rollout_id: str = "", event_id: str = "") -> int:
        """Put an event in, in a transaction of its own or in the one that is open; gives its sequence.

        `event_id`: of what may have been told before by an agent that lost its memory; without it a new one.

        Raises:
            DiskFull, StoreUnavailable: nothing was put in, and no number was used up.
        """
        with self._database.transaction():
            sequence = self._insert(kind, data, subject, rollout_id, event_id)
            if self._size_bytes > self._max_bytes:
                self._thin()
        for listener in self._listeners:
            listener()
        return sequence

    def window(self, limit: int, skip: Collection[int] = ()) -> list[OutboxRow]:
        """What to send next: the most valuable, of these the oldest."""
        found = self._database.rows("SELECT sequence, id, kind, body FROM outbox ORDER BY priority, sequence LIMIT ?", (limit + len(skip),))
        return [OutboxRow(int(row[0]), row[1], row[2], bytes(row[3])) for row in found if row[0] not in skip][:limit]

    def delete(self, sequences: Collection[int]) -> None:
        """The stream has them.

        Raises:
            DiskFull, StoreUnavailable: they stay, and are sent again; the stream knows them by their id.
        """
        freed_bytes = 0
        with self._database.transaction():
            for sequence in sequences:
                freed_bytes += sum(
                    int(row[0]) for row in self._database.rows("SELECT size_bytes FROM outbox WHERE sequence = ?", (sequence,))
                )
                self._database.write("DELETE FROM outbox WHERE sequence = ?", (sequence,))
        self._size_bytes -= freed_bytes
        self.attempted.difference_update(sequences)

    def count(self) -> int:
        """Events that wait."""
        return int(self._database.rows("SELECT COUNT(*) FROM outbox")[0][0])

    def _insert(self, kind: EventType, data: Mapping[str, Any], subject: str, rollout_id: str, event_id: str) -> int:
        sequence = int(self._database.get_meta(_NEXT, "1"))
        event = Event(
            id=event_id or self._new_id(),
            source=self._node,
            type=wire_type(kind),
            subject=subject,
            time=self._clock.wall(),
            outboxid=self.outbox_id,
            sequence=sequence,
            monotonictime=self._clock.monotonic_s(),
            bootid=self._clock.boot_id(),
            rolloutid=rollout_id,
            data=dict(data),
        )
        body = event.model_dump_json().encode()
        if len(body) > MAX_EVENT_BYTES:
            # nobody would take it, and it would be tried for ever
            kept = {name: data[name] for name in ("app", "site", "gate") if name in data}
            body = event.model_copy(update={"data": {"truncated": True, **kept}}).model_dump_json().encode()
        row = (sequence, event.id, event.type, subject_kind(kind), _PRIORITY.get(kind, _NEWS), len(body), body)
        self._database.write("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._database.set_meta(_NEXT, str(sequence + 1))
        self._size_bytes += len(body)
        return sequence

    def _measure(self) -> int:
        return int(self._database.rows("SELECT COALESCE(SUM(size_bytes), 0) FROM outbox")[0][0])

    def _thin(self) -> None:
        """Give up the least valuable, of these the oldest; how many and which is an event of its own."""
        goal = int(self._max_bytes * _ROOM_SHARE)
        # measured, for a transaction that was taken back may have been counted
        excess, chosen, types = self._measure() - goal, [], Counter[str]()
        newest = int(self._database.get_meta(_NEXT)) - 1
        query = "SELECT sequence, type, size_bytes FROM outbox WHERE type <> ? ORDER BY priority DESC, sequence"
        for sequence, kind, size_bytes in self._database.rows(query, (wire_type(EventType.EVENTS_THINNED),)):
            if excess <= 0:
                break
            if sequence in self.attempted or sequence == newest:
                continue
            chosen.append(int(sequence))
            types[str(kind)] += 1
            excess -= int(size_bytes)
        if not chosen:
            return
        for sequence in chosen:
            self._database.write("DELETE FROM outbox WHERE sequence = ?", (sequence,))
        self._size_bytes = self._measure()
        thinned = ThinnedData(first_sequence=min(chosen), last_sequence=max(chosen), count=len(chosen), types=dict(types))
        self._insert(EventType.EVENTS_THINNED, thinned.to_json(), "", "", "")
