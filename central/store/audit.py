"""The audit: each line holds the digest of the line before it, so that no line can be changed or taken out unseen.

The last number and digest are kept apart as well, so that a cut tail shows. Whoever can rewrite the whole database can
rewrite the chain: the newest digest belongs into a place of its own (`munbon audit` prints it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from central.model import AuditRecord, AuditVerdict
from central.store import meta, tables
from central.store.database import Transaction
from shared.contracts.base import format_utc
from shared.signing.digests import canonical_json, sha256_hex

FIRST_PREVIOUS = "0" * 64
_HEAD = "audit_head"
_PAGE = 1_000


def append_audit(
    tx: Transaction, *, at: datetime, actor: str, action: str, target: str, details: Mapping[str, Any] | None = None
) -> AuditRecord:
    """Add a line, in the transaction of the change that it tells of.

    Raises:
        Malformed: the details hold what RFC 8785 cannot write.
    """
    last = tx.execute(select(tables.audit.c.number, tables.audit.c.digest).order_by(tables.audit.c.number.desc()).limit(1)).first()
    number, previous = (last.number + 1, last.digest) if last is not None else (1, FIRST_PREVIOUS)
    plain = dict(details or {})
    digest = line_digest(number, at, actor, action, target, plain, previous)
    record = AuditRecord(number, at, actor, action, target, plain, previous, digest)
    tx.execute(
        tables.audit.insert().values(
            number=number, at=at, actor=actor, action=action, target=target, details=plain, previous_digest=previous, digest=digest
        )
    )
    meta.set_value(tx, _HEAD, f"{number} {digest}")
    return record


def line_digest(number: int, at: datetime, actor: str, action: str, target: str, details: Mapping[str, Any], previous: str) -> str:
    """SHA-256 over the RFC 8785 JSON of a line and the digest before it."""
    content = {
        "action": action,
        "actor": actor,
        "at": format_utc(at),
        "details": dict(details),
        "number": number,
        "previous": previous,
        "target": target,
    }
    return sha256_hex(canonical_json(content))


def list_audit(tx: Transaction, after: int = 0, limit: int = 100) -> tuple[AuditRecord, ...]:
    """Lines with a number above `after`, in order."""
    found = tx.execute(select(tables.audit).where(tables.audit.c.number > after).order_by(tables.audit.c.number).limit(limit))
    return tuple(_record(row) for row in found)


def verify_audit(tx: Transaction) -> AuditVerdict:
    """Walk the whole chain; tells the first line that does not hold and why."""
    lines, previous = 0, FIRST_PREVIOUS
    while page := list_audit(tx, after=lines, limit=_PAGE):
        verdict, previous = verify_lines(page, lines, previous)
        if verdict is not None:
            return verdict
        lines += len(page)
    if (meta.get_value(tx, _HEAD) or f"0 {FIRST_PREVIOUS}") != f"{lines} {previous}":
        return AuditVerdict(False, lines, lines + 1, "lines are missing at the end, or were added without their head")
    return AuditVerdict(True, lines)


def verify_lines(page: Iterable[AuditRecord], lines: int, previous: str) -> tuple[AuditVerdict | None, str]:
    """Check lines that follow `lines` good ones with digest `previous`; the first fault or None, and the last digest."""
    for record in page:
        lines += 1
        if record.number != lines:
            return AuditVerdict(False, lines - 1, lines, f"line {lines} is missing"), previous
        if record.previous_digest != previous:
            return AuditVerdict(False, lines - 1, lines, f"line {lines} does not follow the line before it"), previous
        expected = line_digest(record.number, record.at, record.actor, record.action, record.target, record.details, previous)
        if record.digest != expected:
            return AuditVerdict(False, lines - 1, lines, f"line {lines} was changed"), previous
        previous = expected
    return None, previous


def _record(row: Any) -> AuditRecord:
    return AuditRecord(row.number, row.at, row.actor, row.action, row.target, row.details, row.previous_digest, row.digest)
