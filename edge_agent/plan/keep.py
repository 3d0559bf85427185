"""What is never deleted, and what opts out (kubernetes.md 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_agent.model import Manifest
from edge_agent.plan.access import annotations_of, labels_of, text
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import ANNOTATION_PRUNE

# compared without regard to case, in annotations and labels alike (as Flux does)
_OPT_OUTS: tuple[tuple[str, frozenset[str]], ...] = (
    (ANNOTATION_PRUNE, frozenset({"disabled"})),
    ("kustomize.toolkit.fluxcd.io/prune", frozenset({"disabled"})),
    ("helm.sh/resource-policy", frozenset({"keep"})),
    ("client.lifecycle.config.k8s.io/deletion", frozenset({"detach"})),
    ("cli-utils.sigs.k8s.io/on-remove", frozenset({"keep"})),
    ("kapp.k14s.io/delete-strategy", frozenset({"orphan"})),
    ("action.timoni.sh/prune", frozenset({"disabled"})),
)
_ARGO_OPTIONS = "argocd.argoproj.io/sync-options"
_ARGO_KEEPS = frozenset({"prune=false", "delete=false", "prune=confirm"})
_DATA_KINDS = frozenset({("", "PersistentVolumeClaim"), ("", "PersistentVolume"), ("apiextensions.k8s.io", "CustomResourceDefinition")})
"""Deleting these deletes data: a definition takes all objects of its kind with it (kubernetes.md 4)."""


def opt_out(manifest: Manifest) -> str:
    """The annotation or label that forbids to delete this object; empty when none does."""
    for words in (annotations_of(manifest), labels_of(manifest)):
        for key, values in _OPT_OUTS:
            if text(words.get(key)).lower() in values:
                return f"{key}={words[key]}"
        if found := _argo_keep(words):
            return found
    return ""


def is_protected(ref: ObjectRef, app_is_absent: bool) -> bool:
    """Whether this kind is not deleted: claims, volumes and definitions never; a Namespace only with its app, and only when empty."""
    if (ref.group, ref.kind) in _DATA_KINDS:
        return True
    return is_namespace(ref) and not app_is_absent


def is_namespace(ref: ObjectRef) -> bool:
    """Whether it is a Namespace."""
    return (ref.group, ref.kind) == ("", "Namespace")


def _argo_keep(words: Mapping[str, Any]) -> str:
    options = [part.strip() for part in text(words.get(_ARGO_OPTIONS)).split(",")]
    return next((f"{_ARGO_OPTIONS}: {option}" for option in options if option.lower() in _ARGO_KEEPS), "")
