"""What is served: the table of kinds, as discovery shows it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from deploy.local_cluster.in_memory import schema

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True, eq=False)
class Kind:
    """One served kind of one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    status: bool = False
    scale: bool = False
    generation: bool = False
    type: schema.Type = field(default=schema.ANY)
    custom: bool = False

    @property
    def api_version(self) -> str:
        """As in ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As in messages: ``deployments.apps``, ``pods``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def id(self) -> str:
        """Key of the kind in the store; all versions of one custom kind share it."""
        return self.resource


def _k(api_version: str, kind: str, plural: str, scope: str, short: str = "", traits: str = "") -> Kind:
    group, _, version = api_version.rpartition("/")
    has = set(traits.split())
    return Kind(
        group,
        version,
        kind,
        plural,
        scope == "ns",
        tuple(short.split()),
        "status" in has,
        "scale" in has,
        "generation" in has,
        schema.builtin_types()[f"{api_version}/{kind}"],
    )


def builtin_kinds() -> list[Kind]:
    """All kinds that need no CustomResourceDefinition."""
    rbac = "rbac.authorization.k8s.io/v1"
    net = "networking.k8s.io/v1"
    return [
        _k("v1", "Namespace", "namespaces", "", "ns", "status"),
        _k("v1", "ConfigMap", "configmaps", "ns", "cm"),
        _k("v1", "Secret", "secrets", "ns"),
        _k("v1", "Service", "services", "ns", "svc", "status"),
        _k("v1", "ServiceAccount", "serviceaccounts", "ns", "sa"),
        _k("v1", "Pod", "pods", "ns", "po", "status generation"),
        _k("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "ns", "pvc", "status"),
        _k("v1", "PersistentVolume", "persistentvolumes", "", "pv", "status"),
        _k("v1", "ResourceQuota", "resourcequotas", "ns", "quota", "status"),
        _k("v1", "LimitRange", "limitranges", "ns", "limits"),
        _k("v1", "Endpoints", "endpoints", "ns", "ep"),
        _k("v1", "Event", "events", "ns", "ev"),
        _k("v1", "Node", "nodes", "", "no", "status"),
        _k("apps/v1", "Deployment", "deployments", "ns", "deploy", "status scale generation"),
        _k("apps/v1", "ReplicaSet", "replicasets", "ns", "rs", "status scale generation"),
        _k("apps/v1", "StatefulSet", "statefulsets", "ns", "sts", "status scale generation"),
        _k("apps/v1", "DaemonSet", "daemonsets", "ns", "ds", "status generation"),
        _k("apps/v1", "ControllerRevision", "controllerrevisions", "ns"),
        _k("batch/v1", "Job", "jobs", "ns", "", "status generation"),
        _k("batch/v1", "CronJob", "cronjobs", "ns", "cj", "status generation"),
        _k(net, "Ingress", "ingresses", "ns", "ing", "status generation"),
        _k(net, "IngressClass", "ingressclasses", "", "", "generation"),
        _k(net, "NetworkPolicy", "networkpolicies", "ns", "netpol", "generation"),
        _k(rbac, "Role", "roles", "ns"),
        _k(rbac, "RoleBinding", "rolebindings", "ns"),
        _k(rbac, "ClusterRole", "clusterroles", ""),
        _k(rbac, "ClusterRoleBinding", "clusterrolebindings", ""),
        _k("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", "", "crd crds", "status generation"),
        _k("storage.k8s.io/v1", "StorageClass", "storageclasses", "", "sc"),
        _k("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "", "pc", "generation"),
        _k("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "ns", "pdb", "status generation"),
        _k("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "ns", "hpa", "status"),
        _k("coordination.k8s.io/v1", "Lease", "leases", "ns"),
        _k("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", "ns"),
    ]


def kinds_of_crd(crd: dict[str, Any]) -> list[Kind]:
    """The kinds that an established CustomResourceDefinition serves, one per served version."""
    spec = crd["spec"]
    names = spec["names"]
    result = []
    for version in spec.get("versions", ()):
        if not version.get("served"):
            continue
        subresources = version.get("subresources") or {}
        kind_type = schema.custom_type((version.get("schema") or {}).get("openAPIV3Schema"))
        result.append(
            Kind(
                spec["group"],
                version["name"],
                names["kind"],
                names["plural"],
                spec.get("scope") == "Namespaced",
                tuple(names.get("shortNames", ())),
                "status" in subresources,
                False,
                True,
                kind_type,
                True,
            )
        )
    return result


class Registry:
    """The kinds that one cluster serves now, by path and by apiVersion and kind."""

    def __init__(self, kinds: list[Kind]) -> None:
        self._by_path = {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self._by_name = {(kind.api_version, kind.kind): kind for kind in kinds}

    def by_path(self, group: str, version: str, plural: str) -> Kind | None:
        """Kind behind ``/apis/<group>/<version>/.../<plural>``."""
        return self._by_path.get((group, version, plural))

    def by_name(self, api_version: str, kind: str) -> Kind | None:
        """Kind as an object names it."""
        return self._by_name.get((api_version, kind))

    def has_group(self, group: str) -> bool:
        """Whether anything is served in that group."""
        return any(kind.group == group for kind in self._by_path.values())

    def all(self) -> list[Kind]:
        """All served kinds and versions."""
        return list(self._by_path.values())

    def replaced(self, group: str, plural: str, kinds: list[Kind]) -> Registry:
        """A registry in which ``kinds`` stand for all versions of ``plural`` in ``group``."""
        rest = [kind for kind in self.all() if (kind.group, kind.plural) != (group, plural)]
        return Registry(rest + kinds)


def api_group_list(registry: Registry) -> dict[str, Any]:
    """Answer of ``/apis``."""
    groups: dict[str, list[str]] = {}
    for kind in registry.all():
        if kind.group and kind.version not in groups.setdefault(kind.group, []):
            groups[kind.group].append(kind.version)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(name, versions) for name, versions in groups.items()]}


def api_group(name: str, versions: list[str]) -> dict[str, Any]:
    """One group as discovery shows it; the first version is preferred."""
    shown = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": shown, "preferredVersion": shown[0]}


def api_resource_list(registry: Registry, group: str, version: str) -> dict[str, Any] | None:
    """Answer of ``/api/v1`` or ``/apis/<group>/<version>``; None when nothing is served there."""
    resources: list[dict[str, Any]] = []
    for kind in registry.all():
        if (kind.group, kind.version) != (group, version):
            continue
        entry: dict[str, Any] = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": _VERBS,
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        resources.append(entry)
        if kind.status:
            resources.append(
                {
                    "name": f"{kind.plural}/status",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": kind.kind,
                    "verbs": ["get", "patch", "update"],
                }
            )
    if not resources:
        return None
    api_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": resources}


def open_api_index(registry: Registry) -> dict[str, Any]:
    """Answer of ``/openapi/v3``: where the document of each version is."""
    versions = {f"apis/{kind.api_version}" if kind.group else f"api/{kind.version}" for kind in registry.all()}
    return {"paths": {version: {"serverRelativeURL": f"/openapi/v3/{version}"} for version in sorted(versions)}}


def open_api_document(registry: Registry, api_version: str) -> dict[str, Any]:
    """One version's OpenAPI, as far as kubectl asks: which parameters a PATCH takes. No schemas."""
    parameters = [{"name": name, "in": "query"} for name in ("dryRun", "fieldManager", "fieldValidation", "force")]
    paths: dict[str, Any] = {}
    for kind in registry.all():
        if kind.api_version == api_version:
            root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
            inside = "/namespaces/{namespace}" if kind.namespaced else ""
            identity = {"group": kind.group, "version": kind.version, "kind": kind.kind}
            paths[f"{root}{inside}/{kind.plural}/{{name}}"] = {
                "patch": {"parameters": parameters, "responses": {}, "x-kubernetes-group-version-kind": identity}
            }
    return {"openapi": "3.0.0", "info": {"title": "in-memory Kubernetes", "version": "v1"}, "paths": paths}
