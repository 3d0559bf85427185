"""Empties the outbox: a few events under way at once, each with its own id, each row gone only when the stream has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agent.report.ports import ReportSession
from edge_agent.store.outbox import Outbox, OutboxRow
from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.contracts.subjects import event as event_subject
from shared.errors import MunbonError, Retryable
from shared.observability import get_logger

WINDOW = 16
_IDLE_S = 30.0

_log = get_logger(__name__)


class OutboxSender:
    """Sends while there is a session. What was under way when it broke is sent again, with the same id."""

    def __init__(self, outbox: Outbox, node: str, clock: Clock, draw: Callable[[], float]) -> None:
        self._outbox = outbox
        self._node = node
        self._clock = clock
        self._draw = draw
        self._woken = asyncio.Event()
        self._failures = 0
        self._rest_s = 0.0
        outbox.on_added(self._woken.set)

    async def run(self, session: ReportSession) -> None:
        """Send until cancelled, or until the session is of no use."""
        under_way: dict[int, asyncio.Task[bool]] = {}
        self._failures = 0
        try:
            while session.is_healthy:
                self._woken.clear()
                self._fill(session, under_way)
                await self._wait(under_way)
                self._take_answers(under_way)
                if self._rest_s:
                    await self._clock.sleep(self._rest_s)
                    self._rest_s = 0.0
        finally:
            for task in under_way.values():
                task.cancel()
            await asyncio.gather(*under_way.values(), return_exceptions=True)

    def _fill(self, session: ReportSession, under_way: dict[int, asyncio.Task[bool]]) -> None:
        room = WINDOW - len(under_way)
        if room <= 0:
            return
        for row in self._outbox.window(room, under_way):
            self._outbox.attempted.add(row.sequence)
            under_way[row.sequence] = asyncio.create_task(self._send(session, row), name=f"event {row.sequence}")

    async def _wait(self, under_way: dict[int, asyncio.Task[bool]]) -> None:
        woken = asyncio.create_task(self._woken.wait())
        pause = asyncio.create_task(self._clock.sleep(_IDLE_S))
        try:
            await asyncio.wait({woken, pause, *under_way.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            pause.cancel()

    def _take_answers(self, under_way: dict[int, asyncio.Task[bool]]) -> None:
        ended = [sequence for sequence, task in under_way.items() if task.done()]
        acknowledged = [sequence for sequence in ended if under_way[sequence].result()]
        for sequence in ended:
            del under_way[sequence]
        if not acknowledged:
            return
        self._failures = 0
        try:
            self._outbox.delete(acknowledged)
        except Retryable as error:
            # sent again later: the stream and central know them by their id
            _log.warning("sent events stay in the outbox for now", reason=str(error))
            self._rest_s = max(self._rest_s, error.delay_s)

    async def _send(self, session: ReportSession, row: OutboxRow) -> bool:
        try:
            await session.publish_event(event_subject(self._node, row.kind), row.body, row.id)
        except MunbonError as error:
            pause_s = full_jitter_s(self._failures, self._draw())
            least_s = error.delay_s if isinstance(error, Retryable) else 30.0
            self._rest_s = max(self._rest_s, least_s, pause_s)
            self._failures += 1
            _log.warning("event is not home yet", sequence=row.sequence, reason=str(error))
            return False
        return True
