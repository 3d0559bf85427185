"""People at a whole gate process on real Modbus: what they ask is done at once, once, and what must outlast a restart does."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.contracts.gate_command import GateCommand, GateVerb
from shared.contracts.gate_plan import PositionObjective
from shared.contracts.gate_socket import GateReply
from shared.signing.dsse import sign_document
from tests.fakes.gate import OWNER, STRANGER, make_plan
from tests.integration.gate.conftest import Bench, until

LONG_SCAN_S = 3.0


def envelope(verb: GateVerb = GateVerb.MOVE, number: int = 1, *, signer: Any = OWNER, **changes: Any) -> Any:
    now = SystemClock().wall()
    content = {
        "id": f"command-{number:016}", "site": "north", "gate": "g1", "verb": verb,
        "params": {"opening_pct": 60.0} if verb is GateVerb.MOVE else {}, "issued_at": now, "expires_at": now + timedelta(seconds=60),
    }  # fmt: skip
    return json.loads(sign_document(GateCommand.model_validate(content | changes), [signer]))


async def run(bench: Bench, *args: Any, **changes: Any) -> GateReply:
    return await bench.ask("command.run", envelope=envelope(*args, **changes))


async def start_for_central(bench: Bench) -> None:
    """Armed by a person at the site, who then gives the command of the gate to central."""
    await bench.start()
    assert (await bench.ask("act", gate="g1", verb="owner_release")).ok


async def test_a_signed_move_brings_the_gate_there_and_it_stays_in_manual(bench: Bench) -> None:
    await start_for_central(bench)
    reply = await run(bench)
    assert reply.ok, reply
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - 60.0) < 0.5, what="gate at 60 %")
    await until(lambda: bench.gate()["manual_until_s"] is None, what="the motion is over")
    assert (bench.gate()["mode"], bench.gate()["owner"]) == ("MANUAL", "central")
    kinds = [record["kind"] for record in (await bench.ask("journal.read", after=0, limit=1000)).data["records"]]
    assert kinds.count("command_accepted") >= 1


async def test_a_command_does_not_wait_for_the_next_scan_of_the_grid(bench: Bench) -> None:
    config = bench.folder / "site.yaml"
    text = config.read_text()
    assert "scan_period_s: 0.1" in text
    config.write_text(text.replace("scan_period_s: 0.1", f"scan_period_s: {LONG_SCAN_S}"))
    await start_for_central(bench)
    took_s = []
    for number in range(8):
        await asyncio.sleep(0.17 * number % 0.5)
        started_s = asyncio.get_running_loop().time()
        assert (await run(bench, number=number, params={"opening_pct": 40.0 + 2 * number})).ok
        took_s.append(asyncio.get_running_loop().time() - started_s)
    assert sorted(took_s)[len(took_s) // 2] < LONG_SCAN_S / 3, took_s
    records = (await bench.ask("journal.read", after=0, limit=1000)).data["records"]
    assert any(record["kind"] == "commanded" for record in records)


async def test_a_stranger_and_central_are_refused_and_nothing_moves(bench: Bench) -> None:
    await start_for_central(bench)
    before = bench.gate()["opening_pct"]
    assert (await run(bench, signer=STRANGER)).code == "SignatureInvalid"
    assert (await run(bench, site="south")).code == "WrongSite"
    assert bench.gate()["opening_pct"] == pytest.approx(before, abs=0.3)
    assert bench.gate()["control"] == "auto"


async def test_a_tagout_outlasts_a_restart_and_comes_off_in_two_steps(bench: Bench) -> None:
    await bench.start()
    assert (await bench.ask("act", gate="g1", verb="tag", note="diver in the water")).ok
    await bench.end()
    await bench.start(armed=False)
    await until(lambda: "diver in the water" in bench.gate()["tagout"], what="the tag is still there")
    assert not (await run(bench)).ok
    assert (await bench.ask("act", gate="g1", verb="move", params={"opening_pct": 60.0})).code == "TaggedOut"
    first = await bench.ask("act", gate="g1", verb="tag_clear")
    assert first.ok
    code = first.data["data"]["code"]
    assert (await bench.ask("act", gate="g1", verb="tag_confirm", code=code)).ok
    assert bench.gate()["tagout"] == ""


async def test_a_command_is_carried_out_once_also_over_a_restart(bench: Bench) -> None:
    await start_for_central(bench)
    once = envelope()
    first = await bench.ask("command.run", envelope=once)
    assert first.ok
    await until(lambda: abs((bench.gate()["opening_pct"] or 0.0) - 60.0) < 0.5, what="gate at 60 %")
    assert (await run(bench, number=2, params={"opening_pct": 40.0})).ok
    await bench.end()
    await bench.start(armed=False)
    again = await bench.ask("command.run", envelope=once)
    assert (again.ok, again.data["repeated"], again.data["reasons"]) == (True, True, first.data["reasons"])
    assert bench.gate()["manual_until_s"] is None


async def test_a_local_plan_outranks_over_a_restart_until_it_is_released(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0), generation=2))).ok
    local = make_plan(PositionObjective(opening_pct=50.0)).to_json()
    made = await bench.ask("plan.set.local", plan=local)
    assert (made.ok, made.data["state"], made.data["local"]["author"]) == (True, "standby", "root")
    await bench.end()
    await bench.start(armed=False)
    await until(lambda: bench.gate()["target"] == "position 50.0 %", what="the local plan")
    assert (await bench.ask("act", verb="plan_release")).ok
    await until(lambda: bench.gate()["target"] == "position 40.0 %", what="central's plan")
    assert (await bench.ask("act", verb="plan_release")).code == "PlanRefused"
    wide = await bench.ask("plan.set.local", plan={**local, "gates": {"g1": {"objective": {"kind": "position", "opening_pct": 99.9}}}})
    assert (wide.ok, wide.code) == (False, "PlanRefused")


async def test_an_alarm_is_acknowledged_by_name(bench: Bench) -> None:
    await bench.start()
    await bench.ask("act", gate="g1", verb="stop")
    local = bench.folder / "gate-plan.local.json"
    local.write_text("{")
    await until(lambda: any(alarm["name"] == "local_plan_invalid" for alarm in bench.status()["alarm_table"]), what="the alarm")
    reply = await bench.ask("act", verb="ack", params={"alarm": "local_plan_invalid"})
    assert reply.ok, reply
    [alarm] = [alarm for alarm in bench.status()["alarm_table"] if alarm["name"] == "local_plan_invalid"]
    assert (alarm["state"], alarm["acknowledged_by"]) == ("acknowledged", "root")
    local.unlink()
