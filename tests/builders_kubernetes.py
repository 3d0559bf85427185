"""Manifests for the tests of the apply engine."""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]


def config_map(name: str = "settings", **data: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data or {"level": "1.5"}}


def deployment(name: str = "web", image: str = "docker.io/munbon/web:1.0.0", **spec: Any) -> Manifest:
    labels = {"app": name}
    container = {"name": "web", "image": image, "ports": [{"containerPort": 8080}], "readinessProbe": {"tcpSocket": {"port": 8080}}}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    body = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {**body, **spec}}


def service(name: str = "web", *ports: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": list(ports) or [{"port": 80, "targetPort": 8080}]},
    }


def job(name: str = "migrate", image: str = "docker.io/munbon/migrate:1.0.0", **spec: Any) -> Manifest:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": image}]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": template, **spec}}


def claim(name: str = "data", storage_class: str = "local") -> Manifest:
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class, "resources": {"requests": {"storage": "1Mi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def definition(group: str, kind: str = "Weir", scope: str = "Namespaced") -> Manifest:
    plural = kind.lower() + "s"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def custom(group: str, kind: str = "Weir", name: str = "north", **spec: Any) -> Manifest:
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "spec": spec or {"height_m": 2}}


def namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def noted(manifest: Manifest, annotations: dict[str, str]) -> Manifest:
    """A copy with these annotations."""
    details = manifest["metadata"]
    return {**manifest, "metadata": {**details, "annotations": {**details.get("annotations", {}), **annotations}}}


def in_wave(manifest: Manifest, wave: int) -> Manifest:
    """A copy in this sync wave."""
    return noted(manifest, {"argocd.argoproj.io/sync-wave": str(wave)})


def stateful_set(name: str = "store", image: str = "docker.io/munbon/store:1.0.0", **spec: Any) -> Manifest:
    made = deployment(name, image, **{"replicas": 2, "serviceName": name, **spec})
    made["kind"] = "StatefulSet"
    return made
