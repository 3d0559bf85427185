"""Small helpers over SQLAlchemy that both databases understand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import Insert as PostgresInsert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert

Row = Mapping[str, Any]


def upsert(tx: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert rows; where the primary key is there already, replace the other given columns."""
    listed = list(rows)
    if not listed:
        return
    keys = [column.name for column in table.primary_key]
    statement = _insert(tx, table)
    changed = {name: statement.excluded[name] for name in listed[0] if name not in keys}
    if changed:
        tx.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), listed)
    else:
        tx.execute(statement.on_conflict_do_nothing(index_elements=keys), listed)


def insert_new(
    tx: Connection, table: Table, rows: Sequence[Row], *, unique: Sequence[str], returning: Sequence[ColumnElement[Any]] = ()
) -> list[Any]:
    """Insert the rows that are not there by their `unique` columns.

    Returns:
        For each row really inserted the `returning` columns; an empty list where none were asked for.
    """
    if not rows:
        return []
    statement = _insert(tx, table).on_conflict_do_nothing(index_elements=list(unique))
    if not returning:
        tx.execute(statement, list(rows))
        return []
    return list(tx.execute(statement.returning(*returning), list(rows)).all())


def clean_text(text: str, max_chars: int) -> str:
    """A node's text as both databases take it: no NUL, no half of a surrogate pair, not longer than the column."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")[:max_chars]


def _insert(tx: Connection, table: Table) -> PostgresInsert | SqliteInsert:
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)
