"""Artifacts that nodes must be able to fetch before they are told to: signed releases and their objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from central.model import IssuedDesired, ReleaseRecord
from central.publish.ports import PublishBus
from central.store import blobs, releases
from central.store.database import Database
from shared.contracts.release import ReleaseRef
from shared.errors import MunbonError
from shared.messaging.errors import BusRefused
from shared.observability import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True)
class Artifact:
    """One blob of a release."""

    digest: str
    size_bytes: int


class ArtifactShelf:
    """Knows which artifacts are on the bus, and puts there what is missing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[str] = set()
        self._strangers = False
        """Whether something on the bus may be needed though the database does not know it."""

    def forget(self) -> None:
        """Look again: the bus may have lost everything."""
        self._known.clear()

    async def stock(self, bus: PublishBus, documents: Iterable[IssuedDesired]) -> dict[str, MunbonError]:
        """See that everything is there that these documents name; gives by release digest what cannot be had.

        Raises:
            BusUnavailable: the bus is gone; nothing can be said.
        """
        refs = {ref.release_digest: ref for document in documents for ref in release_refs(document)}
        wanted = {digest: ref for digest, ref in refs.items() if digest not in self._known}
        if not wanted:
            return {}
        records = await self._database.read(lambda tx: releases.releases_by_digest(tx, wanted))
        failed: dict[str, MunbonError] = {}
        for digest in sorted(wanted):
            error = await self._stock_one(bus, digest, records.get(digest), in_use=refs)
            if error is not None:
                failed[digest] = error
                _log.error("a release is not on the bus", release=digest, error=str(error))
        return failed

    async def _stock_one(
        self, bus: PublishBus, digest: str, record: ReleaseRecord | None, *, in_use: Mapping[str, ReleaseRef]
    ) -> MunbonError | None:
        if record is None:
            # after a restore nodes are held at releases that this copy never heard of; they have them already
            _log.warning("a release is not in the database; nodes that lack it cannot fetch it", release=digest)
            self._known.add(digest)
            self._strangers = True
            return None
        try:
            for artifact in artifacts_of(record):
                await self._put(bus, artifact)
        except BusRefused as error:
            if not await self._make_room(bus, in_use):
                return error
            try:
                for artifact in artifacts_of(record):
                    await self._put(bus, artifact)
            except BusRefused as again:
                return again
        except MunbonError as error:
            if isinstance(error, _Missing):
                return error
            raise
        self._known.add(digest)
        return None

    async def _put(self, bus: PublishBus, artifact: Artifact) -> None:
        if await bus.has_artifact(artifact.digest, artifact.size_bytes):
            return
        content = await self._database.read(lambda tx: blobs.get_blob(tx, artifact.digest))
        if content is None:
            raise _Missing("is not in the database", subject=f"blob {artifact.digest[:12]}", remedy="publish the release again")
        chunks = await bus.upload_artifact(artifact.digest, content)
        _log.info("artifact put on the bus", digest=artifact.digest, bytes=len(content), chunks=chunks)

    async def _make_room(self, bus: PublishBus, in_use: Mapping[str, ReleaseRef]) -> bool:
        """Take away what no document names any more; True where that was something. A node keeps its own copies."""
        if self._strangers:
            return False
        digests = set(in_use) | self._known
        records = await self._database.read(lambda tx: releases.releases_by_digest(tx, digests))
        keep = {artifact.digest for record in records.values() for artifact in artifacts_of(record)}
        unused = sorted(await bus.list_artifacts() - keep)
        for digest in unused:
            await bus.delete_artifact(digest)
        return bool(unused)


class _Missing(MunbonError):
    """The database lacks a blob."""


def artifacts_of(record: ReleaseRecord) -> tuple[Artifact, Artifact]:
    """The signed envelope and the objects."""
    release = record.release
    return (Artifact(record.envelope_digest, record.envelope_size_bytes), Artifact(release.blob_digest, release.blob_size_bytes))


def release_refs(document: IssuedDesired) -> tuple[ReleaseRef, ...]:
    """Releases that a document names."""
    return tuple(desired.release for desired in document.apps.values() if desired.release is not None)
