"""Which kinds the cluster serves, under which path and scope. Cached; read again when an unknown kind is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_agent.kube.errors import KubeNotFound
from edge_agent.kube.transport import Request, Transport

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
KindKey = tuple[str, str]
"""apiVersion and kind, as an object names them."""


@dataclass(frozen=True)
class ResourceKind:
    """One served kind in one version."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        """As objects write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of an object, or of a collection; of all namespaces when none is given."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + within + f"/{self.plural}" + (f"/{name}" if name else "") + (f"/{subresource}" if subresource else "")


def split_api_version(api_version: str) -> tuple[str, str]:
    """Group and version; the core group is empty."""
    group, _, version = api_version.rpartition("/")
    return group, version


class Discovery:
    """The kinds of one cluster."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._kinds: dict[tuple[str, str, str], ResourceKind] = {}
        self._preferred: dict[tuple[str, str], ResourceKind] = {}
        self._loaded = False

    async def resolve(self, keys: Iterable[KindKey]) -> dict[KindKey, ResourceKind]:
        """The kinds behind these keys; one that the cluster does not serve is left out. Reads the cluster at most once.

        Raises:
            KubeError: discovery cannot be read.
        """
        wanted = set(keys)
        if not self._loaded or any(self._exact(key) is None for key in wanted):
            await self.refresh()
        return {key: kind for key in wanted if (kind := self._exact(key)) is not None}

    async def served(self, group: str, kind: str, api_version: str = "") -> ResourceKind | None:
        """A kind in the given version where that is served, else in the preferred one; None when it is not served at all."""
        key = (api_version, kind)
        found = (self._exact(key) if api_version else None) or self._preferred.get((group, kind))
        if found is None:
            await self.refresh()
            found = (self._exact(key) if api_version else None) or self._preferred.get((group, kind))
        return found

    async def all_preferred(self) -> tuple[ResourceKind, ...]:
        """Every kind once, in its preferred version, read anew."""
        await self.refresh()
        return tuple(self._preferred.values())

    def _exact(self, key: KindKey) -> ResourceKind | None:
        group, version = split_api_version(key[0])
        return self._kinds.get((group, version, key[1]))

    async def refresh(self) -> None:
        """Read all kinds: two requests where aggregated discovery is served, else one per group and version."""
        found: list[ResourceKind] = []
        for root in ("/api", "/apis"):
            body = await self._get(root, _AGGREGATED)
            if body.get("kind") == "APIGroupDiscoveryList":
                found += _aggregated(body)
            else:
                found += await self._legacy(body)
        self._kinds = {(kind.group, kind.version, kind.kind): kind for kind in found}
        self._preferred = {}
        for kind in found:
            self._preferred.setdefault((kind.group, kind.kind), kind)
        self._loaded = True

    async def _legacy(self, body: Mapping[str, Any]) -> list[ResourceKind]:
        if body.get("kind") == "APIVersions":
            paths = [f"/api/{version}" for version in body.get("versions") or ()]
        else:
            paths = [f"/apis/{version['groupVersion']}" for group in body.get("groups") or () for version in _preferred_first(group)]
        found: list[ResourceKind] = []
        for path in paths:
            try:
                found += _resource_list(await self._get(path, "application/json"))
            except KubeNotFound:
                continue  # a group that went away in between, or whose own server is down
        return found

    async def _get(self, path: str, accept: str) -> dict[str, Any]:
        _, body = await self._transport.send(Request("GET", path, f"discovery {path}", {}, accept=accept))
        return body if isinstance(body, dict) else {}


def _preferred_first(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    preferred = (group.get("preferredVersion") or {}).get("groupVersion")
    return sorted(group.get("versions") or (), key=lambda version: version.get("groupVersion") != preferred)


def _aggregated(body: Mapping[str, Any]) -> list[ResourceKind]:
    """Kinds of an APIGroupDiscoveryList; versions come in order of preference."""
    found = []
    for item in body.get("items") or ():
        group = str((item.get("metadata") or {}).get("name") or "")
        for version in item.get("versions") or ():
            for resource in version.get("resources") or ():
                shown = resource.get("responseKind") or {}
                if not shown.get("kind"):
                    continue
                found.append(
                    ResourceKind(
                        group=group,
                        version=str(version.get("version")),
                        kind=str(shown["kind"]),
                        plural=str(resource.get("resource")),
                        namespaced=resource.get("scope") == "Namespaced",
                        verbs=frozenset(resource.get("verbs") or ()),
                    )
                )
    return found


def _resource_list(body: Mapping[str, Any]) -> list[ResourceKind]:
    """Kinds of an APIResourceList; entries with a slash are sub-resources."""
    group, version = split_api_version(str(body.get("groupVersion", "")))
    return [
        ResourceKind(
            group=group,
            version=version,
            kind=str(entry.get("kind")),
            plural=str(entry["name"]),
            namespaced=bool(entry.get("namespaced")),
            verbs=frozenset(entry.get("verbs") or ()),
        )
        for entry in body.get("resources") or ()
        if "/" not in str(entry.get("name", "/"))
    ]
