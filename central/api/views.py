"""Records in, views out. Nothing here reads a store or a clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from central import fleet
from central.compose import parse_selector
from central.model import (
    AssignmentRecord,
    AuditRecord,
    GatePlanRecord,
    GateSample,
    IssuedDesired,
    NodeOutcome,
    NodeRecord,
    NodeReport,
    PauseRecord,
    ReleaseCounts,
    ReleaseRecord,
    RolloutNodeRecord,
    RolloutRecord,
    StoredEvent,
)
from shared.contracts.api import (
    AssignmentView,
    AuditView,
    EventView,
    GateAlarmView,
    GatePlanInForce,
    GatePlanView,
    GateSampleView,
    GateView,
    NodeAppView,
    NodeView,
    Presence,
    ReleaseView,
    RolloutNodeView,
    RolloutView,
)
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.status import AppPhase, AppStatus, SiteSummary


def presence_of(node: NodeRecord, now: datetime) -> Presence:
    """Whether the node could answer now."""
    return fleet.presence(node.last_seen, node.heartbeat_interval_s, now)


def release_view(record: ReleaseRecord, counts: ReleaseCounts | None, *, whole: bool = False) -> ReleaseView:
    """One release; `whole` adds the signed document."""
    release = record.release
    seen = counts or ReleaseCounts()
    return ReleaseView(
        app=record.app,
        version=record.version,
        release_digest=record.release_digest,
        envelope_digest=record.envelope_digest,
        content_digest=release.content_digest,
        blob_digest=release.blob_digest,
        blob_size_bytes=release.blob_size_bytes,
        objects_count=release.objects_count,
        images=release.images,
        namespace=release.namespace,
        signed_by=record.signed_by,
        published_at=record.published_at,
        published_by=record.published_by,
        nodes_ready=seen.nodes_ready,
        nodes_failed=seen.nodes_failed,
        release=release.to_json() if whole else None,
    )


def rollout_view(record: RolloutRecord, *, with_nodes: bool = True, also_started: Sequence[str] = ()) -> RolloutView:
    """One rollout with its counts; its rows only where asked for."""
    outcomes = [row.outcome for row in record.nodes]
    return RolloutView(
        rollout_id=record.rollout_id,
        app=record.app,
        version=record.version,
        previous_version=record.previous_version,
        selector=record.selector,
        kind=record.kind,
        phase=record.phase,
        reason=record.reason,
        started_at=record.started_at,
        started_by=record.started_by,
        finished_at=record.finished_at,
        total=len(outcomes),
        ready=outcomes.count(NodeOutcome.READY),
        failed=outcomes.count(NodeOutcome.FAILED),
        progressing=outcomes.count(NodeOutcome.PROGRESSING),
        unreachable=outcomes.count(NodeOutcome.UNREACHABLE),
        paused=outcomes.count(NodeOutcome.PAUSED),
        message=record.message,
        nodes=tuple(_rollout_node_view(row) for row in record.nodes) if with_nodes else (),
        also_started=tuple(also_started),
    )


def _rollout_node_view(row: RolloutNodeRecord) -> RolloutNodeView:
    return RolloutNodeView(
        node=row.node,
        phase=row.phase or AppPhase.PENDING.value,
        outcome=row.outcome.value,
        reachable=row.reachable,
        version=row.version,
        cause=row.cause,
        message=row.message,
        since=row.since,
    )


def assignment_view(record: AssignmentRecord, nodes: Iterable[NodeRecord], pauses: Iterable[PauseRecord]) -> AssignmentView:
    """What stands, and how many nodes it selects now. A pause of fewer nodes leaves the state as it is, and is named."""
    selector = parse_selector(record.selector)
    laid = tuple(pause.selector for pause in pauses if pause.app == record.app)
    paused = record.state is AppState.PRESENT and not {"", record.selector}.isdisjoint(laid)
    return AssignmentView(
        app=record.app,
        selector=record.selector,
        state=AppState.PAUSED.value if paused else record.state.value,
        version=record.version,
        previous_version=record.previous_version,
        attempt=record.attempt,
        settings=dict(record.settings),
        moved_at=record.moved_at,
        moved_by=record.moved_by,
        nodes=sum(1 for node in nodes if selector.matches(node.labels)),
        paused_selectors=laid,
    )


def node_view(
    record: NodeRecord, *, report: NodeReport | None, issued: IssuedDesired | None, pinned: bool, gaps: int, now: datetime
) -> NodeView:
    """One node: what central knows, and what the node said last."""
    status = report.status if report is not None else None
    return NodeView(
        node=record.node,
        labels=dict(record.labels),
        presence=presence_of(record, now),
        last_seen=record.last_seen,
        added_at=record.added_at,
        agent_version=status.agent_version if status else "",
        cluster=_describe_cluster(status.cluster.reachable, status.cluster.version, status.cluster.message) if status else "",
        desired_generation=issued.generation if issued else 0,
        accepted_generation=status.desired_generation if status else 0,
        pinned=pinned,
        apps=app_views(issued.apps if issued else {}, status.apps if status else {}),
        outbox_rows=fleet.waiting_events(record, report),
        sequence_gaps=gaps,
        messages=status.messages if status else (),
        capabilities=status.capabilities if status else (),
    )


def app_views(desired: Mapping[str, AppDesired], reported: Mapping[str, AppStatus]) -> tuple[NodeAppView, ...]:
    """Every app that central wants or the node has, by name; one that the node has not spoken of yet is Pending."""
    return tuple(_app_view(app, desired.get(app), reported.get(app)) for app in sorted({*desired, *reported}))


def _app_view(app: str, desired: AppDesired | None, status: AppStatus | None) -> NodeAppView:
    wanted = desired.release.version if desired is not None and desired.release is not None else ""
    if status is None:
        return NodeAppView(app=app, phase=AppPhase.PENDING, desired_version=wanted)
    return NodeAppView(
        app=app,
        phase=status.phase,
        desired_version=wanted,
        running_version=status.running_version,
        last_good_version=status.last_good_version,
        cause=status.cause,
        message=status.message,
        since=status.since,
    )


def _describe_cluster(reachable: bool, version: str, message: str) -> str:
    if reachable:
        return version or "reachable"
    return f"unreachable: {message}" if message else "unreachable"


def event_view(stored: StoredEvent) -> EventView:
    """One stored event."""
    event = stored.event
    return EventView(
        cursor=stored.cursor,
        node=stored.node,
        id=event.id,
        type=event.type,
        subject=event.subject,
        time=event.time,
        received_at=stored.received_at,
        sequence=event.sequence,
        outboxid=event.outboxid,
        rollout_id=event.rolloutid,
        data=event.data,
    )


def gate_views(record: NodeRecord, report: NodeReport, now: datetime) -> tuple[GateView, ...]:
    """The gates of one node's site, as it reported them last."""
    site = report.status.site
    if site is None or not site.site:
        return ()
    presence = presence_of(record, now)
    return tuple(
        GateView(
            site=site.site,
            gate=gate,
            node=record.node,
            presence=presence,
            summary=summary,
            plan_generation=site.plan_generation,
            local_plan=site.local_plan,
            hold=site.hold,
            hold_reasons=site.hold_reasons,
            reachable=site.reachable,
        )
        for gate, summary in sorted(site.gates.items())
    )


