"""KubeClient: the verbs of the API on plain dicts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edge_agent.kube.discovery import Discovery, ResourceKind
from edge_agent.kube.errors import KubeNotFound, KubeUnavailable
from edge_agent.kube.own_writes import OwnWrites
from edge_agent.kube.transport import Request, Transport
from edge_agent.model import Manifest
from shared.clock import Clock
from shared.contracts.event import ObjectRef
from shared.contracts.metadata import FIELD_MANAGER

APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
PAGE_SIZE = 500
_DRY_RUN_TIMEOUT_S = 60.0
"""Webhooks may take long (kubernetes.md 6)."""
Propagation = Literal["Foreground", "Background", "Orphan"]


@dataclass(frozen=True)
class Listing:
    """A collection as it stood at `resource_version`."""

    items: tuple[Manifest, ...]
    resource_version: str


@dataclass(frozen=True)
class Applied:
    """Answer to an apply. `created`: it was not there before."""

    object: Manifest
    created: bool


@dataclass(frozen=True)
class ClusterIdentity:
    """Which cluster this is. `uid`: of the namespace kube-system, so a reinstalled K3s is another one."""

    uid: str
    version: str


class KubeClient:
    """One cluster. All methods raise `KubeError`; a repeat of any of them is safe, and GET, PATCH and DELETE repeat themselves."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.discovery = Discovery(transport)
        self._own_writes = OwnWrites()

    @classmethod
    async def open(cls, kubeconfig: Path, clock: Clock | None = None, unit: Callable[[], float] | None = None) -> KubeClient:
        """A client for the current context of a kubeconfig; connects with the first request.

        Args:
            kubeconfig: the file; read again when the server stops accepting what it says.
            clock: waits between retries.
            unit: random numbers in [0, 1) for the retries' jitter.

        Raises:
            KubeUnavailable: the kubeconfig is missing or broken.
        """
        return cls(await Transport.open(kubeconfig, clock, unit))

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    @property
    def clock(self) -> Clock:
        """The clock that retries wait on."""
        return self._transport.clock

    @property
    def unit(self) -> Callable[[], float]:
        """Random numbers for jitter."""
        return self._transport.unit

    @property
    def requests_sent(self) -> int:
        """Requests so far, dry-runs and retries included."""
        return self._transport.requests_sent

    @property
    def writes_sent(self) -> int:
        """Requests so far that can change something."""
        return self._transport.writes_sent

    async def get(self, kind: ResourceKind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """One object, or None when it is not there."""
        accept = _METADATA_ONLY if metadata_only else "application/json"
        try:
            return await self._object(Request("GET", kind.path(namespace, name), _subject(kind, namespace, name), {}, accept=accept))
        except KubeNotFound:
            return None

    async def list(
        self,
        kind: ResourceKind,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
        may_lag: bool = False,
    ) -> Listing:
        """All objects of a kind in one namespace, or in all; read in pages.

        Args:
            kind: which objects.
            namespace: empty for all.
            label_selector: only those.
            field_selector: only those.
            metadata_only: names, labels, versions; not spec and status.
            may_lag: answered from the server's cache, which has seen all our own writes, but others' perhaps some milliseconds late.
        """
        query = {"limit": str(PAGE_SIZE)}
        if label_selector:
            query["labelSelector"] = label_selector
        if field_selector:
            query["fieldSelector"] = field_selector
        accept = _METADATA_LIST if metadata_only else "application/json"
        request = Request("GET", kind.path(namespace), _subject(kind, namespace, "list"), query, accept=accept)
        if may_lag:
            try:
                return await self._pages(replace(request, query={**query, **self._own_writes.query(kind)}, repeatable=False))
            except KubeUnavailable:
                self._own_writes.forget()  # a plain list tells whether only the version was too new
        return await self._pages(request)

    async def _pages(self, request: Request) -> Listing:
        items: list[Manifest] = []
        while True:
            body = await self._object(request)
            items += body.get("items") or ()
            found = body.get("metadata") or {}
            if not found.get("continue"):
                return Listing(tuple(items), str(found.get("resourceVersion", "")))
            further = {name: value for name, value in request.query.items() if not name.startswith("resourceVersion")}
            request = replace(request, query={**further, "continue": str(found["continue"])})

    async def apply(
        self, kind: ResourceKind, manifest: Manifest, *, force: bool, dry_run: bool = False, manager: str = FIELD_MANAGER
    ) -> Applied:
        """Server-side apply with strict field validation.

        Args:
            kind: the manifest's kind in the manifest's version.
            manifest: the fields that `manager` wants to own.
            force: take fields that others own; without it they answer KubeConflict, which names them.
            dry_run: only tell what it would come to.
            manager: the field manager.
        """
        found = manifest["metadata"]
        namespace, name = str(found.get("namespace") or ""), str(found["name"])
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        request = Request(
            "PATCH",
            kind.path(namespace, name),
            _subject(kind, namespace, name),
            query,
            body=manifest,
            content_type=APPLY_PATCH,
            timeout_s=_DRY_RUN_TIMEOUT_S,
        )
        status, body = await self._transport.send(request)
        applied = Applied(body if isinstance(body, dict) else {}, created=status == 201)
        self._own_writes.note(kind, applied.object)
        return applied

    async def patch(self, kind: ResourceKind, namespace: str, name: str, patch: Any, content_type: str = MERGE_PATCH) -> Manifest:
        """A merge patch or JSON patch. Retried only as a merge patch, which may be repeated."""
        request = Request(
            "PATCH",
            kind.path(namespace, name),
            _subject(kind, namespace, name),
            {"fieldManager": FIELD_MANAGER},
            body=patch,
            content_type=content_type,
            repeatable=content_type == MERGE_PATCH,
        )
        patched = await self._object(request)
        self._own_writes.note(kind, patched)
        return patched

    async def delete(self, kind: ResourceKind, namespace: str, name: str, *, uid: str, propagation: Propagation = "Background") -> bool:
        """Delete exactly the object with this UID; True when it is gone at once, False while it terminates.

        Raises:
            KubeConflict: an object of that name has another UID by now.
        """
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": propagation,
        }
        try:
            body = await self._object(Request("DELETE", kind.path(namespace, name), _subject(kind, namespace, name), {}, body=options))
        except KubeNotFound:
            return True
        return not (body.get("metadata") or {}).get("deletionTimestamp")

    async def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool, tail_lines: int = 20, limit_bytes: int = 16_384
    ) -> str:
        """The end of a container's log."""
        query = {
            "container": container,
            "tailLines": str(tail_lines),
            "limitBytes": str(limit_bytes),
            "previous": "true" if previous else "false",
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        request = Request("GET", path, f"log of Pod {namespace}/{pod}", query, accept="text/plain, */*", timeout_s=5.0, repeatable=False)
        _, body = await self._transport.send(request)
        return body if isinstance(body, str) else ""

    async def get_path(self, path: str) -> Manifest:
        """GET of a path that is no object, such as /version."""
        return await self._object(Request("GET", path, path, {}))

    def stream(
        self, kind: ResourceKind, namespace: str, query: Mapping[str, str], *, metadata_only: bool, silence_s: float
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a watch; `edge_agent.kube.watch` makes sense of its lines."""
        accept = _METADATA_ONLY if metadata_only else "application/json"
        return self._transport.stream(kind.path(namespace), query, _subject(kind, namespace, "watch"), accept, silence_s)

    async def _object(self, request: Request) -> Manifest:
        _, body = await self._transport.send(request)
        return body if isinstance(body, dict) else {}


def _subject(kind: ResourceKind, namespace: str, name: str) -> str:
    return str(ObjectRef(group=kind.group, kind=kind.kind, namespace=namespace, name=name))


async def cluster_identity(kube: KubeClient) -> ClusterIdentity:
    """UID of kube-system and the server's version.

    Raises:
        KubeError: the API server is away or refuses.
    """
    namespaces = ResourceKind("", "v1", "Namespace", "namespaces", False)
    system = await kube.get(namespaces, "", "kube-system", metadata_only=True) or {}
    version = await kube.get_path("/version")
    return ClusterIdentity(uid=str((system.get("metadata") or {}).get("uid", "")), version=str(version.get("gitVersion", "")))
