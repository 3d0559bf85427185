"""Sends the newest picture of the node, and heartbeats. Older pictures are never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from edge_agent.report.ports import ReportSession
from shared.clock import Clock
from shared.contracts.status import Heartbeat, NodeStatus
from shared.contracts.subjects import event as event_subject
from shared.contracts.subjects import heartbeat as heartbeat_subject
from shared.errors import Retryable
from shared.observability import get_logger

STATUS_KIND = "status"
_LEAST_BETWEEN_STATUS_S = 0.5
_LEAST_BETWEEN_BEATS_S = 2.0
_REPEAT_S = 600.0
"""A status is sent anew after so long without a change: the one before may have been lost with the stream."""

_log = get_logger(__name__)


class StatusSlot:
    """The newest picture, and a bell for those who send it."""

    def __init__(self, take: Callable[[], NodeStatus]) -> None:
        """`take` makes the picture of this moment, with a revision of its own."""
        self._take = take
        self._bells: list[asyncio.Event] = []
        self.last_revision = 0
        self._last: dict[str, Any] = {}

    def changed(self) -> None:
        """Something in the picture changed."""
        for bell in self._bells:
            bell.set()

    def bell(self) -> asyncio.Event:
        """Rings at each change."""
        made = asyncio.Event()
        self._bells.append(made)
        return made

    def take(self) -> NodeStatus:
        """The picture of now.

        Raises:
            DiskFull, StoreUnavailable: no revision can be had for it.
        """
        status = self._take()
        self.last_revision = status.revision
        return status


class StatusSender:
    """Sends the status on connecting, at each change, and now and then."""

    def __init__(self, slot: StatusSlot, node: str, clock: Clock) -> None:
        self._slot = slot
        self._node = node
        self._clock = clock
        self._bell = slot.bell()

    async def run(self, session: ReportSession) -> None:
        """Send until cancelled.

        Raises:
            BusDenied: the bus takes no status of this login.
        """
        while True:
            self._bell.clear()
            pause_s = _REPEAT_S
            try:
                status = self._slot.take()
                message_id = f"{status.outboxid}-{status.revision}"
                await session.publish_event(event_subject(self._node, STATUS_KIND), status.model_dump_json().encode(), message_id)
            except Retryable as error:
                _log.warning("status is not home yet", reason=str(error))
                pause_s = max(1.0, error.delay_s)
            await self._clock.sleep(_LEAST_BETWEEN_STATUS_S)
            await wait_first(self._bell, self._clock, pause_s)


class HeartbeatSender:
    """Beats at once on connecting, then each interval; at a change sooner, though never oftener than each two seconds.

    After a beat that told of waiting events, the next comes as soon as none waits any more.
    """

    def __init__(self, take: Callable[[], Heartbeat], slot: StatusSlot, node: str, clock: Clock, *, interval_s: float) -> None:
        self._take = take
        self._node = node
        self._clock = clock
        self._interval_s = interval_s
        self._bell = slot.bell()

    async def run(self, session: ReportSession) -> None:
        """Beat until cancelled.

        Raises:
            BusUnavailable: the session is of no use any more.
        """
        least_s = min(_LEAST_BETWEEN_BEATS_S, self._interval_s)
        while True:
            self._bell.clear()
            beat = self._take()
            await session.publish(heartbeat_subject(self._node), beat.model_dump_json().encode())
            await self._clock.sleep(least_s)
            left_s = self._interval_s - least_s
            while beat.outbox_rows and left_s > 0 and not self._bell.is_set() and self._take().outbox_rows:
                await wait_first(self._bell, self._clock, min(least_s, left_s))
                left_s -= least_s
            if not beat.outbox_rows:
                await wait_first(self._bell, self._clock, max(0.0, left_s))


async def wait_first(bell: asyncio.Event, clock: Clock, pause_s: float) -> None:
    """Wait for the bell, at most `pause_s`."""
    rung = asyncio.create_task(bell.wait())
    pause = asyncio.create_task(clock.sleep(pause_s))
    try:
        await asyncio.wait({rung, pause}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        rung.cancel()
        pause.cancel()
