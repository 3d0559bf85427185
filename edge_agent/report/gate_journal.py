"""The gate's journal into the outbox, each record once: the cursor and what was read are saved together.

Samples and chatter are gathered for half a minute; alarms, plans, commands and changes of mode go at once, and take along what was
gathered before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.report.ports import JournalGate
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.base import format_utc
from shared.contracts.event import EventType
from shared.contracts.gate_socket import JournalKind, JournalPage, JournalRecord
from shared.errors import MunbonError
from shared.observability import get_logger

CURSOR = "gate"
GATHER_S = 30.0
WAIT_S = 10.0
PAGE_RECORDS = 500
BATCH_RECORDS = 400
"""In one event: keeps it well below its limit of bytes."""
RETRY_S = 5.0
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
        if not self._site:
            self._site = (await self._gate.status()).site
        page = await self._gate.read_journal(self._last(), PAGE_RECORDS, wait_s if not self._gathered else min(wait_s, self._left_s()))
        if page.journal_id != self._journal_id:
            return self._begin_journal(page)
        self._note_gap(page)
        if page.records and not self._gathered:
            self._gathering_since_s = self._clock.monotonic_s()
        self._gathered += page.records
        if any(record.kind in _AT_ONCE for record in page.records) or len(self._gathered) >= PAGE_RECORDS or self._left_s() <= 0:
            self._flush()
        return len(page.records)

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

    def _note_gap(self, page: JournalPage) -> None:
        """Records that the gate gave up before we read them are counted."""
        last = self._last()
        if page.records and page.records[0].cursor > last + 1 and last:
            lost = page.records[0].cursor - last - 1
            data = {"site": self._site, "records": [{"kind": JournalKind.RECORDS_LOST.value, "data": {"count": lost}}]}
            self._flush()
            with self._store.transaction():
                self._store.outbox.add(EventType.GATE_JOURNALED, data, subject=self._site)
                self._keep_cursor(page.records[0].cursor - 1)
            self._saved = page.records[0].cursor - 1

    def _flush(self) -> None:
        if not self._gathered:
            return
        last = self._gathered[-1].cursor
        with self._store.transaction():
            for kind, subject, data in to_events(self._site, self._gathered):
                self._store.outbox.add(kind, data, subject=subject)
            self._keep_cursor(last)
        self._saved, self._gathered = last, []

    def _keep_cursor(self, last: int) -> None:
        self._store.set_cursor(CURSOR, self._journal_id, last)


def to_events(site: str, records: Sequence[JournalRecord]) -> list[tuple[EventType, str, dict[str, Any]]]:
    """Type, subject and data of the events that records come to; samples and chatter in batches, the rest one by one. Pure."""
    samples = [_sample(record) for record in records if record.kind is JournalKind.SAMPLES]
    chatter = [_plain(record) for record in records if record.kind not in _AT_ONCE and record.kind is not JournalKind.SAMPLES]
    events: list[tuple[EventType, str, dict[str, Any]]] = []
    for kind, name, rows in ((EventType.GATE_SAMPLES_RECORDED, "samples", samples), (EventType.GATE_JOURNALED, "records", chatter)):
        events += [(kind, site, {"site": site, name: rows[start : start + BATCH_RECORDS]}) for start in range(0, len(rows), BATCH_RECORDS)]
    for record in records:
        if told := _AT_ONCE.get(record.kind):
            details = {"site": site, "gate": record.gate, "at": format_utc(record.at), "cursor": record.cursor, **record.data}
            events.append((told, record.gate or site, details))
    return events


def _sample(record: JournalRecord) -> dict[str, Any]:
    wanted = ("level_m", "opening_pct", "flow_m3s", "quality")
    return {"at": format_utc(record.at), "gate": record.gate} | {name: record.data[name] for name in wanted if name in record.data}


def _plain(record: JournalRecord) -> dict[str, Any]:
    return {"at": format_utc(record.at), "kind": str(record.kind), "gate": record.gate, "cursor": record.cursor, "data": record.data}
