"""Small valid objects for the stories of this folder."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def config_map(name: str = "settings", **data: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def container(name: str = "web", image: str = "munbon/web:1.0.0", **fields: Any) -> Obj:
    return {"name": name, "image": image, **fields}


def template(app: str, *containers: Obj, **spec: Any) -> Obj:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": list(containers) or [container()], **spec}}


def deployment(name: str = "web", *containers: Obj, replicas: int = 1, **spec: Any) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template(name, *containers), **spec},
    }


def stateful_set(name: str = "store", *containers: Obj, replicas: int = 1, **spec: Any) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, *containers),
            **spec,
        },
    }


def daemon_set(name: str = "probe", *containers: Obj) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template(name, *containers)},
    }


def job(name: str = "migrate", image: str = "munbon/migrate:1.0.0", *, restart: str = "Never", **spec: Any) -> Obj:
    pod = {
        "spec": {"containers": [container("migrate", image, terminationMessagePolicy="FallbackToLogsOnError")], "restartPolicy": restart}
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": pod, **spec}}


def service(name: str = "web", *ports: Obj) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": list(ports) or [{"port": 80}]},
    }


def owned_by(owner: Obj, obj: Obj, **fields: Any) -> Obj:
    """``obj`` with a reference to a live ``owner``."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [{**reference, **fields}]}}


def managers(obj: Obj) -> dict[tuple[str, str], Obj]:
    """``fieldsV1`` of an object by (manager, operation), of the object itself, not of its status."""
    return {
        (entry["manager"], entry["operation"]): entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
        if not entry.get("subresource")
    }


def condition(obj: Obj, kind: str) -> Obj:
    """A condition of an object's status, or an empty one."""
    return next((each for each in obj.get("status", {}).get("conditions") or () if each["type"] == kind), {})
