"""Central's side of the streams: desired keys, artifacts, events. Speaks JetStream's JSON API over one `BusSession`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from central.bus import streams
from central.bus.event_puller import EventMessage, EventPuller
from central.bus.streams import StreamLimits
from shared.clock import Clock
from shared.contracts import subjects
from shared.contracts.limits import CHUNK_BYTES
from shared.messaging.errors import BusNoResponder, BusRefused, BusUnavailable
from shared.messaging.session import BusMessage, BusSession, DesiredEntry
from shared.messaging.settings import BusSettings

_STREAM_NOT_FOUND = 10059
_WRONG_LAST_SEQUENCE = (10071, 10164)
_WINDOW = 64
_UPLOAD_WINDOW = 8

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class CentralBus:
    """One session of central. Thrown away whole when it fails, as the session is."""

    def __init__(self, session: BusSession, limits: StreamLimits) -> None:
        self._session = session
        self._limits = limits
        self._puller = EventPuller(session)

    @classmethod
    async def open(cls, settings: BusSettings, limits: StreamLimits, *, clock: Clock) -> CentralBus:
        """Connect and see that the streams are there.

        Raises:
            BusUnavailable, BusDenied, BusRefused: as their names say.
        """
        bus = cls(await BusSession.open(settings, clock=clock), limits)
        try:
            await bus.ensure_streams()
            # what an earlier session fetched and never acknowledged comes at once, not after `ack_wait_s`
            await bus._session.call_api(f"CONSUMER.RESET.{subjects.STREAM_EVENTS}.{subjects.INGEST_CONSUMER}")
            await bus._puller.start()
        except BaseException:
            await bus.abort()
            raise
        return bus

    @property
    def is_healthy(self) -> bool:
        """Whether it is worth using; False is final."""
        return self._session.is_healthy

    @property
    def problem(self) -> str:
        """Why it is not healthy, or empty."""
        return self._session.problem

    async def wait_lost(self) -> str:
        """Wait until it is unhealthy; gives the reason."""
        return await self._session.wait_lost()

    async def ping(self, timeout_s: float) -> float:
        """Seconds that a round trip takes; raises BusUnavailable."""
        return await self._session.ping(timeout_s)

    async def abort(self) -> None:
        """Throw the connection away; never hangs."""
        await self._session.abort()

    async def close(self) -> None:
        """Send what is pending, then as `abort`."""
        await self._session.close()

    async def request(self, subject: str, body: bytes, timeout_s: float) -> bytes:
        """As `BusSession.request`."""
        return await self._session.request(subject, body, timeout_s)

    async def subscribe(self, subject: str, handler: Callable[[BusMessage], Awaitable[None]]) -> None:
        """As `BusSession.subscribe`."""
        await self._session.subscribe(subject, handler)

    # ----------------------------------------------------------------------------------------------------- streams

    async def ensure_streams(self) -> tuple[str, ...]:
        """Make or correct streams and the consumer; gives the names of streams that were missing. Safe to repeat.

        Raises:
            BusUnavailable: JetStream does not answer.
            BusRefused: the server cannot make them (no room, wrong replicas).
        """
        wanted = (streams.desired_stream(self._limits), streams.artifact_stream(self._limits), streams.event_stream(self._limits))
        made = [config["name"] for config in wanted if await self._ensure_stream(config)]
        consumer = {"stream_name": subjects.STREAM_EVENTS, "config": streams.ingest_consumer(self._limits)}
        await self._session.call_api(f"CONSUMER.CREATE.{subjects.STREAM_EVENTS}.{subjects.INGEST_CONSUMER}", consumer)
        return tuple(made)

    async def _ensure_stream(self, config: Mapping[str, Any]) -> bool:
        name = config["name"]
        try:
            found = await self._session.call_api(f"STREAM.INFO.{name}")
        except BusRefused as error:
            if error.err_code != _STREAM_NOT_FOUND:
                raise
            await self._session.call_api(f"STREAM.CREATE.{name}", config)
            return True
        if streams.differs(config, found["config"]):
            await self._session.call_api(f"STREAM.UPDATE.{name}", {**found["config"], **config})
        return False

    # ----------------------------------------------------------------------------------------------------- desired

    async def put_desired(self, node: str, body: bytes) -> int:
        """Set a node's document and tell the node; gives the bucket's revision. Safe to repeat.

        Raises:
            BusUnavailable, BusRefused: it may or may not be stored.
        """
        return (await self._session.publish_stream(subjects.desired_key(node), body, {})).sequence

    async def put_many_desired(self, bodies: Mapping[str, bytes]) -> dict[str, int | BusRefused | BusUnavailable]:
        """Set many documents, many at a time; gives by node the revision or what went wrong."""

        async def put(item: tuple[str, bytes]) -> int | BusRefused | BusUnavailable:
            try:
                return await self.put_desired(*item)
            except (BusRefused, BusUnavailable) as error:
                return error

        return dict(zip(bodies, await _in_windows(bodies.items(), put, _WINDOW), strict=True))

    async def get_desired_keys(self) -> dict[str, DesiredEntry]:
        """All documents by node.

        Raises:
            BusUnavailable, BusNoResponder, BusRefused: as `BusSession.request`.
        """
        counts = await self._count_subjects(subjects.STREAM_DESIRED, subjects.DESIRED_KEYS_WILDCARD)
        nodes = sorted(key.rpartition(".")[2] for key in counts)
        entries = await _in_windows(nodes, self._session.get_desired, _WINDOW)
        return {node: entry for node, entry in zip(nodes, entries, strict=True) if entry is not None}

    async def notify_desired(self, node: str) -> None:
        """Tell a node to read its document again; it is lost where the node is offline."""
        await self._session.publish(subjects.desired_notice(node), b"")

    async def delete_desired(self, node: str) -> None:
        """Forget a node's document; the node is not told. Safe to repeat."""
        await self._session.call_api(f"STREAM.PURGE.{subjects.STREAM_DESIRED}", {"filter": subjects.desired_key(node)})

    # --------------------------------------------------------------------------------------------------- artifacts

    async def upload_artifact(self, digest: str, content: bytes) -> int:
        """Store an artifact in chunks; gives how many were new. All are acknowledged on return. Safe to repeat and to resume.

        Raises:
            BusRefused: no room.
            BusUnavailable: as its name says.
        """
        chunks = range(chunk_count(len(content)))

        async def put(index: int) -> bool:
            return await self._put_chunk(digest, index, content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES], len(content))

        return sum(await _in_windows(chunks, put, _UPLOAD_WINDOW))

    async def _put_chunk(self, digest: str, index: int, chunk: bytes, size_bytes: int) -> bool:
        headers = {
            "Munbon-Chunks": str(chunk_count(size_bytes)),
            "Munbon-Size": str(size_bytes),
            "Nats-Expected-Last-Subject-Sequence": "0",
        }
        try:
            await self._session.publish_stream(subjects.artifact_chunk(digest, index), chunk, headers)
        except BusRefused as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                return False
            raise
        return True

    async def has_artifact(self, digest: str, size_bytes: int) -> bool:
        """Whether all chunks are there."""
        counts = await self._count_subjects(subjects.STREAM_ARTIFACTS, f"art.{digest}.>")
        return len(counts) == chunk_count(size_bytes)

    async def list_artifacts(self) -> frozenset[str]:
        """Digests of which at least one chunk is there."""
        counts = await self._count_subjects(subjects.STREAM_ARTIFACTS, subjects.ARTIFACTS_WILDCARD)
        return frozenset(subject.split(".")[1] for subject in counts)

    async def delete_artifact(self, digest: str) -> None:
        """Forget an artifact. Safe to repeat."""
        await self._session.call_api(f"STREAM.PURGE.{subjects.STREAM_ARTIFACTS}", {"filter": f"art.{digest}.>"})

    # ------------------------------------------------------------------------------------------------------ events

    async def fetch_events(self, batch: int, wait_s: float) -> list[EventMessage]:
        """Up to `batch` events: what is there at once, or the first that come within `wait_s`; else none.

        Raises:
            BusNoResponder: the consumer is not there; `ensure_streams` makes it.
            BusUnavailable: the connection is gone.
        """
        return await self._puller.fetch(batch, wait_s)

    async def count_consumers(self) -> int:
        """Consumers of all streams together: one, whatever the number of nodes."""
        names = (subjects.STREAM_DESIRED, subjects.STREAM_ARTIFACTS, subjects.STREAM_EVENTS)
        return sum([int((await self._session.call_api(f"STREAM.INFO.{name}"))["state"]["consumer_count"]) for name in names])

    async def _count_subjects(self, stream: str, pattern: str) -> dict[str, int]:
        found: dict[str, int] = {}
        while True:
            content = {"subjects_filter": pattern, "offset": len(found)}
            try:
                info = await self._session.call_api(f"STREAM.INFO.{stream}", content)
            except BusRefused as error:
                if error.err_code == _STREAM_NOT_FOUND:
                    raise BusNoResponder("the stream is not there", subject=stream) from error
                raise
            page = info["state"].get("subjects") or {}
            found |= page
            if not page or len(found) >= int(info.get("total", 0)):
                return found


def chunk_count(size_bytes: int) -> int:
    """How many chunks an artifact has; an empty one still has one."""
    return max(1, -(-size_bytes // CHUNK_BYTES))


async def _in_windows(items: Iterable[Item], work: Callable[[Item], Awaitable[Outcome]], window: int) -> list[Outcome]:
    """Results in order, with at most `window` calls at a time; the first error ends it."""
    todo = list(items)
    results: dict[int, Outcome] = {}
    numbers = iter(range(len(todo)))

    async def take() -> None:
        for number in numbers:
            results[number] = await work(todo[number])

    workers = [asyncio.ensure_future(take()) for _ in range(min(window, len(todo)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[number] for number in range(len(todo))]
