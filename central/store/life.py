"""Lives of central: from a start until the bus was looked at, it is not known whether the database is an older copy.

What operators do in that time was done knowing this copy, and so outranks whatever of a later state comes to light.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from central.model import OperatorAct
from central.store import meta, nodes, reports, tables
from central.store.database import Transaction

ACTIONS = ("rollout.start", "rollback.start", "app.pause", "app.resume", "app.remove")
"""Lines of the audit by which an operator takes an app over."""
_BEGUN, _COMPARED, _RESTORED, _LOST = "life_audit", "life_compared", "restored_audit", "bus_lost_at"
_YES, _NO = "yes", "no"


def begin_life(tx: Transaction) -> None:
    """Call at each start, before anybody can act. A start after one that never saw the bus counts as the same life."""
    if meta.get_value(tx, _COMPARED) != _NO:
        meta.set_value(tx, _BEGUN, str(_last_line(tx)))
        meta.set_value(tx, _COMPARED, _NO)


def note_bucket(tx: Transaction, *, is_empty: bool, at: datetime) -> None:
    """The bus was compared with the database. At the first time in a life an empty bus that had documents has lost them."""
    if meta.get_value(tx, _COMPARED) != _NO:
        return
    meta.set_value(tx, _COMPARED, _YES)
    put = select(func.count()).select_from(tables.desired).where(tables.desired.c.kv_revision.is_not(None))
    if is_empty and tx.execute(put).scalar_one():
        meta.set_value(tx, _LOST, at.isoformat())


def unheard_nodes(tx: Transaction) -> frozenset[str]:
    """After the bus lost everything: nodes that have said nothing since.

    The database may be older too, and then only the node knows how far it was told. A document above its own would take
    it back, so nothing new is issued to it before it spoke; what was issued before is no harm.
    """
    lost = meta.get_value(tx, _LOST)
    if lost is None:
        return frozenset()
    lost_at, heard = datetime.fromisoformat(lost), reports.received_times(tx)
    return frozenset(
        record.node
        for record in nodes.list_nodes(tx)
        if record.added_at < lost_at and (record.node not in heard or heard[record.node] < lost_at)
    )


def note_restored(tx: Transaction) -> None:
    """Remember where the life began in which a restore came to light: nodes may be silent for longer than it lasts."""
    begun = meta.get_value(tx, _BEGUN)
    if begun is not None:
        meta.set_value(tx, _RESTORED, begun)


def acts_since_start(tx: Transaction) -> tuple[OperatorAct, ...]:
    """What operators did in this life."""
    return _acts_after(tx, meta.get_value(tx, _BEGUN))


def acts_since_restore(tx: Transaction) -> tuple[OperatorAct, ...]:
    """What operators did since the start after which the restore came to light."""
    return _acts_after(tx, meta.get_value(tx, _RESTORED) or meta.get_value(tx, _BEGUN))


def _acts_after(tx: Transaction, line: str | None) -> tuple[OperatorAct, ...]:
    if line is None:
        return ()
    table = tables.audit
    query = select(table.c.target, table.c.details).where(table.c.number > int(line), table.c.action.in_(ACTIONS)).order_by(table.c.number)
    return tuple(OperatorAct(row.target.partition("@")[0], row.details.get("selector")) for row in tx.execute(query))


def _last_line(tx: Transaction) -> int:
    return int(tx.execute(select(func.coalesce(func.max(tables.audit.c.number), 0))).scalar_one())
