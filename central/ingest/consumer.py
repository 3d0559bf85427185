"""Events from the bus into the database: fetch, one transaction, commit, acknowledge, tell."""

from __future__ import annotations

from collections.abc import Sequence

from central.ingest.ports import IncomingEvent, IngestBus, IngestSource
from central.ingest.reading import Unreadable, read_message
from central.store import events
from central.store.database import Database
from central.store.events import IncomingBatch, IngestResult
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.contracts.event import Event, subject_kind
from shared.contracts.status import NodeStatus
from shared.errors import MunbonError, Retryable
from shared.messaging.errors import BusNoResponder, BusUnavailable
from shared.observability import get_logger

BATCH = 512
_WAIT_S = 5.0
_RETRY_S = 1.0

_log = get_logger(__name__)


class IngestLoop:
    """At-least-once from the bus, exactly once in the database: there an event's (node, id) is unique."""

    def __init__(self, database: Database, feed: ChangeFeed, bus: IngestSource, clock: Clock, *, batch: int = BATCH) -> None:
        self._database = database
        self._feed = feed
        self._bus = bus
        self._clock = clock
        self._batch = batch

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.ingest_once(await self._bus.session())
                continue
            except BusNoResponder:
                await self._remake_streams()
            except MunbonError as error:
                _log.warning("ingest failed, will be tried again", error=str(error))
            except Exception:  # noqa: BLE001 - outermost guard of the loop
                _log.exception("ingest failed unexpectedly, will be tried again")
            await self._clock.sleep(_RETRY_S)

    async def ingest_once(self, bus: IngestBus, wait_s: float = _WAIT_S) -> int:
        """One batch; gives how many messages it had. What is not acknowledged comes again.

        Raises:
            BusUnavailable, BusNoResponder: the bus's word; nothing is lost.
        """
        messages = await bus.fetch_events(self._batch, wait_s)
        if messages:
            await self._take(messages)
        return len(messages)

    async def _take(self, messages: Sequence[IncomingEvent]) -> None:
        """Store and acknowledge. While the database is away the batch is held here, and the nodes' outboxes fill behind it."""
        while True:
            try:
                result = await self._store(messages)
                break
            except Retryable as error:
                _log.warning("the database does not take events, will be tried again", error=str(error))
                await self._clock.sleep(max(error.delay_s, _RETRY_S))
            except Exception as error:  # noqa: BLE001 - one message that the database refuses must not stop all others
                if len(messages) == 1:
                    result = await self._quarantine(messages[0], f"the database refuses it: {error}")
                    break
                _log.warning("a batch is refused, its messages are tried one by one", error=str(error), messages=len(messages))
                for message in messages:
                    await self._take([message])
                return
        self._tell(result)
        for message in messages:
            try:
                await message.ack()
            except BusUnavailable:
                return  # the rest comes again, and is found to be there

    async def _store(self, messages: Sequence[IncomingEvent]) -> IngestResult:
        good: list[tuple[str, Event]] = []
        statuses: list[NodeStatus] = []
        odd: list[tuple[str, bytes, str]] = []
        for message in messages:
            match read_message(message.subject, message.body):
                case Unreadable(reason):
                    odd.append((message.subject, message.body, reason))
                    _log.warning("message put in quarantine", subject=message.subject, bytes=len(message.body), reason=reason)
                case NodeStatus() as status:
                    statuses.append(status)
                case (node, event):
                    good.append((node, event))
        batch, now = IncomingBatch(events=good, statuses=statuses, quarantine=odd), self._clock.wall()
        return await self._database.run(lambda tx: events.store_batch(tx, batch, now))

    async def _quarantine(self, message: IncomingEvent, reason: str) -> IngestResult:
        _log.error("message put in quarantine", subject=message.subject, reason=reason)
        batch, now = IncomingBatch(quarantine=[(message.subject, message.body, reason)]), self._clock.wall()
        return await self._database.run(lambda tx: events.store_batch(tx, batch, now))

    def _tell(self, result: IngestResult) -> None:
        for node in sorted({item.node for item in result.stored}):
            self._feed.publish("events", node)
        for report in result.reports:
            self._feed.publish("nodes", report.node)
        about_gates = {item.node for item in result.stored if item.event.event_type and subject_kind(item.event.event_type) == "gate"}
        about_gates |= {report.node for report in result.reports if report.status.site is not None}
        for node in sorted(about_gates):
            self._feed.publish("gates", node)

    async def _remake_streams(self) -> None:
        try:
            await self._bus.ensure_streams()
        except MunbonError as error:
            _log.warning("the event stream is missing and cannot be made", error=str(error))
