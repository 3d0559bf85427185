"""Noticing that the database is an older copy of itself, and keeping every node at what it was told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from central.compose import RestoreVerdict, apps_acted_on, believable, decide_pins, detect_restore, may_issue, newest_said
from central.model import NO_ORDER, FleetMeta, NodeReport, OperatorAct, Order, PinRecord
from central.store import assignments, audit, desired, life, meta, nodes, reports
from central.store.database import Transaction
from shared.contracts.desired import AppDesired

Said = tuple[Order, Mapping[str, AppDesired]]
"""A Desired as the world holds it: its order and its apps."""
ACTOR = "munbon-central"


def check_restore(tx: Transaction, kv: Mapping[str, Said], at: datetime) -> RestoreVerdict:
    """Compare the database with the KV bucket and the nodes' reports; a repeat without news changes nothing.

    Where the world knows more, the epoch is raised above all, the restore is noted, and the nodes that are ahead are
    pinned: these alone, for of all others this copy knows the newest word, and one false report must not hold up the
    fleet. What operators did since this copy came to life is not pinned over.

    Args:
        tx: a write transaction.
        kv: Desired documents in the bucket, whose signatures were checked, by node; all of them at start, afterwards
            what was read, or none.
        at: now.
    """
    identity = meta.read_meta(tx)
    said_by_report = {node: _reported(report) for node, report in reports.list_reports(tx).items()}
    seen = {node: [item[0] for item in (kv.get(node), said_by_report.get(node)) if item is not None] for node in {*kv, *said_by_report}}
    highest = desired.highest_orders(tx)
    verdict = detect_restore(identity.epoch, highest, seen)
    if not verdict.restored:
        return verdict
    newest = {node: max(believable(seen[node], identity.epoch)) for node in verdict.ahead}
    # of an epoch before this one is a node that was silent since the restore that raised it: still the same restore
    first_at = identity.restored_at if max(newest.values())[0] < identity.epoch else None
    if first_at is None:
        life.note_restored(tx)
    told = {node for node in verdict.ahead if highest.get(node, NO_ORDER)[0] >= identity.epoch}
    pins = _pins(tx, told, life.acts_since_start(tx), kv, said_by_report, at)
    pins += _pins(tx, {*verdict.ahead} - told, life.acts_since_restore(tx), kv, said_by_report, at)
    assignments.save_pins(tx, pins)
    desired.note_orders(tx, newest)
    meta.mark_restored(tx, verdict.epoch, first_at or at)
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
    tx: Transaction,
    chosen: Collection[str],
    acts: Iterable[OperatorAct],
    kv: Mapping[str, Said],
    said_by_report: Mapping[str, Said],
    at: datetime,
) -> list[PinRecord]:
    composed = desired.compose_fleet(tx, chosen)
    labels = {record.node: record.labels for record in nodes.list_nodes(tx)}
    pins: list[PinRecord] = []
    for node in sorted(chosen):
        acted = apps_acted_on(labels.get(node), acts)
        order, apps = newest_said(kv.get(node), said_by_report.get(node))
        reason = f"told at epoch {order[0]}, generation {order[1]}, before the database was restored"
        pins += decide_pins(node, composed.get(node, {}), apps, acted=acted, at=at, reason=reason)
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
