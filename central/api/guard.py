"""What stands before every route: request id, the last resort for unexpected errors, the token, the size of the body."""

from __future__ import annotations

import asyncio
from typing import cast

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from central.api.dependencies import ApiDependencies
from central.api.problems import problem_of, problem_response, status_of
from central.api.tokens import authenticate
from shared.contracts.api import API_PREFIX, ProblemView
from shared.contracts.limits import MAX_BLOB_BYTES, MAX_ENVELOPE_BYTES
from shared.errors import MunbonError, TooLarge
from shared.observability import get_logger

MAX_JSON_BYTES = MAX_ENVELOPE_BYTES + 64 * 1024
"""A request that carries an envelope, with room for what is around it."""
DRAIN_BYTES = 256 * 1024 * 1024
DRAIN_S = 20.0
_NUL = b"\\u0000"
"""As JSON writes it; PostgreSQL cannot keep it."""
_BLOBS = f"{API_PREFIX}/blobs/"
_LOG = get_logger("central.api")


class RequestGuard:
    """Outermost layer: an id for each request, a log line for each change, and no traceback for anybody."""

    def __init__(self, app: ASGIApp, dependencies: ApiDependencies) -> None:
        self._app = app
        self._deps = dependencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._deps.new_id()
        started_s, status = self._deps.clock.monotonic_s(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # the outermost guard: whatever happened, the user gets an id and the log gets the rest
            _LOG.exception("request failed", request_id=request_id, method=scope["method"], path=scope["path"])
            if status:
                raise
            await _internal_error(request_id)(scope, receive, send_with_id)
        if scope["method"] not in ("GET", "HEAD"):
            took_ms = round((self._deps.clock.monotonic_s() - started_s) * 1000)
            actor = scope.get("munbon.actor", "")
            _LOG.info("request", method=scope["method"], path=scope["path"], status=status, actor=actor, took_ms=took_ms, id=request_id)


def _internal_error(request_id: str) -> Response:
    problem = ProblemView(
        code="InternalError",
        message="central met an error that it did not expect",
        remedy=f"look for request_id {request_id} in central's log",
        details={"request_id": request_id},
    )
    return problem_response(500, problem)


class TokenGuard:
    """Nothing under /v1 is read, not even a body, before the token is known."""

    def __init__(self, app: ASGIApp, dependencies: ApiDependencies) -> None:
        self._app = app
        self._deps = dependencies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{API_PREFIX}/"):
            await self._app(scope, receive, send)
            return
        try:
            actor = await authenticate(self._deps, _header(scope, b"authorization"))
        except MunbonError as error:  # the store cannot be read
            await problem_response(status_of(error), problem_of(error))(scope, receive, send)
            return
        if actor is None:
            problem = ProblemView(
                code="Unauthorised",
                message="the bearer token is missing, unknown or revoked",
                remedy="send 'Authorization: Bearer TOKEN'; make one with: munbon-central token create NAME",
            )
            await problem_response(401, problem, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        scope["munbon.actor"] = actor
        await self._app(scope, receive, send)


class BodyGuard:
    """Refuses a body that is over its limit, also where its size is not announced, and never holds more than the limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "DELETE"):
            await self._app(scope, receive, send)
            return
        limit, what = (MAX_BLOB_BYTES, "blob") if scope["path"].startswith(_BLOBS) else (MAX_JSON_BYTES, "request body")
        body = _Body(receive, announced=_announced_size(scope))
        try:
            content = await body.read(limit)
            if content is None and not _waits_for_continue(scope):
                await body.drain()
        except ClientDisconnect:
            return
        if content is None:
            error = _too_large(what, limit, body)
            # some of the body may still be on its way, so this connection serves no further request
            await problem_response(status_of(error), problem_of(error), {"Connection": "close"})(scope, receive, send)
            return
        if what != "blob" and _NUL in content:
            problem = ProblemView(
                code="BadInput", message="request body: holds the character NUL, which no name or text may", remedy="remove it"
            )
            await problem_response(400, problem)(scope, receive, send)
            return
        await self._app(scope, _replay(content, receive), send)


class _Body:
    """The body of one request as it comes in."""

    def __init__(self, receive: Receive, announced: int | None) -> None:
        self._receive = receive
        self.announced = announced
        self.received = 0
        self.ended = False

    async def read(self, limit: int) -> bytes | None:
        """All of it, or None as soon as it is known to be over the limit."""
        if self.announced is not None and self.announced > limit:
            return None
        content = bytearray()
        while not self.ended:
            content += await self._next()
            if self.received > limit:
                return None
        return bytes(content)

    async def drain(self) -> None:
        """Read and forget the rest within bounds: a client that still writes gets the answer, not a broken connection."""
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self.ended and self.received <= DRAIN_BYTES:
                    await self._next()
        except TimeoutError:
            return

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = cast("bytes", message.get("body", b""))
        self.received += len(chunk)
        self.ended = not message.get("more_body", False)
        return chunk


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body once, then what comes after it (the client's going)."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _too_large(what: str, limit: int, body: _Body) -> TooLarge:
    if body.announced is not None:
        size = f"{body.announced} bytes"
    else:
        size = f"{body.received} bytes" if body.ended else f"more than {body.received} bytes"
    return TooLarge(
        f"has {size}, the limit is {limit} bytes ({limit / 2**20:.3g} MiB)",
        subject=what,
        remedy="make it smaller: leave data files out of the release, or split the app",
    )


def _waits_for_continue(scope: Scope) -> bool:
    """Such a client has not begun to send: it is answered at once."""
    return _header(scope, b"expect").lower() == "100-continue"


def _announced_size(scope: Scope) -> int | None:
    text = _header(scope, b"content-length")
    return int(text) if text.isdecimal() else None


def _header(scope: Scope, name: bytes) -> str:
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    return next((value.decode("latin-1") for key, value in headers if key == name), "")
