"""How an app stands, from the step that ended its pass."""

from __future__ import annotations

from datetime import datetime

from edge_agent.decide.steps import (
    AppFacts,
    Begin,
    Converge,
    Discard,
    Fetch,
    Forget,
    Hold,
    Idle,
    Look,
    MarkApplied,
    MarkFailed,
    MarkReady,
    MarkRemoved,
    MarkRollbackFailed,
    Orphan,
    Pause,
    Prune,
    Refuse,
    Remove,
    RollBack,
    Step,
    WaitHealth,
)
from edge_agent.model import Purpose
from shared.contracts.event import Cause
from shared.contracts.status import AppPhase, AppStatus

_View = tuple[AppPhase, str, Cause | None]


def describe(facts: AppFacts, step: Step, before: AppStatus | None, wall: datetime, objects_count: int) -> AppStatus | None:
    """The status of an app; None where it is to be forgotten. `since` stays while the phase does."""
    if isinstance(step, Forget):
        return None
    phase, message, cause = _view(facts, step)
    record = facts.record
    current, good = record.current, record.last_good
    return AppStatus(
        phase=phase,
        desired=facts.desired,
        running_digest=current.ref.release_digest if current is not None else None,
        running_version=current.ref.version if current is not None else "",
        last_good_digest=good.ref.release_digest if good is not None else None,
        last_good_version=good.ref.version if good is not None else "",
        cause=cause,
        message=message[:500],
        since=before.since if before is not None and before.phase is phase else wall,
        objects_count=objects_count,
    )


def _view(facts: AppFacts, step: Step) -> _View:
    match step:
        case Idle(phase, message, cause) | WaitHealth(phase, message, cause):
            return phase, message, cause
        case Pause(reason):
            return AppPhase.PAUSED, reason, None
        case Orphan() | Forget():
            return AppPhase.ORPHANED, "no longer listed for this node; left running", None
        case Fetch(_, purpose, late):
            return _fetching(purpose, late)
        case Refuse(_, phase, cause):
            return phase, cause.message, cause
        case Hold(target, reason, is_flood):
            what = "removal waits: " if target is None else ""
            cause = Cause(code="FloodAlarm" if is_flood else "Held", message=reason[:2_000], blames="world")
            return AppPhase.HELD, f"{what}{reason}", cause
        case Remove():
            return AppPhase.REMOVING, "", None
        case MarkRemoved():
            return AppPhase.REMOVED, "", None
        case MarkFailed(_, cause) | MarkRollbackFailed(cause):
            return AppPhase.FAILED, cause.message, cause
        case RollBack(_, _, cause):
            return AppPhase.ROLLING_BACK, cause.message, cause
        case Begin() | Converge() | Discard() | MarkApplied() | Look() | MarkReady() | Prune():
            return _working(facts)


def _working(facts: AppFacts) -> _View:
    hand = facts.record.hand
    if hand is not None and hand.purpose is Purpose.ROLLBACK:
        return AppPhase.ROLLING_BACK, "", hand.cause
    return AppPhase.APPLYING, "", None


def _fetching(purpose: Purpose, late: bool) -> _View:
    if purpose is Purpose.ROLLBACK:
        return AppPhase.ROLLING_BACK, "the objects of the last good release are missing here and are fetched again", None
    if not late:
        return AppPhase.FETCHING, "", None
    message = "not all of the release is here within its deadline; it is fetched on"
    return AppPhase.FAILED, message, Cause(code="FetchDeadlineExceeded", message=message, blames="world")
