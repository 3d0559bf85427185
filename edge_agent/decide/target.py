"""Which release of an app should be in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edge_agent.model import AppRecord, Purpose, Target
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.event import Cause


class Intent(StrEnum):
    """What is to be done with an app as a whole."""

    NOTHING = "nothing"
    """Neither wanted nor known here."""
    RUN = "run"
    KEEP = "keep"
    """What is wanted is bad and there is nothing to go back to: what is there stays as it is."""
    PAUSE = "pause"
    ORPHAN = "orphan"
    """No longer listed: left running, reported."""
    REMOVE = "remove"


@dataclass(frozen=True)
class Choice:
    """The target of an app. `wanted`: what central wants, also where something else is the target."""

    intent: Intent
    target: Target | None = None
    purpose: Purpose = Purpose.RELEASE
    wanted: Target | None = None
    cause: Cause | None = None
    """Why the target is not what is wanted."""


def target_of(desired: AppDesired) -> Target | None:
    """The release that a desired app names, whatever its state."""
    if desired.release is None:
        return None
    return Target(desired.release, dict(desired.settings), desired.attempt, desired.rollout_id)


def effective_target(desired: AppDesired | None, record: AppRecord, *, has_objects: bool = False) -> Choice:
    """What should be in the cluster.

    Rule: what is wanted, unless it is known bad here at this attempt; then last good; and without a last good what is
    there stays. What has the content of last good is never held nor judged again. Doubt leads to no change.
    """
    if desired is None:
        is_known = has_objects or record.current is not None or record.last_good is not None or record.hand is not None
        return Choice(Intent.ORPHAN if is_known else Intent.NOTHING)
    wanted = target_of(desired)
    match desired.state:
        case AppState.ABSENT:
            return Choice(Intent.REMOVE, wanted=wanted)
        case AppState.PAUSED:
            return Choice(Intent.PAUSE, wanted=wanted)
        case AppState.PRESENT:
            return _present(wanted, record)


def _present(wanted: Target | None, record: AppRecord) -> Choice:
    if wanted is None:
        return Choice(Intent.PAUSE)
    good = record.last_good
    if good is not None and good.has_content_of(wanted):
        return Choice(Intent.RUN, wanted, Purpose.RESTORE, wanted)
    verdict = record.verdict_on(wanted.key)
    if verdict is None:
        return Choice(Intent.RUN, wanted, Purpose.RELEASE, wanted)
    if good is None:
        return Choice(Intent.KEEP, None, Purpose.RELEASE, wanted, verdict.cause)
    return Choice(Intent.RUN, good, Purpose.ROLLBACK, wanted, verdict.cause)
