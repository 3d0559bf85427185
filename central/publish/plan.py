"""Which Desired documents to issue, and which to put on the bus. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from central.compose import next_order
from central.model import NO_ORDER, IssuedDesired, Order
from shared.contracts.desired import AppDesired


def plan_issues(
    epoch: int,
    composed: Mapping[str, Mapping[str, AppDesired]],
    issued: Mapping[str, IssuedDesired],
    highest: Mapping[str, Order],
    silent: Collection[str],
) -> dict[str, Order]:
    """Nodes that need a new document, with its order.

    One is needed where the content differs from what was last issued, or where the world holds a higher order than that.
    Doubt leads to silence: after a restore, or with the bus lost, nothing is issued to a node that was not heard of since.
    """
    orders: dict[str, Order] = {}
    for node, apps in composed.items():
        last = issued.get(node)
        known = highest.get(node, NO_ORDER)
        if node not in silent and (last is None or dict(last.apps) != dict(apps) or known > last.order):
            orders[node] = next_order(epoch, known, last.order if last else NO_ORDER)
    return orders


@dataclass(frozen=True)
class Held:
    """What the bucket holds for a node; `order` is None where its signature does not hold or it cannot be read."""

    body: bytes
    order: Order | None


def plan_puts(issued: Mapping[str, IssuedDesired], held: Mapping[str, Held] | None, silent: Collection[str]) -> tuple[str, ...]:
    """Nodes whose issued document must be put on the bus, by name.

    Args:
        issued: newest document of each node.
        held: the whole bucket as just read; None where it was not read: then what was never put.
        silent: nodes to be left alone.
    """
    todo = []
    for node, document in sorted(issued.items()):
        there = held.get(node) if held is not None else None
        is_there = document.kv_revision is not None if held is None else there is not None and there.body == document.envelope
        # a higher order there means that this database is behind: `plan_issues` goes above it first
        is_newer = there is not None and there.order is not None and there.order > document.order
        if node not in silent and not is_there and not is_newer:
            todo.append(node)
    return tuple(todo)


def plan_deletes(held: Collection[str], nodes: Collection[str], ever_issued: Collection[str], *, restored: bool) -> tuple[str, ...]:
    """Keys of nodes that were deleted. A key that this database never heard of is left: it may be the database that is behind."""
    return () if restored else tuple(sorted(node for node in held if node not in nodes and node in ever_issued))
