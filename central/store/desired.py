"""What was issued to each node, and what each node should be told now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from central.compose import compose_desired
from central.model import NO_ORDER, Conflict, IssuedDesired, NodeRecord, Order
from central.store import assignments, nodes, releases, rows, tables
from central.store.database import Transaction
from shared.contracts.desired import AppDesired

_TABLE = tables.desired
_ORDERS = tables.desired_orders


def compose_fleet(tx: Transaction, names: Iterable[str] | None = None) -> dict[str, dict[str, AppDesired]]:
    """Apps that each node should have now, by node; with `names` only of these."""
    standing = assignments.list_assignments(tx)
    pauses = assignments.list_pauses(tx)
    pins = assignments.list_pins(tx)
    known = releases.releases_by_digest(tx, (item.release_digest for item in standing if item.release_digest))
    wanted = None if names is None else set(names)
    chosen: list[NodeRecord] = [record for record in nodes.list_nodes(tx) if wanted is None or record.node in wanted]
    return {record.node: compose_desired(record.node, record.labels, standing, pins, known, pauses) for record in chosen}


def list_issued(tx: Transaction) -> dict[str, IssuedDesired]:
    """The newest issued Desired of each node that has one."""
    return {row.node: _record(row) for row in tx.execute(select(_TABLE).order_by(_TABLE.c.node))}


def get_issued(tx: Transaction, node: str) -> IssuedDesired | None:
    """The newest issued Desired of a node, or None."""
    row = tx.execute(select(_TABLE).where(_TABLE.c.node == node)).first()
    return None if row is None else _record(row)


def save_issued(tx: Transaction, issued: IssuedDesired) -> None:
    """Keep a Desired before it is sent.

    Raises:
        Conflict: its order is not above the highest ever issued to the node, or there is no such node.
    """
    row = tx.execute(select(_ORDERS.c.epoch, _ORDERS.c.generation).where(_ORDERS.c.node == issued.node)).first()
    highest = (row.epoch, row.generation) if row is not None else NO_ORDER
    if issued.order <= highest:
        raise Conflict(f"order {issued.order} is not above {highest}, which was issued already", subject=f"desired of {issued.node}")
    values = {
        "node": issued.node,
        "epoch": issued.epoch,
        "generation": issued.generation,
        "apps": {app: desired.to_json() for app, desired in issued.apps.items()},
        "envelope": issued.envelope,
        "issued_at": issued.issued_at,
        "kv_revision": issued.kv_revision,
    }
    rows.upsert(tx, _TABLE, [values])
    rows.upsert(tx, _ORDERS, [{"node": issued.node, "epoch": issued.epoch, "generation": issued.generation}])


def mark_put(tx: Transaction, node: str, order: Order, kv_revision: int) -> bool:
    """Note that the bus took the Desired of this order; False where a newer one was issued meanwhile."""
    condition = (_TABLE.c.node == node, _TABLE.c.epoch == order[0], _TABLE.c.generation == order[1])
    return tx.execute(_TABLE.update().where(*condition).values(kv_revision=kv_revision)).rowcount > 0


def highest_orders(tx: Transaction) -> dict[str, Order]:
    """Highest order ever issued to each node, or noticed after a restore; deleted nodes too."""
    return {row.node: (row.epoch, row.generation) for row in tx.execute(select(_ORDERS))}


def note_orders(tx: Transaction, orders: Mapping[str, Order]) -> None:
    """Remember orders that the world has seen and this database did not issue, so that they are news only once."""
    known = highest_orders(tx)
    higher = {node: order for node, order in orders.items() if order > known.get(node, NO_ORDER)}
    rows.upsert(tx, _ORDERS, [{"node": node, "epoch": order[0], "generation": order[1]} for node, order in sorted(higher.items())])


def _record(row: Any) -> IssuedDesired:
    return IssuedDesired(
        node=row.node,
        epoch=row.epoch,
        generation=row.generation,
        apps={app: AppDesired.model_validate(content) for app, content in row.apps.items()},
        envelope=bytes(row.envelope),
        issued_at=row.issued_at,
        kv_revision=row.kv_revision,
    )
