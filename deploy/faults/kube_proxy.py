"""A proxy between the agent and its API server that kills the agent at a chosen change: a power cut in the middle of an apply."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from deploy.local_cluster.kube_http import KubeHttp

_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_HOP_HEADERS = ("host", "transfer-encoding", "connection", "content-length", "content-encoding", "accept-encoding", "keep-alive")
_REVIEWS = "reviews"


class Moment(StrEnum):
    """On which side of the change the power goes."""

    BEFORE = "before"
    """The API server never hears of it."""
    AFTER = "after"
    """The API server has done it; nobody hears the answer."""


class KubeProxy:
    """Plain HTTP in front of any API server, with the credentials of its kubeconfig. Dry runs and access reviews change nothing."""

    def __init__(self, kube: KubeHttp) -> None:
        self._kube = kube
        self._left = 0
        self._moment = Moment.BEFORE
        self._victim: Callable[[], int | None] = lambda: None
        self.has_killed = False
        self.changes: list[str] = []
        """Method and path of each change since the last `kill_at`."""

    @classmethod
    @asynccontextmanager
    async def to(cls, kubeconfig: Path, own_kubeconfig: Path) -> AsyncIterator[KubeProxy]:
        """A proxy to the server of `kubeconfig`; `own_kubeconfig` is written and leads through it."""
        async with KubeHttp.from_kubeconfig(kubeconfig, user_agent="munbon-agent") as kube:
            proxy = cls(kube)
            application = web.Application(client_max_size=64 * 1024 * 1024)
            application.router.add_route("*", "/{path:.*}", proxy._serve)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                port = runner.addresses[0][1]
                own_kubeconfig.write_text(yaml.safe_dump(_plain_kubeconfig(f"http://127.0.0.1:{port}")))
                yield proxy
            finally:
                await runner.cleanup()

    def kill_at(self, change: int, moment: Moment, victim: Callable[[], int | None]) -> None:
        """SIGKILL the victim at the n-th change from now on, counted from 1."""
        self._left, self._moment, self._victim = change, moment, victim
        self.has_killed = False
        self.changes = []

    def _kill(self) -> None:
        pid = self._victim()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        self.has_killed = True

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        is_last = False
        if _is_change(request):
            self.changes.append(f"{request.method} {request.path}")
            self._left -= 1
            is_last = self._left == 0
        if is_last and self._moment is Moment.BEFORE:
            self._kill()
            return web.Response(status=502)
        return await self._forward(request, kills=is_last)

    async def _forward(self, request: web.Request, *, kills: bool) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS}
        body = await request.read()
        url = f"{self._kube.server_url}{request.raw_path}"
        timeout = aiohttp.ClientTimeout(total=None, connect=10.0)
        async with self._kube.pool().request(request.method, url, data=body or None, headers=headers, timeout=timeout) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
            if "watch" in request.query:
                return await _pass_on(request, answer, kept)
            content = await answer.read()
            if kills:
                self._kill()
            return web.Response(status=answer.status, body=content, headers=kept)


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]) -> web.StreamResponse:
    stream = web.StreamResponse(status=answer.status, headers=headers)
    await stream.prepare(request)
    async for block in answer.content.iter_any():
        await stream.write(block)
    return stream


def _is_change(request: web.Request) -> bool:
    return request.method in _CHANGING and "dryRun" not in request.query and not request.path.endswith(_REVIEWS)


def _plain_kubeconfig(server_url: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "clusters": [{"name": "proxy", "cluster": {"server": server_url}}],
        "users": [{"name": "proxy", "user": {}}],
    }
