"""(rollout, fleet, now) -> decisions.

Evidence comes only from nodes that could answer: one that is offline and has given no verdict is neither good nor bad,
and is caught up later by the standing assignment. A verdict counts only for this release digest and this attempt, so
that a report of an earlier try says nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from central.model import NodeOutcome, RolloutNodeRecord, RolloutRecord
from shared.contracts.api import Presence, RolloutPhase
from shared.contracts.status import AppPhase, AppStatus

GOOD = frozenset({AppPhase.READY})
BAD = frozenset({AppPhase.ROLLED_BACK, AppPhase.FAILED, AppPhase.REFUSED, AppPhase.UNSUPPORTED})
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Target:
    """One node that the rollout steers: its assignment is the one that wins there."""

    node: str
    presence: Presence
    app: AppStatus | None = None
    """The rollout's app in the node's newest report; None: the node has not spoken of it."""


@dataclass(frozen=True)
class RolloutFleet:
    """What is known for one rollout."""

    targets: Mapping[str, Target] = field(default_factory=dict)
    standing_rollout_id: str | None = None
    """Whose rollout moved the assignment last; None: there is no such assignment any more."""


@dataclass(frozen=True)
class SetNode:
    """Record what is known of a node."""

    record: RolloutNodeRecord


@dataclass(frozen=True)
class DropNode:
    """The node is no longer a target: other labels, or another assignment steers it."""

    node: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Say where the rollout stands."""

    message: str


@dataclass(frozen=True)
class Finish:
    """The rollout is over."""

    phase: RolloutPhase
    reason: str
    at: datetime


Decision = SetNode | DropNode | Note | Finish


def advance(rollout: RolloutRecord, fleet: RolloutFleet, now: datetime) -> tuple[Decision, ...]:
    """What to write down next; nothing where nothing changed, and nothing for a finished rollout.

    - Superseded: another rollout, or a removal, moved the assignment.
    - Failed: every reachable target has a verdict and one of them is bad.
    - Succeeded: every reachable target is Ready for this digest and attempt, and at least one is.
    - else it goes on, also with no target at all: the assignment stands and later nodes are evidence.
    """
    if rollout.phase is not RolloutPhase.RUNNING:
        return ()
    if fleet.standing_rollout_id != rollout.rollout_id:
        return (Finish(RolloutPhase.SUPERSEDED, _superseded_by(fleet.standing_rollout_id), now),)
    before = {record.node: record for record in rollout.nodes}
    after = {name: _observe(rollout, target, before.get(name), now) for name, target in sorted(fleet.targets.items())}
    decisions: list[Decision] = [SetNode(record) for name, record in after.items() if record != before.get(name)]
    decisions += [DropNode(name, "its labels or another assignment took it out") for name in sorted(before) if name not in after]
    phase, message = _judge(after.values())
    if phase is not RolloutPhase.RUNNING:
        decisions.append(Finish(phase, message, now))
    elif message != rollout.message:
        decisions.append(Note(message))
    return tuple(decisions)


def _observe(rollout: RolloutRecord, target: Target, before: RolloutNodeRecord | None, now: datetime) -> RolloutNodeRecord:
    """The record of one node; `since` is kept while outcome and phase stay."""
    reachable = target.presence is Presence.ONLINE
    app = target.app
    ours = app is not None and _is_of(rollout, app)
    phase = app.phase.value if app is not None and ours else ""
    outcome = _outcome(app.phase if app is not None and ours else None, reachable=reachable)
    same = before is not None and (before.outcome, before.phase) == (outcome, phase)
    return RolloutNodeRecord(
        node=target.node,
        outcome=outcome,
        phase=phase,
        reachable=reachable,
        version=app.running_version if app is not None else "",
        cause=app.cause if app is not None and ours else None,
        message=app.message if app is not None and ours else "",
        since=before.since if same and before is not None else now,
    )


def _is_of(rollout: RolloutRecord, app: AppStatus) -> bool:
    desired = app.desired
    return (
        desired is not None
        and desired.release is not None
        and desired.release.release_digest == rollout.release_digest
        and desired.attempt == rollout.attempt
    )


def _outcome(phase: AppPhase | None, *, reachable: bool) -> NodeOutcome:
    """A verdict stays a verdict when the node goes offline; without one, offline says nothing."""
    if phase in GOOD:
        return NodeOutcome.READY
    if phase in BAD:
        return NodeOutcome.FAILED
    if not reachable:
        return NodeOutcome.UNREACHABLE
    return NodeOutcome.PAUSED if phase is AppPhase.PAUSED else NodeOutcome.PROGRESSING


def _judge(records: Iterable[RolloutNodeRecord]) -> tuple[RolloutPhase, str]:
    by_outcome: dict[NodeOutcome, list[str]] = {outcome: [] for outcome in NodeOutcome}
    causes: list[str] = []
    for record in records:
        by_outcome[record.outcome].append(record.node)
        if record.outcome is NodeOutcome.FAILED:
            causes.append(_why(record))
    ready, failed = by_outcome[NodeOutcome.READY], by_outcome[NodeOutcome.FAILED]
    if not any(by_outcome.values()):
        return RolloutPhase.RUNNING, "no node matches the selector yet; the assignment stands for nodes that come"
    if by_outcome[NodeOutcome.PROGRESSING]:
        return RolloutPhase.RUNNING, _tail(by_outcome, "waiting for " + _names(by_outcome[NodeOutcome.PROGRESSING]))
    if failed:
        return RolloutPhase.FAILED, _tail(by_outcome, f"{len(failed)} of {sum(map(len, by_outcome.values()))} failed: " + _listed(causes))
    if ready:
        return RolloutPhase.SUCCEEDED, _tail(by_outcome, f"{len(ready)} ready")
    return RolloutPhase.RUNNING, _tail(by_outcome, "no node could answer yet")


def _tail(by_outcome: Mapping[NodeOutcome, list[str]], head: str) -> str:
    unreached, paused = by_outcome[NodeOutcome.UNREACHABLE], by_outcome[NodeOutcome.PAUSED]
    parts = [head]
    if unreached:
        parts.append(f"not reached, will catch up: {_names(unreached)}")
    if paused:
        parts.append(f"paused: {_names(paused)}")
    return "; ".join(parts)


def _why(record: RolloutNodeRecord) -> str:
    word = record.cause.code if record.cause is not None else record.phase
    return f"{record.node} ({word})"


def _names(nodes: list[str]) -> str:
    return _listed(sorted(nodes))


def _listed(words: list[str]) -> str:
    shown = ", ".join(words[:_NAMED_AT_MOST])
    return shown if len(words) <= _NAMED_AT_MOST else f"{shown} and {len(words) - _NAMED_AT_MOST} more"


def _superseded_by(standing_rollout_id: str | None) -> str:
    if standing_rollout_id is None:
        return "its assignment is gone"
    return f"rollout {standing_rollout_id} moved the same assignment" if standing_rollout_id else "the app was removed"
