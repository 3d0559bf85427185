"""Journalled scans for those who look back; nothing is written, and the process that writes is not held up."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock, connect_frozen
from shared.errors import Permanent, UsageError

T = TypeVar("T")


class ScanReader:
    """One open file.

    Raises:
        UsageError: there is no journal there, or this user may not read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb"):
                pass
        except FileNotFoundError as error:
            remedy = "name the site's file with --config, or give --journal"
            raise UsageError("there is no journal here", subject=str(path), remedy=remedy) from error
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", subject=str(path), remedy="ask as root or as the gate's user") from error
        try:
            self._database = self._open(path)
        except (sqlite3.Error, TypeError) as error:
            raise UsageError(f"is not a journal: {error}", subject=str(path), remedy="give the right file with --journal") from error

    def _open(self, path: Path) -> JournalDatabase:
        try:
            return JournalDatabase(path, for_reading=True)
        except sqlite3.OperationalError:
            if os.access(path.parent, os.W_OK):
                raise
            # a card that is read-only takes no files beside it: what is in the file itself can be read all the same
            return JournalDatabase(path, connect=connect_frozen, for_reading=True)

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
