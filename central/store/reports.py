"""The newest status of each node."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Text, select, type_coerce

from central.fleet import is_newer_report, verdicts_of_status
from central.model import NodeReport
from central.store import releases, rows, tables
from central.store.database import Transaction
from shared.contracts.status import NodeStatus

_TABLE = tables.reports
# as text: most reports are the ones of a second ago, which are then not read again
_COLUMNS = (_TABLE.c.node, type_coerce(_TABLE.c.status, Text).label("status"), _TABLE.c.received_at)


def save_reports(tx: Transaction, statuses: Iterable[NodeStatus], received_at: datetime) -> tuple[NodeReport, ...]:
    """Keep the newest status of each node, with its verdicts on releases; older ones and those of unknown nodes are left out.

    Returns:
        The reports that replaced another or are the first, by node.
    """
    listed = list(statuses)
    names = {status.node for status in listed}
    known = {row.node for row in tx.execute(select(tables.nodes.c.node).where(tables.nodes.c.node.in_(names)))}
    newest = _reports_of(tx, names)
    changed: dict[str, NodeReport] = {}
    for status in listed:
        if status.node in known and is_newer_report(newest.get(status.node), status, received_at):
            changed[status.node] = newest[status.node] = NodeReport(status.node, status, received_at)
    values = [{"node": node, "status": report.status.to_json(), "received_at": received_at} for node, report in sorted(changed.items())]
    rows.upsert(tx, _TABLE, values)
    verdicts = [verdict for report in changed.values() for verdict in verdicts_of_status(report.status)]
    releases.save_verdicts(tx, verdicts, received_at)
    return tuple(report for _, report in sorted(changed.items()))


def get_report(tx: Transaction, node: str) -> NodeReport | None:
    """Newest report of a node, or None where it has not sent any."""
    return _reports_of(tx, {node}).get(node)


def list_reports(tx: Transaction) -> dict[str, NodeReport]:
    """Newest report of each node that has sent one."""
    return {row.node: _record(row) for row in tx.execute(select(*_COLUMNS).order_by(_TABLE.c.node))}


def received_times(tx: Transaction) -> dict[str, datetime]:
    """When the newest report of each node came in, by central's clock."""
    return {row.node: row.received_at for row in tx.execute(select(_TABLE.c.node, _TABLE.c.received_at))}


def delete_report(tx: Transaction, node: str) -> None:
    """Forget what a node last said: its next report counts, whatever its outbox and clock say."""
    tx.execute(_TABLE.delete().where(_TABLE.c.node == node))


def _reports_of(tx: Transaction, names: set[str]) -> dict[str, NodeReport]:
    return {row.node: _record(row) for row in tx.execute(select(*_COLUMNS).where(_TABLE.c.node.in_(names)))}


@functools.lru_cache(maxsize=8192)
def _read_status(text: str) -> NodeStatus:
    return NodeStatus.model_validate_json(text)


def _record(row: Any) -> NodeReport:
    return NodeReport(row.node, _read_status(row.status), row.received_at)
