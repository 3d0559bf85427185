"""The way to the cluster: opened when it is there, doubted when it does not answer, known by its uid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from edge_agent.loop.ports import Cluster, Engine
from edge_agent.model import InventoryPort
from edge_agent.store.state import StateStore
from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.contracts.event import EventType
from shared.contracts.status import ClusterSummary
from shared.errors import MunbonError
from shared.observability import get_logger

CHECK_S = 15.0
"""How often it is asked which cluster it is: a reinstalled K3s is another one, and has nothing of ours."""
LONGEST_RETRY_S = 15.0
CONNECT_S = 30.0

_log = get_logger(__name__)


class ClusterKeeper:
    """Gives the engine of the cluster of the moment, or why there is none."""

    def __init__(self, cluster: Cluster, store: StateStore, clock: Clock, draw: Callable[[], float], on_change: Callable[[], None]) -> None:
        self._cluster = cluster
        self._store = store
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._failures = 0
        self._next_try_s = 0.0
        self._next_check_s = 0.0
        self._uid = ""
        self._lock = asyncio.Lock()
        self.engine: Engine | None = None
        self.summary = ClusterSummary(message="not asked yet")

    @property
    def unreachable(self) -> str:
        """Why there is no cluster now; empty where there is one."""
        return "" if self.engine is not None else f"K3s cannot be reached: {self.summary.message}"

    def doubt(self) -> None:
        """Somebody got no answer: ask again at once."""
        self._next_check_s = 0.0

    async def ensure(self) -> None:
        """Connect where there is no connection, ask again where it is time or in doubt. Never raises an error of the house."""
        async with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s < (self._next_check_s if self.engine is not None else self._next_try_s):
                return
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._look()
            except (MunbonError, TimeoutError) as error:
                self._lose(str(error) or "no answer in time")

    async def close(self) -> None:
        """Let go of the cluster."""
        self.engine = None
        await self._cluster.close()

    async def _look(self) -> None:
        if self.engine is not None and await self._cluster.identify() == self._uid:
            self._next_check_s = self._clock.monotonic_s() + CHECK_S
            return
        # a new connection, also where another cluster answers: nothing that the old engine remembers holds there
        engine, uid, version = await self._cluster.connect()
        await self._enter(engine, uid)
        self.engine, self._uid, self._failures = engine, uid, 0
        self._next_check_s = self._clock.monotonic_s() + CHECK_S
        self.summary = ClusterSummary(reachable=True, version=version, uid=uid)
        _log.info("cluster reached", uid=uid, version=version)
        self._on_change()

    async def _enter(self, engine: Engine, uid: str) -> None:
        """Take note of the cluster; where little is known of it, ask itself what is ours there."""
        is_first = not self._store.apps.knows_cluster()

        def changed(before: str) -> None:
            _log.warning("this is another cluster than before: everything is applied anew", before=before, now=uid)
            self._store.outbox.add(EventType.CLUSTER_CHANGED, {"before": before, "now": uid})

        self._store.apps.enter_cluster(uid, changed)
        if is_first or self._store.needs_rebuild:
            found = await engine.rebuild_inventory(None)
            self._store.inventory.save_all(found)
            self._store.finish_rebuild()
            if found:
                _log.info("inventories rebuilt from the cluster", apps={app: len(entries) for app, entries in found.items()})

    def _lose(self, reason: str) -> None:
        pause_s = max(0.5, full_jitter_s(self._failures, self._draw(), cap_s=LONGEST_RETRY_S))
        self._failures += 1
        self._next_try_s = self._clock.monotonic_s() + pause_s
        if self.engine is not None or self.summary.message != reason[:500]:
            _log.warning("K3s cannot be reached", reason=reason)
            self.engine = None
            self.summary = self.summary.model_copy(update={"reachable": False, "message": reason[:500]})
            self._on_change()


class KubeCluster:
    """The cluster of a kubeconfig. Its library is imported with the first connection, not with the agent."""

    def __init__(self, kubeconfig: Path, inventory: InventoryPort, clock: Clock, draw: Callable[[], float]) -> None:
        self._kubeconfig = kubeconfig
        self._inventory = inventory
        self._clock = clock
        self._draw = draw
        self._client: object | None = None

    async def connect(self) -> tuple[Engine, str, str]:
        """A new connection.

        Raises:
            KubeError: the cluster cannot be reached.
        """
        from edge_agent.apply.engine import ApplyEngine
        from edge_agent.kube.client import KubeClient, cluster_identity

        await self.close()
        client = await KubeClient.open(self._kubeconfig, self._clock, self._draw)
        try:
            identity = await cluster_identity(client)
        except BaseException:
            await client.close()
            raise
        self._client = client
        return ApplyEngine(client, self._inventory, self._clock), identity.uid, identity.version

    async def identify(self) -> str:
        """The uid of the cluster that answers now.

        Raises:
            KubeError: it cannot be reached.
        """
        from edge_agent.kube.client import KubeClient, cluster_identity

        assert isinstance(self._client, KubeClient)
        return (await cluster_identity(self._client)).uid

    async def close(self) -> None:
        """Close all connections."""
        from edge_agent.kube.client import KubeClient

        if isinstance(self._client, KubeClient):
            await self._client.close()
        self._client = None
