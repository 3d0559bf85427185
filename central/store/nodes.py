"""Nodes, their labels, credentials and signs of life."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, or_, select

from central.compose import parse_selector
from central.model import DEFAULT_HEARTBEAT_S, Conflict, NodeRecord, NotFound, PresenceMark
from central.store import rows, tables
from central.store.database import Transaction
from shared.contracts.subjects import check_node_id

_TABLE = tables.nodes
_MAX_BOOT_ID = 128
_MAX_ROWS = 2**31 - 1


def add_node(
    tx: Transaction, node: str, labels: Mapping[str, str], password_hash: str, *, actor: str, at: datetime, replace: bool = False
) -> NodeRecord:
    """Add a node, or with `replace` give an existing one new credentials (a new SD card) and keep its labels where none are given.

    Raises:
        UsageError: the name is not allowed.
        Conflict: it exists and `replace` was not given.
    """
    check_node_id(node)
    stored = find_node(tx, node)
    if stored is None:
        values = {"labels": dict(labels), "added_at": at, "added_by": actor, "heartbeat_interval_s": DEFAULT_HEARTBEAT_S, "boot_id": ""}
        tx.execute(_TABLE.insert().values(node=node, password_hash=password_hash, last_seen=None, **values))
        return get_node(tx, node)
    if not replace:
        raise Conflict("exists already", subject=f"node {node}", remedy="add it with --replace to give it new credentials")
    kept = dict(labels) or dict(stored.labels)
    tx.execute(_TABLE.update().where(_TABLE.c.node == node).values(password_hash=password_hash, labels=kept))
    return get_node(tx, node)


def find_node(tx: Transaction, node: str) -> NodeRecord | None:
    """The node, or None."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.node == node)).first()
    return None if row is None else _record(row)


def get_node(tx: Transaction, node: str) -> NodeRecord:
    """The node.

    Raises:
        NotFound: there is none of this name.
    """
    found = find_node(tx, node)
    if found is None:
        raise NotFound("there is no such node", subject=f"node {node}", remedy="see the names with: munbon node list")
    return found


def list_nodes(tx: Transaction, selector: str = "") -> tuple[NodeRecord, ...]:
    """Nodes that match, by name.

    Raises:
        UsageError: the selector cannot be parsed.
    """
    chosen = parse_selector(selector)
    records = (_record(row) for row in tx.execute(select(_TABLE).order_by(_TABLE.c.node)))
    return tuple(record for record in records if chosen.matches(record.labels))


def change_labels(tx: Transaction, node: str, changes: Mapping[str, str | None]) -> NodeRecord:
    """Set labels, and remove those whose value is None.

    Raises:
        NotFound: there is no such node.
    """
    merged = {**get_node(tx, node).labels, **changes}
    labels = {key: value for key, value in merged.items() if value is not None}
    tx.execute(_TABLE.update().where(_TABLE.c.node == node).values(labels=labels))
    return get_node(tx, node)


def delete_node(tx: Transaction, node: str) -> None:
    """Forget a node: its credentials, report, Desired and pins. Events, audit and the highest order stay.

    Raises:
        NotFound: there is no such node.
    """
    get_node(tx, node)
    for table in (tables.pins, tables.reports, tables.desired, _TABLE):
        tx.execute(table.delete().where(table.c.node == node))


def save_presence(tx: Transaction, marks: Iterable[PresenceMark]) -> None:
    """Keep the newest sign of life of each node; older ones and unknown nodes change nothing."""
    newest: dict[str, PresenceMark] = {}
    for mark in marks:
        if mark.node not in newest or newest[mark.node].at <= mark.at:
            newest[mark.node] = mark
    if not newest:
        return
    known = (_TABLE.c.node == bindparam("b_node"), or_(_TABLE.c.last_seen.is_(None), _TABLE.c.last_seen <= bindparam("b_at")))
    statement = _TABLE.update().where(*known)
    statement = statement.values(
        last_seen=bindparam("b_at"),
        heartbeat_interval_s=bindparam("b_interval_s"),
        boot_id=bindparam("b_boot_id"),
        outbox_rows=bindparam("b_outbox_rows"),
    )
    values = [
        {
            "b_node": mark.node,
            "b_at": mark.at,
            "b_interval_s": mark.interval_s,
            "b_boot_id": rows.clean_text(mark.boot_id, _MAX_BOOT_ID),
            "b_outbox_rows": None if mark.outbox_rows is None else min(max(0, mark.outbox_rows), _MAX_ROWS),
        }
        for mark in newest.values()
    ]
    tx.execute(statement, values)


def list_password_hashes(tx: Transaction) -> dict[str, str]:
    """Hash of each node's password, for the configuration of nats-server."""
    return {row.node: row.password_hash for row in tx.execute(select(_TABLE.c.node, _TABLE.c.password_hash).order_by(_TABLE.c.node))}


def _record(row: Any) -> NodeRecord:
    return NodeRecord(
        node=row.node,
        labels=row.labels,
        added_at=row.added_at,
        added_by=row.added_by,
        password_hash=row.password_hash,
        last_seen=row.last_seen,
        heartbeat_interval_s=row.heartbeat_interval_s,
        boot_id=row.boot_id,
        outbox_rows=row.outbox_rows,
    )
