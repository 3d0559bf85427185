"""Objects to a signed Release and its blob: canonicalise, check, sign."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from central.render.sources import Source
from shared.contracts.codec import validate
from shared.contracts.limits import MAX_BLOB_BYTES, MAX_CONTENT_BYTES
from shared.contracts.objects import Finding, check_objects, errors_of, images_of, normalise_objects
from shared.contracts.release import Provenance, Release
from shared.errors import UsageError
from shared.signing.digests import canonical_json, pack_blob, sha256_hex
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer

_WAVE_ANNOTATIONS = ("argocd.argoproj.io/sync-wave",)
_HOOK_ANNOTATIONS = ("argocd.argoproj.io/hook", "helm.sh/hook")
_GIT_TIMEOUT_S = 10


@dataclass(frozen=True)
class BundleOptions:
    """What the operator said on the command line. `delivery` overrides single fields of the delivery policy."""

    app: str
    version: str
    namespace: str
    allow_secrets: bool
    provenance: Provenance
    delivery: dict[str, int]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bundle:
    """A release ready to be sent."""

    release: Release
    envelope: bytes
    blob: bytes
    notes: tuple[Finding, ...]
    warnings: tuple[str, ...]


def build_bundle(source: Source, options: BundleOptions, signers: Sequence[Signer]) -> Bundle:
    """Signed release of the objects at `source`.

    Raises:
        UsageError: an object breaks a rule, or the whole is over a limit; every mistake is named at once.
        Malformed: a number that JSON cannot hold exactly.
    """
    raw = [item.content for item in source.objects]
    findings = check_objects(raw, namespace=options.namespace, allow_secrets=options.allow_secrets)
    if broken := errors_of(findings):
        raise UsageError(describe(broken, source), subject=f"{options.app}@{options.version}", remedy="nothing was published")
    objects = normalise_objects(raw, options.namespace)
    critical = _critical(objects)
    if "hooks" in critical:
        raise UsageError(
            "has hook annotations, and agents of this version run no hooks",
            subject=f"{options.app}@{options.version}",
            remedy="take the hook objects out; they would have to run before or after the others, never among them",
        )
    content = canonical_json(objects)
    _check_size(len(content), MAX_CONTENT_BYTES, "the objects")
    blob = pack_blob(content)
    _check_size(len(blob), MAX_BLOB_BYTES, "the packed objects")
    release = _release(objects, content, blob, critical, options)
    envelope = sign_document(release, signers)
    return Bundle(release, envelope, blob, tuple(findings), source.warnings)


def describe(findings: Sequence[Finding], source: Source) -> str:
    """One line a finding, each with its place where that can be told."""
    lines = []
    for finding in findings:
        remedy = f" - {finding.remedy}" if finding.remedy else ""
        lines.append(f"{finding.object or 'release'}: {finding.reason}{remedy}")
    files = sorted({item.place.rsplit(":", 1)[0] for item in source.objects})
    return f"{len(findings)} mistake(s) in {', '.join(files[:5])}:\n  " + "\n  ".join(lines)


def read_provenance(path: Path, built_at: datetime) -> Provenance:
    """Repository, commit and author of the folder that `path` lies in; empty where git knows none."""
    folder = path if path.is_dir() else path.parent
    return Provenance(
        repo=_git(folder, "config", "--get", "remote.origin.url"),
        commit=_git(folder, "rev-parse", "HEAD"),
        author=_git(folder, "log", "-1", "--format=%an <%ae>"),
        built_at=built_at,
    )


def _release(objects: list[dict[str, Any]], content: bytes, blob: bytes, critical: list[str], options: BundleOptions) -> Release:
    fields = {
        "kind": "Release",
        "app": options.app,
        "version": options.version,
        "git_sha": options.provenance.commit,
        "critical": critical,
        "content_digest": sha256_hex(content),
        "content_size_bytes": len(content),
        "blob_digest": sha256_hex(blob),
        "blob_size_bytes": len(blob),
        "objects_count": len(objects),
        "images": images_of(objects),
        "provenance": options.provenance.to_json(),
        "namespace": options.namespace,
        "needs": options.needs,
        "allow_secrets": options.allow_secrets,
        "delivery": options.delivery,
    }
    return validate(fields, Release, subject=f"{options.app}@{options.version}")


def _critical(objects: list[dict[str, Any]]) -> list[str]:
    """Features without which a node must not apply these objects."""
    critical = set()
    for item in objects:
        annotations = item.get("metadata", {}).get("annotations") or {}
        if any(str(annotations.get(name, "0")) != "0" for name in _WAVE_ANNOTATIONS):
            critical.add("sync-waves")
        if any(name in annotations for name in _HOOK_ANNOTATIONS):
            critical.add("hooks")
    return sorted(critical)


def _check_size(size_bytes: int, limit_bytes: int, what: str) -> None:
    if size_bytes > limit_bytes:
        raise UsageError(
            f"{what} have {size_bytes} bytes, the limit is {limit_bytes} ({limit_bytes // 2**20} MiB) for one release",
            subject="release",
            remedy="split it into several apps, or move large data out of ConfigMaps",
        )


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=_GIT_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
