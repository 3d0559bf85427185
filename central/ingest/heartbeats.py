"""Presence: who was heard of when, who went silent, and who lags behind what was issued to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from central.fleet import presence
from central.ingest.ports import IngestBus, IngestSource
from central.ingest.reading import check_sender
from central.model import Order, PresenceMark
from central.store import desired, meta, nodes
from central.store.database import Database
from central.store.feed import ChangeFeed
from shared.clock import Clock
from shared.contracts.api import Presence
from shared.contracts.codec import decode
from shared.contracts.status import Heartbeat
from shared.contracts.subjects import HEARTBEATS_WILDCARD
from shared.errors import ContractError, MunbonError
from shared.messaging.session import BusMessage
from shared.observability import get_logger

_BEAT_S = 1.0
_SAVE_PERIOD_S = 10.0
_BEHIND_PERIOD_S = 20.0

_log = get_logger(__name__)


class HeartbeatLoop:
    """Heartbeats may be lost; each carries all it has to say."""

    def __init__(self, database: Database, feed: ChangeFeed, bus: IngestSource, clock: Clock, on_behind: Callable[[str], None]) -> None:
        self._database = database
        self._feed = feed
        self._bus = bus
        self._clock = clock
        self._on_behind = on_behind
        self._marks: dict[str, PresenceMark] = {}
        self._reported: dict[str, Order] = {}
        self._saved: dict[str, PresenceMark] = {}
        self._saved_s: dict[str, float] = {}
        self._told_s: dict[str, float] = {}
        self._known: dict[str, Presence] = {}

    def presence(self, node: str) -> PresenceMark | None:
        """The newest sign of life since this central started, or None."""
        return self._marks.get(node)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen())
            tasks.create_task(self._settle())

    async def hear(self, message: BusMessage) -> None:
        """Take one heartbeat in; one that cannot be read is dropped, for there is another soon."""
        try:
            heartbeat = decode(message.body, Heartbeat)
            check_sender(message.subject, heartbeat.node)
        except ContractError as error:
            _log.warning("heartbeat cannot be read", subject=message.subject, reason=str(error))
            return
        node = heartbeat.node
        # central's clock, not the node's: clocks at canal gates jump
        self._marks[node] = PresenceMark(node, self._clock.wall(), heartbeat.boot_id, heartbeat.interval_s, heartbeat.outbox_rows)
        self._reported[node] = (heartbeat.desired_epoch, heartbeat.desired_generation)

    async def settle_once(self) -> None:
        """Save what is due, tell who came or went, and have nodes told again that lag behind.

        Raises:
            StoreUnavailable: the database's word; it is done at the next beat.
        """
        now_s = self._clock.monotonic_s()
        turned, drained = self._turned(), self._drained()
        at_once = {*turned, *drained}
        due = [
            mark for node, mark in self._marks.items() if self._saved.get(node) != mark and (node in at_once or self._is_due(node, now_s))
        ]
        if due:
            await self._database.run(lambda tx: nodes.save_presence(tx, due))
            self._saved |= {mark.node: mark for mark in due}
            self._saved_s |= {mark.node: now_s for mark in due}
        for node in sorted(turned):
            self._known[node] = turned[node]
            _log.info("node presence", node=node, presence=turned[node])
        for node in sorted(at_once):
            self._feed.publish("nodes", node)
        await self._tell_behind(now_s)

    def _is_due(self, node: str, now_s: float) -> bool:
        # rollouts judge by the saved mark, which is too old after three beats: a node that beats faster is saved more often
        saved_s = self._saved_s.get(node)
        return saved_s is None or now_s - saved_s >= min(_SAVE_PERIOD_S, self._marks[node].interval_s)

    def _turned(self) -> dict[str, Presence]:
        now = self._clock.wall()
        present = {node: presence(mark.at, mark.interval_s, now) for node, mark in self._marks.items()}
        return {node: value for node, value in present.items() if self._known.get(node) is not value}

    def _drained(self) -> list[str]:
        """Nodes that were last saved with events waiting and have none now: whoever watches them waits for just that."""
        return [
            node for node, mark in self._marks.items() if mark.outbox_rows == 0 and node in self._saved and self._saved[node].outbox_rows
        ]

    async def _tell_behind(self, now_s: float) -> None:
        waiting = [node for node in self._reported if now_s - self._told_s.get(node, -_BEHIND_PERIOD_S) >= _BEHIND_PERIOD_S]
        if not waiting:
            return
        issued = await self._database.read(desired.highest_orders)
        for node in waiting:
            # asked of each node once in a while only: right after a rollout most are behind for a moment
            self._told_s[node] = now_s
            if self._reported[node] < issued.get(node, (0, 0)):
                self._on_behind(node)
        self._reported = {node: order for node, order in self._reported.items() if node not in waiting}

    async def _listen(self) -> None:
        while True:
            try:
                bus: IngestBus = await self._bus.session()
                await bus.subscribe(HEARTBEATS_WILDCARD, self.hear)
                # from now on nodes can speak: silence before says nothing about them
                await self._database.run(partial(meta.note_listening, at=self._clock.wall()))
                await bus.wait_lost()
            except MunbonError as error:
                _log.warning("heartbeats are not heard, will be tried again", error=str(error))
            await self._clock.sleep(_BEAT_S)

    async def _settle(self) -> None:
        while True:
            try:
                await self.settle_once()
            except MunbonError as error:
                _log.warning("presence was not saved, will be tried again", error=str(error))
            except Exception:  # noqa: BLE001 - outermost guard of the loop
                _log.exception("presence was not settled, will be tried again")
            await self._clock.sleep(_BEAT_S)
