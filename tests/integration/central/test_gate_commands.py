"""A gate command through central's API: verified, recorded, carried, answered; and never made by central itself."""

import json
from datetime import timedelta
from typing import Any

from central.store import events
from central.store.events import IncomingBatch
from shared.contracts.command import CommandReply
from shared.contracts.gate_command import CommandView, GateCommand, GateVerb
from shared.contracts.gate_socket import AlarmView
from shared.contracts.status import SiteSummary
from shared.errors import Retryable
from shared.messaging.errors import BusNoResponder
from shared.signing.keys import Signer, generate_signer
from tests.fixtures_api import RunningApi, seal
from tests.integration.central.test_nodes_and_gates import add_node, make_status


def make_command(api: RunningApi, *, signer: Signer | None = None, **changes: Any) -> dict[str, Any]:
    now = api.dependencies.clock.wall()
    content = {
        "id": "0123456789abcdef", "site": "north", "gate": "g1", "verb": GateVerb.MOVE, "params": {"opening_pct": 40.0},
        "issued_at": now, "expires_at": now + timedelta(seconds=60), "author": "somchai", "note": "weeds",
    }  # fmt: skip
    return seal(GateCommand.model_validate(content | changes), signer or api.identity.operator)


async def send(api: RunningApi, envelope: dict[str, Any]) -> Any:
    return await api.client.post("gates/north/commands", json={"envelope": envelope})


async def with_site(api: RunningApi, *alarms: AlarmView) -> None:
    await add_node(api, site="north")
    status = make_status("pi-1", site=SiteSummary(site="north", reachable=True, alarms=alarms))
    now = api.dependencies.clock.wall()
    await api.database.run(lambda tx: events.store_batch(tx, IncomingBatch(events=[], statuses=[status], quarantine=[]), now))


async def audit(api: RunningApi) -> list[tuple[str, dict[str, Any]]]:
    lines = (await api.client.get("audit", params={"limit": 1000})).json()
    return [(line["action"], line["details"]) for line in lines if line["action"].startswith("gate.command")]


async def test_the_gates_answer_comes_back_and_the_audit_has_two_lines(api: RunningApi) -> None:
    await with_site(api)
    said = CommandView(id="0123456789abcdef", gate="g1", verb="move", accepted=True, reasons=("to 40.0 % within 600 s",))
    api.courier.reply = CommandReply(command_id="c", node="pi-1", accepted=True, data=said.to_json())
    envelope = make_command(api)
    answer = await send(api, envelope)
    assert (answer.status_code, answer.json()["reasons"]) == (200, ["to 40.0 % within 600 s"])
    assert [(node, carried) for node, carried, _ in api.courier.carried] == [("pi-1", envelope)]
    sent, answered = await audit(api)
    assert (sent[0], sent[1]["verb"], sent[1]["params"], sent[1]["note"]) == ("gate.command.sent", "move", {"opening_pct": 40.0}, "weeds")
    assert (answered[0], answered[1]["accepted"]) == ("gate.command.answered", True)
    assert sent[1]["signed_by"] == api.identity.operator.keyid


async def test_a_refusal_of_the_gate_is_an_answer_with_its_words(api: RunningApi) -> None:
    await with_site(api)
    api.courier.reply = CommandReply(command_id="c", node="pi-1", accepted=False, code="TaggedOut", reason="tagged out by som: diver")
    view = (await send(api, make_command(api))).json()
    assert (view["accepted"], view["code"], view["reason"]) == (False, "TaggedOut", "tagged out by som: diver")
    assert (await audit(api))[-1][1]["code"] == "TaggedOut"


async def test_an_offline_node_and_a_lost_answer_are_told_apart(api: RunningApi) -> None:
    await with_site(api)
    api.courier.reply = BusNoResponder("nobody listens")
    offline = (await send(api, make_command(api))).json()
    api.courier.reply = Retryable("no answer within 15 s")
    lost = (await send(api, make_command(api))).json()
    assert (offline["code"], "is not kept" in offline["reason"]) == ("NodeOffline", True)
    assert (lost["code"], "may have been carried out" in lost["reason"]) == ("NoAnswer", True)


async def test_what_no_operator_signed_goes_nowhere(api: RunningApi) -> None:
    await with_site(api)
    for signer in (generate_signer(), api.identity.central):
        refused = await send(api, make_command(api, signer=signer))
        assert (refused.status_code, refused.json()["code"]) == (422, "SignatureInvalid")
    forged = make_command(api)
    forged["payload"] = make_command(api, params={"opening_pct": 100.0})["payload"]
    assert (await send(api, forged)).status_code == 422
    assert (await send(api, {"payload": 1})).status_code == 422
    assert (api.courier.carried, await audit(api)) == ([], [])


async def test_a_command_for_another_site_or_an_unknown_one_is_refused(api: RunningApi) -> None:
    assert (await send(api, make_command(api))).status_code == 404
    await with_site(api)
    other = await send(api, make_command(api, site="south"))
    assert (other.status_code, other.json()["code"]) == (400, "BadInput")
    assert "is for site 'south', not 'north'" in other.json()["message"]


async def test_the_alarm_table_of_a_site_is_shown_as_reported(api: RunningApi) -> None:
    assert (await api.client.get("gates/north/alarms")).status_code == 404
    await with_site(api, AlarmView(key="g1/stuck", gate="g1", name="stuck", state="unacknowledged", priority="high", reason="no travel"))
    [alarm] = (await api.client.get("gates/north/alarms")).json()
    assert (alarm["site"], alarm["node"], alarm["key"], alarm["reason"]) == ("north", "pi-1", "g1/stuck", "no travel")
    assert json.dumps(alarm)
