"""A release as fetched: is it what central named, signed by those who may, and whole? Bytes in, checked values out."""

from __future__ import annotations

import json
from typing import Any

from edge_agent.model import Manifest
from shared.contracts.codec import describe_validation
from shared.contracts.envelope import Role, TrustRoot
from shared.contracts.limits import MAX_OBJECTS
from shared.contracts.objects import check_objects, errors_of
from shared.contracts.release import Release, ReleaseRef
from shared.errors import ContractError, DigestMismatch, Malformed, TooLarge
from shared.signing.digests import check_digest, unpack_blob
from shared.signing.dsse import verify_document

RELEASE_FEATURES = frozenset({"sync-waves"})


class ObjectsRefused(ContractError):
    """An object of the release may not be applied."""

    code = "ObjectsRefused"


def verify_release(envelope: bytes, ref: ReleaseRef, trust: TrustRoot) -> Release:
    """The release of an envelope, if it is the one that `ref` names.

    Raises:
        ContractError: it is not, or not signed, or not known here; the class says which.
    """
    subject = f"release {ref.app} {ref.version}"
    check_digest(envelope, ref.envelope_digest, subject=subject)
    verified = verify_document(envelope, Release, trust, Role.RELEASE, features=RELEASE_FEATURES, subject=subject)
    release = verified.document
    if verified.digest != ref.release_digest:
        raise DigestMismatch(f"has digest {verified.digest}, central named {ref.release_digest}", subject=subject)
    if (release.app, release.version) != (ref.app, ref.version):
        raise Malformed(f"is {release.app} {release.version}", subject=subject)
    return release


def unpack_objects(blob: bytes, release: Release) -> list[Manifest]:
    """Objects of a blob, of whose digest only the carried form was checked before.

    Raises:
        ContractError: it is not what the release says.
    """
    subject = f"objects of {release.app} {release.version}"
    content = unpack_blob(blob, release.encoding, max_bytes=release.content_size_bytes)
    if len(content) != release.content_size_bytes:
        raise Malformed(f"have {len(content)} bytes, the release says {release.content_size_bytes}", subject=subject)
    check_digest(content, release.content_digest, subject=subject)
    try:
        objects: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"are not valid JSON: {describe_validation(error)}", subject=subject) from error
    if not isinstance(objects, list):
        raise Malformed("are no list", subject=subject)
    if len(objects) > MAX_OBJECTS:
        raise TooLarge(f"are {len(objects)}, the limit is {MAX_OBJECTS}", subject=subject)
    return objects


def check_release(blob: bytes, release: Release) -> list[Manifest]:
    """Objects of a blob, all checks made: before a release is saved.

    Raises:
        ContractError: as its class says; `ObjectsRefused` names the first objects that may not be applied.
    """
    subject = f"release {release.app} {release.version}"
    objects = unpack_objects(blob, release)
    if len(objects) != release.objects_count:
        raise Malformed(f"has {len(objects)} objects, it says {release.objects_count}", subject=subject)
    found = errors_of(check_objects(objects, namespace=release.namespace, allow_secrets=release.allow_secrets))
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise ObjectsRefused("; ".join(str(finding) for finding in found[:3]) + more, subject=subject)
    return objects
