"""Checks before a release is recorded: signature, blob, content, policy. Doubt leads to refusal, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from central.model import NotFound, ReleaseRecord
from central.policy import check_publish, refusal
from central.store import blobs, releases
from central.store.database import Transaction
from shared.contracts.codec import parse_json_object
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.limits import MAX_CONTENT_BYTES
from shared.contracts.release import Release
from shared.errors import DigestMismatch, Malformed
from shared.signing.digests import canonical_json, sha256_hex, unpack_blob
from shared.signing.dsse import Verified, verify_document

CARRIED_FEATURES = frozenset({"sync-waves", "hooks", "windows"})
"""Critical features that central carries to nodes; whether a node knows them is the node's word."""


@dataclass(frozen=True)
class CheckedRelease:
    """A release whose signatures held and whose content is what it says."""

    record: ReleaseRecord
    envelope: bytes


def verify_release(envelope: dict[str, Any], trust: TrustRoot) -> Verified[Release]:
    """The release of a signed envelope.

    Raises:
        ContractError: malformed, not signed by a key of role `release`, or of a version or with a feature unknown here.
    """
    return verify_document(canonical_json(envelope), Release, trust, Role.RELEASE, features=CARRIED_FEATURES, subject="release")


def check_release(tx: Transaction, verified: Verified[Release], *, actor: str, at: datetime) -> CheckedRelease:
    """Everything that can be wrong with a verified release, before it is stored.

    Raises:
        NotFound: its blob was not uploaded.
        DigestMismatch, Malformed, TooLarge: the blob is not what the release says.
        PolicyRefused, Immutable: its objects break a rule, or its version has other content.
    """
    release = verified.document
    blob = blobs.get_blob(tx, release.blob_digest)
    if blob is None:
        raise NotFound("was not uploaded", subject=f"blob {release.blob_digest[:12]}…", remedy="PUT /v1/blobs/{digest} first, then publish")
    content, objects = read_objects(release, blob)
    stored = releases.find_version(tx, release.app, release.version)
    findings = check_publish(release, objects, content_size_bytes=len(content), blob_size_bytes=len(blob), stored=stored)
    refused = refusal(release, findings)
    if refused is not None:
        raise refused
    record = ReleaseRecord(
        release=release,
        release_digest=verified.digest,
        envelope_digest=sha256_hex(verified.envelope),
        envelope_size_bytes=len(verified.envelope),
        signed_by=verified.keyids,
        published_at=at,
        published_by=actor,
    )
    return CheckedRelease(record, verified.envelope)


def read_objects(release: Release, blob: bytes) -> tuple[bytes, list[dict[str, Any]]]:
    """Content of a release's blob, and the objects in it.

    Raises:
        DigestMismatch, Malformed, TooLarge: it is not what the release says.
    """
    content = unpack_blob(blob, release.encoding, max_bytes=MAX_CONTENT_BYTES)
    if sha256_hex(content) != release.content_digest:
        raise DigestMismatch(
            f"objects have SHA-256 {sha256_hex(content)}, the release says {release.content_digest}",
            subject=f"{release.app}@{release.version}",
        )
    # objects as the value of one key: the reader of documents then also refuses keys that stand twice
    wrapped = parse_json_object(b'{"objects":%b}' % content, subject="objects", max_bytes=MAX_CONTENT_BYTES + 64)
    objects = wrapped["objects"]
    if set(wrapped) != {"objects"} or not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        raise Malformed("must be a JSON list of objects", subject="objects")
    if canonical_json(objects) != content:
        raise Malformed("are not in RFC 8785 form", subject="objects", remedy="publish with: munbon release publish")
    return content, objects
