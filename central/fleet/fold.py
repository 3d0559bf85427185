"""(sight, what came in) -> sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from central.model import DEFAULT_HEARTBEAT_S, NodeRecord, NodeReport, PresenceMark, StoredEvent
from shared.contracts.api import Presence
from shared.contracts.status import NodeStatus

MISSED_HEARTBEATS = 3
"""Offline after so many heartbeats that did not come."""
SHORTEST_HEARTBEAT_S, LONGEST_HEARTBEAT_S = 1.0, 3_600.0
"""The interval is the node's own word: a wrong one must not make it present for ever."""
OTHER_OUTBOX_SILENCE_S = 120.0
"""After so long without a report of the known outbox another one is believed, whatever its clock says."""


@dataclass(frozen=True)
class NodeSight:
    """One node as central sees it."""

    node: str
    last_seen: datetime | None = None
    heartbeat_interval_s: float = DEFAULT_HEARTBEAT_S
    report: NodeReport | None = None
    last_event_cursor: int = 0


@dataclass(frozen=True)
class FleetSight:
    """All nodes, by name."""

    nodes: Mapping[str, NodeSight] = field(default_factory=dict)


def fold(sight: FleetSight, item: StoredEvent | NodeReport | PresenceMark) -> FleetSight:
    """The sight after one thing came in. A repeat or an older one changes nothing; a new node is added."""
    before = sight.nodes.get(item.node, NodeSight(item.node))
    after = _fold_node(before, item)
    return sight if after == sight.nodes.get(item.node) else FleetSight({**sight.nodes, item.node: after})


def _fold_node(before: NodeSight, item: StoredEvent | NodeReport | PresenceMark) -> NodeSight:
    if isinstance(item, PresenceMark):
        if before.last_seen is not None and item.at < before.last_seen:
            return before
        return replace(before, last_seen=item.at, heartbeat_interval_s=item.interval_s)
    if isinstance(item, StoredEvent):
        return replace(before, last_event_cursor=max(before.last_event_cursor, item.cursor))
    if not is_newer_report(before.report, item.status, item.received_at):
        return before
    return replace(before, report=item)


def presence(last_seen: datetime | None, heartbeat_interval_s: float, now: datetime) -> Presence:
    """Whether a node could answer now: it was heard of within three of its own heartbeat intervals."""
    if last_seen is None:
        return Presence.NEVER_SEEN
    # in this order NaN becomes the shortest
    interval_s = min(max(SHORTEST_HEARTBEAT_S, heartbeat_interval_s), LONGEST_HEARTBEAT_S)
    quiet = now - last_seen
    return Presence.ONLINE if quiet <= timedelta(seconds=MISSED_HEARTBEATS * interval_s) else Presence.OFFLINE


def presence_after_absence(
    last_seen: datetime | None, heartbeat_interval_s: float, listening_since: datetime | None, now: datetime
) -> Presence:
    """Presence for judging rollouts: a node's silence counts only while central itself was listening.

    A node that was seen before gets three of its heartbeats from the moment central began to listen, so that a rollout
    is not finished over the heads of a fleet that only had no chance yet to speak.
    """
    if last_seen is None or listening_since is None or listening_since > now:
        return presence(last_seen, heartbeat_interval_s, now)
    return presence(max(last_seen, listening_since), heartbeat_interval_s, now)


def waiting_events(node: NodeRecord, report: NodeReport | None) -> int:
    """Events that wait on a node, by whatever it said last: a status is sent at changes only, a heartbeat again and again."""
    said = report.status.outbox_rows if report is not None else 0
    if node.outbox_rows is None or node.last_seen is None:
        return said
    return node.outbox_rows if report is None or node.last_seen >= report.received_at else said


def is_newer_report(stored: NodeReport | None, incoming: NodeStatus, received_at: datetime) -> bool:
    """Whether a status replaces the stored one.

    Within an outbox the revision decides. Between outboxes (the node lost its state, or an old message came late) the
    node's time decides; but a node whose clock went back must not stay ignored, so after a silence of
    `OTHER_OUTBOX_SILENCE_S` the other outbox is believed.
    """
    if stored is None:
        return True
    if incoming.outboxid == stored.status.outboxid:
        return incoming.revision > stored.status.revision
    if incoming.at > stored.status.at:
        return True
    return received_at - stored.received_at > timedelta(seconds=OTHER_OUTBOX_SILENCE_S)
