"""One transaction: notice a restore, compose every node, sign and keep what is new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from central.model import IssuedDesired, Order
from central.publish.plan import plan_issues
from central.store import desired, life, meta, nodes, restore
from central.store.database import Transaction
from shared.contracts.desired import AppDesired, Desired
from shared.signing.dsse import sign_document
from shared.signing.keys import Signer


@dataclass(frozen=True)
class Issuance:
    """What is to be on the bus after it. `fresh`: nodes whose document is new."""

    issued: Mapping[str, IssuedDesired]
    silent: frozenset[str]
    fresh: tuple[str, ...]
    nodes: frozenset[str]
    ever_issued: frozenset[str]
    is_restored: bool


def issue_all(
    tx: Transaction,
    signer: Signer,
    said: Mapping[str, tuple[Order, Mapping[str, AppDesired]]] | None,
    in_bucket: frozenset[str],
    now: datetime,
) -> Issuance:
    """Bring the issued documents up to date; nothing is sent yet. A repeat without changes writes nothing.

    Args:
        tx: a write transaction.
        signer: central's key.
        said: documents of the bucket whose signatures held; None where it was not read this time.
        in_bucket: nodes whose document was read at the last full comparison.
        now: time of issue.
    """
    restore.check_restore(tx, said or {}, now)
    if said is not None:
        life.note_bucket(tx, is_empty=not said, at=now)
    identity = meta.read_meta(tx)
    silent = restore.silent_nodes(tx, in_bucket)
    issued = desired.list_issued(tx)
    highest = desired.highest_orders(tx)
    composed = desired.compose_fleet(tx)
    orders = plan_issues(identity.epoch, composed, issued, highest, silent | life.unheard_nodes(tx))
    fresh = {node: sign_desired(signer, node, order, composed[node], now) for node, order in orders.items()}
    desired.save_issued(tx, *fresh.values())
    return Issuance(
        issued={**issued, **fresh},
        silent=silent,
        fresh=tuple(sorted(fresh)),
        nodes=frozenset(record.node for record in nodes.list_nodes(tx)),
        ever_issued=frozenset(highest),
        is_restored=identity.restored_at is not None,
    )


def sign_desired(signer: Signer, node: str, order: Order, apps: Mapping[str, AppDesired], now: datetime) -> IssuedDesired:
    """A signed document, ready to be kept."""
    document = Desired(kind="Desired", node=node, epoch=order[0], generation=order[1], issued_at=now, apps=dict(apps))
    return IssuedDesired(
        node=node, epoch=order[0], generation=order[1], apps=dict(apps), envelope=sign_document(document, [signer]), issued_at=now
    )
