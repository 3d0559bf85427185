"""Rollouts, their nodes, and the step that moves them on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from central.fleet import presence_after_absence
from central.model import NodeOutcome, NodeRecord, NodeReport, NotFound, RolloutNodeRecord, RolloutRecord, Wave
from central.rollout import Decision, DropNode, Finish, Note, RolloutFleet, SetNode, Target, advance
from central.store import assignments, desired, meta, nodes, reports, rows, tables
from central.store.database import Transaction
from shared.contracts.api import RolloutPhase
from shared.contracts.desired import AppDesired
from shared.contracts.event import Cause

_TABLE = tables.rollouts
_NODES = tables.rollout_nodes
_MAX_VERSION, _MAX_MESSAGE = 128, 2_000


def add_rollout(tx: Transaction, rollout: RolloutRecord) -> RolloutRecord:
    """Keep a new rollout; its number is given here."""
    tx.execute(
        _TABLE.insert().values(
            rollout_id=rollout.rollout_id,
            app=rollout.app,
            version=rollout.version,
            release_digest=rollout.release_digest,
            selector=rollout.selector,
            kind=rollout.kind,
            phase=rollout.phase.value,
            attempt=rollout.attempt,
            settings=dict(rollout.settings),
            started_at=rollout.started_at,
            started_by=rollout.started_by,
            previous_version=rollout.previous_version,
            reason=rollout.reason,
            message=rollout.message,
            finished_at=rollout.finished_at,
            waves=[{"name": wave.name, "soak_s": wave.soak_s} for wave in rollout.waves],
            wave=rollout.wave,
        )
    )
    return get_rollout(tx, rollout.rollout_id)


def get_rollout(tx: Transaction, rollout_id: str) -> RolloutRecord:
    """The rollout with its nodes.

    Raises:
        NotFound: there is none with this id.
    """
    found = _load(tx, select(_TABLE).where(_TABLE.c.rollout_id == rollout_id))
    if not found:
        raise NotFound("there is no such rollout", subject=f"rollout {rollout_id}", remedy="see: munbon rollout history APP")
    return found[0]


def list_rollouts(tx: Transaction, app: str | None = None, limit: int = 100) -> tuple[RolloutRecord, ...]:
    """Rollouts with their nodes, the newest first."""
    query = select(_TABLE).order_by(_TABLE.c.number.desc()).limit(limit)
    return _load(tx, query if app is None else query.where(_TABLE.c.app == app))


def list_running(tx: Transaction) -> tuple[RolloutRecord, ...]:
    """Rollouts that are not finished, the oldest first."""
    return _load(tx, select(_TABLE).where(_TABLE.c.phase == RolloutPhase.RUNNING.value).order_by(_TABLE.c.number))


def has_running(tx: Transaction) -> bool:
    """Whether any rollout is not finished."""
    return tx.execute(select(_TABLE.c.number).where(_TABLE.c.phase == RolloutPhase.RUNNING.value).limit(1)).first() is not None


def list_moves(tx: Transaction, app: str, selector: str) -> tuple[RolloutRecord, ...]:
    """All rollouts of one assignment without their nodes, the oldest first."""
    query = select(_TABLE).where(_TABLE.c.app == app, _TABLE.c.selector == selector).order_by(_TABLE.c.number)
    return tuple(_record(row, ()) for row in tx.execute(query))


def highest_attempt(tx: Transaction, release_digest: str) -> int:
    """Highest attempt that any rollout of this release used; 0 where there was none."""
    query = select(func.coalesce(func.max(_TABLE.c.attempt), 0)).where(_TABLE.c.release_digest == release_digest)
    return int(tx.execute(query).scalar_one())


def advance_running(tx: Transaction, now: datetime) -> tuple[RolloutRecord, ...]:
    """Move every running rollout on by one step; a repeat without news changes nothing.

    Returns:
        The rollouts that changed, as they are now.
    """
    running = list_running(tx)
    if not running:
        return ()
    known = _Fleet.load(tx, {rollout.app for rollout in running})
    changed = []
    for rollout in running:
        decisions = advance(rollout, known.of(tx, rollout, now), now)
        if decisions:
            changed.append(apply_decisions(tx, rollout, decisions))
    return tuple(changed)


def apply_decisions(tx: Transaction, rollout: RolloutRecord, decisions: Sequence[Decision]) -> RolloutRecord:
    """Write decisions down; the rollout as it is then."""
    values = [_node_values(rollout.rollout_id, item.record) for item in decisions if isinstance(item, SetNode)]
    rows.upsert(tx, _NODES, values)
    for item in decisions:
        if isinstance(item, DropNode):
            tx.execute(_NODES.delete().where(_NODES.c.rollout_id == rollout.rollout_id, _NODES.c.node == item.node))
        elif isinstance(item, Note):
            tx.execute(_TABLE.update().where(_TABLE.c.rollout_id == rollout.rollout_id).values(message=item.message))
        elif isinstance(item, Finish):
            ending = {"phase": item.phase.value, "message": item.reason, "finished_at": item.at}
            tx.execute(_TABLE.update().where(_TABLE.c.rollout_id == rollout.rollout_id).values(**ending))
    [row] = tx.execute(select(_TABLE).where(_TABLE.c.rollout_id == rollout.rollout_id)).all()
    return _record(row, _nodes_after(rollout, decisions))


def _nodes_after(rollout: RolloutRecord, decisions: Sequence[Decision]) -> tuple[RolloutNodeRecord, ...]:
    known = {record.node: record for record in rollout.nodes}
    for item in decisions:
        if isinstance(item, SetNode):
            known[item.record.node] = item.record
        elif isinstance(item, DropNode):
            known.pop(item.node, None)
    return tuple(record for _, record in sorted(known.items()))


class _Fleet:
    """All nodes, their reports and what each should have, loaded once for a step."""

    def __init__(
        self,
        nodes: tuple[NodeRecord, ...],
        reports: dict[str, NodeReport],
        composed: dict[str, dict[str, AppDesired]],
        listening_since: datetime | None,
    ) -> None:
        self._nodes, self._reports, self._composed, self._listening_since = nodes, reports, composed, listening_since

    @classmethod
    def load(cls, tx: Transaction, apps: Collection[str]) -> _Fleet:
        """All that concerns these apps."""
        records = nodes.list_nodes(tx)
        return cls(records, reports.list_reports(tx), desired.compose_for(tx, records, apps), meta.listening_since(tx))

    def of(self, tx: Transaction, rollout: RolloutRecord, now: datetime) -> RolloutFleet:
        standing = assignments.find_assignment(tx, rollout.app, rollout.selector)
        targets = {}
        for record in self._nodes:
            wanted = self._composed[record.node].get(rollout.app)
            if wanted is None or wanted.rollout_id != rollout.rollout_id:
                continue
            report = self._reports.get(record.node)
            app = report.status.apps.get(rollout.app) if report is not None else None
            heard = presence_after_absence(record.last_seen, record.heartbeat_interval_s, self._listening_since, now)
            targets[record.node] = Target(record.node, heard, app)
        return RolloutFleet(targets, standing.rollout_id if standing is not None else None)


def _load(tx: Transaction, query: Any) -> tuple[RolloutRecord, ...]:
    found = tx.execute(query).all()
    by_rollout = _nodes_of(tx, (row.rollout_id for row in found))
    return tuple(_record(row, tuple(by_rollout[row.rollout_id])) for row in found)


def _nodes_of(tx: Transaction, rollout_ids: Iterable[str]) -> dict[str, list[RolloutNodeRecord]]:
    query = select(_NODES).where(_NODES.c.rollout_id.in_(list(rollout_ids))).order_by(_NODES.c.rollout_id, _NODES.c.node)
    found: dict[str, list[RolloutNodeRecord]] = defaultdict(list)
    for row in tx.execute(query):
        found[row.rollout_id].append(
            RolloutNodeRecord(
                node=row.node,
                outcome=NodeOutcome(row.outcome),
                phase=row.phase,
                reachable=row.reachable,
                version=row.version,
                cause=None if row.cause is None else Cause.model_validate(row.cause),
                message=row.message,
                since=row.since,
            )
        )
    return found


def _node_values(rollout_id: str, record: RolloutNodeRecord) -> dict[str, Any]:
    return {
        "rollout_id": rollout_id,
        "node": record.node,
        "outcome": record.outcome.value,
        "phase": record.phase,
        "reachable": record.reachable,
        "version": rows.clean_text(record.version, _MAX_VERSION),
        "cause": None if record.cause is None else record.cause.to_json(),
        "message": rows.clean_text(record.message, _MAX_MESSAGE),
        "since": record.since,
    }


def _record(row: Any, nodes: tuple[RolloutNodeRecord, ...]) -> RolloutRecord:
    return RolloutRecord(
        rollout_id=row.rollout_id,
        app=row.app,
        version=row.version,
        release_digest=row.release_digest,
        selector=row.selector,
        kind="rollback" if row.kind == "rollback" else "rollout",
        phase=RolloutPhase(row.phase),
        attempt=row.attempt,
        settings=row.settings,
        started_at=row.started_at,
        started_by=row.started_by,
        previous_version=row.previous_version,
        reason=row.reason,
        message=row.message,
        finished_at=row.finished_at,
        waves=tuple(Wave(wave["name"], wave["soak_s"]) for wave in row.waves),
        wave=row.wave,
        number=row.number,
        nodes=nodes,
    )
