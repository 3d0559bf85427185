"""Published releases, and what nodes said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from central.fleet import ReleaseVerdict
from central.model import Immutable, NotFound, ReleaseCounts, ReleaseRecord
from central.store import blobs, rows, tables
from central.store.database import Transaction
from shared.contracts.release import Release

_TABLE = tables.releases
_VERDICTS = tables.release_verdicts


def add_release(tx: Transaction, record: ReleaseRecord, envelope: bytes) -> tuple[ReleaseRecord, bool]:
    """Keep a release and its envelope. The same version with the same content again gives the stored one and False.

    Raises:
        Immutable: the version is published with other content.
        NotFound: its blob was not uploaded.
        DigestMismatch: the envelope is not the one that the record names.
    """
    release = record.release
    stored = find_version(tx, record.app, record.version)
    if stored is not None:
        if stored.release.content_digest == release.content_digest:
            return stored, False
        raise Immutable(
            f"is published with other content ({stored.release.content_digest[:12]}, this is {release.content_digest[:12]})",
            subject=f"{record.app}@{record.version}",
            remedy="publish it under a new version",
        )
    if not blobs.has_blob(tx, release.blob_digest):
        raise NotFound("its blob was not uploaded", subject=f"{record.app}@{record.version}", remedy=f"upload {release.blob_digest} first")
    blobs.put_blob(tx, record.envelope_digest, envelope, record.published_at)
    tx.execute(
        _TABLE.insert().values(
            release_digest=record.release_digest,
            app=record.app,
            version=record.version,
            content_digest=release.content_digest,
            envelope_digest=record.envelope_digest,
            envelope_size_bytes=record.envelope_size_bytes,
            blob_digest=release.blob_digest,
            signed_by=list(record.signed_by),
            published_at=record.published_at,
            published_by=record.published_by,
            release=release.to_json(),
        )
    )
    return record, True


def find_version(tx: Transaction, app: str, version: str) -> ReleaseRecord | None:
    """The release, or None."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.app == app, _TABLE.c.version == version)).first()
    return None if row is None else _record(row)


def get_release(tx: Transaction, app: str, version: str) -> ReleaseRecord:
    """The release.

    Raises:
        NotFound: no such app, or no such version of it; the message tells which.
    """
    found = find_version(tx, app, version)
    if found is not None:
        return found
    others = [release.version for release in list_releases(tx, app)]
    if not others:
        raise NotFound("nothing is published of this app", subject=f"app {app}", remedy="see what there is with: munbon release list")
    raise NotFound("there is no such version", subject=f"{app}@{version}", remedy=f"published are: {', '.join(others[:10])}")


def find_release(tx: Transaction, release_digest: str) -> ReleaseRecord | None:
    """The release with this digest, or None."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.release_digest == release_digest)).first()
    return None if row is None else _record(row)


def list_releases(tx: Transaction, app: str | None = None) -> tuple[ReleaseRecord, ...]:
    """Releases, the newest first."""
    query = select(_TABLE).order_by(_TABLE.c.published_at.desc(), _TABLE.c.app, _TABLE.c.version.desc())
    return tuple(_record(row) for row in tx.execute(query if app is None else query.where(_TABLE.c.app == app)))


def releases_by_digest(tx: Transaction, digests: Iterable[str]) -> dict[str, ReleaseRecord]:
    """Those of the releases that are there."""
    wanted = sorted(set(digests))
    return {row.release_digest: _record(row) for row in tx.execute(select(_TABLE).where(_TABLE.c.release_digest.in_(wanted)))}


def list_apps(tx: Transaction) -> tuple[str, ...]:
    """Names of all apps of which anything is published."""
    return tuple(tx.execute(select(_TABLE.c.app).distinct().order_by(_TABLE.c.app)).scalars())


def save_verdicts(tx: Transaction, verdicts: Iterable[ReleaseVerdict], at: datetime) -> None:
    """Keep that a release was once good or bad on a node; a repeat keeps the first time, an unknown release is left out."""
    unique = {(verdict.release_digest, verdict.node, verdict.good) for verdict in verdicts}
    digests = {item[0] for item in unique}
    found = tx.execute(select(_TABLE.c.release_digest, _TABLE.c.app).where(_TABLE.c.release_digest.in_(digests)))
    known = {row.release_digest: row.app for row in found}
    values = [
        {"release_digest": digest, "node": node, "good": good, "app": known[digest], "first_at": at}
        for digest, node, good in sorted(unique)
        if digest in known
    ]
    rows.insert_new(tx, _VERDICTS, values, unique=("release_digest", "node", "good"))


def release_counts(tx: Transaction, release_digest: str) -> ReleaseCounts:
    """On how many nodes it was ever Ready, and on how many it failed."""
    return _counts(tx, _VERDICTS.c.release_digest == release_digest).get(release_digest, ReleaseCounts())


def counts_by_release(tx: Transaction, app: str | None = None) -> dict[str, ReleaseCounts]:
    """Counts of all releases with a verdict, by digest."""
    return _counts(tx, _VERDICTS.c.app == app if app is not None else None)


def _counts(tx: Transaction, condition: Any) -> dict[str, ReleaseCounts]:
    query = select(_VERDICTS.c.release_digest, _VERDICTS.c.good, func.count()).group_by(_VERDICTS.c.release_digest, _VERDICTS.c.good)
    found: dict[str, dict[bool, int]] = defaultdict(dict)
    for digest, good, count in tx.execute(query if condition is None else query.where(condition)):
        found[digest][bool(good)] = count
    return {digest: ReleaseCounts(counts.get(True, 0), counts.get(False, 0)) for digest, counts in found.items()}


def _record(row: Any) -> ReleaseRecord:
    return ReleaseRecord(
        release=Release.model_validate(row.release),
        release_digest=row.release_digest,
        envelope_digest=row.envelope_digest,
        envelope_size_bytes=row.envelope_size_bytes,
        signed_by=tuple(row.signed_by),
        published_at=row.published_at,
        published_by=row.published_by,
    )
