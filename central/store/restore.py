"""Noticing that the database is an older copy of itself, and keeping every node at what it was told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from central.compose import RestoreVerdict, believable, decide_pins, detect_restore, may_issue, newest_said
from central.model import FleetMeta, NodeReport, Order, PinRecord
from central.store import assignments, audit, desired, meta, nodes, reports
from central.store.database import Transaction
from shared.contracts.desired import AppDesired

Said = tuple[Order, Mapping[str, AppDesired]]
"""A Desired as the world holds it: its order and its apps."""
ACTOR = "munbon-central"


def check_restore(tx: Transaction, kv: Mapping[str, Said], at: datetime) -> RestoreVerdict:
    """Compare the database with the KV bucket and the nodes' reports; a repeat without news changes nothing.

    Where the world knows more, the epoch is raised above all, the restore is noted, and pins are set: the first time
    for every node whose document or report differs from what this copy composes, later for the nodes that are ahead.

    Args:
        tx: a write transaction.
        kv: Desired documents in the bucket, whose signatures were checked, by node; all of them at start, afterwards
            what was read, or none.
        at: now.
    """
    identity = meta.read_meta(tx)
    said_by_report = {node: _reported(report) for node, report in reports.list_reports(tx).items()}
    seen = {node: [item[0] for item in (kv.get(node), said_by_report.get(node)) if item is not None] for node in {*kv, *said_by_report}}
    verdict = detect_restore(identity.epoch, desired.highest_orders(tx), seen)
    if not verdict.restored:
        return verdict
    chosen = verdict.ahead if identity.restored_at is not None else sorted(seen)
    pins = _pins(tx, chosen, kv, said_by_report, at)
    assignments.save_pins(tx, pins)
    desired.note_orders(tx, {node: max(believable(seen[node])) for node in verdict.ahead})
    # the first time stays: nodes that were silent since then are still left alone
    meta.mark_restored(tx, verdict.epoch, identity.restored_at or at)
    details = {"epoch": verdict.epoch, "ahead": list(verdict.ahead), "pins": [f"{pin.node}/{pin.app}" for pin in pins]}
    audit.append_audit(tx, at=at, actor=ACTOR, action="database.restored", target=identity.fleet, details=details)
    return verdict


def silent_nodes(tx: Transaction, in_kv: Collection[str]) -> frozenset[str]:
    """Nodes to which nothing may be issued now: after a restore, those of which nothing was seen since.

    Args:
        tx: transaction.
        in_kv: nodes whose KV document `check_restore` was given.
    """
    identity = meta.read_meta(tx)
    if identity.restored_at is None:
        return frozenset()
    known = reports.list_reports(tx)
    heard = {
        record.node: _heard_at(identity, record.added_at, known.get(record.node), record.node in in_kv) for record in nodes.list_nodes(tx)
    }
    return frozenset(node for node, heard_at in heard.items() if not may_issue(identity.restored_at, heard_at))


def is_restored(tx: Transaction) -> bool:
    """Whether nodes are still held at what an older copy of the database does not know."""
    return meta.read_meta(tx).restored_at is not None and bool(assignments.list_pins(tx))


def _pins(
    tx: Transaction, chosen: Collection[str], kv: Mapping[str, Said], said_by_report: Mapping[str, Said], at: datetime
) -> list[PinRecord]:
    composed = desired.compose_fleet(tx)
    pins: list[PinRecord] = []
    for node in chosen:
        order, apps = newest_said(kv.get(node), said_by_report.get(node))
        reason = f"told at epoch {order[0]}, generation {order[1]}, before the database was restored"
        pins += decide_pins(node, composed.get(node, {}), apps, at=at, reason=reason)
    return pins


def _reported(report: NodeReport) -> Said:
    apps = {app: status.desired for app, status in report.status.apps.items() if status.desired is not None}
    return report.order, apps


def _heard_at(identity: FleetMeta, added_at: datetime, report: NodeReport | None, in_kv: bool) -> datetime | None:
    times = [added_at]
    if report is not None:
        times.append(report.received_at)
    if in_kv and identity.restored_at is not None:
        times.append(identity.restored_at)
    return max(times)
