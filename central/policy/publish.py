"""Checks at publishing, beside the signature and the digests, which the caller has verified."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from central.model import Immutable, ReleaseRecord
from shared.contracts.limits import MAX_BLOB_BYTES, MAX_CONTENT_BYTES
from shared.contracts.objects import Finding, check_objects, errors_of, images_of
from shared.contracts.release import Release
from shared.errors import Permanent

_NAMED_AT_MOST = 10


class PolicyRefused(Permanent):
    """The release breaks the rules of publishing; `findings` has every reason."""

    exit_code = 3
    code = "PolicyRefused"

    def __init__(self, message: str, *, subject: str, findings: tuple[Finding, ...], remedy: str = "") -> None:
        super().__init__(message, subject=subject, remedy=remedy)
        self.findings = findings


def check_publish(
    release: Release,
    objects: Sequence[Any],
    *,
    content_size_bytes: int,
    blob_size_bytes: int,
    stored: ReleaseRecord | None = None,
) -> tuple[Finding, ...]:
    """Everything that is wrong or worth a word.

    Args:
        release: the signed document.
        objects: its objects, as unpacked from the blob.
        content_size_bytes: of their canonical JSON.
        blob_size_bytes: as uploaded.
        stored: what is published under the same app and version already.
    """
    name = f"{release.app}@{release.version}"
    findings = [
        *_check_size(name, "content", content_size_bytes, MAX_CONTENT_BYTES, release.content_size_bytes),
        *_check_size(name, "blob", blob_size_bytes, MAX_BLOB_BYTES, release.blob_size_bytes),
    ]
    if release.objects_count != len(objects):
        reason = f"says that it has {release.objects_count} objects, its blob has {len(objects)}"
        findings.append(Finding("error", "CountMismatch", name, reason, "publish it again with the munbon CLI"))
    if stored is not None and stored.release.content_digest != release.content_digest:
        reason = f"is published with other content ({stored.release.content_digest[:12]}, this is {release.content_digest[:12]})"
        findings.append(Finding("error", Immutable.code, name, reason, "publish it under a new version"))
    findings += check_objects(objects, namespace=release.namespace, allow_secrets=release.allow_secrets)
    missing = sorted(set(images_of(objects)) - set(release.images))
    if missing:
        reason = f"does not list image(s) that its objects use: {', '.join(missing)}"
        findings.append(Finding("note", "ImagesNotListed", name, reason))
    return tuple(findings)


def refusal(release: Release, findings: Iterable[Finding]) -> PolicyRefused | Immutable | None:
    """The error to raise for these findings; None where nothing refuses the release."""
    errors = errors_of(findings)
    if not errors:
        return None
    subject = f"{release.app}@{release.version}"
    broken = next((finding for finding in errors if finding.code == Immutable.code), None)
    if broken is not None:
        return Immutable(broken.reason, subject=subject, remedy=broken.remedy)
    shown = "; ".join(str(finding) for finding in errors[:_NAMED_AT_MOST])
    more = f"; and {len(errors) - _NAMED_AT_MOST} more" if len(errors) > _NAMED_AT_MOST else ""
    return PolicyRefused(f"is refused: {shown}{more}", subject=subject, findings=errors, remedy="correct the objects and publish again")


def _check_size(name: str, what: str, actual: int, limit: int, stated: int) -> list[Finding]:
    if actual > limit:
        reason = f"its {what} has {actual} bytes, the limit is {limit}"
        return [Finding("error", "TooLarge", name, reason, "split it into several apps")]
    if actual != stated:
        reason = f"says that its {what} has {stated} bytes, it has {actual}"
        return [Finding("error", "SizeMismatch", name, reason, "publish it again with the munbon CLI")]
    return []
