"""The objects of a release as they go into the cluster, the node's settings among them."""

from __future__ import annotations

from collections.abc import Sequence

from edge_agent.model import Manifest, Render, Target
from shared.contracts.metadata import SETTINGS_CONFIGMAP_SUFFIX
from shared.contracts.release import Release


def settings_object(app: str, namespace: str, settings: dict[str, str]) -> Manifest:
    """The ConfigMap `<app>-settings`."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{app}{SETTINGS_CONFIGMAP_SUFFIX}", "namespace": namespace},
        "data": dict(sorted(settings.items())),
    }


def render_objects(target: Target, release: Release, objects: Sequence[Manifest]) -> Render:
    """What a target comes down to. Settings never change an object of the release: they are one ConfigMap beside them."""
    settings = dict(target.settings)
    extra = (settings_object(release.app, release.namespace, settings),) if settings else ()
    return Render(
        app=release.app,
        release_digest=target.ref.release_digest,
        version=release.version,
        namespace=release.namespace,
        objects=(*objects, *extra),
        delivery=release.delivery,
        settings=settings,
        allow_secrets=release.allow_secrets,
    )
