"""Calls of central's API. Every way to fail becomes a `CliError` with what was wrong and what to do."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from httpx_sse import EventSource, connect_sse

from central.cli import exits
from central.cli.config import Context
from central.cli.exits import CliError
from shared.contracts.api import API_PREFIX, ProblemView
from shared.contracts.base import Contract
from shared.contracts.codec import validate
from shared.errors import Malformed, UsageError

_TICK_S = 0.5
_ADDRESS = "write it as http://HOST:PORT or https://HOST"
ModelT = TypeVar("ModelT", bound=Contract)
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_STREAM_TIMEOUT = httpx.Timeout(30.0, connect=5.0, read=45.0)
"""Central sends a keep-alive each 15 s: three missed ones mean that the link is dead."""


class Client:
    """One connection to one central."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.last_status = 0
        """HTTP status of the last answer: 201 made something, 200 found it there."""
        self._http = httpx.Client(
            base_url=_checked_url(context.url),
            headers={"Authorization": f"Bearer {_checked_token(context.token)}"},
            timeout=_TIMEOUT,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, model: type[ModelT], **query: object) -> ModelT:
        """One view."""
        return self._view(self._call("GET", path, params=_query(query)), model)

    def get_list(self, path: str, model: type[ModelT], **query: object) -> list[ModelT]:
        """A list of views."""
        return self._views(self._call("GET", path, params=_query(query)), model)

    def send(self, method: str, path: str, body: Contract | None, model: type[ModelT], **query: object) -> ModelT:
        """Send a request body, get one view."""
        content = body.model_dump(mode="json") if body is not None else None
        return self._view(self._call(method, path, json=content, params=_query(query)), model)

    def send_for_list(self, method: str, path: str, body: Contract, model: type[ModelT]) -> list[ModelT]:
        """Send a request body, get a list of views."""
        return self._views(self._call(method, path, json=body.model_dump(mode="json")), model)

    def delete(self, path: str) -> None:
        """Remove something."""
        self._call("DELETE", path)

    def put_bytes(self, path: str, content: bytes) -> None:
        """Send raw bytes."""
        self._call("PUT", path, content=content, headers={"Content-Type": "application/octet-stream"})

    @contextmanager
    def stream(self, path: str, **query: object) -> Iterator[Iterator[tuple[str, Any]]]:
        """Server-sent events as (event name, JSON data), until central ends the stream.

        A pair `("", None)` comes twice a second while nothing happens, so that the reader can look at the clock.
        """
        events: queue.SimpleQueue[tuple[str, Any] | BaseException | None] = queue.SimpleQueue()
        opened = connect_sse(self._http, "GET", f"{API_PREFIX}{path}", params=_query(query), timeout=_STREAM_TIMEOUT)
        with self._translated(), opened as source:
            if source.response.status_code >= 400:
                source.response.read()
                self._raise_for(source.response)
            reader = threading.Thread(target=_read_events, args=(source, events), daemon=True)
            reader.start()
            yield _ticking(events)

    def _call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._translated():
            response = self._http.request(method, f"{API_PREFIX}{path}", **arguments)
        if response.status_code >= 300:
            self._raise_for(response)
        self.last_status = response.status_code
        return response

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise self._unreachable("does not answer in time") from error
        except httpx.TransportError as error:
            raise self._unreachable(f"cannot be reached: {error}") from error

    def _unreachable(self, reason: str) -> CliError:
        remedy = "check that munbon-central serve runs there; nodes go on with what they have"
        return CliError(reason, exit_code=exits.UNREACHABLE, subject=f"central at {self.context.url}", remedy=remedy, code="Unreachable")

    def _raise_for(self, response: httpx.Response) -> None:
        try:
            problem = validate(response.json(), ProblemView, subject="answer")
        except (ValueError, Malformed):
            problem = ProblemView(code=f"HTTP{response.status_code}", message=f"answered {response.status_code} {response.reason_phrase}")
            if response.status_code < 400:
                problem = ProblemView(code="NotMunbon", message="answered with a redirect: this is no Munbon central")
        remedy = problem.remedy
        if response.status_code == 401:  # central speaks of headers, which nobody at a command line sends
            remedy = "run: munbon login URL --token-file FILE"
        raise CliError(problem.message, exit_code=exits.of_status(response.status_code), remedy=remedy, code=problem.code)

    def _view(self, response: httpx.Response, model: type[ModelT]) -> ModelT:
        return _read(response, model, self.context.url)

    def _views(self, response: httpx.Response, model: type[ModelT]) -> list[ModelT]:
        content = _json(response, self.context.url)
        if not isinstance(content, list):
            raise _not_munbon(self.context.url)
        return [validate(item, model, subject=model.__name__) for item in content]


def _checked_url(url: str) -> str:
    """The address without a final slash.

    Raises:
        UsageError: it is none.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UsageError(f"address {url!r} is not usable: {error}", subject="munbon", remedy=_ADDRESS) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"address {url!r} is not usable", subject="munbon", remedy=_ADDRESS)
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    """The token, which no error message repeats.

    Raises:
        UsageError: there is none, or it holds what no header may hold.
    """
    if not token:
        raise UsageError("the token is empty", subject="munbon", remedy="run: munbon login URL --token-file FILE, or set MUNBON_TOKEN")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(
            "the token holds spaces, line ends or letters beyond ASCII",
            subject="munbon",
            remedy="check that the file holds the token alone",
        )
    return token


def _read_events(source: EventSource, events: queue.SimpleQueue[tuple[str, Any] | BaseException | None]) -> None:
    try:
        for event in source.iter_sse():
            if event.data:
                events.put((event.event, json.loads(event.data)))
        events.put(None)
    except (httpx.HTTPError, httpx.StreamError, ValueError) as error:
        events.put(error)


def _ticking(events: queue.SimpleQueue[tuple[str, Any] | BaseException | None]) -> Iterator[tuple[str, Any]]:
    while True:
        try:
            item = events.get(timeout=_TICK_S)
        except queue.Empty:
            yield "", None
            continue
        if item is None:
            return
        if isinstance(item, BaseException):
            raise item
        yield item


def _query(query: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _json(response: httpx.Response, url: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise _not_munbon(url) from error


def _read(response: httpx.Response, model: type[ModelT], url: str) -> ModelT:
    try:
        return validate(_json(response, url), model, subject=model.__name__)
    except Malformed as error:
        raise CliError(
            f"gave an answer that this munbon cannot read: {error}", exit_code=exits.FAILED, subject=url, remedy="upgrade munbon"
        ) from error


def _not_munbon(url: str) -> CliError:
    return CliError("gave an answer that is not Munbon's", exit_code=exits.FAILED, subject=url, remedy="check the address of central")
