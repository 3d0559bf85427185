"""What the database's own errors mean."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, IntegrityError

from central.model import Conflict
from shared.errors import MunbonError, Permanent, Retryable

_DAMAGED = ("malformed", "not a database", "corrupt", "disk image")
_FULL = ("disk is full", "database or disk is full", "no space left")


class StoreUnavailable(Retryable):
    """The database cannot be used just now; nothing was changed."""

    code = "StoreUnavailable"


class StoreDamaged(Permanent):
    """The database cannot be read."""

    code = "StoreDamaged"


EMPTY_REMEDY = "restore a copy of it, or make a new fleet in another folder with: munbon-central init"


class StoreEmpty(Permanent):
    """There is no fleet in the database: it is missing, or not the one that was meant."""

    code = "StoreEmpty"


class StoreTooNew(Permanent):
    """The database was written by a newer Munbon."""

    code = "StoreTooNew"


def translate(error: DBAPIError, subject: str) -> MunbonError:
    """The error of the house for one of the driver's.

    Args:
        error: as SQLAlchemy raised it.
        subject: which database, without its password.
    """
    text = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    lower = text.lower()
    if any(word in lower for word in _DAMAGED):
        return StoreDamaged(f"cannot be read: {text}", subject=subject, remedy="stop central, move the file aside and restore a copy")
    if isinstance(error, IntegrityError):
        return Conflict(f"does not fit what is stored: {text}", subject=subject)
    if any(word in lower for word in _FULL):
        return StoreUnavailable("the disk is full", subject=subject, remedy="free some space; nothing was lost", delay_s=5.0)
    return StoreUnavailable(f"cannot be used now: {text}", subject=subject, remedy="check that it runs and may be written")
