"""Content by its SHA-256: objects of releases and their envelopes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select

from central.store import rows, tables
from central.store.database import Transaction
from shared.signing.digests import check_digest

_TABLE = tables.blobs


def put_blob(tx: Transaction, digest: str, content: bytes, at: datetime) -> bool:
    """Keep content; False where it was there (its time is then renewed, so that it outlives `delete_unused_blobs`).

    Raises:
        DigestMismatch: the content has another digest.
    """
    check_digest(content, digest, subject="blob")
    if has_blob(tx, digest):
        tx.execute(_TABLE.update().where(_TABLE.c.digest == digest).values(stored_at=at))
        return False
    values = {"digest": digest, "size_bytes": len(content), "content": content, "stored_at": at}
    rows.insert_new(tx, _TABLE, [values], unique=("digest",))
    return True


def get_blob(tx: Transaction, digest: str) -> bytes | None:
    """The content, or None."""
    found = tx.execute(select(_TABLE.c.content).where(_TABLE.c.digest == digest)).scalar()
    return None if found is None else bytes(found)


def blob_size(tx: Transaction, digest: str) -> int | None:
    """Size in bytes without reading the content, or None."""
    found = tx.execute(select(_TABLE.c.size_bytes).where(_TABLE.c.digest == digest)).scalar()
    return None if found is None else int(found)


def has_blob(tx: Transaction, digest: str) -> bool:
    """Whether it is there."""
    return blob_size(tx, digest) is not None


def delete_unused_blobs(tx: Transaction, older_than: datetime) -> int:
    """Delete uploads that no release points at and that were stored before `older_than`; how many."""
    releases = tables.releases
    used = select(releases.c.release_digest).where(
        or_(releases.c.blob_digest == _TABLE.c.digest, releases.c.envelope_digest == _TABLE.c.digest)
    )
    return tx.execute(_TABLE.delete().where(_TABLE.c.stored_at < older_than, ~used.exists())).rowcount
