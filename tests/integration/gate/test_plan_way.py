"""The way of a plan: over the socket, verified, in force; whatever is wrong with it, the one before stays."""

import asyncio
import json
import os

import pytest

from shared.contracts.gate_plan import GateLimits, PositionObjective, UpstreamLevelObjective
from tests.fakes.gate import STRANGER, make_plan, signed
from tests.integration.gate.conftest import Bench, until


async def test_a_signed_plan_comes_into_force_and_the_level_is_held(bench: Bench) -> None:
    await bench.start()
    reply = await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.04), generation=3))
    assert (reply.ok, reply.data["state"], reply.data["generation"]) == (True, "in_force", 3)
    await until(lambda: abs((bench.gate()["level_m"] or 0.0) - 2.04) < 0.01, what="level at its setpoint")
    assert (bench.gate()["mode"], bench.gate()["target"], bench.status()["plan_generation"]) == ("AUTO", "upstream_level 2.040 m", 3)


@pytest.mark.slow
async def test_an_unannounced_demand_is_met_and_the_level_comes_back(bench: Bench) -> None:
    await bench.start()
    reply = await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.04), generation=3))
    assert reply.ok
    await until(lambda: abs((bench.gate()["level_m"] or 0.0) - 2.04) < 0.01, what="level at its setpoint")
    opening = bench.gate()["opening_pct"]
    bench.canal.demands.flows_m3s["g1-field"] = 1.0
    await until(lambda: bench.gate()["opening_pct"] < opening - 8.0, what="gate closes for the unannounced demand")
    await until(lambda: abs((bench.gate()["level_m"] or 0.0) - 2.04) < 0.02, what="level back at its setpoint")


async def test_a_bad_plan_is_refused_and_the_one_before_stays(bench: Bench) -> None:
    await bench.start()
    good = make_plan(PositionObjective(opening_pct=40.0), generation=5)
    assert (await bench.set_plan(good)).ok
    unsigned = json.loads(signed(make_plan(generation=6)))
    unsigned["signatures"][0]["sig"] = "AAAA"
    changed = json.loads(signed(make_plan(generation=6)))
    changed["payload"] = json.loads(signed(make_plan(generation=9)))["payload"]
    wide = make_plan(generation=6, limits=GateLimits(opening_max_pct=100.0))
    refused = [
        (await bench.ask("plan.set", envelope=unsigned), "SignatureInvalid", "has 0 valid signature"),
        (await bench.ask("plan.set", envelope=changed), "SignatureInvalid", "has 0 valid signature"),
        (await bench.set_plan(make_plan(generation=6), STRANGER), "SignatureInvalid", "has 0 valid signature"),
        (await bench.set_plan(make_plan(generation=4)), "OutOfOrder", "generation 4 is not newer than 5"),
        (await bench.set_plan(make_plan(generation=5)), "OutOfOrder", "generation 5 is not newer than 5"),
        (await bench.set_plan(wide), "PlanRefused", "gate g1: opening_max_pct 100 is above the gate's own limit 95"),
        (await bench.set_plan(make_plan(generation=6, site="south")), "PlanRefused", "plan is for site south"),
        (await bench.set_plan(make_plan().model_copy(update={"generation": 6, "critical": ("orders",)})), "UnsupportedFeature", "orders"),
        (await bench.set_plan(make_plan().model_copy(update={"generation": 6, "schema_version": "2.0"})), "UnsupportedVersion", "2.0"),
        (await bench.ask("plan.set", envelope={"payload": 1}), "Malformed", ""),
        (await bench.ask("plan.set"), "Malformed", "params.envelope is missing"),
    ]
    for reply, code, reason in refused:
        assert (reply.ok, reply.code) == (False, code)
        assert reason in reply.reason
    shown = await bench.ask("plan.show")
    assert (shown.data["generation"], shown.data["plan"]["gates"]["g1"]["objective"]["opening_pct"]) == (5, 40.0)

    async def all_is_journalled() -> bool:
        page = (await bench.ask("journal.read", after=0, limit=1000, wait_s=0)).data
        kinds = [record["kind"] for record in page["records"]]
        return kinds.count("plan_accepted") == 1 and kinds.count("plan_refused") >= 8

    await until(all_is_journalled, what="one plan accepted and the others refused in the journal")


async def test_the_same_plan_again_changes_nothing(bench: Bench) -> None:
    await bench.start()
    plan = make_plan(generation=2)
    first, second = await bench.set_plan(plan), await bench.set_plan(plan)
    assert first.data == second.data


async def test_the_plan_outlives_a_restart_and_so_does_its_order(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=45.0), generation=7))).ok
    await bench.end()
    await bench.start()
    await until(lambda: bench.gate()["target"] == "position 45.0 %", what="plan taken up again")
    assert (await bench.set_plan(make_plan(generation=6))).code == "OutOfOrder"


