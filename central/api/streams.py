"""Where streams take their items from: the store, read anew whenever the feed says that something changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from central.api import queries
from central.api.dependencies import ApiDependencies
from central.api.event_stream import StreamItem
from central.store.database import Transaction
from shared.contracts.api import EventView, RolloutPhase

STATUS_INTERVAL_S = 0.5
"""Least time between two pictures of the fleet."""
ROLLOUT_INTERVAL_S = 0.1
REFRESH_S = 10.0
"""A node that fell silent changes the picture without any message."""
STATUS_TOPICS = frozenset({"nodes", "events", "rollouts", "gates", "assignments", "releases"})


class SharedStatus:
    """One picture of the fleet for all who watch: made at most twice a second, however many they are."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self._deps = dependencies
        self._lock = asyncio.Lock()
        self._json = ""
        self._made_s = float("-inf")

    async def read(self) -> str:
        """The picture as JSON, never older than half a second."""
        async with self._lock:
            now_s = self._deps.clock.monotonic_s()
            if now_s - self._made_s >= STATUS_INTERVAL_S:
                now, version = self._deps.clock.wall(), self._deps.version
                self._json = await self._deps.database.read(lambda tx: queries.read_status(tx, now, version).model_dump_json())
                self._made_s = now_s
            return self._json


async def status_items(dependencies: ApiDependencies, shared: SharedStatus) -> AsyncIterator[StreamItem]:
    """The fleet now, and again after every change, at most twice a second."""
    with dependencies.feed.subscribe(STATUS_TOPICS) as changes:
        while True:
            yield StreamItem("status", await shared.read())
            await dependencies.clock.sleep(STATUS_INTERVAL_S)
            await changes.next_changes(REFRESH_S)


async def rollout_items(dependencies: ApiDependencies, rollout_id: str) -> AsyncIterator[StreamItem]:
    """The rollout now, and again whenever its view changed; ends after the view in which it is finished."""
    last = ""
    with dependencies.feed.subscribe({"rollouts", "nodes"}) as changes:
        while True:
            view = await dependencies.database.read(lambda tx: queries.read_rollout(tx, rollout_id))
            data = view.model_dump_json()
            if data != last:
                yield StreamItem("rollout", data)
                last = data
            if view.phase is not RolloutPhase.RUNNING:
                return
            await dependencies.clock.sleep(ROLLOUT_INTERVAL_S)
            await changes.next_changes(REFRESH_S)


async def event_items(dependencies: ApiDependencies, node: str, after: int, types: tuple[str, ...]) -> AsyncIterator[StreamItem]:
    """Events of a node after a cursor, then each new one as it is stored."""
    cursor = after
    with dependencies.feed.subscribe({"events"}) as changes:
        while True:
            page = await dependencies.database.read(_events_after(node, cursor, types))
            for view in page:
                cursor = view.cursor
                yield StreamItem("event", view.model_dump_json(), str(cursor))
            if len(page) < queries.EVENTS_PAGE:
                await changes.next_changes(REFRESH_S)


def _events_after(node: str, cursor: int, types: tuple[str, ...]) -> Callable[[Transaction], list[EventView]]:
    return lambda tx: queries.read_events(tx, node, after=cursor, limit=queries.EVENTS_PAGE, types=types)
