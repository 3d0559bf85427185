"""Views out of the store; each function runs inside one read transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from central.api import views
from central.model import AssignmentRecord, NodeRecord, NodeReport, NotFound
from central.store import assignments, desired, events, gates, meta, nodes, releases, reports, rollouts
from central.store.database import Transaction
from shared.contracts.api import (
    AssignmentView,
    EventView,
    FleetStatus,
    GateAlarmView,
    GatePlanInForce,
    GatePlanView,
    GateView,
    NodeView,
    Presence,
    ReleaseView,
    RolloutView,
)

RECENT_ROLLOUTS = 5
EVENTS_PAGE = 100
EVENTS_PAGE_MAX = 10_000


def read_releases(tx: Transaction, app: str | None) -> list[ReleaseView]:
    """Releases, newest first.

    Raises:
        NotFound: no release of that app was ever published.
    """
    records = releases.list_releases(tx, app)
    if app is not None and not records:
        raise _unknown_app(tx, app)
    counts = releases.counts_by_release(tx, app)
    return [views.release_view(record, counts.get(record.release_digest)) for record in records]


def read_release(tx: Transaction, app: str, version: str) -> ReleaseView:
    """One release with its signed document.

    Raises:
        NotFound: there is none; says which versions there are.
    """
    record = releases.get_release(tx, app, version)
    return views.release_view(record, releases.release_counts(tx, record.release_digest), whole=True)


def read_rollouts(tx: Transaction, app: str | None, limit: int) -> list[RolloutView]:
    """Rollouts, newest first, without their rows."""
    if app is not None and not releases.list_releases(tx, app):
        raise _unknown_app(tx, app)
    return [views.rollout_view(record, with_nodes=False) for record in rollouts.list_rollouts(tx, app, limit)]


def read_rollout(tx: Transaction, rollout_id: str) -> RolloutView:
    """One rollout with a row for each node.

    Raises:
        NotFound: unknown id.
    """
    return views.rollout_view(rollouts.get_rollout(tx, rollout_id))


def read_assignments(tx: Transaction, app: str | None) -> list[AssignmentView]:
    """What stands.

    Raises:
        NotFound: no release of that app was ever published.
    """
    records = assignments.list_assignments(tx, app)
    if app is not None and not records and not releases.list_releases(tx, app):
        raise _unknown_app(tx, app)
    return _assignment_views(tx, app, records, nodes.list_nodes(tx))


def read_nodes(tx: Transaction, selector: str, now: datetime) -> list[NodeView]:
    """Nodes that match, by name."""
    return _node_views(tx, nodes.list_nodes(tx, selector), reports.list_reports(tx), now)


def read_node(tx: Transaction, node: str, now: datetime) -> NodeView:
    """One node.

    Raises:
        NotFound: there is none.
    """
    record = nodes.get_node(tx, node)
    return views.node_view(
        record,
        report=reports.get_report(tx, node),
        issued=desired.get_issued(tx, node),
        pinned=any(pin.node == node for pin in assignments.list_pins(tx)),
        gaps=sum(state.missing for state in events.list_sequences(tx, node)),
        now=now,
    )


def read_events(tx: Transaction, node: str, *, after: int, limit: int, types: Iterable[str], newest: bool = False) -> list[EventView]:
    """Events of one node after a cursor, oldest first; with `newest` the last ones instead.

    Raises:
        NotFound: there is no such node and never was an event of it.
    """
    found = events.list_events(tx, node=node, after=after, limit=limit, types=tuple(types) or None, newest=newest)
    if not found and not events.list_events(tx, node=node, limit=1):
        nodes.get_node(tx, node)  # a node that was deleted still has its events
    return [views.event_view(stored) for stored in found]


def read_gates(tx: Transaction, now: datetime) -> list[GateView]:
    """Every gate that a node reported, by site and name."""
    return _gate_views(nodes.list_nodes(tx), reports.list_reports(tx), now)


def read_site(tx: Transaction, site: str, now: datetime, gate: str | None = None) -> list[GateView]:
    """Gates of one site, or one gate of it.

    Raises:
        NotFound: no node reported such a site or gate.
    """
    everything = read_gates(tx, now)
    found = [view for view in everything if view.site == site and gate in (None, view.gate)]
    if not found:
        known = sorted({view.site for view in everything} if gate is None else {view.gate for view in everything if view.site == site})
        raise NotFound(
            "no node has reported it", subject=f"gate {site}/{gate}" if gate else f"site {site}", remedy=_known("known here", known)
        )
    return found


def read_alarms(tx: Transaction, site: str) -> list[GateAlarmView]:
    """The alarm table that the site's node reported last.

    Raises:
        NotFound: no node speaks for the site.
    """
    node = node_of_site(tx, site)
    report = reports.get_report(tx, node)
    summary = report.status.site if report is not None else None
    return list(views.alarm_views(node, summary)) if summary is not None and summary.site == site else []


def read_plan(tx: Transaction, site: str) -> GatePlanView:
    """The newest plan of a site.

    Raises:
        NotFound: none was ever set.
    """
    record = gates.get_plan(tx, site)
    if record is None:
        raise NotFound("has no plan", subject=f"site {site}", remedy="set one with: munbon gate plan set")
    return views.plan_view(record, _plan_in_force(tx, site))


def _plan_in_force(tx: Transaction, site: str) -> GatePlanInForce | None:
    """What the site's node reported last of the plan that it obeys."""
    said = [report for report in reports.list_reports(tx).values() if report.status.site is not None and report.status.site.site == site]
    if not said:
        return None
    newest = max(said, key=lambda report: report.received_at)
    generation = newest.status.site.plan_generation if newest.status.site is not None else 0
    return views.plan_in_force(newest, gates.find_plan(tx, site, generation))


