"""Releases to try a fleet with: a good one, and one for each way of going wrong. Pure.

Each pod carries the outcome that a fake kubelet plays, and a command that does the same on a node with real containers: one story
can be told on every kind of cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.local_cluster.pod_script import OUTCOME_ANNOTATION

Manifest = dict[str, Any]
IMAGE = "docker.io/munbon/gate-ui"
PORT = 8080
LAST_WORDS = "no config found in /etc/gate-ui"
CRASH_CODE = 3
MISSING_IMAGE = "docker.io/munbon/no-such-image:9.9.9"
_PULL_REFUSED = f'failed to pull image "{MISSING_IMAGE}": not found'


@dataclass(frozen=True)
class Behaviour:
    """What the pods of a release do: on real containers by `command`, on a fake kubelet by `outcome` (empty: by its script)."""

    outcome: Mapping[str, Any] = field(default_factory=lambda: {"outcome": "Ready"})
    command: tuple[str, ...] = ("/bin/busybox", "httpd", "-f", "-p", str(PORT), "-h", "/www")
    image: str = ""
    """Instead of the release's own image."""


GOOD = Behaviour()
CRASHING = Behaviour(
    {"outcome": "CrashLoopBackOff", "exit_code": CRASH_CODE, "last_log": LAST_WORDS},
    ("/bin/busybox", "sh", "-c", f"echo starting; echo {LAST_WORDS}; exit {CRASH_CODE}"),
)
UNPULLABLE = Behaviour({"outcome": "ImagePullBackOff", "message": _PULL_REFUSED}, image=MISSING_IMAGE)
NEVER_READY = Behaviour({"outcome": "Unready"}, ("/bin/busybox", "sleep", "3600"))


def slow(delay_s: float) -> Behaviour:
    """The image takes its time, then all is well."""
    return Behaviour({"outcome": "Slow", "delay_s": delay_s})


def web_app(
    app: str,
    version: str,
    behaviour: Behaviour = GOOD,
    *,
    namespace: str = "default",
    replicas: int = 1,
    extra: Iterable[Manifest] = (),
    image: str = "",
) -> list[Manifest]:
    """A Deployment that shows a page out of a ConfigMap, behind a Service; the page names the version.

    Args:
        app: also the name of all three objects.
        version: on the page, and in the pods' environment: each version makes new pods.
        behaviour: what the pods do.
        namespace: of all objects.
        replicas: of the Deployment.
        extra: further objects.
        image: instead of version 1.0.0 of the test image.
    """
    page = config_map(app, {"index.html": f"{app} {version}\n"}, namespace=namespace)
    service: Manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": app, "namespace": namespace},
        "spec": {"selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": PORT}]},
    }
    shown_image = behaviour.image or image or f"{IMAGE}:1.0.0"
    return [page, service, deployment(app, version, behaviour, namespace=namespace, replicas=replicas, image=shown_image), *extra]


def deployment(app: str, version: str, behaviour: Behaviour, *, namespace: str, replicas: int, image: str) -> Manifest:
    """The Deployment of `web_app` alone."""
    container = {
        "name": "web",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(behaviour.command),
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"containerPort": PORT, "name": "http"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "page", "mountPath": "/www"}],
    }
    played = {"annotations": {OUTCOME_ANNOTATION: json.dumps(dict(behaviour.outcome), sort_keys=True)}} if behaviour.outcome else {}
    pod = {
        "metadata": {"labels": {"app": app}, **played},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "page", "configMap": {"name": app}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": pod},
    }


def config_map(name: str, data: Mapping[str, str], *, namespace: str = "default") -> Manifest:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": dict(data)}


def without(manifests: Iterable[Manifest], kind: str, name: str = "") -> list[Manifest]:
    """The same release with one object dropped (all of the kind, if no name is given)."""
    return [each for each in manifests if each["kind"] != kind or (name and each["metadata"]["name"] != name)]


def many_objects(app: str, version: str, count: int, *, namespace: str = "default") -> list[Manifest]:
    """A release of many small ConfigMaps beside the web app: an apply with many stages to be interrupted at."""
    many = [config_map(f"{app}-{number:02d}", {"version": version}, namespace=namespace) for number in range(count)]
    return web_app(app, version, namespace=namespace, extra=many)