def alarm_views(node: str, site: SiteSummary) -> tuple[GateAlarmView, ...]:
    """The alarm table of one site, in the order of its gate process."""
    return tuple(GateAlarmView(**dict(alarm), site=site.site, node=node) for alarm in site.alarms)


def sample_view(sample: GateSample) -> GateSampleView:
    """One recorded sample."""
    return GateSampleView(
        at=sample.at,
        gate=sample.gate,
        level_m=sample.level_m,
        opening_pct=sample.opening_pct,
        flow_m3s=sample.flow_m3s,
        quality=sample.quality,
    )


def plan_in_force(report: NodeReport, kept: GatePlanRecord | None) -> GatePlanInForce | None:
    """What a node said of its site's plan; `kept`: central's copy of the plan that it named."""
    site = report.status.site
    if site is None:
        return None
    return GatePlanInForce(
        generation=site.plan_generation,
        local=site.local_plan,
        reported_at=report.received_at,
        reachable=site.reachable,
        set_at=kept.set_at if kept is not None else None,
        set_by=kept.set_by if kept is not None else "",
        plan=kept.plan.to_json() if kept is not None else None,
    )


def plan_view(record: GatePlanRecord, in_force: GatePlanInForce | None = None) -> GatePlanView:
    """The newest plan of a site, and the one in force."""
    return GatePlanView(
        site=record.site,
        node=record.node,
        generation=record.generation,
        delivery=record.delivery.value,
        code=record.code,
        reason=record.reason,
        set_at=record.set_at,
        set_by=record.set_by,
        plan=record.plan.to_json(),
        in_force=in_force,
    )


def audit_view(record: AuditRecord) -> AuditView:
    """One line of the audit."""
    return AuditView(
        number=record.number,
        at=record.at,
        actor=record.actor,
        action=record.action,
        target=record.target,
        details=dict(record.details),
        digest=record.digest,
    )
