"""Reads the node's own Desired: on connecting, on each notice, and now and then, for a notice may be lost or forged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agent.receive.inbox import Inbox
from edge_agent.receive.ports import ReceiveSession
from shared.clock import Clock
from shared.contracts.subjects import desired_notice
from shared.errors import Retryable
from shared.messaging.session import BusMessage
from shared.observability import get_logger

_JITTER = 0.2
_LEAST_PAUSE_S = 0.05
"""So that a storm of notices, which anybody may send, is not a storm of reads."""
_RETRY_S = 5.0

_log = get_logger(__name__)


class Follower:
    """Keeps the inbox filled while there is a session."""

    def __init__(self, inbox: Inbox, node: str, clock: Clock, draw: Callable[[], float], *, resync_s: float) -> None:
        self._inbox = inbox
        self._node = node
        self._clock = clock
        self._draw = draw
        self._resync_s = resync_s
        self.problem = ""
        """Why the newest Desired could not be read or saved."""

    async def run(self, session: ReceiveSession) -> None:
        """Follow for as long as the session lives.

        Raises:
            BusUnavailable, BusDenied: the session is of no use any more.
        """
        noticed = asyncio.Event()

        async def notice(_message: BusMessage) -> None:
            noticed.set()

        # the server takes the subscription before the request that follows on the same connection: nothing is missed between
        await session.subscribe(desired_notice(self._node), notice)
        while True:
            noticed.clear()
            pause_s = await self._read(session)
            await self._clock.sleep(_LEAST_PAUSE_S)
            await self._wait(noticed, pause_s)

    async def _read(self, session: ReceiveSession) -> float:
        """One look; gives how long to wait for the next."""
        try:
            entry = await session.get_desired(self._node)
            if entry is not None:
                self._inbox.take(entry.body)
            self.problem = ""
        except Retryable as error:
            self.problem = f"desired state: {error}"
            _log.warning("desired state could not be read or saved, will be tried again", reason=str(error))
            return min(_RETRY_S, self._resync_s)
        return self._resync_s * (1.0 + _JITTER * (2.0 * self._draw() - 1.0))

    async def _wait(self, noticed: asyncio.Event, pause_s: float) -> None:
        pause = asyncio.create_task(self._clock.sleep(pause_s))
        woken = asyncio.create_task(noticed.wait())
        try:
            await asyncio.wait({pause, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            woken.cancel()