async def test_a_saved_plan_that_the_limits_no_longer_allow_is_not_obeyed(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=90.0), generation=7))).ok
    await bench.end()
    config = bench.folder / "site.yaml"
    config.write_text(config.read_text().replace('"opening_max_pct": 95.0', '"opening_max_pct": 60.0'))
    await bench.start()
    await bench.alarm("site: plan_invalid")
    await until(lambda: bench.gate()["mode"] == "HOLD", what="gate left where it is")
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=50.0), generation=8))).ok
    await bench.alarm("site: plan_invalid", raised=False)


async def test_a_plan_made_at_the_site_outranks_until_a_person_withdraws_it(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0), generation=2))).ok
    local = bench.folder / "gate-plan.local.json"
    local.write_text(make_plan(PositionObjective(opening_pct=50.0)).model_dump_json())
    await until(lambda: bench.gate()["target"] == "position 50.0 %", what="local plan")
    reply = await bench.set_plan(make_plan(PositionObjective(opening_pct=42.0), generation=3))
    assert (reply.ok, reply.data["state"]) == (True, "standby")
    local.unlink()
    await until(lambda: bench.gate()["target"] == "position 42.0 %", what="remote plan")
    assert (await bench.ask("plan.show")).data["state"] == "in_force"


async def test_a_local_plan_that_others_may_change_or_that_is_too_wide_is_not_used(bench: Bench) -> None:
    await bench.start()
    local = bench.folder / "gate-plan.local.json"
    local.write_text(make_plan(PositionObjective(opening_pct=50.0)).model_dump_json())
    local.chmod(0o666)
    await bench.alarm("site: local_plan_invalid")
    local.chmod(0o600)
    await bench.alarm("site: local_plan_invalid", raised=False)
    local.write_text(make_plan(PositionObjective(opening_pct=99.0)).model_dump_json())
    await bench.alarm("site: local_plan_invalid")
    assert bench.gate()["target"] == "position 50.0 %"


async def test_a_local_plan_that_a_restart_finds_damaged_leaves_the_gate_holding_and_not_to_central(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0), generation=5))).ok
    plan = make_plan(PositionObjective(opening_pct=60.0), generation=1).to_json()
    assert (await bench.ask("plan.set.local", plan=plan)).ok
    await until(lambda: bench.gate()["opening_pct"] == 60.0, what="gate where the local plan wants it")
    await bench.end()
    path = bench.folder / "gate-plan.local.json"
    path.write_text(path.read_text()[:40])
    await bench.start()
    await bench.alarm("site: local_plan_invalid")
    told = (await bench.ask("status")).data
    assert (told["plan_generation"], told["local_plan"], bench.gate()["mode"]) == (5, True, "HOLD")
    assert bench.gate()["opening_pct"] == 60.0, "nobody gave the gates back to central"
    assert (await bench.ask("act", verb="plan_release")).ok
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate where central's plan wants it")
    await bench.end()


async def test_nonsense_on_the_socket_harms_only_who_sends_it(bench: Bench) -> None:
    await bench.start()
    for nonsense in (
        b"\n",
        b"{}\n",
        b"[1]\n",
        b"\xff\xfe\n",
        b'{"kind":"GateRequest","schema_version":"1.0","id":"x","operation":"open"}\n',
    ):
        reader, writer = await asyncio.open_unix_connection(str(bench.socket))
        writer.write(nonsense)
        assert json.loads(await reader.readline())["ok"] is False
        writer.close()
    reader, writer = await asyncio.open_unix_connection(str(bench.socket))
    writer.write(b"x" * (1024 * 1024 + 100))
    assert json.loads(await reader.readline())["code"] == "TooLarge"
    writer.close()
    silent = [await asyncio.open_unix_connection(str(bench.socket)) for _ in range(5)]
    assert (await bench.ask("status")).ok
    assert not (await bench.ask("journal.read", after=-1)).ok
    assert not (await bench.ask("journal.read", after="x")).ok
    for _, writer in silent:
        writer.close()
    late = bench.status()["lateness_p99_ms"]
    assert late is not None
    assert late < 1000.0


@pytest.mark.root
async def test_another_user_of_the_machine_is_refused(bench: Bench) -> None:
    await bench.start()
    for parent in (bench.folder, *list(bench.folder.parents)[:3]):
        parent.chmod(0o755)
    code = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.makefile().readline())"
    process = await asyncio.create_subprocess_exec(
        "python3", "-c", code, str(bench.socket), user=65534, cwd="/", stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    out, _ = await process.communicate()
    reply = json.loads(out)
    assert (reply["ok"], reply["code"]) == (False, "Forbidden")
    assert "65534" in reply["reason"]
