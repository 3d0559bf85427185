"""Journalled scans for those who look back; nothing is written, and the process that writes is not held up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock
from shared.errors import Permanent, UsageError

T = TypeVar("T")


class ScanReader:
    """One open file.

    Raises:
        UsageError: there is no journal there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise UsageError("there is no journal here", subject=str(path), remedy="name the site's file with --config, or give --journal")
        try:
            self._database = JournalDatabase(path, for_reading=True)
        except sqlite3.Error as error:
            raise UsageError(f"is not a journal: {error}", subject=str(path), remedy="give the right file with --journal") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def block_ids(self, since: str, until: str) -> list[int]:
        """Blocks with scans between two times (RFC 3339 in UTC), oldest first.

        Raises:
            Permanent: the file cannot be read.
        """
        return self._read(lambda: self._database.block_ids(since, until))

    def block(self, block_id: int) -> tuple[StoredBlock, str] | None:
        """A block and its configuration as JSON; None when it was trimmed meanwhile.

        Raises:
            Permanent: the file cannot be read.
        """
        stored = self._read(lambda: self._database.block(block_id))
        if stored is None:
            return None
        return stored, self._read(lambda: self._database.site(stored.site_digest)) or ""

    def _read(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except sqlite3.Error as error:
            raise Permanent(f"cannot be read: {error}", subject=str(self._path)) from error
