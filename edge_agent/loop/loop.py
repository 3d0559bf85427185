"""All apps of the node: a worker for each, woken by what changes; and the releases that they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from edge_agent.decide.target import target_of
from edge_agent.loop.worker import AppWorker, WorkerParts
from edge_agent.model import AppRecord
from edge_agent.receive.fetcher import Fetcher
from shared.contracts.desired import AppState
from shared.contracts.release import ReleaseRef
from shared.contracts.status import AppStatus
from shared.errors import MunbonError
from shared.observability import get_logger

TICK_S = 1.0
COLLECT_S = 600.0
STUCK_S = 900.0
"""A worker that finished no pass for so long hangs, and the watchdog is no longer fed."""

_log = get_logger(__name__)


class AgentLoop:
    """Keeps a worker for each app that is wanted or known, and the fetcher told what they lack."""

    def __init__(self, parts: WorkerParts, fetcher: Fetcher, on_tick: Callable[[], None]) -> None:
        self._parts = parts
        self._fetcher = fetcher
        self._on_tick = on_tick
        self._workers: dict[str, AppWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._collect_at_s = 0.0
        self._watched: tuple[object, tuple[str, ...]] = (None, ())
        self._watch: asyncio.Task[None] | None = None
        self.problem = ""

    def changed(self) -> None:
        """What is wanted, held, here or reachable changed: all apps decide anew."""
        self._collect_at_s = 0.0
        self._changed.set()
        for worker in self._workers.values():
            worker.wake()

    def statuses(self) -> Mapping[str, AppStatus]:
        """How each app stands."""
        return {app: worker.status for app, worker in sorted(self._workers.items()) if worker.status is not None}

    def problems(self) -> list[str]:
        """What keeps apps from their target, beside their own state."""
        found = [f"{app}: {worker.problem}" for app, worker in sorted(self._workers.items()) if worker.problem]
        return [*found, self.problem] if self.problem else found

    async def run(self) -> None:
        """For ever; ends by cancellation."""
        try:
            while True:
                self._changed.clear()
                await self._tick()
                await self._wait()
        finally:
            await self._stop()

    async def pass_once(self) -> None:
        """One pass of every app, all at once: what tests drive."""
        await self._parts.cluster.ensure()
        self._make_workers()
        await asyncio.gather(*(worker.pass_once() for worker in list(self._workers.values())))
        self._drop_forgotten()
        self._tell_fetcher()

    async def _tick(self) -> None:
        try:
            await self._parts.cluster.ensure()
            self._make_workers()
            self._drop_forgotten()
            self._start_workers()
            self._tell_fetcher()
            self._follow_changes()
            self._collect()
            self.problem = ""
        except MunbonError as error:
            if str(error) != self.problem:
                _log.warning("loop could not finish its round", reason=str(error))
            self.problem = str(error)
        except Exception:  # noqa: BLE001 - outermost guard of the loop
            self.problem = "unexpected failure, see the log"
            _log.exception("loop failed")
        if not self._is_stuck():
            self._on_tick()

    async def _wait(self) -> None:
        woken = asyncio.create_task(self._changed.wait())
        pause = asyncio.create_task(self._parts.clock.sleep(TICK_S))
        try:
            await asyncio.wait({woken, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            pause.cancel()

    # ------------------------------------------------------------------------------------------------------ workers

    def _make_workers(self) -> None:
        """Before the first Desired nothing is known of what is wanted, so nothing is called orphaned."""
        store = self._parts.store
        desired = store.desired.current
        if desired is None:
            return
        for app in {*desired.apps, *store.apps.names(), *store.inventory.apps()} - self._workers.keys():
            self._workers[app] = AppWorker(app, self._parts)

    def _drop_forgotten(self) -> None:
        for app in [app for app, worker in self._workers.items() if worker.is_forgotten]:
            del self._workers[app]
            task = self._tasks.pop(app, None)
            if task is not None:
                task.cancel()

    def _start_workers(self) -> None:
        for app, worker in self._workers.items():
            if app not in self._tasks or self._tasks[app].done():
                self._tasks[app] = asyncio.create_task(worker.run(), name=f"app {app}")

    def _is_stuck(self) -> bool:
        now_s = self._parts.clock.monotonic_s()
        stuck = [app for app, worker in self._workers.items() if now_s - worker.last_pass_s > STUCK_S]
        if stuck:
            _log.error("apps finish no pass any more", apps=stuck)
        return bool(stuck)

    # ----------------------------------------------------------------------------------------------------- releases

    def _tell_fetcher(self) -> None:
        wanted, _ = self._needed()
        self._fetcher.want(ref for ref in wanted if self._is_lacking(ref))

    def _is_lacking(self, ref: ReleaseRef) -> bool:
        return not self._parts.shelf.is_here(ref) and self._parts.store.refusals.get(ref.envelope_digest) is None

    def _needed(self) -> tuple[list[ReleaseRef], list[ReleaseRef]]:
        """Releases that are wanted here, and those to keep: what is wanted, what runs, what is gone back to."""
        store = self._parts.store
        desired = store.desired.current
        apps = desired.apps if desired is not None else {}
        targets = [target_of(wanted) for wanted in apps.values() if wanted.state is not AppState.ABSENT]
        wanted_refs = [target.ref for target in targets if target is not None]
        records = [store.apps.get(app) for app in store.apps.names()]
        good = [record.last_good.ref for record in records if record.last_good is not None]
        kept = [ref for record in records for ref in _refs_of(record)]
        return [*wanted_refs, *good], [*wanted_refs, *kept]

    def _collect(self) -> None:
        """Delete what no app needs. Not before a Desired is there: after a lost state file it says what is still needed."""
        now_s = self._parts.clock.monotonic_s()
        if now_s < self._collect_at_s or self._parts.store.desired.current is None:
            return
        self._collect_at_s = now_s + COLLECT_S
        wanted, kept = self._needed()
        count = self._parts.shelf.collect(kept, wanted)
        if count:
            _log.info("blobs that nothing needs were deleted", count=count)

    # -------------------------------------------------------------------------------------------------------- hints

    def _follow_changes(self) -> None:
        """One watch over all apps, begun anew when they or the cluster change."""
        engine = self._parts.cluster.engine
        apps = tuple(sorted(self._workers))
        if self._watched == (engine, apps) and self._watch is not None and not self._watch.done():
            return
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._watched = (engine, apps)
        if engine is not None and apps:
            self._watch = asyncio.create_task(self._take_hints(apps), name="drift watch")

    async def _take_hints(self, apps: tuple[str, ...]) -> None:
        engine = self._parts.cluster.engine
        if engine is None:
            return
        try:
            async for hint in engine.watch_changes(apps):
                worker = self._workers.get(hint.app)
                if worker is not None:
                    worker.hint(hint)
        except MunbonError as error:
            _log.warning("changes are not watched for a moment", reason=str(error))

    async def _stop(self) -> None:
        tasks = [*self._tasks.values(), *([self._watch] if self._watch is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _refs_of(record: AppRecord) -> list[ReleaseRef]:
    hand = record.hand
    targets = [record.current, record.last_good, hand.target if hand is not None else None, hand.bad if hand is not None else None]
    return [target.ref for target in targets if target is not None]
