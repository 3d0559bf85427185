"""A small Kubernetes client over plain aiohttp, for the fake kubelet, the launcher and the tests."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

import aiohttp
import yaml

from shared.clock import SystemClock

Obj = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_CONNECT_S = 10.0
_TOTAL_S = 60.0
_CLOSING_TURNS = 5


class KubeHttpError(Exception):
    """The API server answered with an error; ``body`` is its ``Status`` object, where it sent one."""

    def __init__(self, code: int, body: Obj, request: str) -> None:
        super().__init__(f"{request}: {code} {body.get('reason', '')}: {body.get('message', '')}")
        self.code = code
        self.body = body
        self.reason = str(body.get("reason", ""))
        self.message = str(body.get("message", ""))


class KubeHttp:
    """One connection pool to one API server.

    Args:
        server_url: as in a kubeconfig; may end in a path.
        token: bearer token, if the server wants one.
        tls: how to check the server (and show who we are); None for plain HTTP.
        user_agent: sent with each request; its first part is the default field manager.
    """

    def __init__(self, server_url: str, token: str = "", tls: ssl.SSLContext | None = None, user_agent: str = "munbon-local/1") -> None:
        self.server_url = server_url.rstrip("/")
        headers = {"Accept": "application/json", "User-Agent": user_agent}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._headers = headers
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._sockets: WeakSet[socket.socket] = WeakSet()

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Path | Mapping[str, Any], user_agent: str = "munbon-local/1") -> KubeHttp:
        """A client for the current context of a kubeconfig (a file, or its content)."""
        config = yaml.safe_load(kubeconfig.read_text()) if isinstance(kubeconfig, Path) else kubeconfig
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"] or {}
        return cls(cluster["server"], user.get("token", ""), _tls_context(cluster, user), user_agent)

    async def __aenter__(self) -> KubeHttp:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
            for connection in self._sockets:  # the polite end of a TLS connection would outlive the event loop of a test
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._sockets = WeakSet()
            for _ in range(_CLOSING_TURNS):
                await SystemClock().sleep(0.0)

    def pool(self) -> aiohttp.ClientSession:
        """The connections themselves, with credentials: for a proxy."""
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True, limit=32, socket_factory=self._socket)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                read_bufsize=2 * 1024 * 1024,
                timeout=aiohttp.ClientTimeout(total=_TOTAL_S, connect=_CONNECT_S),
            )
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(address[0], address[1], address[2])
        made.setblocking(False)
        self._sockets.add(made)
        return made

    async def raw(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", accept: str = "", **query: str
    ) -> tuple[int, Any]:
        """Send a request; the code, and the body as JSON or text. Never raises for an HTTP code.

        Raises:
            aiohttp.ClientError: no answer.
        """
        headers = {"Content-Type": content_type} if body is not None else {}
        if accept:
            headers["Accept"] = accept
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self.pool().request(method, self.server_url + path, data=data, params=query, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if "json" in response.content_type else text

    async def request(self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **query: str) -> Any:
        """As :meth:`raw`, the body only.

        Raises:
            KubeHttpError: the server refused.
            aiohttp.ClientError: no answer.
        """
        code, content = await self.raw(method, path, body, content_type=content_type, **query)
        if code >= 400:
            raise KubeHttpError(code, content if isinstance(content, dict) else {"message": content}, f"{method} {path}")
        return content

    async def get(self, path: str, **query: str) -> Any:
        """GET."""
        return await self.request("GET", path, **query)

    async def apply(self, path: str, obj: Obj, manager: str, *, force: bool = False, **query: str) -> Obj:
        """Server-side apply."""
        extra = {"force": "true"} if force else {}
        applied: Obj = await self.request("PATCH", path, obj, content_type=APPLY, fieldManager=manager, **extra, **query)
        return applied

    async def patch(self, path: str, patch: Any, content_type: str = MERGE, **query: str) -> Obj:
        """PATCH, a merge patch by default."""
        patched: Obj = await self.request("PATCH", path, patch, content_type=content_type, **query)
        return patched

    async def create(self, path: str, obj: Obj, **query: str) -> Obj:
        """POST to a collection."""
        created: Obj = await self.request("POST", path, obj, **query)
        return created

    async def replace(self, path: str, obj: Obj, **query: str) -> Obj:
        """PUT."""
        replaced: Obj = await self.request("PUT", path, obj, **query)
        return replaced

    async def delete(self, path: str, options: Obj | None = None, **query: str) -> Obj:
        """DELETE."""
        deleted: Obj = await self.request("DELETE", path, options, **query)
        return deleted

    @asynccontextmanager
    async def watch(self, path: str, query: Mapping[str, str] | None = None, silence_s: float = 90.0) -> AsyncIterator[AsyncIterator[Obj]]:
        """Open a watch; gives its events until the server ends it, or says nothing for ``silence_s``.

        Raises:
            KubeHttpError: the server refused the watch.
        """
        timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_S, sock_read=silence_s)
        params = {"watch": "true", **(query or {})}
        async with self.pool().get(self.server_url + path, params=params, timeout=timeout) as response:
            if response.status >= 400:
                text = await response.text()
                raise KubeHttpError(response.status, json.loads(text) if text.startswith("{") else {"message": text}, f"WATCH {path}")
            yield _events(response)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Obj]:
    while line := await response.content.readline():
        yield json.loads(line)


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise ValueError(f"the kubeconfig has no entry named {name!r}: is current-context right?")


def _tls_context(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext | None:
    if not cluster["server"].startswith("https:"):
        return None
    if cluster.get("certificate-authority-data"):
        tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    else:
        tls = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if user.get("client-certificate"):
        tls.load_cert_chain(user["client-certificate"], user["client-key"])
    elif user.get("client-certificate-data"):
        # the ssl module reads certificates of clients from files only
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pair.flush()
            tls.load_cert_chain(pair.name)
    return tls
