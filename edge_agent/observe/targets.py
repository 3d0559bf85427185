"""The objects of a render with the kinds that the cluster serves them under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_agent.kube.client import KubeClient
from edge_agent.kube.discovery import KindKey, ResourceKind
from edge_agent.model import Manifest, Render
from edge_agent.plan.access import mapping, text
from edge_agent.plan.prepare import digest_of, prepare
from edge_agent.plan.stages import defined_kind, is_built_in
from shared.contracts.event import ObjectRef
from shared.contracts.objects import group_of, object_ref
from shared.contracts.scopes import scope_of

_ALWAYS_THERE = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True)
class Target:
    """One object as it is sent. `kind` is None while the release's own definition of it is not established."""

    ref: ObjectRef
    manifest: Manifest
    digest: str
    kind: ResourceKind | None
    implied: bool = False
    """The release's namespace, where the release does not name it: made when missing, else none of our business."""


@dataclass(frozen=True)
class Unserved:
    """An object whose kind neither the cluster nor the release defines. `is_typo`: of a group that only Kubernetes itself serves."""

    ref: ObjectRef
    api_version: str
    is_typo: bool


async def resolve_targets(kube: KubeClient, render: Render) -> tuple[tuple[Target, ...], tuple[Unserved, ...]]:
    """All objects of a render, prepared; and those that cannot be.

    Raises:
        KubeError: discovery cannot be read.
    """
    objects = [*render.objects, *_implied_namespace(render)]
    served = await kube.discovery.resolve(_key(item) for item in objects)
    scopes = {defined_kind(item): _scope(item) for item in objects if item.get("kind") == "CustomResourceDefinition"}
    targets: list[Target] = []
    unserved: list[Unserved] = []
    for place, item in enumerate(objects):
        kind = served.get(_key(item))
        namespaced = _is_namespaced(item, kind, scopes)
        if namespaced is None:
            group = group_of(item)
            unserved.append(Unserved(object_ref(item, render.namespace), text(item.get("apiVersion")), is_built_in(group)))
            continue
        manifest = prepare(item, render.app, render.namespace, namespaced)
        targets.append(Target(object_ref(manifest), manifest, digest_of(manifest), kind, implied=place >= len(render.objects)))
    return tuple(targets), tuple(unserved)


def refs_of(render: Render, scopes: Mapping[tuple[str, str], bool]) -> frozenset[ObjectRef]:
    """Names of a render's objects; `scopes` tells of each group and kind whether it lives in a namespace."""
    found = set()
    for item in [*render.objects, *_implied_namespace(render)]:
        ref = object_ref(item)
        namespaced = scopes.get((ref.group, ref.kind), scope_of(ref.group, ref.kind) != "Cluster")
        found.add(ref.model_copy(update={"namespace": (ref.namespace or render.namespace) if namespaced else ""}))
    return frozenset(found)


def _implied_namespace(render: Render) -> list[Manifest]:
    """Argo CD makes the app's namespace first where it is missing (kubernetes.md 1.2)."""
    if render.namespace in _ALWAYS_THERE:
        return []
    named = any(item.get("kind") == "Namespace" and object_ref(item).name == render.namespace for item in render.objects)
    return [] if named else [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": render.namespace}}]


def _key(item: Manifest) -> KindKey:
    return text(item.get("apiVersion")), text(item.get("kind"))


def _scope(definition: Manifest) -> bool:
    return mapping(definition.get("spec")).get("scope") == "Namespaced"


def _is_namespaced(item: Manifest, kind: ResourceKind | None, scopes: Mapping[tuple[str, str], bool]) -> bool | None:
    """Scope by the cluster, else by a definition in the release; None when nobody knows the kind."""
    if kind is not None:
        return kind.namespaced
    return scopes.get((group_of(item), text(item.get("kind"))))
