"""One connection to the bus. It never reconnects: whoever owns it throws it away on doubt and opens another.

The NATS library's own reconnect waits for minutes on a half-open link, and closes for good on errors that pass; and its
`request` tells a denied publish as a time-out. So requests are matched to answers here, and every wait has an end.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from nats import errors as nats_errors
from nats.aio.msg import Msg

from shared.clock import Clock, SystemClock
from shared.contracts.subjects import STREAM_ARTIFACTS, STREAM_DESIRED, artifact_chunk, desired_key
from shared.messaging.answers import STATUS_HEADER, check_answer, is_denial, raise_translated, sequence_of
from shared.messaging.errors import BusDenied, BusNoResponder, BusRefused, BusUnavailable
from shared.messaging.one_shot import OneShotClient
from shared.messaging.settings import BusSettings
from shared.observability import get_logger

MESSAGE_ID_HEADER = "Nats-Msg-Id"
_DELETE_HEADER = "KV-Operation"
_NOT_FOUND = "404"
_NO_RESPONDERS = "503"
_ERRORS_KEPT = 20

_log = get_logger(__name__)


@dataclass(frozen=True)
class PubAck:
    """The stream has it on disk. `duplicate`: it had it already."""

    stream: str
    sequence: int
    duplicate: bool


@dataclass(frozen=True)
class DesiredEntry:
    """A node's document as the bucket keeps it; `revision` counts up over the whole bucket."""

    body: bytes
    revision: int


