"""Nodes come, go and speak; gate plans are carried."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central.model import PlanDelivery, PresenceMark
from central.store import events, nodes
from central.store.events import IncomingBatch
from shared.contracts.event import Cause, Event, EventType, wire_type
from shared.contracts.status import AppPhase, AppStatus, ClusterSummary, GateSummary, NodeStatus, SiteSummary
from shared.signing.keys import generate_signer
from tests.fakes.central_ports import ScriptedOutcome
from tests.fixtures_api import RunningApi, make_plan, seal

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_status(node: str, revision: int = 1, **changes: Any) -> NodeStatus:
    site = SiteSummary(site="north", reachable=True, plan_generation=3, gates={"g1": GateSummary(level_m=2.1, opening_pct=40.0)})
    values: dict[str, Any] = {"agent_version": "0.1.0", "cluster": ClusterSummary(reachable=True, version="v1.36"), "site": site, **changes}
    return NodeStatus(node=node, outboxid="outbox-1", revision=revision, at=NOW, boot_id="boot-1", **values)


def make_event(number: int, event_type: EventType = EventType.RELEASE_READY) -> Event:
    return Event(
        id=f"event-id-{number:08}",
        source="pi-1",
        type=wire_type(event_type),
        time=NOW + timedelta(seconds=number),
        outboxid="outbox-1",
        sequence=number,
        monotonictime=float(number),
        bootid="boot-1",
    )


async def add_node(api: RunningApi, node: str = "pi-1", **labels: str) -> dict[str, Any]:
    answer = await api.client.post("nodes", json={"node": node, "labels": labels})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def receive(api: RunningApi, *, statuses: list[NodeStatus] | None = None, incoming: list[Event] | None = None) -> None:
    batch = IncomingBatch(events=[("pi-1", event) for event in incoming or []], statuses=statuses or [], quarantine=[])
    now = api.dependencies.clock.wall()
    await api.database.run(lambda tx: events.store_batch(tx, batch, now))
    await api.database.run(lambda tx: nodes.save_presence(tx, [PresenceMark("pi-1", now)]))


async def test_an_enrolment_holds_everything_a_node_needs_and_the_bus_is_told(api: RunningApi) -> None:
    enrolment = await add_node(api, canal="north")
    assert enrolment["nats_user"] == "pi-1"
    assert enrolment["nats_url"] == "nats://127.0.0.1:4222"
    assert len(enrolment["nats_password"]) >= 32
    assert enrolment["trust_root"] == api.identity.trust_root.to_json()
    assert api.access.refreshed == 1
    assert enrolment["nats_password"] not in (await api.client.get("nodes/pi-1")).text


async def test_a_node_is_added_once_and_replaced_only_when_asked_to_with_labels_kept(api: RunningApi) -> None:
    first = await add_node(api, canal="north")
    again = await api.client.post("nodes", json={"node": "pi-1"})
    assert (again.status_code, again.json()["code"]) == (409, "Conflict")
    replaced = (await api.client.post("nodes", params={"replace": "true"}, json={"node": "pi-1"})).json()
    assert replaced["replaced"] is True
    assert replaced["labels"] == {"canal": "north"}
    assert replaced["nats_password"] != first["nats_password"]


async def test_a_node_is_enrolled_also_while_the_bus_is_away(api: RunningApi) -> None:
    api.access.problem = "no bus"
    await add_node(api)
    assert (await api.client.get("nodes/pi-1")).status_code == 200


async def test_a_deleted_node_is_gone_and_its_events_stay(api: RunningApi) -> None:
    await add_node(api)
    await receive(api, incoming=[make_event(1)])
    assert (await api.client.delete("nodes/pi-1")).status_code == 204
    assert (await api.client.get("nodes/pi-1")).status_code == 404
    assert len((await api.client.get("nodes/pi-1/events")).json()) == 1


async def test_a_node_shows_what_it_said_last_and_what_is_missing(api: RunningApi) -> None:
    await add_node(api, canal="north")
    assert (await api.client.get("nodes/pi-1")).json()["presence"] == "NeverSeen"
    cause = Cause(code="CrashLoopBackOff", message="exited", container="web", exit_code=3, last_log_line="no such table")
    app = AppStatus(phase=AppPhase.ROLLED_BACK, running_version="1.0.0", last_good_version="1.0.0", cause=cause, since=NOW)
    await receive(api, statuses=[make_status("pi-1", apps={"weather": app})], incoming=[make_event(1), make_event(4)])
    view = (await api.client.get("nodes/pi-1")).json()
    assert (view["presence"], view["cluster"], view["sequence_gaps"]) == ("Online", "v1.36", 2)
    [shown] = view["apps"]
    assert (shown["phase"], shown["running_version"], shown["cause"]["last_log_line"]) == ("RolledBack", "1.0.0", "no such table")


async def test_nodes_are_chosen_by_labels_as_kubectl_does(api: RunningApi) -> None:
    await add_node(api, "pi-1", canal="north")
    await add_node(api, "pi-2", canal="south")
    found = (await api.client.get("nodes", params={"selector": "canal notin (south)"})).json()
    assert [view["node"] for view in found] == ["pi-1"]
    labelled = (await api.client.patch("nodes/pi-2/labels", json={"labels": {"canal": None, "site": "south"}})).json()
    assert labelled["labels"] == {"site": "south"}


async def test_events_are_paged_by_cursor_and_filtered_by_type(api: RunningApi) -> None:
    await add_node(api)
    kinds = [EventType.RELEASE_READY, EventType.RELEASE_FAILED]
    await receive(api, incoming=[make_event(number, kinds[number % 2]) for number in range(1, 8)])
    seen, cursor = [], 0
    while page := (await api.client.get("nodes/pi-1/events", params={"after": cursor, "limit": 3})).json():
        seen += [view["sequence"] for view in page]
        cursor = page[-1]["cursor"]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    failed = (await api.client.get("nodes/pi-1/events", params={"type": "ReleaseFailed"})).json()
    assert [view["sequence"] for view in failed] == [1, 3, 5, 7]
    newest = (await api.client.get("nodes/pi-1/events", params={"newest": "true", "limit": 2})).json()
    assert [view["sequence"] for view in newest] == [6, 7]


async def test_gates_are_shown_as_their_node_reported_them(api: RunningApi) -> None:
    await add_node(api, site="north")
    await receive(api, statuses=[make_status("pi-1")])
    [gate] = (await api.client.get("gates")).json()
    assert (gate["site"], gate["gate"], gate["node"], gate["summary"]["level_m"]) == ("north", "g1", "pi-1", 2.1)
    assert (await api.client.get("gates/north/g1")).json() == gate
    assert (await api.client.get("gates/north/g9")).status_code == 404
    assert (await api.client.get("gates/north/samples")).json() == []


@pytest.mark.parametrize(
    ("outcome", "delivery"),
    [
        (ScriptedOutcome(PlanDelivery.ACCEPTED), "accepted"),
        (ScriptedOutcome(PlanDelivery.REFUSED, "PlanRefused", "level 9.0 is above the site's limit"), "refused"),
        (ScriptedOutcome(PlanDelivery.PENDING, "NodeOffline", "it is sent when the node is back"), "pending"),
    ],
)
async def test_a_signed_plan_is_carried_and_what_became_of_it_is_kept(api: RunningApi, outcome: ScriptedOutcome, delivery: str) -> None:
    await add_node(api, site="north")
    api.courier.outcome = outcome
    answer = await api.client.put("gates/north/plan", json={"envelope": seal(make_plan(), api.identity.operator)})
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert (view["delivery"], view["code"], view["reason"], view["node"]) == (delivery, outcome.code, outcome.reason, "pi-1")
    assert (await api.client.get("gates/north/plan")).json()["delivery"] == delivery
    assert len(api.courier.delivered) == 1


async def test_a_plan_that_is_old_wrongly_signed_or_for_another_site_goes_nowhere(api: RunningApi) -> None:
    await add_node(api, site="north")
    good = seal(make_plan(generation=5), api.identity.operator)
    await api.client.put("gates/north/plan", json={"envelope": good})
    cases = [
        ("north", good, 409, "Conflict"),
        ("north", seal(make_plan(generation=4), api.identity.operator), 409, "Conflict"),
        ("north", seal(make_plan(generation=6), generate_signer()), 422, "SignatureInvalid"),
        ("north", seal(make_plan(generation=6), api.identity.central), 422, "SignatureInvalid"),
        ("south", good, 400, "BadInput"),
        ("east", seal(make_plan("east"), api.identity.operator), 404, "NotFound"),
    ]
    for site, envelope, status, code in cases:
        answer = await api.client.put(f"gates/{site}/plan", json={"envelope": envelope})
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await api.client.get("gates/north/plan")).json()["generation"] == 5
    assert len(api.courier.delivered) == 1