def node_of_site(tx: Transaction, site: str) -> str:
    """The node that speaks for a site: the one that reported it last, or by label `site=`, or of that name.

    Raises:
        NotFound: there is none, or more than one could be meant.
    """
    speaking = [
        (report.received_at, node)
        for node, report in reports.list_reports(tx).items()
        if report.status.site is not None and report.status.site.site == site
    ]
    if speaking:
        return max(speaking)[1]
    labelled = [record.node for record in nodes.list_nodes(tx) if record.labels.get("site") == site]
    if len(labelled) == 1:
        return labelled[0]
    if not labelled and nodes.find_node(tx, site) is not None:
        return site
    raise NotFound(
        f"{len(labelled)} nodes carry the label site={site} and none has reported its gates" if labelled else "no node speaks for it",
        subject=f"site {site}",
        remedy=f"label its node with: munbon node label NODE site={site}",
    )


def read_status(tx: Transaction, now: datetime, version: str) -> FleetStatus:
    """The whole fleet at a glance."""
    records, newest = nodes.list_nodes(tx), reports.list_reports(tx)
    node_views = _node_views(tx, records, newest, now)
    restored = meta.read_meta(tx).restored_at is not None
    return FleetStatus(
        at=now,
        central_version=version,
        nodes_total=len(node_views),
        nodes_online=sum(1 for view in node_views if view.presence is Presence.ONLINE),
        events_stored=events.count_events(tx),
        events_quarantined=events.count_quarantined(tx),
        sequence_gaps=sum(view.sequence_gaps for view in node_views),
        restored=restored,
        assignments=tuple(_assignment_views(tx, None, assignments.list_assignments(tx), records)),
        rollouts=tuple(views.rollout_view(record, with_nodes=False) for record in rollouts.list_rollouts(tx, None, RECENT_ROLLOUTS)),
        nodes=tuple(node_views),
        gates=tuple(_gate_views(records, newest, now)),
        messages=_status_messages(restored, sum(1 for view in node_views if view.pinned)),
    )


def _status_messages(restored: bool, pinned: int) -> tuple[str, ...]:
    if not restored:
        return ()
    return (
        "central runs from an older copy of its database; "
        + (f"{pinned} node(s) keep what they had been told until an operator acts on the app" if pinned else "no node is held by it"),
    )


def _assignment_views(
    tx: Transaction, app: str | None, records: Iterable[AssignmentRecord], fleet: Sequence[NodeRecord]
) -> list[AssignmentView]:
    pauses = assignments.list_pauses(tx, app)
    return [views.assignment_view(record, fleet, pauses) for record in records]


def _node_views(tx: Transaction, records: Iterable[NodeRecord], newest: Mapping[str, NodeReport], now: datetime) -> list[NodeView]:
    issued = desired.list_issued(tx)
    pinned = {pin.node for pin in assignments.list_pins(tx)}
    gaps = events.count_missing(tx)
    return [
        views.node_view(
            record,
            report=newest.get(record.node),
            issued=issued.get(record.node),
            pinned=record.node in pinned,
            gaps=gaps.get(record.node, 0),
            now=now,
        )
        for record in records
    ]


def _gate_views(records: Iterable[NodeRecord], newest: Mapping[str, NodeReport], now: datetime) -> list[GateView]:
    found = [view for record in records if record.node in newest for view in views.gate_views(record, newest[record.node], now)]
    return sorted(found, key=lambda view: (view.site, view.gate, view.node))


def _unknown_app(tx: Transaction, app: str) -> NotFound:
    return NotFound("no release of it was published", subject=f"app {app}", remedy=_known("published here", releases.list_apps(tx)))


def _known(what: str, names: Iterable[str]) -> str:
    listed = list(names)[:10]
    return f"{what}: {', '.join(listed)}" if listed else ""
