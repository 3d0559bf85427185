"""An API server of a few lines, which fails as it is told, and a clock that waits for nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from edge_agent.kube.client import KubeClient
from edge_agent.kube.transport import Transport

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class HurriedClock:
    """Time that jumps: sleeping takes none, and is written down."""

    slept_s: list[float] = field(default_factory=list)

    def wall(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=sum(self.slept_s))

    def monotonic_s(self) -> float:
        return sum(self.slept_s)

    def boot_id(self) -> str:
        return "boot"

    def is_synchronised(self) -> bool:
        return True

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)
        await asyncio.sleep(0)


@dataclass
class Stub:
    """Answers requests from a list of prepared answers, the last one for ever; keeps what it was asked."""

    url: str
    folder: Path
    clock: HurriedClock = field(default_factory=HurriedClock)
    answers: list[Answer] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    opened: list[Transport] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    def write_kubeconfig(self, token: str = "secret") -> Path:
        path = self.folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": token}}],
        }
        path.write_text(yaml.safe_dump(config))
        return path

    async def client(self) -> KubeClient:
        return KubeClient(await self.transport())

    async def transport(self) -> Transport:
        self.opened.append(await Transport.open(self.write_kubeconfig(), self.clock, lambda: 0.5))
        return self.opened[-1]


def says(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer in JSON."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, text=json.dumps(body if body is not None else {}), content_type="application/json", headers=headers
        )

    return answer


def refuses(code: int, reason: str, message: str, **headers: str) -> Answer:
    """An error as Kubernetes writes it."""
    return says(code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}, **headers)


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """The connection is cut without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def streams(*lines: Any, then_silence: bool = False) -> Answer:
    """A watch that says these lines and ends, or falls silent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for line in lines:
            await response.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
        if then_silence:
            await asyncio.sleep(30)
        return response

    return answer


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Stub]:
    """A stub on a free port."""
    app = web.Application()
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    holder: list[Stub] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return await holder[0].handle(request)

    app.router.add_route("*", "/{path:.*}", handle)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    holder.append(Stub(f"http://127.0.0.1:{port}", tmp_path))
    yield holder[0]
    for transport in holder[0].opened:
        await transport.close()
    await runner.cleanup()
