"""Keeps one session after another: opened with full jitter, watched, and thrown away whole on any doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.errors import MunbonError
from shared.messaging.errors import BusDenied, BusUnavailable
from shared.observability import get_logger

_log = get_logger(__name__)


class KeptSession(Protocol):
    """What a keeper needs of a session; see `shared.messaging.session.BusSession`."""

    last_round_trip_s: float

    @property
    def is_healthy(self) -> bool: ...
    @property
    def problem(self) -> str: ...

    async def ping(self, timeout_s: float) -> float: ...
    async def abort(self) -> None: ...


SessionT = TypeVar("SessionT", bound=KeptSession)


@dataclass(frozen=True)
class SessionLimits:
    """When a session is doubted, and how long to wait for the next; in seconds."""

    watch_s: float = 1.0
    quiet_s: float = 30.0
    """After so long without an answer of any kind one is asked for."""
    dead_s: float = 75.0
    """After so long without one the session is thrown away."""
    ping_s: float = 15.0
    spread_s: float = 10.0
    """The first try after a loss waits up to so long: after an outage the whole fleet comes back at once."""
    cap_s: float = 60.0
    denied_cap_s: float = 300.0
    steady_s: float = 30.0
    """A session that lived for so long takes the failures before it back."""


class SessionKeeper(Generic[SessionT]):
    """Runs the users of a session for as long as it lives, then opens another, for ever."""

    def __init__(
        self,
        open_session: Callable[[], Awaitable[SessionT]],
        users: Sequence[Callable[[SessionT], Awaitable[None]]],
        clock: Clock,
        draw: Callable[[], float],
        *,
        limits: SessionLimits | None = None,
    ) -> None:
        self._open = open_session
        self._users = users
        self._clock = clock
        self._draw = draw
        self._limits = limits or SessionLimits()
        self._failures = 0
        self.is_connected = False
        self.problem = "not connected yet"

    async def run(self) -> None:
        """Never returns; ends by cancellation."""
        while True:
            lost = False
            try:
                lost = await self._live_once()
                self.problem = self.problem or "the connection was lost"
            except MunbonError as error:
                self.problem = str(error)
                self._failures += 1
                _log.warning("no session on the bus", reason=self.problem, failures=self._failures)
                await self._clock.sleep(self._pause_s(error))
            except Exception:  # noqa: BLE001 - outermost guard of the loop
                self.problem = "unexpected failure, see the log"
                self._failures += 1
                _log.exception("session failed unexpectedly")
                await self._clock.sleep(self._pause_s(None))
            if lost:
                await self._clock.sleep(self._draw() * self._limits.spread_s)

    def _pause_s(self, error: MunbonError | None) -> float:
        if isinstance(error, BusDenied):
            return full_jitter_s(self._failures, self._draw(), base_s=2.0, cap_s=self._limits.denied_cap_s)
        return full_jitter_s(self._failures, self._draw(), cap_s=self._limits.cap_s)

    async def _live_once(self) -> bool:
        """One session from open to abort; True where it had been good for a while.

        Raises:
            BusUnavailable, BusDenied: it could not be opened, or was lost at once.
        """
        session = await self._open()
        born_s = self._clock.monotonic_s()
        tasks = [asyncio.ensure_future(user(session)) for user in self._users]
        watch = asyncio.create_task(self._watch(session))
        self.is_connected, self.problem = True, ""
        _log.info("connected to the bus")
        try:
            done, _ = await asyncio.wait({watch, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            self.problem = self._reason(session, done)
        finally:
            self.is_connected = False
            # the socket goes first: a task that waits in a send then ends by its own error
            for task in (watch, *tasks):
                task.cancel()
            await session.abort()
            await asyncio.gather(watch, *tasks, return_exceptions=True)
        _log.warning("session thrown away", reason=self.problem)
        steady = self._clock.monotonic_s() - born_s >= self._limits.steady_s
        if steady:
            self._failures = 0
        elif self._failures or self._clock.monotonic_s() - born_s < 1.0:
            raise BusUnavailable(self.problem, subject="session")
        return True

    def _reason(self, session: SessionT, done: Iterable[asyncio.Future[None]]) -> str:
        for task in done:
            error = task.exception() if not task.cancelled() else None
            if error is not None:
                if not isinstance(error, MunbonError):
                    _log.error("a user of the session failed", error=repr(error), exc_info=error)
                return str(error) or type(error).__name__
        return session.problem or "the connection was lost"

    async def _watch(self, session: SessionT) -> None:
        """Ends, by return or by error, when the session is to be thrown away."""
        limits = self._limits
        while session.is_healthy:
            quiet_s = self._clock.monotonic_s() - session.last_round_trip_s
            if quiet_s > limits.dead_s:
                raise BusUnavailable(f"no answer for {quiet_s:.0f} s", subject="session")
            if quiet_s > limits.quiet_s:
                await session.ping(limits.ping_s)
            await self._clock.sleep(limits.watch_s)
