"""Writes the recorded example of each contract's present version. A recorded example is never changed or removed.

Run `python -m tests.contract.wire.record` after a new minor or major version; files that exist are left alone.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.contracts.base import Contract
from shared.contracts.command import Command, CommandReply
from shared.contracts.desired import AppDesired, AppState, Desired
from shared.contracts.envelope import Role, parse_envelope
from shared.contracts.event import Cause, Event, EventType, ObjectRef, ReleaseEventData, wire_type
from shared.contracts.gate_command import CommandView, GateCommand, GateVerb
from shared.contracts.gate_plan import (
    DeliveryOrder,
    GateDirective,
    GateLimits,
    GatePlan,
    PositionObjective,
    ScheduleEntry,
    UpstreamLevelObjective,
)
from shared.contracts.gate_socket import AlarmView, GateOperation, GateReply, GateRequest, JournalKind, JournalRecord
from shared.contracts.interlock import Interlock
from shared.contracts.release import DeliveryPolicy, Provenance, Release, ReleaseRef
from shared.contracts.status import AppPhase, AppStatus, ClusterSummary, GateSummary, Heartbeat, NodeStatus, SiteSummary
from shared.signing.dsse import make_trust_root, sign_document
from shared.signing.keys import signer_from_seed

EXAMPLES = Path(__file__).parent / "examples"
NOW = datetime(2026, 11, 21, 8, 30, 0, 250_000, tzinfo=UTC)
SIGNER = signer_from_seed(bytes(range(32)), name="example")
DIGEST = "ab" * 32
REF = ReleaseRef(app="gate-ui", version="1.2.0", release_digest=DIGEST, envelope_digest="cd" * 32, envelope_size_bytes=1_234)
CAUSE = Cause(
    code="CrashLoopBackOff",
    message="container web exited 3 times",
    object=ObjectRef(group="apps", kind="Deployment", namespace="default", name="web"),
    pod="web-6f7d-abcde",
    container="web",
    exit_code=3,
    last_log_line="cannot open /data: no such file",
)


def examples() -> dict[str, Contract]:
    """One full example of each contract that crosses a wire."""
    return {**_signed(), **_reported(), **_gate()}


def _desired_app() -> AppDesired:
    return AppDesired(release=REF, settings={"pool": "north"}, attempt=2, rollout_id="r-0001")


def _signed() -> dict[str, Contract]:
    release = Release(
        app="gate-ui",
        version="1.2.0",
        git_sha="0123abc",
        content_digest=DIGEST,
        content_size_bytes=5_000,
        blob_digest="12" * 32,
        blob_size_bytes=900,
        objects_count=3,
        images=("docker.io/munbon/gate-ui:1.2.0",),
        provenance=Provenance(repo="ssh://git@example.invalid/gate-ui.git", commit="0123abc", author="Somchai", built_at=NOW),
        needs=("base",),
        critical=("sync-waves",),
        delivery=DeliveryPolicy(soak_s=10),
    )
    return {
        "release": release,
        "envelope": parse_envelope(sign_document(release, [SIGNER])),
        "trust-root": make_trust_root({Role.RELEASE: [SIGNER.public], Role.GATE_PLAN: [SIGNER.public]}),
        "desired": Desired(
            node="pi-north",
            epoch=1,
            generation=7,
            issued_at=NOW,
            apps={"gate-ui": _desired_app(), "old": AppDesired(state=AppState.ABSENT)},
        ),
    }


def _reported() -> dict[str, Contract]:
    return {
        "event": Event(
            id="5f0c9a4e6c1e4f0f9a53d7a4c1b2e3f4",
            source="pi-north",
            type=wire_type(EventType.RELEASE_FAILED),
            subject="gate-ui",
            time=NOW,
            outboxid="0a1b2c3d4e5f",
            sequence=42,
            monotonictime=1234.5,
            bootid="7e0c",
            rolloutid="r-0001",
            data=ReleaseEventData(app="gate-ui", version="1.2.0", release_digest=DIGEST, attempt=2, cause=CAUSE).to_json(),
        ),
        "node-status": NodeStatus(
            node="pi-north",
            outboxid="0a1b2c3d4e5f",
            revision=9,
            at=NOW,
            boot_id="7e0c",
            agent_version="0.1.0",
            desired_epoch=1,
            desired_generation=7,
            apps={
                "gate-ui": AppStatus(phase=AppPhase.ROLLED_BACK, desired=_desired_app(), cause=CAUSE, since=NOW, running_version="1.1.0")
            },
            cluster=ClusterSummary(reachable=True, version="v1.36.3", uid="11-22"),
            site=SiteSummary(
                site="north",
                reachable=True,
                plan_generation=3,
                gates={
                    "g1": GateSummary(level_m=2.1, opening_pct=37.5, control="manual", owner="console", tagout="som since 08:00: diver")
                },
                alarms=(AlarmView(key="g1/stuck", gate="g1", name="stuck", state="unacknowledged", priority="high", raised_at=NOW),),
            ),
        ),
        "heartbeat": Heartbeat(node="pi-north", at=NOW, boot_id="7e0c", uptime_s=99.5, desired_epoch=1, desired_generation=7),
    }


def _gate_plan() -> GatePlan:
    return GatePlan(
        site="north",
        generation=3,
        valid_from=NOW,
        author="Malee",
        gates={
            "g1": GateDirective(
                objective=UpstreamLevelObjective(level_m=2.1),
                schedule=(ScheduleEntry(at=NOW, objective=PositionObjective(opening_pct=40.0)),),
                limits=GateLimits(opening_max_pct=80.0),
            )
        },
        orders=(
            DeliveryOrder(
                order_id="2026-0042",
                turnout="g2",
                start=NOW,
                flow_m3s=0.35,
                volume_m3=2_500.0,
                duration_s=7_200.0,
                if_missed="keep_end",
            ),
            DeliveryOrder(
                order_id="2026-0043", turnout="g2", start=NOW, flow_m3s=0.2, duration_s=600.0, if_missed="start_late", latest_start=NOW
            ),
        ),
        critical=("orders",),
    )


def _gate() -> dict[str, Contract]:
    return {
        "gate-plan": _gate_plan(),
        "command": Command(
            command_id="c0ffee00c0ffee00", node="pi-north", verb="ping", issued_at=NOW, expires_at=NOW, actor="ops", payload={"a": [1, 2]}
        ),
        "command-reply": CommandReply(
            command_id="c0ffee00c0ffee00", node="pi-north", accepted=False, code="Expired", reason="30 s too late"
        ),
        "gate-command": GateCommand(
            id="0123456789abcdef0123456789abcdef",
            site="north",
            gate="g1",
            verb=GateVerb.MOVE,
            params={"opening_pct": 37.5, "expires_after_s": 900.0},
            issued_at=NOW,
            expires_at=NOW + timedelta(seconds=60),
            author="Malee",
            note="trash at the rack",
        ),
        "gate-command-answer": CommandView(
            id="0123456789abcdef0123456789abcdef",
            gate="g1",
            verb="move",
            accepted=False,
            code="TaggedOut",
            reason="gate g1 is tagged out by som since 2026-11-20T06:12:00Z: diver in the water",
            reasons=("tagged out",),
            at=NOW,
        ),
        "gate-request": GateRequest(id="1", operation=GateOperation.JOURNAL_READ, params={"after": 7, "limit": 100}),
        "gate-reply": GateReply(id="1", ok=True, data={"journal_id": "j1", "records": []}),
        "journal-record": JournalRecord(
            cursor=8, at=NOW, monotonic_s=12.5, boot_id="7e0c", kind=JournalKind.SAMPLES, gate="g1", data={"level_m": 2.1}
        ),
        "interlock": Interlock(
            site="north", written_at=NOW, boot_id="7e0c", monotonic_s=12.5, scan_period_s=1.0, hold=True, reasons=("gate g1 is moving",)
        ),
    }


def main() -> None:
    """Write what is not there yet."""
    EXAMPLES.mkdir(exist_ok=True)
    for name, document in examples().items():
        version = getattr(document, "schema_version", "1.0")
        path = EXAMPLES / f"{name}-{version}.json"
        if not path.exists():
            path.write_text(json.dumps(document.to_json(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
