"""The journal of a simulated process: the same file, written at once and in the simulation's own time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_agent.gate_control.journal.database import JournalDatabase
from edge_agent.gate_control.journal.writer import MakeBlock, new_record
from shared.clock import Clock
from shared.contracts.gate_socket import JournalKind, JournalRecord

SERIES_RECORDS = 500
"""Samples wait for so many to be written together; all else is written at once."""


class InstantJournal:
    """A `Recorder` without a thread: simulated time passes too fast for one."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database = JournalDatabase(path)
        self._pending: list[JournalRecord] = []
        self.last = self._database.last()

    def append(self, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> None:
        """Take a record."""
        self._pending.append(new_record(self._clock, kind, gate, data))
        if kind is not JournalKind.SAMPLES or len(self._pending) >= SERIES_RECORDS:
            self._write()

    def append_block(self, make: MakeBlock) -> None:
        """Take a block of scans."""
        self._database.append_block(*make())

    def problem(self) -> str:
        """A simulated disk has none."""
        return ""

    def close(self, *, is_killed: bool) -> None:
        """Write what waits; a process that was killed does not."""
        if not is_killed:
            self._write()
        self._database.close()

    def _write(self) -> None:
        if self._pending:
            self.last = self._database.append(self._pending)
            self._pending = []
