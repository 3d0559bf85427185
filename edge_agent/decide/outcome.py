"""What a step means for the record of the app, and what is to be reported of it. Both are saved in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.decide import timers
from edge_agent.decide.next_step import REMOVAL, REMOVED, waits_of
from edge_agent.decide.steps import (
    AppFacts,
    Begin,
    Converge,
    Discard,
    Fetch,
    Hold,
    MarkApplied,
    MarkFailed,
    MarkReady,
    MarkRemoved,
    MarkRollbackFailed,
    Orphan,
    Pause,
    Prune,
    RollBack,
    Step,
    WaitHealth,
)
from edge_agent.decide.target import effective_target
from edge_agent.model import AppRecord, BadVerdict, Hand, Purpose, Stage, Target, Timer, Waits
from shared.contracts.event import Cause, EventType, ObjectRef, ReleaseEventData

VERDICTS_KEPT = 32
OBJECTS_NAMED = 20
_LONG_S = 86_400.0


@dataclass(frozen=True)
class Report:
    """One event about an app."""

    type: EventType
    data: ReleaseEventData
    rollout_id: str = ""


@dataclass(frozen=True)
class Outcome:
    """The record after a step, and what to report."""

    record: AppRecord
    reports: tuple[Report, ...] = ()


def after_step(facts: AppFacts, step: Step) -> Outcome:
    """What follows from a step that was decided (and, where it asks the cluster, whose answer is in the facts)."""
    handler = _HANDLERS.get(type(step))
    record = facts.record
    if record.told and not isinstance(step, Pause | Orphan | MarkRemoved) and record.told != REMOVED:
        record = replace(record, told="")
    found = handler(replace(facts, record=record), step) if handler is not None else Outcome(record)
    return found


def _pause(facts: AppFacts, step: Pause) -> Outcome:
    record = _stand(facts)
    if record.told == step.reason:
        return Outcome(record)
    target = record.current
    data = _data(record, target, cause=Cause(code="Paused", message=step.reason, blames="unknown"))
    return Outcome(replace(record, told=step.reason), (_report(EventType.APP_PAUSED, data, target),))


def _orphan(facts: AppFacts, step: Orphan) -> Outcome:
    record = _stand(facts)
    if record.told == "orphaned":
        return Outcome(record)
    return Outcome(replace(record, told="orphaned"), (_report(EventType.APP_ORPHANED, _data(record, record.current), record.current),))


def _fetch(facts: AppFacts, step: Fetch) -> Outcome:
    waits = waits_of(facts, step.target)
    limit_s = facts.policy.fetch_deadline_s
    waits = replace(waits, fetch=timers.start(waits.fetch, facts.now, limit_s=limit_s))
    reports: tuple[Report, ...] = ()
    if step.late and "late" not in waits.told:
        waits = replace(waits, told=waits.told | {"late"})
        cause = Cause(code="FetchDeadlineExceeded", message=f"not all of the release is here after {limit_s} s", blames="world")
        reports = (_report(EventType.RELEASE_FAILED, _data(facts.record, step.target, cause=cause), step.target),)
    return Outcome(replace(facts.record, waits=waits), reports)


def _hold(facts: AppFacts, step: Hold) -> Outcome:
    record = facts.record
    known = record.waits if record.waits is not None and record.waits.key == REMOVAL else Waits(REMOVAL)
    waits = waits_of(facts, step.target) if step.target is not None else known
    waits = replace(waits, hold=timers.start(waits.hold, facts.now, limit_s=facts.policy.longest_deferral_s))
    reports: tuple[Report, ...] = ()
    if "held" not in waits.told:
        waits = replace(waits, told=waits.told | {"held"})
        cause = Cause(code="FloodAlarm" if step.is_flood else "Held", message=step.reason[:2_000], blames="world")
        target = step.target or record.current
        reports = (_report(EventType.RELEASE_HELD, _data(record, target, cause=cause), target),)
    return Outcome(replace(record, waits=waits), reports)


def _begin(facts: AppFacts, step: Begin) -> Outcome:
    hand = Hand(step.target, step.purpose, began=Timer(0.0, facts.now))
    record = replace(facts.record, hand=hand, current=step.target, waits=None, told="")
    if step.note is None:
        return Outcome(record)
    return Outcome(record, (_report(EventType.RELEASE_HELD, _data(record, step.target, cause=step.note), step.target),))


def _roll_back(facts: AppFacts, step: RollBack) -> Outcome:
    hand = Hand(step.target, Purpose.ROLLBACK, began=Timer(0.0, facts.now), bad=step.bad, cause=step.cause)
    return Outcome(replace(facts.record, hand=hand, current=step.target, waits=None, told=""))


def _converge(facts: AppFacts, step: Converge) -> Outcome:
    """Only an app that was settled can have drifted: anything else is the apply itself."""
    result = facts.converged
    if result is None or not step.is_heal:
        return Outcome(facts.record)
    changed = tuple(change.ref for change in result.changes if change.action in ("created", "configured"))
    if not changed:
        return Outcome(facts.record)
    data = _data(facts.record, step.target, objects=changed)
    return Outcome(facts.record, (_report(EventType.DRIFT_CORRECTED, data, step.target),))


def _discard(facts: AppFacts, step: Discard) -> Outcome:
    """Once is enough: what is left over goes with the prune after health."""
    hand = facts.record.hand
    if hand is None or facts.discarded is None:
        return Outcome(facts.record)
    record = replace(facts.record, hand=replace(hand, discarded=True))
    deleted = facts.discarded.deleted
    if not deleted:
        return Outcome(record)
    return Outcome(record, (_report(EventType.OBJECTS_PRUNED, _data(record, step.bad, objects=deleted), step.bad),))


def _applied(facts: AppFacts, step: MarkApplied) -> Outcome:
    record, hand = facts.record, facts.record.hand
    if hand is None:
        return Outcome(record)
    record = replace(record, hand=replace(hand, stage=Stage.WAITING))
    if hand.purpose is Purpose.ROLLBACK:
        return Outcome(record)
    data = _data(record, hand.target, duration_s=_duration_s(facts, hand))
    return Outcome(record, (_report(EventType.RELEASE_APPLIED, data, hand.target),))


def _wait(facts: AppFacts, step: WaitHealth) -> Outcome:
    hand = facts.record.hand
    if hand is None:
        return Outcome(facts.record)
    policy, now = facts.policy, facts.now
    limits = {"health": policy.health_deadline_s, "pull": policy.pull_deadline_s, "soak": policy.soak_s}
    before = {"health": hand.health, "pull": hand.pull, "soak": hand.soak}
    after = {
        name: (timers.start if name == step.counts else timers.stop)(timer, now, limit_s=limits[name]) for name, timer in before.items()
    }
    if step.counts in ("health", "pull"):
        after["soak"] = Timer()
    return Outcome(replace(facts.record, hand=replace(hand, health=after["health"], pull=after["pull"], soak=after["soak"])))


def _ready(facts: AppFacts, step: MarkReady) -> Outcome:
    record, hand = facts.record, facts.record.hand
    if hand is None:
        return Outcome(record)
    duration_s = _duration_s(facts, hand)
    if hand.purpose is Purpose.ROLLBACK:
        after = replace(record, hand=None, prune_due=True)
        bad = effective_target(facts.desired, record).wanted or hand.bad
        data = _data(after, bad, cause=hand.cause, duration_s=duration_s)
        return Outcome(after, (_report(EventType.RELEASE_ROLLED_BACK, data, bad),))
    verdicts = tuple(verdict for verdict in record.verdicts if verdict.key != hand.target.key)
    after = replace(record, hand=None, prune_due=True, last_good=hand.target, verdicts=verdicts)
    return Outcome(after, (_report(EventType.RELEASE_READY, _data(after, hand.target, duration_s=duration_s), hand.target),))


def _failed(facts: AppFacts, step: MarkFailed) -> Outcome:
    record, hand = facts.record, facts.record.hand
    verdict = BadVerdict(step.target.key, step.target.ref.version, step.cause)
    verdicts = (*(known for known in record.verdicts if known.key != verdict.key), verdict)[-VERDICTS_KEPT:]
    after = replace(record, hand=None, verdicts=verdicts)
    duration_s = _duration_s(facts, hand) if hand is not None else None
    data = _data(after, step.target, cause=step.cause, duration_s=duration_s)
    return Outcome(after, (_report(EventType.RELEASE_FAILED, data, step.target),))


def _rollback_failed(facts: AppFacts, step: MarkRollbackFailed) -> Outcome:
    record, hand = facts.record, facts.record.hand
    if hand is None:
        return Outcome(record)
    after = replace(record, hand=replace(hand, gave_up=True))
    wanted = effective_target(facts.desired, record).wanted or hand.bad
    data = _data(after, wanted, cause=step.cause, duration_s=_duration_s(facts, hand))
    return Outcome(after, (_report(EventType.ROLLBACK_FAILED, data, wanted),))


def _prune(facts: AppFacts, step: Prune) -> Outcome:
    result = facts.pruned
    if result is None:
        return Outcome(facts.record)
    record = replace(facts.record, prune_due=bool(result.pending))
    if not result.deleted:
        return Outcome(record)
    return Outcome(record, (_report(EventType.OBJECTS_PRUNED, _data(record, step.target, objects=result.deleted), step.target),))


def _removed(facts: AppFacts, step: MarkRemoved) -> Outcome:
    gone = facts.pruned.deleted if facts.pruned is not None else ()
    data = _data(facts.record, facts.record.current, objects=gone)
    report = _report(EventType.APP_REMOVED, data, facts.record.current)
    return Outcome(AppRecord(facts.record.app, told=REMOVED), (report,))


_HANDLERS: dict[type[Any], Callable[[AppFacts, Any], Outcome]] = {
    Pause: _pause,
    Orphan: _orphan,
    Fetch: _fetch,
    Hold: _hold,
    Begin: _begin,
    RollBack: _roll_back,
    Converge: _converge,
    Discard: _discard,
    MarkApplied: _applied,
    WaitHealth: _wait,
    MarkReady: _ready,
    MarkFailed: _failed,
    MarkRollbackFailed: _rollback_failed,
    Prune: _prune,
    MarkRemoved: _removed,
}


# ------------------------------------------------------------------------------------------------------------ helpers


def _stand(facts: AppFacts) -> AppRecord:
    """The record with no clock running against the release: nothing is done for it now."""
    hand, now = facts.record.hand, facts.now
    if hand is None:
        return facts.record
    policy = facts.policy
    stood = replace(
        hand,
        health=timers.stop(hand.health, now, limit_s=policy.health_deadline_s),
        pull=timers.stop(hand.pull, now, limit_s=policy.pull_deadline_s),
        soak=Timer(),
    )
    return replace(facts.record, hand=stood)


def _duration_s(facts: AppFacts, hand: Hand) -> float:
    return round(timers.spent_s(hand.began, facts.now, limit_s=_LONG_S), 3)


def _report(kind: EventType, data: ReleaseEventData, target: Target | None) -> Report:
    return Report(kind, data, target.rollout_id if target is not None else "")


def _data(
    record: AppRecord,
    target: Target | None,
    *,
    cause: Cause | None = None,
    objects: tuple[ObjectRef, ...] = (),
    duration_s: float | None = None,
) -> ReleaseEventData:
    good = record.last_good
    return ReleaseEventData(
        app=record.app,
        version=target.ref.version if target is not None else "",
        release_digest=target.ref.release_digest if target is not None else None,
        attempt=target.attempt if target is not None else 1,
        last_good_version=good.ref.version if good is not None else "",
        last_good_digest=good.ref.release_digest if good is not None else None,
        objects=objects[:OBJECTS_NAMED],
        objects_count=len(objects),
        cause=cause,
        duration_s=duration_s,
    )
