"""One in-memory cluster: store, API and controllers put together."""

from __future__ import annotations

import random
import uuid
from functools import cache
from typing import Any

from deploy.local_cluster.in_memory.admission import Admission
from deploy.local_cluster.in_memory.api import Answer, Api, LogSource, Request
from deploy.local_cluster.in_memory.controllers.runner import Controllers
from deploy.local_cluster.in_memory.deleting import Deleting
from deploy.local_cluster.in_memory.kinds import Registry, builtin_kinds, kinds_of_crd
from deploy.local_cluster.in_memory.reading import Watch
from deploy.local_cluster.in_memory.storage import DELETED, Change, Obj, Store
from deploy.local_cluster.in_memory.writing import Options, Writing
from shared.clock import Clock, SystemClock

_CRDS = "customresourcedefinitions.apiextensions.k8s.io"
_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


@cache
def _builtin_registry() -> Registry:
    """The built-in kinds; one registry is shared by all clusters of the process."""
    return Registry(builtin_kinds())


class InMemoryCluster:
    """A Kubernetes API with its controllers in this process. Costs nothing while nobody asks it anything.

    Args:
        clock: tells the time that objects carry, and waits for deadlines.
        randomness: makes uids and generated names.
        token: when set, requests over HTTP must carry it as bearer token.
        history_limit: how many changes a watch may look back.
        bookmark_interval_s: how often a watch that allows it gets a bookmark.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        randomness: random.Random | None = None,
        token: str = "",
        history_limit: int = 500,
        bookmark_interval_s: float = 60.0,
    ) -> None:
        self._clock = clock or SystemClock()
        self._randomness = randomness or random.SystemRandom()
        self.token = token
        self.server_url = ""
        self.is_down = False
        """While set, requests over HTTP get 503 (an API server that is starting)."""
        self._registry = _builtin_registry()
        self.store = Store(history_limit)
        self.store.listen(self._note_definition)
        admission = Admission(self.store)
        self._writing = Writing(self.store, admission, self._clock.wall, self._new_uid)
        deleting = Deleting(self.store, admission, self._clock.wall)
        self._api = Api(self.store, self._writing, deleting, self.registry, bookmark_interval_s)
        self._controllers = Controllers(self.store, self._writing, deleting, self.registry, self._clock)
        for name in _NAMESPACES:
            self._create("v1", "Namespace", {"metadata": {"name": name}})
        self._controllers.settle()
        self.compact()

    def registry(self) -> Registry:
        """The kinds that are served now."""
        return self._registry

    def handle(self, request: Request) -> Answer | Watch:
        """Answer one request without a socket; a watch must be closed by the caller."""
        return self._api.handle(request)

    def settle(self) -> None:
        """Let the controllers do all that can be done now."""
        self._controllers.settle()

    def compact(self) -> None:
        """Forget the history: watches from before now get 410."""
        self.store.compact()

    def serve_logs(self, source: LogSource | None) -> None:
        """Answer ``pods/<name>/log`` from ``source`` (pod, container, previous -> text)."""
        self._api.log_source = source

    def close(self) -> None:
        """Stop the controllers' timers."""
        self._controllers.close()

    def objects(self, kind_id: str, namespace: str | None = None) -> list[Obj]:
        """Objects of a kind (``pods``, ``deployments.apps``), for assertions; not to be changed."""
        return self.store.all(kind_id, namespace)

    def kubeconfig(self) -> dict[str, Any]:
        """A kubeconfig for this cluster; needs a server that serves it."""
        user = {"token": self.token} if self.token else {}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "in-memory",
            "clusters": [{"name": "in-memory", "cluster": {"server": self.server_url}}],
            "users": [{"name": "in-memory", "user": user}],
            "contexts": [{"name": "in-memory", "context": {"cluster": "in-memory", "user": "in-memory"}}],
        }

    def _create(self, api_version: str, kind: str, obj: Obj) -> None:
        found = self._registry.by_name(api_version, kind)
        if found is None:
            raise KeyError(f"{api_version} {kind} is not served")
        self._writing.create(
            found, obj["metadata"].get("namespace", ""), {"apiVersion": api_version, "kind": kind, **obj}, Options("in-memory")
        )

    def _new_uid(self) -> str:
        return str(uuid.UUID(int=self._randomness.getrandbits(128), version=4))

    def _note_definition(self, change: Change) -> None:
        """Serve what established definitions define."""
        if change.kind_id != _CRDS:
            return
        spec = change.obj["spec"]
        conditions = (change.obj.get("status") or {}).get("conditions") or ()
        established = any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
        kinds = kinds_of_crd(change.obj) if established and change.type != DELETED else []
        if (
            change.before is not None
            and change.type != DELETED
            and change.before["spec"] == spec
            and bool(kinds) == bool([each for each in self._registry.all() if each.id == change.obj["metadata"]["name"]])
        ):
            return
        self._registry = self._registry.replaced(spec["group"], spec["names"]["plural"], kinds)
