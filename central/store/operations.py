"""What operators do, each in one transaction: the change, the pins that it ends, and its line in the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from central.compose import normalise_selector
from central.model import AssignmentRecord, Conflict, GatePlanRecord, NodeRecord, NotFound, PauseRecord, ReleaseRecord, RolloutRecord
from central.rollout import HistoryEntry, RollbackChoice, rollback_target
from central.store import assignments, audit, gates, nodes, releases, reports, rollouts
from central.store.database import Transaction
from shared.contracts.api import AppChange, AppRollback, RolloutPhase, RolloutStart
from shared.contracts.desired import AppState


def publish_release(tx: Transaction, record: ReleaseRecord, envelope: bytes, *, actor: str, at: datetime) -> tuple[ReleaseRecord, bool]:
    """Keep a release; False where the same content was published before (then nothing is audited).

    Raises:
        Immutable, NotFound, DigestMismatch: as `releases.add_release`.
    """
    stored, created = releases.add_release(tx, record, envelope)
    if created:
        details = {"release_digest": record.release_digest, "content_digest": record.release.content_digest}
        _audit(tx, at, actor, "release.publish", f"{record.app}@{record.version}", {**details, "signed_by": list(record.signed_by)})
    return stored, created


def start_rollout(tx: Transaction, request: RolloutStart, *, rollout_id: str, actor: str, at: datetime) -> RolloutRecord:
    """Move the assignment (app, selector) to a release; a rollout of the same assignment that still runs is superseded.

    Raises:
        NotFound: unknown app or version.
        UsageError: the selector cannot be parsed.
    """
    release = releases.get_release(tx, request.app, request.version)
    selector = normalise_selector(request.selector)
    return _move(
        tx, release, selector, "rollout", settings=request.settings, reason=request.reason, rollout_id=rollout_id, actor=actor, at=at
    )


def rollback_app(
    tx: Transaction, app: str, request: AppRollback, *, new_id: Callable[[], str], actor: str, at: datetime
) -> tuple[RolloutRecord, ...]:
    """Take an app's assignments back to the release verified before, or to the named one; one rollout for each that can.

    Args:
        tx: transaction.
        app: name of the app.
        request: `to` names the version; `selector` picks the assignment with this selector, None all of them.
        new_id: gives a fresh rollout id.
        actor: who did it.
        at: when.

    Raises:
        NotFound: the app has no such assignment, or `to` is not published.
        Conflict: none of them can go back; the message says why for each.
        UsageError: the selector cannot be parsed.
    """
    standing = [item for item in _chosen(tx, app, request.selector) if item.state is AppState.PRESENT]
    if not standing:
        raise Conflict("is removed everywhere", subject=f"app {app}", remedy="start a rollout of the version that is wanted")
    target = releases.get_release(tx, app, request.to) if request.to is not None else None
    choices = [(item, _choice(tx, item, target)) for item in standing]
    able = [(item, choice.version) for item, choice in choices if choice.version is not None]
    if not able:
        raise _no_way_back(app, choices)
    return tuple(_go_back(tx, item, version, request.reason, new_id(), actor, at) for item, version in able)


def pause_app(tx: Transaction, app: str, request: AppChange, *, actor: str, at: datetime) -> tuple[AssignmentRecord, ...]:
    """Let nodes keep what they run of the app; without a selector all nodes.

    Returns:
        The app's assignments, which stay as they are under the pause.

    Raises:
        NotFound: the app is not assigned anywhere.
    """
    selector = normalise_selector(request.selector or "")
    standing = _chosen(tx, app, None)
    assignments.put_pause(tx, PauseRecord(app, selector, at, actor, request.reason))
    _end_pins(tx, app, selector, at, actor)
    _audit(tx, at, actor, "app.pause", app, {"selector": selector, "reason": request.reason})
    return standing


def resume_app(tx: Transaction, app: str, request: AppChange, *, actor: str, at: datetime) -> tuple[AssignmentRecord, ...]:
    """Lift a pause: the one with this selector, or without a selector all of the app.

    Raises:
        NotFound: the app is not assigned, or there is no pause with this selector.
    """
    standing = _chosen(tx, app, None)
    selector = None if request.selector is None else normalise_selector(request.selector)
    pauses = assignments.list_pauses(tx, app)
    if not assignments.delete_pauses(tx, app, selector) and selector is not None:
        known = ", ".join(repr(pause.selector) for pause in pauses) or "none"
        raise NotFound(f"is not paused for {selector!r}", subject=f"app {app}", remedy=f"its pauses have the selectors: {known}")
    _end_pins(tx, app, selector, at, actor)
    _audit(tx, at, actor, "app.resume", app, {"selector": selector, "reason": request.reason})
    return standing


def remove_app(tx: Transaction, app: str, request: AppChange, *, actor: str, at: datetime) -> tuple[AssignmentRecord, ...]:
    """Let nodes delete the app: without a selector wherever it is assigned, else on nodes that match.

    It stands: a node added later that matches is told `absent` too. Pauses of the same nodes are lifted.

    Raises:
        NotFound: the app is not assigned anywhere.
    """
    standing = _chosen(tx, app, None)
    selector = None if request.selector is None else normalise_selector(request.selector)
    if selector is None:
        for item in standing:
            assignments.set_absent(tx, app, item.selector, actor=actor, at=at)
    else:
        old = assignments.find_assignment(tx, app, selector)
        assignments.move_assignment(
            tx,
            app=app,
            selector=selector,
            state=AppState.ABSENT,
            release=None,
            attempt=old.attempt if old is not None else 1,
            settings={},
            rollout_id="",
            actor=actor,
            at=at,
        )
    assignments.delete_pauses(tx, app, selector)
    _end_pins(tx, app, selector, at, actor)
    _audit(tx, at, actor, "app.remove", app, {"selector": selector, "reason": request.reason})
    return assignments.list_assignments(tx, app)


def enrol_node(
    tx: Transaction, node: str, labels: Mapping[str, str], password_hash: str, *, actor: str, at: datetime, replace: bool = False
) -> tuple[NodeRecord, bool]:
    """Add a node, or replace its credentials; True where it was there.

    Raises:
        UsageError, Conflict: as `nodes.add_node`.
    """
    known = nodes.find_node(tx, node) is not None
    record = nodes.add_node(tx, node, labels, password_hash, actor=actor, at=at, replace=replace)
    if known:
        # a new card starts a new outbox, perhaps with a clock that is behind: the old report must not outrank it
        reports.delete_report(tx, node)
    _audit(tx, at, actor, "node.replace" if known else "node.add", node, {"labels": dict(record.labels)})
    return record, known


def relabel_node(tx: Transaction, node: str, changes: Mapping[str, str | None], *, actor: str, at: datetime) -> NodeRecord:
    """Change labels of a node.

    Raises:
        NotFound: there is no such node.
    """
    record = nodes.change_labels(tx, node, changes)
    _audit(tx, at, actor, "node.label", node, {"changes": dict(changes)})
    return record


def forget_node(tx: Transaction, node: str, *, actor: str, at: datetime) -> None:
    """Delete a node.

    Raises:
        NotFound: there is no such node.
    """
    labels = dict(nodes.get_node(tx, node).labels)
    nodes.delete_node(tx, node)
    _audit(tx, at, actor, "node.delete", node, {"labels": labels})


def set_gate_plan(tx: Transaction, record: GatePlanRecord, *, actor: str, at: datetime) -> GatePlanRecord:
    """Keep a gate plan to be carried to its gate.

    Raises:
        Conflict: its generation is not above the newest.
    """
    stored = gates.add_plan(tx, record)
    details = {"generation": record.generation, "plan_digest": record.plan_digest, "node": record.node}
    _audit(tx, at, actor, "gate.plan.set", record.site, details)
    return stored


def note_gate_command(tx: Transaction, site: str, details: Mapping[str, Any], *, answered: bool, actor: str, at: datetime) -> None:
    """A line of the audit when a gate command is sent, and another when it was answered."""
    _audit(tx, at, actor, "gate.command.answered" if answered else "gate.command.sent", site, details)


def _move(
    tx: Transaction,
    release: ReleaseRecord,
    selector: str,
    kind: Literal["rollout", "rollback"],
    *,
    settings: Mapping[str, str],
    reason: str,
    rollout_id: str,
    actor: str,
    at: datetime,
) -> RolloutRecord:
    before = assignments.find_assignment(tx, release.app, selector)
    # never an attempt that was used before: an old report of the same release must not count as evidence
    attempt = max(rollouts.highest_attempt(tx, release.release_digest), _pinned_attempt(tx, release)) + 1
    moved = assignments.move_assignment(
        tx,
        app=release.app,
        selector=selector,
        state=AppState.PRESENT,
        release=release,
        attempt=attempt,
        settings=settings,
        rollout_id=rollout_id,
        actor=actor,
        at=at,
    )
    rollout = RolloutRecord(
        rollout_id=rollout_id,
        app=release.app,
        version=release.version,
        release_digest=release.release_digest,
        selector=selector,
        kind=kind,
        phase=RolloutPhase.RUNNING,
        attempt=attempt,
        settings=dict(settings),
        started_at=at,
        started_by=actor,
        previous_version=before.version if before is not None else "",
        reason=reason,
    )
    stored = rollouts.add_rollout(tx, rollout)
    _end_pins(tx, release.app, selector, at, actor)
    details = {"rollout_id": rollout_id, "selector": selector, "attempt": attempt, "previous": rollout.previous_version, "reason": reason}
    _audit(tx, at, actor, f"{kind}.start", f"{release.app}@{release.version}", {**details, "settings": dict(moved.settings)})
    return replace(stored, nodes=())


def _chosen(tx: Transaction, app: str, selector: str | None) -> tuple[AssignmentRecord, ...]:
    standing = assignments.list_assignments(tx, app)
    if not standing:
        raise NotFound("is not assigned to any node", subject=f"app {app}", remedy="start a rollout of it first")
    if selector is None:
        return standing
    wanted = normalise_selector(selector)
    chosen = tuple(item for item in standing if item.selector == wanted)
    if not chosen:
        known = ", ".join(repr(item.selector) for item in standing)
        raise NotFound(f"has no assignment for {wanted!r}", subject=f"app {app}", remedy=f"its assignments have the selectors: {known}")
    return chosen


def _choice(tx: Transaction, standing: AssignmentRecord, target: ReleaseRecord | None) -> RollbackChoice:
    if target is not None:
        same = target.version == standing.version
        return RollbackChoice(None, f"it is at {standing.version} already") if same else RollbackChoice(target.version, "it was named")
    counts = releases.counts_by_release(tx, standing.app)
    history = []
    for move in rollouts.list_moves(tx, standing.app, standing.selector):
        count = counts.get(move.release_digest)
        ready, failed = (count.nodes_ready, count.nodes_failed) if count is not None else (0, 0)
        history.append(HistoryEntry(move.version, move.release_digest, move.kind, move.phase, ready, failed))
    return rollback_target(history, standing.version)


def _go_back(
    tx: Transaction, standing: AssignmentRecord, version: str, reason: str, rollout_id: str, actor: str, at: datetime
) -> RolloutRecord:
    release = releases.get_release(tx, standing.app, version)
    earlier = [move for move in rollouts.list_moves(tx, standing.app, standing.selector) if move.version == version]
    settings = earlier[-1].settings if earlier else standing.settings
    return _move(tx, release, standing.selector, "rollback", settings=settings, reason=reason, rollout_id=rollout_id, actor=actor, at=at)


def _no_way_back(app: str, choices: list[tuple[AssignmentRecord, RollbackChoice]]) -> Conflict:
    reasons = "; ".join(f"{item.selector!r}: {choice.reason}" if len(choices) > 1 else choice.reason for item, choice in choices)
    further = next((choice.further for _, choice in choices if choice.further is not None), None)
    remedy = f"to go further back name the version: --to {further}" if further else "name a published version with --to"
    return Conflict(f"cannot be rolled back: {reasons}", subject=f"app {app}", remedy=remedy)


def _pinned_attempt(tx: Transaction, release: ReleaseRecord) -> int:
    """Highest attempt of a release that a forgotten rollout used; 0 where none is known."""
    told = [pin.desired for pin in assignments.list_pins(tx) if pin.app == release.app and pin.desired is not None]
    return max(
        (each.attempt for each in told if each.release is not None and each.release.release_digest == release.release_digest), default=0
    )


def _end_pins(tx: Transaction, app: str, selector: str | None, at: datetime, actor: str) -> None:
    ended = assignments.clear_pins(tx, app, selector)
    if ended:
        _audit(tx, at, actor, "pins.clear", app, {"pins": ended, "selector": selector})


def _audit(tx: Transaction, at: datetime, actor: str, action: str, target: str, details: Mapping[str, object]) -> None:
    audit.append_audit(tx, at=at, actor=actor, action=action, target=target, details=details)
