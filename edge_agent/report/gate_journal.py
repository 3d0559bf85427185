"""The gate's journal into the outbox, each record once: the cursor and what was read are saved together.

Samples and chatter are gathered for half a minute; alarms, plans, commands and changes of mode go at once, and take along what was
gathered before them. An event's id is made of what it tells: what is read again, because the agent or the gate lost its memory of
it, is known at central as a repeat.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from edge_agent.report.ports import JournalGate
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.base import format_utc
from shared.contracts.event import EventType
from shared.contracts.gate_socket import JournalKind, JournalPage, JournalRecord
from shared.errors import MunbonError
from shared.observability import get_logger
from shared.signing.digests import sha256_hex

CURSOR, PLACE = "gate", "gate_place"
GATHER_S = 30.0
WAIT_S = 10.0
PAGE_RECORDS = 500
BATCH_RECORDS = 400
BATCH_BYTES = 64 * 1024
"""In one event: keeps it well below its limit of bytes, beyond which it would lose its content."""
RETRY_S = 5.0
TRIMMED = "the gate's journal had given them up before the agent read them"
_AT_ONCE: Mapping[str, EventType] = {
    JournalKind.ALARM_RAISED: EventType.GATE_ALARM_RAISED,
    JournalKind.ALARM_RETURNED: EventType.GATE_ALARM_RETURNED,
    JournalKind.PLAN_ACCEPTED: EventType.GATE_PLAN_ACCEPTED,
    JournalKind.PLAN_REFUSED: EventType.GATE_PLAN_REFUSED,
    JournalKind.MODE_CHANGED: EventType.GATE_MODE_CHANGED,
    JournalKind.COMMAND_ACCEPTED: EventType.GATE_COMMAND_ACCEPTED,
    JournalKind.COMMAND_REFUSED: EventType.GATE_COMMAND_REFUSED,
}

_log = get_logger(__name__)


class GateJournalFollower:
    """Reads while the gate process answers; waits for it otherwise."""

    def __init__(self, store: StateStore, gate: JournalGate, clock: Clock, *, gather_s: float = GATHER_S) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock
        self._gather_s = gather_s
        self._site = ""
        self._journal_id, self._saved = store.cursor(CURSOR)
        self._gathered: list[JournalRecord] = []
        self._gathering_since_s = 0.0
        self._is_sure = False
        """Whether the journal is known to be the one that was read: after each silence of the gate it is asked anew."""
        self.problem = ""

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.follow_once(WAIT_S)
                self.problem = ""
                continue
            except MunbonError as error:
                if not self.problem:
                    _log.warning("the gate's journal cannot be read", reason=str(error))
                self.problem = str(error)
            except Exception:  # noqa: BLE001 - outermost guard of the loop
                _log.exception("the gate's journal could not be followed")
            await self._clock.sleep(RETRY_S)

    async def follow_once(self, wait_s: float) -> int:
        """One page; gives how many records it had.

        Raises:
            GateUnreachable, GateRefused: the gate process's word.
            DiskFull, StoreUnavailable: nothing was taken over; the same records come again.
        """
        if self._is_due():
            # what the disk did not take before; nothing more is read until it does
            self._flush()
        page = await self._read_page(wait_s)
        if page.journal_id != self._journal_id:
            return self._begin_journal(page)
        if page.last < self._last():
            return self._go_back(page.last)
        if page.records and not self._gathered:
            self._gathering_since_s = self._clock.monotonic_s()
        self._gathered += with_gaps(self._last(), page.records)
        if self._is_due():
            self._flush()
        return len(page.records)

    async def _read_page(self, wait_s: float) -> JournalPage:
        try:
            if not self._site:
                self._site = (await self._gate.status()).site
            if not self._is_sure:
                await self._check_place()
            return await self._gate.read_journal(self._last(), PAGE_RECORDS, wait_s if not self._gathered else min(wait_s, self._left_s()))
        except MunbonError:
            self._is_sure = False
            raise

    async def _check_place(self) -> None:
        """Whether the last record that was taken over is still the one there: a disk that forgot gives its number to another."""
        expected, cursor = self._store.cursor(PLACE)
        if expected and cursor == self._saved:
            page = await self._gate.read_journal(cursor - 1, 1, 0.0)
            is_same = [_fingerprint(record) for record in page.records if record.cursor == cursor] == [expected]
            if page.journal_id == self._journal_id and page.first <= cursor and not is_same:
                self._go_back(min(page.last, cursor))
        self._is_sure = True

    def _is_due(self) -> bool:
        return bool(self._gathered) and (
            len(self._gathered) >= PAGE_RECORDS or self._left_s() <= 0 or any(record.kind in _AT_ONCE for record in self._gathered)
        )

    def _last(self) -> int:
        return self._gathered[-1].cursor if self._gathered else self._saved

    def _left_s(self) -> float:
        return max(0.0, self._gathering_since_s + self._gather_s - self._clock.monotonic_s())

    def _begin_journal(self, page: JournalPage) -> int:
        """Another journal: what was gathered of the one before is saved, then this one is read from its beginning."""
        self._flush()
        if self._journal_id:
            _log.warning("the gate has a new journal", before=self._journal_id, now=page.journal_id)
        self._journal_id, self._saved, self._site = page.journal_id, 0, ""
        self._store.set_cursor(CURSOR, self._journal_id, 0)
        return 0

    def _go_back(self, last: int) -> int:
        """The gate's disk forgot what had been read: some is read again, for what was written since bears the numbers of before."""
        self._flush()
        _log.warning("the gate's journal lost its newest records", read_up_to=self._saved, now=last)
        self._saved = max(0, last - PAGE_RECORDS)
        self._store.set_cursor(CURSOR, self._journal_id, self._saved)
        return 0

    def _flush(self) -> None:
        if not self._gathered:
            return
        last = self._gathered[-1]
        with self._store.transaction():
            for kind, subject, data in to_events(self._site, self._gathered):
                self._store.outbox.add(kind, data, subject=subject, event_id=event_id(self._journal_id, kind, data))
            self._store.set_cursor(CURSOR, self._journal_id, last.cursor)
            self._store.set_cursor(PLACE, _fingerprint(last), last.cursor)
        self._saved, self._gathered = last.cursor, []


