"""Releases that are on this node: whether a target's objects are here, and what they come down to."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent.decide.render import render_objects
from edge_agent.model import Material, MaterialState, Render, Target
from edge_agent.receive.releases import RELEASE_FEATURES, unpack_objects
from edge_agent.store.state import StateStore
from shared.contracts.codec import decode
from shared.contracts.envelope import parse_envelope
from shared.contracts.event import Cause
from shared.contracts.limits import MAX_SETTINGS_BYTES
from shared.contracts.release import Release, ReleaseRef
from shared.errors import DigestMismatch, MunbonError

UNSUPPORTED_CODES = frozenset({"UnsupportedVersion", "UnsupportedFeature"})
_READY = Material(MaterialState.READY)
_MISSING = Material(MaterialState.MISSING)


class Shelf:
    """Reads what the fetcher saved. Signatures were verified before; digests are checked at each reading."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._releases: dict[str, Release] = {}

    def release(self, ref: ReleaseRef) -> Release | None:
        """The signed release, if it is here."""
        known = self._releases.get(ref.envelope_digest)
        if known is None and self._store.blobs.has(ref.envelope_digest, ref.envelope_size_bytes):
            try:
                envelope = parse_envelope(self._store.blobs.read(ref.envelope_digest))
                known = decode(envelope.payload_bytes(), Release, features=RELEASE_FEATURES)
            except MunbonError:
                return None
            self._releases[ref.envelope_digest] = known
        return known

    def material(self, target: Target) -> Material:
        """Whether the objects of a target are here."""
        refusal = self._store.refusals.get(target.ref.envelope_digest)
        if refusal is not None:
            state = MaterialState.UNSUPPORTED if refusal.code in UNSUPPORTED_CODES else MaterialState.REFUSED
            return Material(state, Cause(code=refusal.code, message=refusal.reason[:2_000]))
        size_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in target.settings.items())
        if size_bytes > MAX_SETTINGS_BYTES:
            message = f"settings have {size_bytes} bytes, the limit is {MAX_SETTINGS_BYTES}"
            return Material(MaterialState.REFUSED, Cause(code="TooLarge", message=message))
        return _READY if self.is_here(target.ref) else _MISSING

    def is_here(self, ref: ReleaseRef) -> bool:
        """Whether envelope and objects are on this node."""
        release = self.release(ref)
        return release is not None and self._store.blobs.has(release.blob_digest, release.blob_size_bytes)

    def load(self, target: Target) -> Render:
        """What a target comes down to.

        Raises:
            DigestMismatch: a blob is damaged or gone; it is missing from now on, and fetched again.
        """
        release = self.release(target.ref)
        if release is None:
            raise DigestMismatch("is not here", subject=f"release {target.ref.app} {target.ref.version}", remedy="it is fetched again")
        return render_objects(target, release, unpack_objects(self._store.blobs.read(release.blob_digest), release))

    def collect(self, keep: Iterable[ReleaseRef], wanted: Iterable[ReleaseRef]) -> int:
        """Delete blobs that no release to keep needs; gives how many."""
        digests: set[str] = set()
        fetching: set[str] = set()
        for ref in wanted:
            fetching |= _digests(ref, self.release(ref))
        for ref in keep:
            digests |= _digests(ref, self.release(ref))
        self._releases = {digest: release for digest, release in self._releases.items() if digest in digests | fetching}
        return self._store.blobs.collect(digests | fetching, fetching)


def _digests(ref: ReleaseRef, release: Release | None) -> set[str]:
    return {ref.envelope_digest} if release is None else {ref.envelope_digest, release.blob_digest}
