"""Assignments, the pauses laid over them, and pins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select

from central.compose import is_about
from central.model import AssignmentRecord, PauseRecord, PinRecord, ReleaseRecord
from central.store import rows, tables
from central.store.database import Transaction
from shared.contracts.desired import AppDesired, AppState

_TABLE = tables.assignments
_PAUSES = tables.pauses
_PINS = tables.pins


def list_assignments(tx: Transaction, app: str | None = None) -> tuple[AssignmentRecord, ...]:
    """Assignments by app and then in the order in which they were moved."""
    query = select(_TABLE).order_by(_TABLE.c.app, _TABLE.c.move)
    return tuple(_record(row) for row in tx.execute(query if app is None else query.where(_TABLE.c.app == app)))


def find_assignment(tx: Transaction, app: str, selector: str) -> AssignmentRecord | None:
    """The assignment with exactly this (normalised) selector, or None."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.app == app, _TABLE.c.selector == selector)).first()
    return None if row is None else _record(row)


def move_assignment(
    tx: Transaction,
    *,
    app: str,
    selector: str,
    state: Literal[AppState.PRESENT, AppState.ABSENT],
    release: ReleaseRecord | None,
    attempt: int,
    settings: Mapping[str, str],
    rollout_id: str,
    actor: str,
    at: datetime,
) -> AssignmentRecord:
    """Make or move an assignment; it then goes before every other one of its app that matches the same node."""
    stored = find_assignment(tx, app, selector)
    version = release.version if release is not None else ""
    before = "" if stored is None else (stored.version if stored.version != version else stored.previous_version)
    record = AssignmentRecord(
        app=app,
        selector=selector,
        state=state,
        release_digest=release.release_digest if release is not None else None,
        version=version,
        previous_version=before,
        attempt=attempt,
        settings=dict(settings),
        rollout_id=rollout_id,
        move=int(tx.execute(select(func.coalesce(func.max(_TABLE.c.move), 0))).scalar_one()) + 1,
        moved_at=at,
        moved_by=actor,
    )
    rows.upsert(tx, _TABLE, [{**asdict(record), "state": state.value}])
    return record


def set_absent(tx: Transaction, app: str, selector: str, *, actor: str, at: datetime) -> AssignmentRecord | None:
    """Let a standing assignment say `absent` in its place, without going before others; None where there is none."""
    condition = (_TABLE.c.app == app, _TABLE.c.selector == selector)
    values = {"state": AppState.ABSENT.value, "release_digest": None, "rollout_id": "", "moved_at": at, "moved_by": actor}
    stored = find_assignment(tx, app, selector)
    if stored is None:
        return None
    if stored.state is AppState.PRESENT:
        tx.execute(_TABLE.update().where(*condition).values(**values, version="", previous_version=stored.version))
    return find_assignment(tx, app, selector)


def list_pauses(tx: Transaction, app: str | None = None) -> tuple[PauseRecord, ...]:
    """Pauses by app and selector."""
    query = select(_PAUSES).order_by(_PAUSES.c.app, _PAUSES.c.selector)
    found = tx.execute(query if app is None else query.where(_PAUSES.c.app == app))
    return tuple(PauseRecord(row.app, row.selector, row.paused_at, row.paused_by, row.reason) for row in found)


def put_pause(tx: Transaction, pause: PauseRecord) -> None:
    """Lay a pause over an app's assignments; a repeat keeps the newer one."""
    values = {"paused_at": pause.paused_at, "paused_by": pause.paused_by, "reason": pause.reason}
    rows.upsert(tx, _PAUSES, [{"app": pause.app, "selector": pause.selector, **values}])


def delete_pauses(tx: Transaction, app: str, selector: str | None = None) -> int:
    """Lift the pause with exactly this (normalised) selector, or with None all of the app; how many there were."""
    statement = _PAUSES.delete().where(_PAUSES.c.app == app)
    return tx.execute(statement if selector is None else statement.where(_PAUSES.c.selector == selector)).rowcount


def list_pins(tx: Transaction) -> tuple[PinRecord, ...]:
    """Pins by node and app."""
    found = tx.execute(select(_PINS).order_by(_PINS.c.node, _PINS.c.app))
    return tuple(PinRecord(row.node, row.app, _desired(row.desired), row.pinned_at, row.reason) for row in found)


def save_pins(tx: Transaction, pins: Iterable[PinRecord]) -> None:
    """Keep pins; a newer one of the same node and app replaces."""
    values = [
        {
            "node": pin.node,
            "app": pin.app,
            "desired": None if pin.desired is None else pin.desired.to_json(),
            "pinned_at": pin.pinned_at,
            "reason": pin.reason,
        }
        for pin in pins
    ]
    rows.upsert(tx, _PINS, values)


def clear_pins(tx: Transaction, app: str, selector: str | None) -> int:
    """Take away an app's pins on the nodes that an operator's word was about (None: all); how many there were.

    Pins of nodes that are not known here go only with a word about all nodes.
    """
    labels = {row.node: row.labels for row in tx.execute(select(tables.nodes.c.node, tables.nodes.c.labels))}
    pinned = tx.execute(select(_PINS.c.node).where(_PINS.c.app == app)).scalars().all()
    ended = [node for node in pinned if is_about(selector, labels.get(node))]
    for node in ended:
        tx.execute(_PINS.delete().where(_PINS.c.app == app, _PINS.c.node == node))
    return len(ended)


def _desired(content: Any) -> AppDesired | None:
    return None if content is None else AppDesired.model_validate(content)


def _record(row: Any) -> AssignmentRecord:
    return AssignmentRecord(
        app=row.app,
        selector=row.selector,
        state=AppState.ABSENT if row.state == AppState.ABSENT.value else AppState.PRESENT,
        release_digest=row.release_digest,
        version=row.version,
        previous_version=row.previous_version,
        attempt=row.attempt,
        settings=row.settings,
        rollout_id=row.rollout_id,
        move=row.move,
        moved_at=row.moved_at,
        moved_by=row.moved_by,
    )
