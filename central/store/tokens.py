"""Named tokens; only their SHA-256 is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from central.model import Conflict, NotFound, TokenRecord
from central.store import tables
from central.store.database import Transaction


def add_token(tx: Transaction, name: str, token_digest: str, at: datetime) -> TokenRecord:
    """Keep a token under a name.

    Raises:
        Conflict: the name is taken, also by a revoked token: an actor of the audit is never reused.
    """
    if tx.execute(select(tables.tokens.c.name).where(tables.tokens.c.name == name)).first() is not None:
        raise Conflict("the name is taken", subject=f"token {name}", remedy="choose another name")
    tx.execute(tables.tokens.insert().values(name=name, token_digest=token_digest, created_at=at, revoked_at=None))
    return TokenRecord(name, token_digest, at)


def find_token(tx: Transaction, token_digest: str) -> TokenRecord | None:
    """The live token with this digest."""
    table = tables.tokens
    row = tx.execute(select(table).where(table.c.token_digest == token_digest, table.c.revoked_at.is_(None))).first()
    return None if row is None else _record(row)


def list_tokens(tx: Transaction) -> tuple[TokenRecord, ...]:
    """All tokens by name, revoked ones too."""
    return tuple(_record(row) for row in tx.execute(select(tables.tokens).order_by(tables.tokens.c.name)))


def revoke_token(tx: Transaction, name: str, at: datetime) -> TokenRecord:
    """End a token; a repeat keeps the first time.

    Raises:
        NotFound: no token has this name.
    """
    table = tables.tokens
    tx.execute(table.update().where(table.c.name == name, table.c.revoked_at.is_(None)).values(revoked_at=at))
    row = tx.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        raise NotFound("there is no such token", subject=f"token {name}", remedy="list the names of tokens first")
    return _record(row)


def _record(row: Any) -> TokenRecord:
    return TokenRecord(row.name, row.token_digest, row.created_at, row.revoked_at)
