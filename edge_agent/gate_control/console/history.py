"""A gate's past out of the journal, read by cursor over the socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from shared.contracts.base import Contract, UtcTime, format_utc
from shared.contracts.codec import validate
from shared.contracts.gate_socket import JournalKind, JournalPage, JournalRecord

PAGE_RECORDS = 1_000
ReadPage = Callable[[int, int], dict[str, Any]]


class HistorySample(Contract):
    """One row of the series."""

    at: UtcTime
    level_m: float | None = None
    opening_pct: float | None = None
    flow_m3s: float | None = None


class GateHistory(Contract):
    """What is known of a gate since a time, oldest first."""

    gate: str
    samples: tuple[HistorySample, ...] = ()
    events: tuple[JournalRecord, ...] = ()
    """Commands, alarms, modes and plans."""


def read_history(read_page: ReadPage, gate: str, since_s: float, until: datetime) -> GateHistory:
    """Records of a gate, and of the site as a whole, from `since_s` before `until` on.

    Args:
        read_page: (after, limit) to the data of `journal.read`.
        gate: whose.
        since_s: how far back.
        until: now.
    """
    samples: list[HistorySample] = []
    events: list[JournalRecord] = []
    for record in _records_since(read_page, until - timedelta(seconds=since_s)):
        if record.kind is JournalKind.SAMPLES:
            if record.gate == gate:
                samples.append(
                    validate({"at": format_utc(record.at), **record.data}, HistorySample, subject=f"sample {record.cursor} of the journal")
                )
        elif record.gate in (gate, ""):
            events.append(record)
    return GateHistory(gate=gate, samples=tuple(samples), events=tuple(events))


def _records_since(read_page: ReadPage, since: datetime) -> Iterator[JournalRecord]:
    after = _cursor_before(read_page, since)
    while True:
        page = JournalPage.model_validate(read_page(after, PAGE_RECORDS))
        yield from (record for record in page.records if record.at >= since)
        if not page.records:
            return
        after = page.records[-1].cursor


def _cursor_before(read_page: ReadPage, since: datetime) -> int:
    """A cursor with no newer record before it: found by halving, for a journal may hold a million records.

    Wall times may step back within the journal: then some more is read, and left out by its time.
    """
    edge = JournalPage.model_validate(read_page(0, 1))
    low, high = max(0, edge.first - 1), edge.last
    while high - low > PAGE_RECORDS:
        middle = (low + high) // 2
        found = JournalPage.model_validate(read_page(middle, 1)).records
        if found and found[0].at < since:
            low = middle
        else:
            high = middle
    return low
