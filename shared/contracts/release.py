"""Release: immutable, content-addressed, signed by operators' or CI's keys."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from shared.contracts.base import AppName, Contract, Digest, Document, NamespaceName, SemVer, UtcTime
from shared.contracts.limits import MAX_BLOB_BYTES, MAX_CONTENT_BYTES, MAX_OBJECTS

MEDIA_TYPE_OBJECTS: Final = "application/vnd.munbon.objects.v1+json"


class Provenance(Contract):
    """Where a release came from."""

    repo: str = ""
    commit: str = ""
    author: str = ""
    built_at: UtcTime | None = None


class Window(Contract):
    """A weekly time span in which the release may be applied; needs critical feature `windows`."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]
    start: Annotated[str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    duration_s: Annotated[int, Field(gt=0, le=7 * 86_400)]
    timezone: str = "UTC"


class DeliveryPolicy(Contract):
    """How a node delivers the release; all times in seconds."""

    fetch_deadline_s: Annotated[int, Field(gt=0, le=30 * 86_400)] = 86_400
    """From acceptance until all blobs are on the node."""
    health_deadline_s: Annotated[int, Field(gt=0, le=86_400)] = 300
    """From the last apply until healthy; starts when the images are there, so a slow pull is no failure."""
    pull_deadline_s: Annotated[int, Field(gt=0, le=7 * 86_400)] = 3_600
    """How long image pulls alone may take on top, while they fail only for reasons of the network."""
    soak_s: Annotated[int, Field(ge=0, le=86_400)] = 0
    """How long it must stay healthy before it becomes last good."""
    longest_deferral_s: Annotated[int, Field(ge=0, le=30 * 86_400)] = 21_600
    """How long the gate's hold may put the apply off; spent: `DeferralExpired`, never applied during a flood alarm."""
    windows: tuple[Window, ...] = ()


class Release(Document):
    """What should run: objects by digest, with policy and provenance. Its own digest is SHA-256 of the signed payload."""

    KIND: ClassVar[str] = "Release"

    kind: Literal["Release"] = "Release"
    app: AppName
    version: SemVer
    git_sha: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{7,64})?$")] = ""
    content_digest: Digest
    """SHA-256 over the RFC 8785 JSON of the list of objects; decides immutability."""
    content_size_bytes: Annotated[int, Field(gt=0, le=MAX_CONTENT_BYTES)]
    blob_digest: Digest
    blob_size_bytes: Annotated[int, Field(gt=0, le=MAX_BLOB_BYTES)]
    encoding: Literal["gzip", "identity"] = "gzip"
    media_type: Literal["application/vnd.munbon.objects.v1+json"] = MEDIA_TYPE_OBJECTS
    objects_count: Annotated[int, Field(gt=0, le=MAX_OBJECTS)]
    images: tuple[str, ...] = ()
    provenance: Provenance = Provenance()
    namespace: NamespaceName = "default"
    needs: tuple[AppName, ...] = ()
    allow_secrets: bool = False
    """Set by the flag that lets plain `Secret` objects pass; a node refuses such objects without it."""
    delivery: DeliveryPolicy = DeliveryPolicy()


class ReleaseRef(Contract):
    """Points at one signed release. `release_digest`: of the signed payload; `envelope_digest`: of the envelope as carried."""

    app: AppName
    version: SemVer
    release_digest: Digest
    envelope_digest: Digest
    envelope_size_bytes: Annotated[int, Field(gt=0, le=512 * 1024)]
