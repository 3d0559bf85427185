"""What was issued to each node, and what each node should be told now."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Text, bindparam, select, type_coerce

from central.compose import compose_nodes
from central.model import NO_ORDER, Conflict, IssuedDesired, NodeRecord, Order
from central.store import assignments, nodes, releases, rows, tables
from central.store.database import Transaction
from shared.contracts.desired import AppDesired

_TABLE = tables.desired
_ORDERS = tables.desired_orders
# as text: nodes with the same labels have the same apps, which are then read once
_COLUMNS = (*(column for column in _TABLE.c if column.name != "apps"), type_coerce(_TABLE.c.apps, Text).label("apps"))
_APPS = TypeAdapter(dict[str, AppDesired])


def compose_fleet(tx: Transaction, names: Iterable[str] | None = None) -> dict[str, dict[str, AppDesired]]:
    """Apps that each node should have now, by node; with `names` only of these."""
    wanted = None if names is None else set(names)
    return compose_for(tx, [record for record in nodes.list_nodes(tx) if wanted is None or record.node in wanted])


def compose_for(tx: Transaction, records: Iterable[NodeRecord], apps: Collection[str] | None = None) -> dict[str, dict[str, AppDesired]]:
    """What these nodes should have, by node; with `apps` only of these."""
    standing = [item for item in assignments.list_assignments(tx) if apps is None or item.app in apps]
    pins = [pin for pin in assignments.list_pins(tx) if apps is None or pin.app in apps]
    known = releases.releases_by_digest(tx, (item.release_digest for item in standing if item.release_digest))
    return compose_nodes({record.node: record.labels for record in records}, standing, pins, known, assignments.list_pauses(tx))


def list_issued(tx: Transaction) -> dict[str, IssuedDesired]:
    """The newest issued Desired of each node that has one."""
    return {row.node: _record(row) for row in tx.execute(select(*_COLUMNS).order_by(_TABLE.c.node))}


def get_issued(tx: Transaction, node: str) -> IssuedDesired | None:
    """The newest issued Desired of a node, or None."""
    row = tx.execute(select(*_COLUMNS).where(_TABLE.c.node == node)).first()
    return None if row is None else _record(row)


def save_issued(tx: Transaction, *documents: IssuedDesired) -> None:
    """Keep Desired documents before they are sent, at most one of a node: all, or none.

    Raises:
        Conflict: an order is not above the highest ever issued to the node, or there is no such node.
    """
    highest = highest_orders(tx)
    for document in documents:
        known = highest.get(document.node, NO_ORDER)
        if document.order <= known:
            raise Conflict(f"order {document.order} is not above {known}, which was issued already", subject=f"desired of {document.node}")
    rows.upsert(tx, _TABLE, [_values(document) for document in documents])
    rows.upsert(tx, _ORDERS, [{"node": item.node, "epoch": item.epoch, "generation": item.generation} for item in documents])


def mark_put(tx: Transaction, documents: Iterable[IssuedDesired], revisions: Mapping[str, int]) -> None:
    """Note which documents the bus took, with their revision there; of one that a newer replaced meanwhile nothing is noted."""
    key = (_TABLE.c.node == bindparam("b_node"), _TABLE.c.epoch == bindparam("b_epoch"), _TABLE.c.generation == bindparam("b_generation"))
    values = [
        {"b_node": item.node, "b_epoch": item.epoch, "b_generation": item.generation, "b_revision": revisions[item.node]}
        for item in documents
        if item.node in revisions
    ]
    if values:
        tx.execute(_TABLE.update().where(*key).values(kv_revision=bindparam("b_revision")), values)


def highest_orders(tx: Transaction) -> dict[str, Order]:
    """Highest order ever issued to each node, or noticed after a restore; deleted nodes too."""
    return {row.node: (row.epoch, row.generation) for row in tx.execute(select(_ORDERS))}


def note_orders(tx: Transaction, orders: Mapping[str, Order]) -> None:
    """Remember orders that the world has seen and this database did not issue, so that they are news only once."""
    known = highest_orders(tx)
    higher = {node: order for node, order in orders.items() if order > known.get(node, NO_ORDER)}
    rows.upsert(tx, _ORDERS, [{"node": node, "epoch": order[0], "generation": order[1]} for node, order in sorted(higher.items())])


def _values(document: IssuedDesired) -> rows.Row:
    return {
        "node": document.node,
        "epoch": document.epoch,
        "generation": document.generation,
        "apps": {app: desired.to_json() for app, desired in document.apps.items()},
        "envelope": document.envelope,
        "issued_at": document.issued_at,
        "kv_revision": document.kv_revision,
    }


@functools.lru_cache(maxsize=1024)
def _read_apps(text: str) -> Mapping[str, AppDesired]:
    return MappingProxyType(_APPS.validate_json(text))


def _record(row: Any) -> IssuedDesired:
    return IssuedDesired(
        node=row.node,
        epoch=row.epoch,
        generation=row.generation,
        apps=_read_apps(row.apps),
        envelope=bytes(row.envelope),
        issued_at=row.issued_at,
        kv_revision=row.kv_revision,
    )
