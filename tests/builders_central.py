"""Central's records for tests: valid by themselves, with what a test is about given by name."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from central.model import AssignmentRecord, GatePlanRecord, ReleaseRecord, RolloutRecord
from central.store import blobs, nodes, operations
from central.store.database import Transaction
from shared.contracts.api import RolloutPhase
from shared.contracts.desired import AppDesired, AppState
from shared.contracts.event import Cause, Event, EventType, wire_type
from shared.contracts.gate_plan import GateDirective, GatePlan, PositionObjective
from shared.contracts.release import Release, ReleaseRef
from shared.contracts.status import AppPhase, AppStatus, NodeStatus
from shared.signing.digests import sha256_hex

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
OUTBOX = "outbox-a1b2c3"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def release(app: str = "web", version: str = "1.0.0", content: str | None = None) -> Release:
    blob = (content or f"{app} {version}").encode()
    return Release(
        app=app,
        version=version,
        content_digest=sha256_hex(b"content " + blob),
        content_size_bytes=len(blob),
        blob_digest=sha256_hex(blob),
        blob_size_bytes=len(blob),
        objects_count=1,
    )


def envelope(document: Release) -> bytes:
    return b"envelope of " + document.model_dump_json().encode()


def release_record(app: str = "web", version: str = "1.0.0", content: str | None = None, at: datetime = NOW) -> ReleaseRecord:
    document = release(app, version, content)
    return ReleaseRecord(
        release=document,
        release_digest=sha256_hex(document.model_dump_json().encode()),
        envelope_digest=sha256_hex(envelope(document)),
        envelope_size_bytes=len(envelope(document)),
        signed_by=("a" * 64,),
        published_at=at,
        published_by="ana",
    )


def ref(app: str = "web", version: str = "1.0.0") -> ReleaseRef:
    return release_record(app, version).ref()


def desired(version: str = "1.0.0", *, app: str = "web", attempt: int = 1, rollout_id: str = "r1") -> AppDesired:
    return AppDesired(release=ref(app, version), attempt=attempt, rollout_id=rollout_id)


def assignment(version: str = "1.0.0", *, selector: str = "", move: int = 1, absent: bool = False, **fields: Any) -> AssignmentRecord:
    values: dict[str, Any] = {"app": "web", "attempt": 1, "settings": {}, "rollout_id": f"r{move}", "previous_version": ""} | fields
    return AssignmentRecord(
        selector=selector,
        state=AppState.ABSENT if absent else AppState.PRESENT,
        release_digest=None if absent else release_record(values["app"], version).release_digest,
        version="" if absent else version,
        move=move,
        moved_at=NOW,
        moved_by="ana",
        **values,
    )


def rollout(version: str = "1.0.0", **fields: Any) -> RolloutRecord:
    values: dict[str, Any] = {
        "rollout_id": "r1",
        "app": "web",
        "release_digest": release_record("web", version).release_digest,
        "selector": "",
        "kind": "rollout",
        "phase": RolloutPhase.RUNNING,
        "attempt": 1,
        "settings": {},
        "started_at": NOW,
        "started_by": "ana",
    }
    return RolloutRecord(version=version, **(values | fields))


def app_status(phase: AppPhase, wanted: AppDesired | None = None, cause: str = "", running: str = "1.0.0") -> AppStatus:
    return AppStatus(
        phase=phase,
        desired=wanted or desired(),
        running_version=running,
        cause=Cause(code=cause) if cause else None,
        since=NOW,
    )


def status(node: str, apps: Mapping[str, AppStatus] | None = None, **fields: Any) -> NodeStatus:
    values: dict[str, Any] = {"outboxid": OUTBOX, "revision": 1, "at": NOW, "boot_id": "boot", "agent_version": "0.1.0"}
    return NodeStatus(node=node, apps=dict(apps or {}), **(values | fields))


def event(
    node: str, sequence: int, kind: EventType = EventType.RELEASE_APPLIED, data: Mapping[str, Any] | None = None, **fields: Any
) -> Event:
    values: dict[str, Any] = {
        "id": f"{node}-{sequence:032d}"[-40:],
        "time": NOW,
        "outboxid": OUTBOX,
        "monotonictime": 1.0,
        "bootid": "boot",
    }
    return Event(source=node, sequence=sequence, type=wire_type(kind), data=dict(data or {}), **(values | fields))


def gate_plan(site: str = "north", generation: int = 1, node: str = "pi-north") -> GatePlanRecord:
    directive = GateDirective(objective=PositionObjective(opening_pct=20.0))
    plan = GatePlan(site=site, generation=generation, valid_from=NOW, gates={"g1": directive})
    content = plan.model_dump_json().encode()
    return GatePlanRecord(site, node, plan, sha256_hex(content), content, NOW, "ana")


def publish(tx: Transaction, app: str = "web", version: str = "1.0.0", content: str | None = None) -> ReleaseRecord:
    """A release in the store, with its blob."""
    record = release_record(app, version, content)
    blob = (content or f"{app} {version}").encode()
    blobs.put_blob(tx, record.release.blob_digest, blob, NOW)
    return operations.publish_release(tx, record, envelope(record.release), actor="ana", at=NOW)[0]


def enrol(tx: Transaction, *names: str, **labels: str) -> None:
    """Nodes in the store, all with these labels."""
    for name in names:
        nodes.add_node(tx, name, labels, "$2b$04$hash", actor="ana", at=NOW)
