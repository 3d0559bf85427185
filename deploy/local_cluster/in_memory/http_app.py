"""The in-memory clusters over HTTP: one aiohttp server on loopback, each cluster below ``/c/<name>``."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from aiohttp import web

from deploy.local_cluster.in_memory.api import Answer, Request
from deploy.local_cluster.in_memory.cluster import InMemoryCluster
from deploy.local_cluster.in_memory.errors import ApiError
from deploy.local_cluster.in_memory.reading import Watch
from shared.clock import Clock, SystemClock

_WATCH_END_GRACE_S = 0.2


def _dump(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()


class InMemoryServer:
    """Serves any number of in-memory clusters from one process.

    Use as ``async with InMemoryServer() as server: cluster = server.add("pi-north")``.
    """

    def __init__(self, clock: Clock | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self._clock = clock or SystemClock()
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._watches: dict[str, set[Watch]] = {}
        self.clusters: dict[str, InMemoryCluster] = {}

    async def start(self) -> None:
        """Listen; port 0 takes a free one."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/c/{cluster}/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_WATCH_END_GRACE_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        addresses = self._runner.addresses
        self._port = addresses[0][1]

    async def stop(self) -> None:
        """End all watches, stop listening, stop the clusters' timers."""
        for name in list(self.clusters):
            self.remove(name)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> InMemoryServer:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    def add(self, name: str, cluster: InMemoryCluster | None = None) -> InMemoryCluster:
        """Serve a cluster (a new one by default) below ``/c/<name>``.

        Raises:
            ValueError: the name is taken.
        """
        if name in self.clusters:
            raise ValueError(f"a cluster named {name!r} is already served here: choose another name")
        cluster = cluster or InMemoryCluster(clock=self._clock)
        cluster.server_url = self.url(name)
        self.clusters[name] = cluster
        return cluster

    def remove(self, name: str) -> None:
        """Serve a cluster no more: its watches end, later requests get connection-level 404."""
        cluster = self.clusters.pop(name)
        self.cut_watches(name)
        cluster.close()

    def url(self, name: str) -> str:
        """``server`` of a kubeconfig for that cluster."""
        return f"http://{self._host}:{self._port}/c/{name}"

    def cut_watches(self, name: str) -> None:
        """End the running watches of a cluster, as an API server does when it restarts."""
        for watch in list(self._watches.get(name, ())):
            watch.stop()

    async def _serve(self, http: web.Request) -> web.StreamResponse:
        name = http.match_info["cluster"]
        cluster = self.clusters.get(name)
        if cluster is None:
            return web.Response(status=404, text=f"no in-memory cluster named {name}")
        if cluster.is_down:
            return web.Response(status=503, text="apiserver not ready", headers={"Retry-After": "1"})
        if cluster.token and http.headers.get("Authorization") != f"Bearer {cluster.token}":
            return _written(Answer(401, ApiError(401, "Unauthorized", "Unauthorized").status()))
        request = Request(
            http.method,
            http.match_info["path"],
            dict(http.query),
            http.content_type,
            http.headers.get("Accept", ""),
            await http.read(),
            http.headers.get("User-Agent", ""),
        )
        answer = cluster.handle(request)
        if isinstance(answer, Watch):
            return await self._stream(http, name, answer)
        return _written(answer)

    async def _stream(self, http: web.Request, name: str, watch: Watch) -> web.StreamResponse:
        running = self._watches.setdefault(name, set())
        running.add(watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(http)
            async for batch in watch.batches():
                await response.write(b"".join(_dump(event) + b"\n" for event in batch))
            await response.write_eof()
        except (ConnectionResetError, ConnectionError):
            return response
        finally:
            running.discard(watch)
            watch.close()
        return response


def _written(answer: Answer) -> web.Response:
    if isinstance(answer.content, str):
        return web.Response(status=answer.code, text=answer.content)
    return web.Response(status=answer.code, body=_dump(answer.content), content_type="application/json")
