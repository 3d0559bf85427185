"""Brings releases to the node while there is a session; each on its own, so that a slow or bad one stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edge_agent.receive.artifacts import fetch_artifact
from edge_agent.receive.ports import ReceiveSession
from edge_agent.receive.releases import check_release, verify_release
from edge_agent.receive.shelf import Shelf
from edge_agent.store.state import StateStore
from shared.backoff import full_jitter_s
from shared.clock import Clock
from shared.contracts.envelope import TrustRoot
from shared.contracts.event import Cause, EventType, ReleaseEventData
from shared.contracts.release import ReleaseRef
from shared.errors import ContractError, MunbonError, Permanent, Retryable
from shared.observability import get_logger

PARALLEL = 2
_LONGEST_PAUSE_S = 60.0

_log = get_logger(__name__)


@dataclass
class _Trouble:
    """A release that could not be fetched: how often, until when it rests, and why."""

    failures: int = 0
    rest_until_s: float = 0.0
    reason: str = ""


class Fetcher:
    """Wanted releases in, blobs on disk out."""

    def __init__(
        self, store: StateStore, shelf: Shelf, trust: TrustRoot, clock: Clock, draw: Callable[[], float], on_change: Callable[[], None]
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._trust = trust
        self._clock = clock
        self._draw = draw
        self._on_change = on_change
        self._wanted: dict[str, ReleaseRef] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._woken = asyncio.Event()

    def want(self, refs: Iterable[ReleaseRef]) -> None:
        """Replace what is to be fetched."""
        wanted = {ref.envelope_digest: ref for ref in refs}
        if wanted.keys() != self._wanted.keys():
            self._troubles = {digest: trouble for digest, trouble in self._troubles.items() if digest in wanted}
            self._wanted = wanted
            self._woken.set()

    def troubles(self) -> list[str]:
        """Which wanted releases are not here yet, and why, as far as it is known."""
        return [
            f"{ref.app} {ref.version} is not here yet: {self._troubles[digest].reason}"
            for digest, ref in self._wanted.items()
            if digest in self._troubles
        ]

    async def run(self, session: ReceiveSession) -> None:
        """Fetch what is wanted for as long as the session lives (it is cancelled with it)."""
        running: dict[str, asyncio.Task[None]] = {}
        for trouble in self._troubles.values():
            trouble.rest_until_s = 0.0
        try:
            while True:
                running = {digest: task for digest, task in running.items() if not task.done()}
                for digest, ref in self._due(running):
                    running[digest] = asyncio.create_task(self._fetch(session, ref), name=f"fetch {ref.app}")
                await self._wait(running)
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _due(self, running: dict[str, asyncio.Task[None]]) -> list[tuple[str, ReleaseRef]]:
        now_s = self._clock.monotonic_s()
        rested = [
            (digest, ref)
            for digest, ref in self._wanted.items()
            if digest not in running and self._troubles.get(digest, _Trouble()).rest_until_s <= now_s
        ]
        return rested[: max(0, PARALLEL - len(running))]

    async def _wait(self, running: dict[str, asyncio.Task[None]]) -> None:
        self._woken.clear()
        pause = asyncio.create_task(self._clock.sleep(1.0 if self._wanted else _LONGEST_PAUSE_S))
        woken = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait({pause, woken, *running.values()}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            woken.cancel()

    async def _fetch(self, session: ReceiveSession, ref: ReleaseRef) -> None:
        try:
            await self._bring(session, ref)
        except ContractError as error:
            self._refuse(ref, error)
        except MunbonError as error:
            trouble = self._troubles.setdefault(ref.envelope_digest, _Trouble())
            least_s = error.delay_s if isinstance(error, Retryable) else _LONGEST_PAUSE_S if isinstance(error, Permanent) else 1.0
            pause_s = max(least_s, full_jitter_s(trouble.failures, self._draw(), cap_s=_LONGEST_PAUSE_S))
            is_news = trouble.reason != str(error)
            trouble.failures, trouble.reason = trouble.failures + 1, str(error)
            trouble.rest_until_s = self._clock.monotonic_s() + pause_s
            _log.warning("release is not here yet", app=ref.app, version=ref.version, reason=str(error), pause_s=round(pause_s, 1))
            if is_news:
                self._on_change()
            return
        self._wanted.pop(ref.envelope_digest, None)
        self._troubles.pop(ref.envelope_digest, None)
        self._on_change()

    async def _bring(self, session: ReceiveSession, ref: ReleaseRef) -> None:
        blobs = self._store.blobs
        if self._shelf.is_here(ref):
            return
        known = self._shelf.release(ref)
        if known is None:
            envelope = await fetch_artifact(session, blobs, ref.envelope_digest, ref.envelope_size_bytes)
            known = verify_release(envelope, ref, self._trust)
            blobs.save(ref.envelope_digest, envelope)
        blob = await fetch_artifact(session, blobs, known.blob_digest, known.blob_size_bytes)
        # large ones take long to unpack and to check: not in the way of heartbeats
        objects = await asyncio.to_thread(check_release, blob, known)
        blobs.save(known.blob_digest, blob)
        self._tell(EventType.RELEASE_VERIFIED, ref, objects_count=len(objects))
        _log.info("release verified and saved", app=ref.app, version=ref.version, objects=len(objects), bytes=len(blob))

    def _tell(self, kind: EventType, ref: ReleaseRef, **details: Any) -> None:
        """Report with the rollout that wants it; a release that is only kept (last good) has none."""
        desired = self._store.desired.current
        wanted = desired.apps.get(ref.app) if desired is not None else None
        is_wanted = wanted is not None and wanted.release is not None and wanted.release.release_digest == ref.release_digest
        attempt, rollout_id = (wanted.attempt, wanted.rollout_id) if wanted is not None and is_wanted else (1, "")
        data = ReleaseEventData(app=ref.app, version=ref.version, release_digest=ref.release_digest, attempt=attempt, **details)
        self._store.outbox.add(kind, data.to_json(), subject=ref.app, rollout_id=rollout_id)

    def _refuse(self, ref: ReleaseRef, error: ContractError) -> None:
        try:
            with self._store.transaction():
                if self._store.refusals.add(ref.envelope_digest, f"{ref.app} {ref.version}", error.code, str(error)):
                    self._tell(EventType.RELEASE_REFUSED, ref, cause=Cause(code=error.code, message=str(error)[:2_000]))
        except MunbonError as trouble:
            _log.warning("a refusal could not be noted", app=ref.app, reason=str(trouble))
            return
        _log.warning("release refused", app=ref.app, version=ref.version, code=error.code, reason=str(error))
        self._wanted.pop(ref.envelope_digest, None)
        self._on_change()
