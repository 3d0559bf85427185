"""One app: its pass, and when the next one is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from edge_agent.decide import timers
from edge_agent.decide.next_step import NO_ANSWER, next_step
from edge_agent.decide.outcome import Report, after_step
from edge_agent.decide.status import describe
from edge_agent.decide.steps import (
    LOOKS,
    MARKS,
    AppFacts,
    Begin,
    Converge,
    Discard,
    Forget,
    Look,
    Prune,
    Remove,
    RollBack,
    Step,
)
from edge_agent.decide.target import effective_target
from edge_agent.loop.cluster import ClusterKeeper
from edge_agent.loop.interlock_file import read_hold
from edge_agent.loop.ports import Engine
from edge_agent.loop.rhythm import Rhythm
from edge_agent.model import AppRecord, Assessment, ConvergeResult, DriftHint, Moment, PruneResult, Target, Verdict
from edge_agent.receive.shelf import Shelf
from edge_agent.store.state import StateStore
from shared.clock import Clock
from shared.contracts.event import Cause
from shared.contracts.release import DeliveryPolicy
from shared.contracts.status import AppStatus
from shared.errors import DigestMismatch, MunbonError, Retryable
from shared.observability import get_logger

MAX_STEPS = 40
SETTLED_VIEW_S = 600.0
CALL_S = 300.0
"""No call to the cluster takes longer: a webhook may hang, and no other app shares our place meanwhile."""

_log = get_logger(__name__)


@dataclass(frozen=True)
class WorkerParts:
    """What all workers share."""

    store: StateStore
    shelf: Shelf
    cluster: ClusterKeeper
    clock: Clock
    draw: Callable[[], float]
    slots: asyncio.Semaphore
    on_status: Callable[[], None]
    interlock_file: Path | None = None


class AppWorker:
    """Brings one app to its target. `status` is how it stands."""

    def __init__(self, app: str, parts: WorkerParts) -> None:
        self.app = app
        self._parts = parts
        self._rhythm = Rhythm(parts.draw)
        self._woken = asyncio.Event()
        self._unsaved: tuple[Report, ...] = ()
        self.status: AppStatus | None = parts.store.apps.last_status(app)
        self.problem = ""
        self.is_forgotten = False
        self.last_pass_s = parts.clock.monotonic_s()

    def wake(self) -> None:
        """Something that decides changed: pass now."""
        self._woken.set()

    def hint(self, hint: DriftHint) -> None:
        """An object changed, and not by us."""
        self._rhythm.note_hint(hint.reason != "status", self._parts.clock.monotonic_s())
        self._woken.set()

    async def run(self) -> None:
        """Pass again and again, until the app is forgotten."""
        clock = self._parts.clock
        while not self.is_forgotten:
            self._woken.clear()
            pause_s = await self.pass_once()
            await self._wait(pause_s)
            await clock.sleep(0.0)

    async def _wait(self, pause_s: float) -> None:
        woken = asyncio.create_task(self._woken.wait())
        pause = asyncio.create_task(self._parts.clock.sleep(pause_s))
        try:
            await asyncio.wait({woken, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
            pause.cancel()

    async def pass_once(self) -> float:
        """One pass; gives after how many seconds the next is due. Never raises: trouble is a problem, and tried again."""
        clock = self._parts.clock
        try:
            pause_s = await self._pass()
            self.problem = ""
        except Retryable as error:
            pause_s = max(1.0, error.delay_s)
            self._note_problem(str(error))
        except DigestMismatch as error:
            # it is taken away, so the next pass finds it missing and has it fetched
            pause_s = 1.0
            self._note_problem(str(error))
        except MunbonError as error:
            pause_s = 30.0
            self._note_problem(str(error))
        except Exception:  # noqa: BLE001 - outermost guard: one app's failure must not stop the others
            pause_s = 30.0
            self._note_problem("unexpected failure, see the log")
            _log.exception("pass failed", app=self.app)
        self.last_pass_s = clock.monotonic_s()
        return pause_s

    def _note_problem(self, problem: str) -> None:
        if problem != self.problem:
            _log.warning("pass could not be finished", app=self.app, reason=problem)
            self.problem = problem
            self._parts.on_status()

    # -------------------------------------------------------------------------------------------------- the pass

    async def _pass(self) -> float:
        """Decide, do, decide again with what was seen, until a step that waits."""
        facts = self._read_facts()
        for _ in range(MAX_STEPS):
            step = next_step(facts)
            if isinstance(step, LOOKS):
                facts = await self._ask(facts, step)
            facts = self._save(facts, step)
            if isinstance(step, MARKS):
                facts = self._read_facts()
            elif not isinstance(step, LOOKS):
                return self._rhythm.pause_s(step, facts, self._parts.clock.monotonic_s())
            else:
                facts = replace(facts, now=self._now())
        _log.error("pass did not come to an end", app=self.app, step=repr(step))
        return 5.0

    def _read_facts(self) -> AppFacts:
        """Facts with nothing seen yet."""
        parts, now = self._parts, self._now()
        record = parts.store.apps.get(self.app)
        desired = parts.store.desired.current
        wanted = desired.apps.get(self.app) if desired is not None else None
        has_objects = bool(parts.store.inventory.load(self.app))
        facts = AppFacts(
            record,
            wanted,
            now,
            hold=read_hold(parts.interlock_file, now),
            is_paused_here=parts.store.is_paused,
            has_objects=has_objects,
            unreachable=parts.cluster.unreachable,
            wants_sweep=self._rhythm.wants_sweep(now.monotonic_s),
            wants_look=self._rhythm.wants_look(now.monotonic_s),
        )
        target = effective_target(wanted, record, has_objects=has_objects).target
        if target is None:
            return facts
        release = parts.shelf.release(target.ref)
        policy = release.delivery if release is not None else DeliveryPolicy()
        return replace(facts, material=parts.shelf.material(target), policy=policy)

    def _save(self, facts: AppFacts, step: Step) -> AppFacts:
        """The record and the events of a step, in one transaction; then the picture."""
        store = self._parts.store
        outcome = after_step(facts, step)
        facts = replace(facts, record=outcome.record)
        reports = (*self._unsaved, *outcome.reports)
        before = self.status
        status = describe(facts, step, before, facts.now.wall, len(store.inventory.load(self.app)))
        if isinstance(step, Forget):
            store.apps.forget(self.app)
            self.status, self.is_forgotten = None, True
            self._parts.on_status()
            return facts
        if isinstance(step, LOOKS) and before is not None:
            status = before if facts.record.hand is None else status
        phase_changed = before is None or status is None or before.phase is not status.phase
        if reports or phase_changed or outcome.record != store.apps.get(self.app):
            self._write(outcome.record, status, reports, keep=isinstance(step, LOOKS))
        self._log(step, outcome.reports)
        self.status = status
        if status != before:
            self._parts.on_status()
        return facts

    def _write(self, record: AppRecord, status: AppStatus | None, reports: tuple[Report, ...], *, keep: bool) -> None:
        store = self._parts.store
        try:
            with store.transaction():
                store.apps.save(record, status)
                for report in reports:
                    store.outbox.add(report.type, report.data.to_json(), subject=self.app, rollout_id=report.rollout_id)
        except Retryable:
            # what a mark says is decided again; what a look saw done would be lost
            self._unsaved = reports if keep else self._unsaved
            raise
        self._unsaved = ()

    def _log(self, step: Step, reports: tuple[Report, ...]) -> None:
        for report in reports:
            cause = report.data.cause
            _log.info(
                report.type.value,
                app=self.app,
                version=report.data.version,
                cause=cause.code if cause is not None else "",
                message=cause.message[:200] if cause is not None else "",
            )
        if isinstance(step, Begin | RollBack):
            _log.info("apply begins", app=self.app, version=step.target.ref.version, step=type(step).__name__)

    # ------------------------------------------------------------------------------------------------ the cluster

    async def _ask(self, facts: AppFacts, step: Step) -> AppFacts:
        """Do what the step says; what is seen goes into the facts."""
        engine = self._parts.cluster.engine
        if engine is None:
            return replace(facts, unreachable=self._parts.cluster.unreachable or "K3s cannot be reached")
        async with self._parts.slots:
            try:
                async with asyncio.timeout(CALL_S):
                    seen = await self._call(engine, facts, step)
            except TimeoutError:
                cause = Cause(code="ApiUnavailable", message=f"no end within {CALL_S:g} s", blames="world")
                seen = replace(
                    facts, converged=ConvergeResult(cause=cause), assessment=Assessment(Verdict.PROGRESSING, cause, cause.message)
                )
        self._note_doubt(seen)
        return seen

    async def _call(self, engine: Engine, facts: AppFacts, step: Step) -> AppFacts:
        load = self._parts.shelf.load
        clock = self._parts.clock
        match step:
            case Converge(target, is_heal):
                result = await engine.converge(load(target), force_full=self._rhythm.is_full_sweep(clock.monotonic_s()))
                self._rhythm.note_sweep(result, is_heal, clock.monotonic_s())
                return replace(facts, converged=result, wants_look=True)
            case Look(target):
                self._rhythm.note_look(clock.monotonic_s())
                since, now = self._applied_since(facts), clock.wall()
                return replace(facts, assessment=await engine.assess(load(target), since=since, now=now))
            case Discard(bad, good):
                return replace(facts, discarded=await self._discard(engine, bad, good))
            case Prune(target):
                return replace(facts, pruned=await engine.prune(self.app, [load(target)]))
            case Remove():
                return replace(facts, pruned=await engine.prune(self.app, []))
        raise AssertionError(step)

    async def _discard(self, engine: Engine, bad: Target, good: Target) -> PruneResult:
        shelf = self._parts.shelf
        if not shelf.is_here(bad.ref):
            return PruneResult()  # what only it made goes with the prune after health
        return await engine.discard_created(self.app, shelf.load(bad), shelf.load(good))

    def _applied_since(self, facts: AppFacts) -> datetime:
        """From when on ends of containers speak of what runs now; by durations, for the clock may have jumped since."""
        hand = facts.record.hand
        age_s = SETTLED_VIEW_S if hand is None else timers.spent_s(hand.began, facts.now, limit_s=86_400.0)
        return self._parts.clock.wall() - timedelta(seconds=age_s)

    def _note_doubt(self, facts: AppFacts) -> None:
        causes = [facts.converged.cause if facts.converged else None, facts.assessment.cause if facts.assessment else None]
        if any(cause is not None and cause.code in NO_ANSWER for cause in causes):
            self._parts.cluster.doubt()

    def _now(self) -> Moment:
        clock = self._parts.clock
        return Moment(clock.boot_id(), clock.monotonic_s(), clock.wall())
