"""The order of an apply: waves, stages in a wave, bands in a stage (kubernetes.md 1.1, 1.2, 3.1). The order of kinds is data.

A wave (`argocd.argoproj.io/sync-wave`, as Argo CD means it) begins when the one before is healthy. A stage begins when the one before
is applied, and definitions are established. A band is applied at once; the next begins when it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge_agent.model import Manifest
from edge_agent.plan.access import annotations_of, mapping, text
from shared.contracts.event import ObjectRef
from shared.contracts.objects import object_ref

WAVE_ANNOTATION = "argocd.argoproj.io/sync-wave"
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")
# fmt: off
_BANDS: tuple[tuple[str, ...], ...] = (
    ("CustomResourceDefinition", "Namespace"),
    ("ClusterRole", "PriorityClass", "StorageClass", "IngressClass", "RuntimeClass"),
    ("ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Role", "ClusterRoleBinding", "ConfigMap", "Secret",
     "PersistentVolume"),
    ("RoleBinding", "PersistentVolumeClaim", "Service", "PodDisruptionBudget"),
    ("DaemonSet", "Pod", "ReplicaSet", "Deployment", "StatefulSet", "Job", "CronJob", "ReplicationController"),
)
_LATE_BANDS: tuple[tuple[str, ...], ...] = (
    ("Ingress", "HorizontalPodAutoscaler", "APIService"),
    ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
)
# fmt: on
_MIDDLE_BAND = len(_BANDS)
"""Kinds that are not named: after workloads, before what sends traffic to them."""
_BAND_OF = {kind: rank for rank, kinds in enumerate(_BANDS) for kind in kinds} | {
    kind: _MIDDLE_BAND + 1 + rank for rank, kinds in enumerate(_LATE_BANDS) for kind in kinds
}
_BUILT_IN_GROUPS = frozenset(
    f"{name}.k8s.io"
    for name in (
        "admissionregistration",
        "apiextensions",
        "apiregistration",
        "authentication",
        "authorization",
        "certificates",
        "coordination",
        "discovery",
        "events",
        "flowcontrol.apiserver",
        "networking",
        "node",
        "rbac.authorization",
        "resource",
        "scheduling",
        "storage",
        "storagemigration",
    )
)
STAGES = ("definitions", "classes", "custom", "rest")
_DEFINITIONS = frozenset({"CustomResourceDefinition", "Namespace", "ClusterRole"})


@dataclass(frozen=True)
class Stage:
    """Bands of objects; `name` is one of STAGES."""

    name: str
    bands: tuple[tuple[Manifest, ...], ...]

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All of them, in order."""
        return tuple(item for band in self.bands for item in band)


@dataclass(frozen=True)
class Wave:
    """Stages of one sync wave."""

    number: int
    stages: tuple[Stage, ...]

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """All of them, in order."""
        return tuple(item for stage in self.stages for item in stage.objects)


def arrange(objects: Iterable[Manifest]) -> tuple[Wave, ...]:
    """Objects in waves, stages and bands; each object once. Ties go by group, kind, namespace and name."""
    objects = tuple(objects)
    waves: dict[int, dict[int, dict[int, list[Manifest]]]] = {}
    for item, number in zip(objects, _effective_waves(objects), strict=True):
        ref = object_ref(item)
        waves.setdefault(number, {}).setdefault(_stage_rank(ref), {}).setdefault(band_of(ref.kind), []).append(item)
    return tuple(Wave(number, tuple(_stage(rank, waves[number][rank]) for rank in sorted(waves[number]))) for number in sorted(waves))


def _stage(rank: int, bands: dict[int, list[Manifest]]) -> Stage:
    return Stage(STAGES[rank], tuple(tuple(sorted(bands[band], key=lambda item: _ref_key(object_ref(item)))) for band in sorted(bands)))


def band_of(kind: str) -> int:
    """Place of a kind in the order of bands."""
    return _BAND_OF.get(kind, _MIDDLE_BAND)


def removal_bands(refs: Sequence[ObjectRef]) -> tuple[tuple[ObjectRef, ...], ...]:
    """Objects to delete in bands: the order of applying, reversed; custom objects go before the definitions of their kind."""
    bands: dict[tuple[int, int], list[ObjectRef]] = {}
    for ref in refs:
        bands.setdefault((_stage_rank(ref), band_of(ref.kind)), []).append(ref)
    return tuple(tuple(sorted(bands[key], key=_ref_key, reverse=True)) for key in sorted(bands, reverse=True))


def wave_of(manifest: Manifest) -> int:
    """Sync wave of an object; 0 where there is none, or no number (as Argo CD)."""
    written = text(annotations_of(manifest).get(WAVE_ANNOTATION)).strip()
    return int(written) if _INTEGER.fullmatch(written) else 0


def _effective_waves(objects: Sequence[Manifest]) -> list[int]:
    """Own waves, but a Namespace or definition moves forward to the first object that needs it (kubernetes.md 1.2)."""
    own = [wave_of(item) for item in objects]
    first_in_namespace: dict[str, int] = {}
    first_of_kind: dict[tuple[str, str], int] = {}
    for item, number in zip(objects, own, strict=True):
        ref = object_ref(item)
        first_in_namespace[ref.namespace] = min(number, first_in_namespace.get(ref.namespace, number))
        first_of_kind[(ref.group, ref.kind)] = min(number, first_of_kind.get((ref.group, ref.kind), number))
    moved = []
    for item, number in zip(objects, own, strict=True):
        ref = object_ref(item)
        needed = number
        if (ref.group, ref.kind) == ("", "Namespace"):
            needed = first_in_namespace.get(ref.name, number)
        elif ref.kind == "CustomResourceDefinition":
            needed = first_of_kind.get(defined_kind(item), number)
        moved.append(min(number, needed))
    return moved


def defined_kind(definition: Manifest) -> tuple[str, str]:
    """Group and kind that a CustomResourceDefinition defines."""
    spec = mapping(definition.get("spec"))
    return text(spec.get("group")), text(mapping(spec.get("names")).get("kind"))


def _stage_rank(ref: ObjectRef) -> int:
    if ref.kind in _DEFINITIONS:
        return 0
    if ref.kind.endswith("Class"):
        return 1
    return 3 if is_built_in(ref.group) else 2


def is_built_in(group: str) -> bool:
    """Whether Kubernetes itself serves this group. Others under k8s.io (gateway.networking, snapshot.storage) are custom."""
    return "." not in group or group in _BUILT_IN_GROUPS


def _ref_key(ref: ObjectRef) -> tuple[str, str, str, str]:
    return ref.group, ref.kind, ref.namespace, ref.name
