"""What central knows of itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from central.model import Conflict, FleetMeta
from central.store import rows, tables
from central.store.database import Transaction, database_name
from central.store.errors import EMPTY_REMEDY, StoreEmpty

_INSTANCE, _FLEET, _EPOCH, _RESTORED, _LISTENING = "instance_id", "fleet", "epoch", "restored_at", "listening_since"
FIRST_EPOCH = 1


def init_meta(tx: Transaction, instance_id: str, fleet: str) -> FleetMeta:
    """Write the identity of a new database.

    Raises:
        Conflict: it has one.
    """
    if get_value(tx, _INSTANCE) is not None:
        raise Conflict("is initialised already", subject="database", remedy="use another state folder or database")
    for key, value in ((_INSTANCE, instance_id), (_FLEET, fleet), (_EPOCH, str(FIRST_EPOCH))):
        set_value(tx, key, value)
    return read_meta(tx)


def read_meta(tx: Transaction) -> FleetMeta:
    """Identity, epoch, and whether this is an older copy.

    Raises:
        StoreEmpty: there is no fleet in it.
    """
    values = {row.key: row.value for row in tx.execute(select(tables.meta))}
    if _INSTANCE not in values:
        raise StoreEmpty("holds no fleet", subject=database_name(tx.engine.url), remedy=EMPTY_REMEDY)
    restored = values.get(_RESTORED)
    return FleetMeta(
        instance_id=values[_INSTANCE],
        fleet=values[_FLEET],
        epoch=int(values[_EPOCH]),
        restored_at=datetime.fromisoformat(restored) if restored else None,
    )


def raise_epoch(tx: Transaction, epoch: int) -> None:
    """Use this epoch from now on.

    Raises:
        Conflict: it is below the present one.
    """
    present = read_meta(tx).epoch
    if epoch < present:
        raise Conflict(f"epoch {epoch} is below {present}", subject="database")
    set_value(tx, _EPOCH, str(epoch))


def mark_restored(tx: Transaction, epoch: int, at: datetime) -> None:
    """Note that central runs from an older copy, and raise the epoch above all that was seen.

    Raises:
        Conflict: the epoch is below the present one.
    """
    raise_epoch(tx, epoch)
    set_value(tx, _RESTORED, at.isoformat())


def note_listening(tx: Transaction, at: datetime) -> None:
    """Central hears heartbeats from now on: after its own absence a node's silence before this says nothing."""
    set_value(tx, _LISTENING, at.isoformat())


def listening_since(tx: Transaction) -> datetime | None:
    """When central last began to hear heartbeats, or None where that is not known."""
    value = get_value(tx, _LISTENING)
    return None if value is None else datetime.fromisoformat(value)


def get_value(tx: Transaction, key: str) -> str | None:
    """A value of central's own, or None."""
    return tx.execute(select(tables.meta.c.value).where(tables.meta.c.key == key)).scalar()


def set_value(tx: Transaction, key: str, value: str) -> None:
    """Keep a value of central's own."""
    rows.upsert(tx, tables.meta, [{"key": key, "value": value}])