def with_gaps(last: int, records: Iterable[JournalRecord]) -> Iterator[JournalRecord]:
    """Records after cursor `last`, and one that counts wherever some are missing between. Where nothing was read yet none is. Pure."""
    for record in records:
        if last and record.cursor > last + 1:
            data = {"count": record.cursor - last - 1, "why": TRIMMED}
            yield record.model_copy(update={"cursor": record.cursor - 1, "kind": JournalKind.RECORDS_LOST, "gate": "", "data": data})
        yield record
        last = record.cursor


def to_events(site: str, records: Sequence[JournalRecord]) -> list[tuple[EventType, str, dict[str, Any]]]:
    """Type, subject and data of the events that records come to; samples and chatter in batches, the rest one by one. Pure."""
    samples = [_sample(record) for record in records if record.kind is JournalKind.SAMPLES]
    chatter = [_plain(record) for record in records if record.kind not in _AT_ONCE and record.kind is not JournalKind.SAMPLES]
    events: list[tuple[EventType, str, dict[str, Any]]] = []
    for kind, name, rows in ((EventType.GATE_SAMPLES_RECORDED, "samples", samples), (EventType.GATE_JOURNALED, "records", chatter)):
        events += [(kind, site, {"site": site, name: batch}) for batch in _batches(rows)]
    for record in records:
        if told := _AT_ONCE.get(record.kind):
            details = {"site": site, "gate": record.gate, "at": format_utc(record.at), "cursor": record.cursor, **record.data}
            events.append((told, record.gate or site, details))
    return events


def event_id(journal_id: str, kind: EventType, data: Mapping[str, Any]) -> str:
    """The same for the same records of the same journal. Pure."""
    told = json.dumps([journal_id, kind.value, data], sort_keys=True, separators=(",", ":"), default=str)
    return sha256_hex(told.encode())[:32]


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size_bytes = 0
    for row in rows:
        row_bytes = len(json.dumps(row, default=str))
        if batch and (len(batch) >= BATCH_RECORDS or size_bytes + row_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(row)
        size_bytes += row_bytes
    if batch:
        yield batch


def _sample(record: JournalRecord) -> dict[str, Any]:
    wanted = ("level_m", "opening_pct", "flow_m3s", "quality")
    return {"at": format_utc(record.at), "gate": record.gate} | {name: record.data[name] for name in wanted if name in record.data}


def _plain(record: JournalRecord) -> dict[str, Any]:
    return {"at": format_utc(record.at), "kind": str(record.kind), "gate": record.gate, "cursor": record.cursor, "data": record.data}


def _fingerprint(record: JournalRecord) -> str:
    return sha256_hex(json.dumps(record.to_json(), sort_keys=True, default=str).encode())[:32]
