"""Keeps one session of central open, and opens another when it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from central.bus.central_session import CentralBus
from central.bus.streams import StreamLimits
from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.errors import MunbonError
from shared.messaging.errors import BusDenied
from shared.messaging.settings import BusSettings
from shared.observability import get_logger

_CHECK_PERIOD_S = 10.0
_CHECK_LIMIT_S = 10.0
_DENIED_WAIT_S = 30.0

_log = get_logger(__name__)


class BusKeeper:
    """Loops ask it for the session of the moment and never keep one over an error."""

    def __init__(
        self,
        settings: BusSettings,
        clock: Clock,
        draw: Callable[[], float],
        limits: StreamLimits | None = None,
        *,
        denied_remedy: str = "",
    ) -> None:
        """`denied_remedy`: what a person can do when the server refuses central's login."""
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self._limits = limits or StreamLimits()
        self._denied_remedy = denied_remedy
        self._current: CentralBus | None = None
        self._opened = asyncio.Event()
        self._problem = "not connected yet"
        self.sessions = 0
        """How many were opened so far; a new number means that anything may have happened meanwhile."""
        self.rebuilds = 0
        """How often a stream was missing and made anew; a new number means that its content is gone."""

    @property
    def current(self) -> CentralBus | None:
        """The healthy session, or None."""
        return self._current if self._current is not None and self._current.is_healthy else None

    @property
    def is_ready(self) -> bool:
        """Whether there is a healthy session, with all streams."""
        return self.current is not None

    @property
    def problem(self) -> str:
        """Why it is not ready, or empty."""
        return "" if self.is_ready else self._problem

    @property
    def incarnation(self) -> tuple[int, int]:
        """Changes whenever the bus may hold something else than what was put there."""
        return (self.sessions, self.rebuilds)

    async def session(self) -> CentralBus:
        """The healthy session; waits until there is one."""
        while (current := self.current) is None:
            await self._opened.wait()
            if self.current is None:
                # lost, and `run` has not noticed yet
                self._opened.clear()
        return current

    async def run(self) -> None:
        """Open, watch, throw away, wait, again; for ever."""
        attempt = 0
        try:
            while True:
                try:
                    await self._hold_one()
                    attempt = 0
                    wait_s = full_jitter_s(0, self._draw(), base_s=0.5)
                except MunbonError as error:
                    if isinstance(error, BusDenied):
                        error.remedy = self._denied_remedy or error.remedy
                    self._problem = str(error)
                    wait_s = (
                        _DENIED_WAIT_S if isinstance(error, BusDenied) else full_jitter_s(attempt, self._draw(), base_s=0.5, cap_s=10.0)
                    )
                    attempt += 1
                    _log.warning("no session on the bus", error=str(error), attempt=attempt, wait_s=round(wait_s, 2))
                await self._clock.sleep(wait_s)
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the session. Safe to repeat."""
        current, self._current = self._current, None
        self._opened.clear()
        if current is not None:
            await current.close()

    async def ensure_streams(self) -> None:
        """Make streams that are missing, now: a loop found that one is.

        Raises:
            BusUnavailable, BusRefused: as `CentralBus.ensure_streams`.
        """
        current = self.current
        if current is not None and (made := await current.ensure_streams()):
            self.rebuilds += 1
            _log.warning("streams were missing and are made anew", streams=list(made))

    async def _hold_one(self) -> None:
        """One session from opening to loss."""
        bus = await CentralBus.open(self._settings, self._limits, clock=self._clock)
        self._current = bus
        self._problem = ""
        self.sessions += 1
        self._opened.set()
        _log.info("session on the bus", urls=list(self._settings.urls), session=self.sessions)
        try:
            await self._watch(bus)
        finally:
            self._opened.clear()
            self._current = None
            self._problem = bus.problem or "the session was given up"
            await bus.abort()
        _log.warning("session on the bus lost", reason=self._problem)

    async def _watch(self, bus: CentralBus) -> None:
        lost = asyncio.ensure_future(bus.wait_lost())
        try:
            while not lost.done():
                await asyncio.wait({lost}, timeout=_CHECK_PERIOD_S)
                if lost.done():
                    return
                await bus.ping(_CHECK_LIMIT_S)
                await self.ensure_streams()
        finally:
            lost.cancel()
