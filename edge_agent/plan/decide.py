"""What to do about one object, from its live metadata and what is known of it. The first rule that fits wins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge_agent.model import InventoryEntry, Manifest
from edge_agent.plan.access import annotations_of, is_terminating, labels_of, mapping, metadata, resource_version, text, uid
from shared.contracts.metadata import ANNOTATION_ADOPT, ANNOTATION_FORCE, LABEL_APP

_FLUX_RECONCILE = "kustomize.toolkit.fluxcd.io/reconcile"
_FLUX_SSA = "kustomize.toolkit.fluxcd.io/ssa"
_REVISION = "deployment.kubernetes.io/revision"
"""Written by the Deployment's own controller a moment after each apply."""
_ARGO_HOOK = "argocd.argoproj.io/hook"
_NEVER_RECREATED = frozenset({"PersistentVolumeClaim", "PersistentVolume", "StatefulSet", "Namespace", "CustomResourceDefinition"})


class Step(StrEnum):
    """What a look at the metadata comes to."""

    CREATE = "create"
    COMPARE = "compare"
    """It is ours and may differ: dry-run."""
    UNCHANGED = "unchanged"
    """Live and manifest are what they were when last seen equal (Argo CD's rule)."""
    WAIT = "wait"
    """It is being deleted: wait until it is gone (A9)."""
    CONFLICT = "conflict"
    """It is another's (A14)."""
    SKIP = "skip"


@dataclass(frozen=True)
class Decision:
    """A step and its reason. `untouched`: nobody changed the live object since it was last seen equal."""

    step: Step
    reason: str = ""
    untouched: bool = False


@dataclass(frozen=True)
class Seen:
    """What was equal when last looked at: the live object's mark and the digest of what was sent."""

    mark: str
    digest: str


def mark_of(live: Manifest) -> str:
    """Changes whenever somebody changes what an apply could put right; needs only metadata.

    Rule: generation (which status leaves alone, kubernetes.md 5) and what else of the metadata is compared; the whole
    resourceVersion for kinds without a generation.
    """
    details = metadata(live)
    generation = details.get("generation")
    if not isinstance(generation, int):
        return f"v{resource_version(live)}"
    notes = {key: value for key, value in annotations_of(live).items() if key != _REVISION}
    rest = [notes, dict(labels_of(live)), details.get("finalizers"), details.get("ownerReferences")]
    return f"g{generation}:{json.dumps(rest, sort_keys=True, default=str)}"


def owner_of(live: Manifest, app: str, entry: InventoryEntry | None) -> str:
    """Whose the live object is: `app`, another app's name, or empty for nobody's that we know.

    Ours are objects with our label, and those of our inventory with the same UID whose label somebody took away.
    """
    label = text(labels_of(live).get(LABEL_APP))
    if label:
        return label
    return app if entry is not None and entry.uid and entry.uid == uid(live) else ""


def is_adopted(live: Manifest, app: str) -> bool:
    """Whether somebody allowed this app to take the object over."""
    return annotations_of(live).get(ANNOTATION_ADOPT) == app


def glance(desired: Manifest, digest: str, live: Manifest | None, app: str, entry: InventoryEntry | None, seen: Seen | None) -> Decision:
    """The next step for one object.

    Args:
        desired: as prepared.
        digest: of `desired`.
        live: at least the metadata of the live object; None when there is none.
        app: the release's app.
        entry: what the inventory knows.
        seen: what was equal when last looked at.
    """
    if _is_left_alone(desired):
        return Decision(Step.SKIP, "its annotations say that it is not applied")
    if live is None:
        if is_spent_job(desired, digest, entry):
            return Decision(Step.SKIP, "it has run, and its time to live removed it")
        return Decision(Step.CREATE)
    owner = owner_of(live, app, entry)
    if owner != app and not is_adopted(live, app):
        return Decision(Step.CONFLICT, _foreign(owner, app))
    if is_terminating(live):
        return Decision(Step.WAIT, "it is being deleted")
    if text(annotations_of(desired).get(_FLUX_SSA)).lower() == "ifnotpresent" or _is_left_alone(live):
        return Decision(Step.SKIP, "its annotations say that it is applied only where it is missing")
    untouched = seen is not None and seen.mark == mark_of(live)
    if seen is not None and untouched and seen.digest == digest:
        return Decision(Step.UNCHANGED)
    return Decision(Step.COMPARE, untouched=untouched)


def is_spent_job(desired: Manifest, digest: str, entry: InventoryEntry | None) -> bool:
    """Whether this very Job ran and its own time to live removed it (kubernetes.md 2.2): it must not run again."""
    spec = mapping(desired.get("spec"))
    has_ttl = desired.get("kind") == "Job" and spec.get("ttlSecondsAfterFinished") is not None
    return has_ttl and entry is not None and bool(entry.uid) and entry.digest == digest


def may_recreate(desired: Manifest, live: Manifest) -> bool:
    """Whether an immutable change may delete and create it anew: only by annotation, and never what holds data (A7)."""
    if desired.get("kind") in _NEVER_RECREATED:
        return False
    return any(_asks_recreate(annotations_of(side)) for side in (desired, live))


def _asks_recreate(notes: Mapping[str, Any]) -> bool:
    options = {part.strip() for part in text(notes.get("argocd.argoproj.io/sync-options")).split(",")}
    return (
        notes.get(ANNOTATION_FORCE) == "recreate"
        or text(notes.get("kustomize.toolkit.fluxcd.io/force")).lower() == "enabled"
        or "Force=true" in options
    )


def _is_left_alone(manifest: Manifest) -> bool:
    for words in (annotations_of(manifest), labels_of(manifest)):
        if text(words.get(_FLUX_RECONCILE)).lower() == "disabled" or text(words.get(_FLUX_SSA)).lower() == "ignore":
            return True
    return text(annotations_of(manifest).get(_ARGO_HOOK)).strip() == "Skip"


def _foreign(owner: str, app: str) -> str:
    whose = f"belongs to app {owner}" if owner else "was not made by Munbon"
    return f"an object of this name {whose}; annotate it {ANNOTATION_ADOPT}={app} to let this app take it over, or rename yours"
