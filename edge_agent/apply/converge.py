"""One pass over a render: read, decide, try, then write wave by wave. Nothing is written before all that can be tried was tried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_agent.apply import causes
from edge_agent.apply.definitions import Definitions
from edge_agent.apply.memory import Memory
from edge_agent.apply.unblocking import Unblocker
from edge_agent.apply.writing import Outcome, StillThere, Trial, Writer
from edge_agent.kube.client import Applied, KubeClient
from edge_agent.kube.errors import KubeConflict, KubeError
from edge_agent.model import Assessment, Change, ConvergeResult, InventoryEntry, InventoryPort, Manifest, Render, Verdict
from edge_agent.observe.reading import in_parallel, read_metadata, read_objects
from edge_agent.observe.targets import Target, resolve_targets
from edge_agent.plan.access import metadata, uid
from edge_agent.plan.autoscaled import autoscaled
from edge_agent.plan.decide import Decision, Step, glance, owner_of
from edge_agent.plan.stages import Stage, arrange
from edge_agent.plan.takeover import has_other_writers
from shared.contracts.event import Cause, ObjectRef

TRIAL_LIMIT = 20
"""So many new objects are tried before any is created; of more only those that exist are tried (each try costs a round trip)."""
Action = Literal["created", "configured", "unchanged", "deleted", "kept", "conflict", "skipped"]
AssessTargets = Callable[[Sequence[Target]], Awaitable[Assessment]]


class Stop(Exception):
    """Ends a pass: with a cause, or to wait."""

    def __init__(self, cause: Cause | None = None, waiting: str = "") -> None:
        super().__init__(waiting or (cause.message if cause else ""))
        self.cause = cause
        self.waiting = waiting


@dataclass
class Progress:
    """What a pass did so far; the result is made of it, however the pass ends."""

    entries: dict[ObjectRef, InventoryEntry] = field(default_factory=dict)
    changes: dict[ObjectRef, Change] = field(default_factory=dict)
    generations: dict[ObjectRef, int] = field(default_factory=dict)
    decisions: dict[ObjectRef, Decision] = field(default_factory=dict)
    trials: dict[ObjectRef, Trial] = field(default_factory=dict)

    def result(self, cause: Cause | None = None, waiting: str = "") -> ConvergeResult:
        """The pass as a value."""
        return ConvergeResult(
            changes=tuple(self.changes.values()),
            waiting=waiting,
            cause=cause,
            inventory=tuple(self.entries.values()),
            generations=dict(self.generations),
        )


class Pass:
    """One pass for one render."""

    def __init__(
        self, kube: KubeClient, inventory: InventoryPort, writer: Writer, memory: Memory, render: Render, assess: AssessTargets
    ) -> None:
        self._kube = kube
        self._inventory = inventory
        self._writer = writer
        self._memory = memory
        self._render = render
        self._assess = assess
        self._definitions = Definitions(kube, writer)
        self._unblocker = Unblocker(kube, writer.clock)
        self._autoscaled: frozenset[ObjectRef] = frozenset()
        self._saved: tuple[InventoryEntry, ...] = ()
        self.progress = Progress()

    async def run(self) -> ConvergeResult:
        """The whole pass. What it saved and wrote before it stopped stands; the next pass goes on from there."""
        self._saved = self._inventory.load(self._render.app)
        self.progress.entries = {entry.ref: entry for entry in self._saved}
        try:
            targets = await self._look()
            self._save()
            await self._try(self._triable(targets))
            await self._write_waves(targets)
        except Stop as stop:
            return self._end(stop.cause, stop.waiting)
        except KubeError as error:
            return self._end(causes.cause_of(error, None))
        waiting = self._still_terminating()
        if not waiting:
            self._memory.note_complete(self._render.app, targets)
        return self._end(waiting=waiting)

    def _end(self, cause: Cause | None = None, waiting: str = "") -> ConvergeResult:
        self._save()
        return self.progress.result(cause, waiting)

    def _save(self) -> None:
        """The union of what was and what will be, before the first write (kubernetes.md 0.4); and UIDs once known."""
        entries = tuple(self.progress.entries.values())
        if entries != self._saved:
            self._inventory.save(self._render.app, entries)
            self._saved = entries

    async def _look(self) -> tuple[Target, ...]:
        """Decide about every object by its metadata; whatever cannot go well stops the pass before any change."""
        targets, unserved = await resolve_targets(self._kube, self._render)
        if unserved:
            raise Stop(causes.unserved(sorted(unserved, key=lambda found: not found.is_typo)[0]))
        self._autoscaled = autoscaled(target.manifest for target in targets)
        live = await read_metadata(self._kube, targets)
        targets = tuple(target for target in targets if not (target.implied and self._is_foreign(target, live)))
        for target in targets:
            self._decide(target, live.get(target.ref))
        conflicts = [target for target in targets if self.progress.decisions[target.ref].step is Step.CONFLICT]
        if conflicts:
            self._record(conflicts, "conflict")
            raise Stop(causes.foreign(conflicts[0].ref, self.progress.decisions[conflicts[0].ref].reason))
        if not live:
            self._memory.forget(self._render.app)  # nothing is there: another cluster, or the first apply
        for target in targets:
            self._enter(target, live.get(target.ref))
        return targets

    def _is_foreign(self, target: Target, live: dict[ObjectRef, Manifest]) -> bool:
        found = live.get(target.ref)
        return found is not None and owner_of(found, self._render.app, self.progress.entries.get(target.ref)) != self._render.app

    def _decide(self, target: Target, live: Manifest | None) -> None:
        app, ref = self._render.app, target.ref
        entry = self.progress.entries.get(ref)
        decision = glance(target.manifest, target.digest, live, app, entry, self._memory.seen(app, ref))
        self.progress.decisions[ref] = decision
        if decision.step is Step.UNCHANGED and live is not None:
            self._record([target], "unchanged")
            self.progress.generations[ref] = _generation(live)
        elif decision.step is Step.SKIP:
            self._record([target], "skipped")

    def _enter(self, target: Target, live: Manifest | None) -> None:
        """Into the inventory before it is applied. `created`: it was not there before this app."""
        if self.progress.decisions[target.ref].step is Step.SKIP:
            return
        known = self.progress.entries.get(target.ref)
        version = str(target.manifest.get("apiVersion", ""))
        if known is None:
            ours_already = live is not None and owner_of(live, self._render.app, None) == self._render.app
            known = InventoryEntry(target.ref, version, created=live is None or ours_already)
        changed = replace(known, api_version=version)
        if live is not None:
            changed = replace(changed, uid=uid(live))
        self.progress.entries[target.ref] = changed

    def _triable(self, targets: Sequence[Target]) -> list[Target]:
        """Those for which a dry-run now means anything: the kind is served, and the namespace is there."""
        pending = {
            ref.name for ref, decision in self.progress.decisions.items() if ref.kind == "Namespace" and decision.step is Step.CREATE
        }
        return [target for target in self._worth_a_try(targets) if target.kind is not None and target.ref.namespace not in pending]

    def _worth_a_try(self, targets: Sequence[Target]) -> list[Target]:
        """Up to TRIAL_LIMIT, all that are to be written; of more, only those of which it is not known that they change."""
        due = [target for target in targets if self.progress.decisions[target.ref].step in (Step.COMPARE, Step.CREATE)]
        due = [target for target in due if target.ref not in self.progress.trials]
        known = [target for target in due if self._is_known_to_change(target)]
        if len(known) <= TRIAL_LIMIT:
            return due
        for target in known:
            if self.progress.decisions[target.ref].step is Step.COMPARE:
                self.progress.trials[target.ref] = Trial(Outcome.CONFIGURE)
        return [target for target in due if not self._is_known_to_change(target)]

    def _is_known_to_change(self, target: Target) -> bool:
        """New objects; and such as nobody touched since they were last seen equal, while their manifest is another one now."""
        decision = self.progress.decisions[target.ref]
        return decision.step is Step.CREATE or (decision.untouched and target.ref not in self._autoscaled)

    async def _try(self, targets: Sequence[Target]) -> None:
        """Dry-run these; the first refusal stops the pass."""
        compared = [target for target in targets if self.progress.decisions[target.ref].step is Step.COMPARE]
        live = await read_objects(self._kube, self._render.app, compared)

        async def one(target: Target) -> Trial:
            if self.progress.decisions[target.ref].step is Step.CREATE:
                return await self._writer.try_create(target)
            found = live.get(target.ref)
            if found is None and target.kind is not None:
                found = await self._kube.get(target.kind, target.ref.namespace, target.ref.name)
            if found is None:
                return Trial(Outcome.CREATE)
            return await self._writer.try_configure(target, found, is_autoscaled=target.ref in self._autoscaled)

        results = await in_parallel(one, targets)
        self._stop_at_error(targets, results)
        for target, result in zip(targets, results, strict=True):
            if not isinstance(result, Trial):
                continue
            self.progress.trials[target.ref] = result
            if result.outcome is Outcome.SAME and result.live is not None:
                self._memory.note(self._render.app, target, result.live)
                self._record([target], "unchanged")
                self.progress.generations[target.ref] = _generation(result.live)

    async def _write_waves(self, targets: Sequence[Target]) -> None:
        by_ref = {target.ref: target for target in targets}
        waves = arrange([target.manifest for target in targets])
        refs = {id(target.manifest): target.ref for target in targets}
        patient = len(waves) > 1 and not self._memory.is_complete(self._render.app, targets)
        for wave in waves:
            for stage in wave.stages:
                await self._write_stage(stage, [[by_ref[refs[id(item)]] for item in band] for band in stage.bands])
            if patient and wave is not waves[-1]:
                await self._await_health(wave.number, [by_ref[refs[id(item)]] for item in wave.objects])

    async def _write_stage(self, stage: Stage, bands: list[list[Target]]) -> None:
        """Try what could not be tried before, then write band by band."""
        bands = [[await self._definitions.with_kind(target) for target in band] for band in bands]
        members = [target for band in bands for target in band]
        await self._try([target for target in self._worth_a_try(members) if not self._needs_namespace(target, members)])
        for band in bands:
            await self._write_band([target for target in band if self._is_due(target)])
        await self._unblock([target for target in members if (target.ref.group, target.ref.kind) == ("apps", "StatefulSet")])
        if stage.name == "definitions":
            await self._await_definitions([target for target in members if target.ref.kind == "CustomResourceDefinition"])

    def _needs_namespace(self, target: Target, members: Sequence[Target]) -> bool:
        return any(each.ref.kind == "Namespace" and each.ref.name == target.ref.namespace for each in members)

    def _is_due(self, target: Target) -> bool:
        trial = self.progress.trials.get(target.ref)
        if trial is not None:
            return trial.outcome is not Outcome.SAME
        return self.progress.decisions[target.ref].step is Step.CREATE

    async def _write_band(self, targets: Sequence[Target]) -> None:
        results = await in_parallel(self._write, targets)
        for target, result in zip(targets, results, strict=True):
            if isinstance(result, Applied):
                self._note_applied(target, result)
        self._stop_at_error(targets, results)

    async def _write(self, target: Target) -> Applied:
        trial = self.progress.trials.get(target.ref) or Trial(Outcome.CREATE)
        if trial.outcome is Outcome.CREATE:
            return await self._create(target)
        if trial.live is None:
            return await self._writer.overwrite(target)
        if trial.outcome is Outcome.RECREATE:
            return await self._writer.recreate(target, trial.live)
        return await self._writer.configure(target, trial.live, is_autoscaled=target.ref in self._autoscaled)

    async def _create(self, target: Target) -> Applied:
        """Create; steps back from an object that somebody else made since we looked.

        Raises:
            KubeError: refused, or it is another's.
        """
        applied = await self._writer.create(target)
        was_ours = bool(self.progress.entries[target.ref].uid)
        if not applied.created and not was_ours and has_other_writers(applied.object):
            await self._writer.step_back(target)
            raise KubeConflict("somebody else made it at this moment; the next pass looks again", subject=str(target.ref), status=409)
        return applied

    def _note_applied(self, target: Target, applied: Applied) -> None:
        entry = self.progress.entries[target.ref]
        self.progress.entries[target.ref] = replace(entry, uid=uid(applied.object), digest=target.digest)
        self.progress.generations[target.ref] = _generation(applied.object)
        self._memory.note(self._render.app, target, applied.object)
        self._record([target], "created" if applied.created else "configured")

    def _record(self, targets: Sequence[Target], action: Action) -> None:
        for target in targets:
            self.progress.changes[target.ref] = Change(target.ref, action)

    def _stop_at_error(self, targets: Sequence[Target], results: Sequence[object]) -> None:
        for target, result in zip(targets, results, strict=True):
            if isinstance(result, StillThere):
                raise Stop(waiting=str(result))
            if isinstance(result, KubeError):
                raise Stop(causes.cause_of(result, target.ref))
            if isinstance(result, Exception):
                raise result

    async def _unblock(self, targets: Sequence[Target]) -> None:
        """Replace broken pods that would hold up a StatefulSet's new revision for ever."""
        for target in targets:
            found = await self._unblocker.unblock(target)
            for pod in found.deleted:
                self.progress.changes[pod] = Change(pod, "deleted")
            if found.waiting:
                raise Stop(waiting=found.waiting)

    async def _await_definitions(self, targets: Sequence[Target]) -> None:
        found = await self._definitions.await_established(targets)
        if found.refused is not None:
            raise Stop(causes.bad_definition(found.refused, found.message))
        if found.message:
            raise Stop(waiting=found.message)

    async def _await_health(self, wave: int, targets: Sequence[Target]) -> None:
        """Argo CD's rule: the next wave begins when this one is healthy; a failure in it ends the apply (kubernetes.md 3.1)."""
        assessment = await self._assess(targets)
        if assessment.verdict is Verdict.FAILED:
            raise Stop(assessment.cause, waiting="" if assessment.cause else f"wave {wave} failed: {assessment.message}")
        if assessment.verdict is not Verdict.READY:
            raise Stop(waiting=f"wave {wave}: {assessment.message}")

    def _still_terminating(self) -> str:
        gone_first = [ref for ref, decision in self.progress.decisions.items() if decision.step is Step.WAIT]
        return f"{gone_first[0]} is being deleted" if gone_first else ""


def _generation(live: Manifest) -> int:
    value = metadata(live).get("generation")
    return value if isinstance(value, int) else 0
