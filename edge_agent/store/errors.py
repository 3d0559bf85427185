"""What the disk can do to us."""

from __future__ import annotations

import errno
import sqlite3

from shared.errors import MunbonError, Retryable

NO_SPACE = "no space left"


class StoreUnavailable(Retryable):
    """The disk does not take it now; nothing was changed."""


class DiskFull(StoreUnavailable):
    """No space is left; nothing was changed."""

    def __init__(self, subject: str) -> None:
        super().__init__(NO_SPACE, subject=subject, remedy="make room on the disk; the agent goes on by itself", delay_s=5.0)


class StateCorrupt(MunbonError):
    """The file is damaged. A start puts it aside and begins a new one."""


def from_sqlite(error: sqlite3.Error, subject: str) -> MunbonError:
    """The error of the house for one of SQLite's."""
    text = str(error)
    if "full" in text:
        return DiskFull(subject)
    if isinstance(error, sqlite3.OperationalError):
        return StoreUnavailable(f"the disk does not take it: {text}", subject=subject)
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text or "corrupt" in text):
        return StateCorrupt(f"is damaged: {text}", subject=subject, remedy="start the agent again: it puts the file aside")
    return StoreUnavailable(f"the database says: {text}", subject=subject)


def from_os(error: OSError, subject: str) -> StoreUnavailable:
    """The error of the house for one of the file system's."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(subject)
    return StoreUnavailable(f"the disk does not take it: {error.strerror}", subject=subject)
