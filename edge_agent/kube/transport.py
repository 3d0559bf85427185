"""Requests to one API server: connection pools, time limits, retries, and a check of every status.

Not `ApiClient.call_api`: it walks each body twice in Python, which made a PATCH cost three times the processor time
(kubernetes.md 6), and its import 2 MB more.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from edge_agent.kube.access import Access, read_access
from edge_agent.kube.errors import KubeError, KubeUnavailable, error_from, no_answer
from shared.backoff import full_jitter_s
from shared.clock import Clock, SystemClock
from shared.contracts.metadata import USER_AGENT

POOL_SIZE = 4
CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 30.0
MOST_RETRIES = 3
LONGEST_RETRY_AFTER_S = 10.0
_READ_BUFFER_BYTES = 2 * 1024 * 1024
"""One line of a watch may be as large as an object may be."""


@dataclass(frozen=True)
class Request:
    """One request. `repeatable`: sending it twice does what sending it once does."""

    method: str
    path: str
    subject: str
    query: Mapping[str, str]
    body: Any = None
    content_type: str = "application/json"
    accept: str = "application/json"
    timeout_s: float = TOTAL_TIMEOUT_S
    repeatable: bool = True


class _Pools:
    """The connections that belong to one reading of the kubeconfig; watches have their own, as each holds one for ever."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.short = self._session(POOL_SIZE)
        self.watches = self._session(0)

    def _session(self, limit: int) -> aiohttp.ClientSession:
        headers = {"User-Agent": USER_AGENT}
        if self.access.authorization:
            headers["Authorization"] = self.access.authorization
        connector = aiohttp.TCPConnector(limit=limit, ssl=self.access.tls if self.access.tls is not None else True)
        return aiohttp.ClientSession(connector=connector, headers=headers, read_bufsize=_READ_BUFFER_BYTES)

    async def close(self) -> None:
        await self.short.close()
        await self.watches.close()

    def options(self) -> dict[str, Any]:
        """What each request carries besides its own."""
        options: dict[str, Any] = {"allow_redirects": False}
        if self.access.proxy:
            options["proxy"] = self.access.proxy
        if self.access.tls_server_name:
            options["server_hostname"] = self.access.tls_server_name
        return options


class Transport:
    """Sends requests; reads the kubeconfig again when the server no longer takes what it said (K3s was reinstalled)."""

    def __init__(self, kubeconfig: Path, pools: _Pools, clock: Clock, unit: Callable[[], float]) -> None:
        self._kubeconfig = kubeconfig
        self._pools = pools
        self.clock = clock
        self.unit = unit
        self.requests_sent = 0
        self.writes_sent = 0
        """Requests that change something: not GET, not dry-run."""

    @classmethod
    async def open(cls, kubeconfig: Path, clock: Clock | None = None, unit: Callable[[], float] | None = None) -> Transport:
        """Read the kubeconfig; connects with the first request.

        Raises:
            KubeUnavailable: the kubeconfig cannot be used.
        """
        return cls(kubeconfig, _Pools(await read_access(kubeconfig)), clock or SystemClock(), unit or Random().random)

    async def close(self) -> None:
        """Close all connections."""
        await self._pools.close()

    async def send(self, request: Request) -> tuple[int, Any]:
        """Send a request, again where that is safe (kubernetes.md 6); gives the HTTP code and the parsed body.

        Raises:
            KubeError: refused, or no answer; the type says whether to try again later.
        """
        renewed = False
        for attempt in range(MOST_RETRIES + 1):
            try:
                return await self._send_once(request)
            except KubeUnavailable as error:
                if not renewed and _credentials_doubtful(error) and await self._renew():
                    renewed = True
                    continue
                if attempt == MOST_RETRIES or not request.repeatable or not _is_worth_a_retry(error):
                    raise
                await self.clock.sleep(max(full_jitter_s(attempt, self.unit(), base_s=0.2, cap_s=2.0), _asked_delay_s(error)))
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send_once(self, request: Request) -> tuple[int, Any]:
        pools = self._pools
        headers = {"Accept": request.accept}
        data = None
        if request.body is not None:
            headers["Content-Type"] = request.content_type
            data = json.dumps(request.body, separators=(",", ":"), ensure_ascii=False).encode()
        timeout = aiohttp.ClientTimeout(total=request.timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._count(request)
        try:
            async with pools.short.request(
                request.method,
                pools.access.host + request.path,
                params=dict(request.query),
                data=data,
                headers=headers,
                timeout=timeout,
                **pools.options(),
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(error, request.subject, pools.access.host) from error
        body = _parse(raw, response.content_type)
        if not 200 <= response.status <= 299:
            raise error_from(response.status, body, request.subject, _retry_after_s(response.headers))
        return response.status, body

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], subject: str, accept: str, silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a watch: its lines until the server ends it.

        Raises:
            KubeError: refused, broken, or silent for longer than `silence_s`.
        """
        pools = self._pools
        self.requests_sent += 1
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=silence_s)
        try:
            async with pools.watches.get(
                pools.access.host + path, params=dict(query), headers={"Accept": accept}, timeout=timeout, **pools.options()
            ) as response:
                if response.status != 200:
                    raise error_from(response.status, _parse(await response.read(), response.content_type), subject)
                yield _lines(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise no_answer(error, subject, pools.access.host) from error
        except KubeUnavailable as error:
            if _credentials_doubtful(error):
                await self._renew()
            raise

    async def _renew(self) -> bool:
        """Whether the kubeconfig had changed; then all later requests go by the new one."""
        try:
            access = await read_access(self._kubeconfig)
        except KubeError:
            return False
        if access.fingerprint == self._pools.access.fingerprint:
            return False
        old, self._pools = self._pools, _Pools(access)
        await old.close()
        return True

    def _count(self, request: Request) -> None:
        self.requests_sent += 1
        if request.method != "GET" and "dryRun" not in request.query:
            self.writes_sent += 1


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    while line := await response.content.readline():
        yield line


def _parse(raw: bytes, content_type: str) -> Any:
    if "json" in content_type or raw[:1] == b"{":
        try:
            return json.loads(raw)
        except ValueError:
            pass  # a cut answer: its text says more than its end would
    return raw.decode("utf-8", "replace")


def _credentials_doubtful(error: KubeUnavailable) -> bool:
    return error.status == 401 or isinstance(error.__cause__, aiohttp.ClientConnectorError | ssl.SSLError)


def _is_worth_a_retry(error: KubeUnavailable) -> bool:
    """A second later it may work: overload, or a connection cut in between. Not a server that is away: the loop comes back."""
    if error.status in (429, 503):
        return _asked_delay_s(error) <= LONGEST_RETRY_AFTER_S
    if error.status:
        return error.status in (502, 504)
    cause = error.__cause__
    return isinstance(cause, aiohttp.ServerDisconnectedError | ConnectionResetError | aiohttp.ClientOSError) and not isinstance(
        cause, aiohttp.ClientConnectorError
    )


def _asked_delay_s(error: KubeUnavailable) -> float:
    return error.delay_s if error.status == 429 else 0.0


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