@dataclass(frozen=True)
class BusMessage:
    """What came in. `reply` is empty where no answer is wanted."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    reply: str
    session: BusSession

    @property
    def status(self) -> str:
        """Three digits where the server itself speaks, else empty."""
        return self.headers.get(STATUS_HEADER, "")

    async def respond(self, body: bytes) -> None:
        """Answer; does nothing where no answer is wanted.

        Raises:
            BusUnavailable: the connection is gone.
        """
        if self.reply:
            await self.session.publish(self.reply, body)


@dataclass(frozen=True)
class _Waiting:
    subject: str
    answer: asyncio.Future[Msg]


class BusSession:
    """One connection, from `open` to `abort` or `close`."""

    def __init__(self, settings: BusSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client = OneShotClient(self._note_end)
        self._inbox = ""
        self._requests = 0
        self._waiting: dict[str, _Waiting] = {}
        self._errors: deque[str] = deque(maxlen=_ERRORS_KEPT)
        self._lost = asyncio.Event()
        self._problem = ""
        self.denied = False
        """The login was refused, or taken back: trying again soon does not help."""
        self.last_round_trip_s = clock.monotonic_s()
        """Monotonic time of the last answer of any kind."""

    @classmethod
    async def open(cls, settings: BusSettings, *, clock: Clock | None = None) -> BusSession:
        """Connect, within `connect_timeout_s` in all.

        Raises:
            BusUnavailable: no server answers.
            BusDenied: the server refuses the login.
        """
        session = cls(settings, clock or SystemClock())
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await session._connect()
        except BaseException as error:
            await session._client.discard()
            if isinstance(error, asyncio.CancelledError) or not isinstance(error, Exception):
                raise
            session._raise_connect_error(error)
        return session

    async def _connect(self) -> None:
        await self._client.connect(
            servers=list(self._settings.urls),
            user=self._settings.user or None,
            password=self._settings.password.get_secret_value() or None,
            name=self._settings.name or None,
            inbox_prefix=self._settings.inbox_prefix,
            connect_timeout=self._settings.connect_timeout_s,  # type: ignore[arg-type] # only handed on to asyncio
            ping_interval=self._settings.ping_interval_s,  # type: ignore[arg-type] # only handed on to asyncio
            max_outstanding_pings=2,
            allow_reconnect=False,
            # the library tries the first connect again and again even so; one more try is its least
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            flush_timeout=self._settings.request_timeout_s,
            error_cb=self._note_error,
        )
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._take_answer)

    @property
    def is_healthy(self) -> bool:
        """Whether it is worth using; False is final."""
        return not self._problem and bool(self._client.is_connected)

    @property
    def problem(self) -> str:
        """Why it is not healthy, or empty."""
        return self._problem or ("" if self._client.is_connected else "the connection is closed")

    @property
    def errors(self) -> tuple[str, ...]:
        """The last few errors that the library reported, oldest first."""
        return tuple(self._errors)

    async def wait_lost(self) -> str:
        """Wait until it is unhealthy; gives the reason."""
        await self._lost.wait()
        return self.problem

    async def publish_event(self, subject: str, body: bytes, message_id: str) -> PubAck:
        """Publish into a stream and wait for its acknowledgement. A repeat with the same id is safe.

        Raises:
            BusUnavailable: no acknowledgement in time; it may be stored all the same.
            BusNoResponder: no stream takes the subject now.
            BusRefused: the stream is full, or refuses it.
            BusDenied: this login may not publish there.
        """
        return await self.publish_stream(subject, body, {MESSAGE_ID_HEADER: message_id})

    async def publish_stream(self, subject: str, body: bytes, headers: Mapping[str, str]) -> PubAck:
        """As `publish_event`, with any headers."""
        answer = await self._exchange(subject, body, self._settings.request_timeout_s, headers)
        content = check_answer(subject, answer.data)
        try:
            return PubAck(str(content["stream"]), int(content["seq"]), bool(content.get("duplicate", False)))
        except (KeyError, TypeError, ValueError) as error:
            raise BusRefused(f"the answer is no acknowledgement: {answer.data[:200]!r}", subject=subject) from error

    async def publish(self, subject: str, body: bytes, *, reply: str = "") -> None:
        """Send and forget: it is lost where nobody listens.

        Raises:
            BusUnavailable: the connection is gone.
        """
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._send(subject, body, reply, None)
        except TimeoutError as error:
            raise BusUnavailable("the link takes no data", subject=subject) from error

    async def request(self, subject: str, body: bytes, timeout_s: float) -> bytes:
        """Ask and wait for one answer.

        Raises:
            BusNoResponder: nobody listens there now.
            BusUnavailable: no answer in time.
            BusDenied: this login may not ask there.
        """
        return bytes((await self._exchange(subject, body, timeout_s, None)).data)

    async def call_api(self, subject: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask JetStream's API (`$JS.API.<subject>`).

        Raises:
            BusRefused: it says no; `err_code` says what.
            BusUnavailable, BusNoResponder, BusDenied: as `request`.
        """
        full = f"$JS.API.{subject}"
        body = json.dumps(content).encode() if content is not None else b""
        return check_answer(full, await self.request(full, body, self._settings.request_timeout_s))

    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None:
        """Call `handler` for each message, one after the other. What it raises is logged, and the next message goes on.

        Raises:
            BusUnavailable: the connection is gone.
        """

        async def deliver(message: Msg) -> None:
            await handler(BusMessage(message.subject, message.data, message.headers or {}, message.reply, self))

        try:
            await self._client.subscribe(subject, cb=deliver)
            # the library sends a PING past what is still pending: only so does a later `ping` say that the server has this
            await self._client._flush_pending(force_flush=True)
        except (nats_errors.Error, OSError) as error:
            raise_translated(error, subject)

    def new_inbox(self) -> str:
        """A subject of this login's own for answers."""
        return str(self._client.new_inbox())

    async def get_desired(self, node: str) -> DesiredEntry | None:
        """The node's document; None where there is none, or it was deleted. May be a moment old.

        Raises:
            BusUnavailable, BusNoResponder, BusDenied: as `request`.
            BusRefused: the server answers with an error.
        """
        answer = await self._get_direct(STREAM_DESIRED, desired_key(node))
        if answer is None or not answer.data or _DELETE_HEADER in (answer.headers or {}):
            return None
        return DesiredEntry(bytes(answer.data), sequence_of(answer))

    async def get_chunk(self, digest: str, index: int) -> bytes | None:
        """Chunk `index` of an artifact, unchecked; None where it is not there.

        Raises:
            As `get_desired`.
        """
        answer = await self._get_direct(STREAM_ARTIFACTS, artifact_chunk(digest, index))
        return None if answer is None else bytes(answer.data)

    async def ping(self, timeout_s: float) -> float:
        """Seconds that a round trip takes.

        Raises:
            BusUnavailable: no answer in time.
        """
        try:
            async with asyncio.timeout(timeout_s):
                elapsed_s = float(await self._client.rtt(timeout=timeout_s))  # type: ignore[arg-type] # handed on to asyncio
        except (TimeoutError, nats_errors.Error, OSError) as error:
            raise_translated(error, "ping")
        self.last_round_trip_s = self._clock.monotonic_s()
        return elapsed_s

    async def abort(self) -> None:
        """Throw the connection away at once, also where the link is dead. Safe to repeat."""
        self._lose("aborted")
        await self._client.discard()

    async def close(self) -> None:
        """Send what is pending, for at most two seconds, then as `abort`."""
        if self.is_healthy:
            with suppress(BusUnavailable):
                await self.ping(2.0)
        await self.abort()

    # ------------------------------------------------------------------------------------------------------ inside

    async def _get_direct(self, stream: str, subject: str) -> Msg | None:
        api = f"$JS.API.DIRECT.GET.{stream}.{subject}"
        answer = await self._exchange(api, b"", self._settings.request_timeout_s, None)
        status = (answer.headers or {}).get(STATUS_HEADER, "")
        if status == _NOT_FOUND:
            return None
        if status:
            description = (answer.headers or {}).get("Description", "")
            raise BusRefused(f"the server answers {status} {description}".strip(), subject=subject, err_code=int(status))
        return answer

    async def _exchange(self, subject: str, body: bytes, timeout_s: float, headers: Mapping[str, str] | None) -> Msg:
        self._requests += 1
        token = str(self._requests)
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        # the library writes errors in lower case, so that is how a denied subject is known again
        self._waiting[token] = _Waiting(subject.lower(), answer)
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(subject, body, f"{self._inbox}.{token}", headers)
                message = await answer
        except TimeoutError as error:
            raise BusUnavailable(f"no answer within {timeout_s:g} s", subject=subject) from error
        finally:
            del self._waiting[token]
            _forget(answer)
        if (message.headers or {}).get(STATUS_HEADER) == _NO_RESPONDERS:
            raise BusNoResponder("nobody listens there now", subject=subject)
        return message

    async def _send(self, subject: str, body: bytes, reply: str, headers: Mapping[str, str] | None) -> None:
        if not self.is_healthy:
            raise BusUnavailable(self.problem, subject=subject)
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        try:
            await self._client.publish(subject, body, reply, dict(headers) if headers else None)
        except (nats_errors.Error, OSError) as error:
            raise_translated(error, subject)
        # the library swallows a cancellation while it flushes; without this a time-out would be lost with it
        if task and task.cancelling() > cancels:
            raise asyncio.CancelledError

    async def _take_answer(self, message: Msg) -> None:
        self.last_round_trip_s = self._clock.monotonic_s()
        waiting = self._waiting.get(message.subject.rsplit(".", 1)[1])
        if waiting and not waiting.answer.done():
            waiting.answer.set_result(message)

    async def _note_error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        self._errors.append(text)
        if "permissions violation" in text.lower():
            self._fail_denied(text)
        elif isinstance(error, nats_errors.FlushTimeoutError):
            self._lose("the link takes no data")
        # the end of the connection is told by whoever owns it
        if self._inbox and not self._problem and not isinstance(error, nats_errors.UnexpectedEOF):
            _log.warning("bus error", user=self._settings.user, error=text, kind=type(error).__name__)

    def _note_end(self, error: Exception | None) -> None:
        self.denied = self.denied or (error is not None and is_denial(error))
        self._lose(str(error) if error is not None and str(error) else "the connection was closed")

    def _fail_denied(self, text: str) -> None:
        for waiting in self._waiting.values():
            if f'"{waiting.subject}"' in text.lower() and not waiting.answer.done():
                waiting.answer.set_exception(BusDenied("this login may not publish there", subject=waiting.subject))

    def _lose(self, reason: str) -> None:
        self._problem = self._problem or reason
        self._lost.set()
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(BusUnavailable(f"connection lost: {reason}", subject=waiting.subject))

    def _raise_connect_error(self, error: Exception) -> NoReturn:
        where = ", ".join(self._settings.urls)
        reasons = [*self._errors, str(error) or type(error).__name__]
        if is_denial(error) or any("authorization violation" in reason.lower() for reason in reasons):
            raise BusDenied(
                f"the server refuses user {self._settings.user!r}", subject=where, remedy="check user and password, or enrol the node again"
            ) from error
        raise BusUnavailable(f"cannot connect: {reasons[0]}", subject=where, remedy="is nats-server running there?") from error


def _forget(answer: asyncio.Future[Msg]) -> None:
    """So that an answer nobody waits for any more is not complained about."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()
