"""`munbon gate` with a real gate process on a simulated canal; and what a site without a gate gets."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_plan_is_signed_here_and_in_force_at_the_gate(fleet: Fleet) -> None:
    said = await fleet.says("gate", "plan", "set", "north", "--level", "g1=2.05")
    assert said.startswith("Plan ")
    assert "of site north (node pi-north): accepted; set by dev-operator" in said
    shown = await fleet.operator.ask("gate", "plan", "show", "north")
    assert shown["plan"]["gates"]["g1"]["objective"] == {"kind": "upstream_level", "level_m": 2.05}
    assert shown["plan"]["author"] == "dev-operator"
    assert '"level_m": 2.05' in await fleet.says("gate", "plan", "show", "north")

    async def is_held() -> bool:
        (gate,) = await fleet.central.get("gates")
        return bool(gate["plan_generation"] == shown["generation"] and gate["summary"]["mode"] == "AUTO")

    await fleet.world.until(is_held, what="the plan is in force")
    heading, row = (await fleet.says("gate", "list")).splitlines()
    assert heading.split()[:4] == ["SITE", "GATE", "NODE", "PRESENCE"]
    assert row.startswith("north  g1    pi-north  Online ")
    assert "level 2.050 m" in row
    assert "AUTO" in row


async def test_a_plan_comes_from_a_file_with_the_next_generation(fleet: Fleet) -> None:
    path = fleet.write("plan.yaml", "gates:\n  g1:\n    objective: {kind: position, opening_pct: 30}\n")
    first = await fleet.operator.ask("gate", "plan", "set", "north", "--file", str(path))
    second = await fleet.operator.ask("gate", "plan", "set", "north", "--position", "g1=31.5")
    assert (first["delivery"], second["delivery"]) == ("accepted", "accepted")
    assert second["generation"] == first["generation"] + 1
    assert second["plan"]["gates"]["g1"]["objective"] == {"kind": "position", "opening_pct": 31.5}


async def test_a_site_is_shown_with_how_its_levels_went(fleet: Fleet) -> None:
    async def has_samples() -> bool:
        return bool(await fleet.central.get("gates/north/samples", gate="g1"))

    await fleet.world.until(has_samples, what="samples of the gate")
    view = await fleet.operator.ask("gate", "show", "north")
    assert view["samples"]["g1"]
    assert [gate["gate"] for gate in view["gates"]] == ["g1"]
    assert view["gates"][0]["summary"]["quality"] == "good"
    said = await fleet.says("gate", "show", "north", "g1")
    assert "g1 level   " in said
    assert "g1 opening " in said


async def test_a_plan_beyond_the_gates_limits_is_refused_and_the_old_one_stays(fleet: Fleet) -> None:
    good = await fleet.operator.ask("gate", "plan", "set", "north", "--level", "g1=2.0")
    outcome = await fleet.operator.try_run("gate", "plan", "set", "north", "--level", "g1=99")
    assert outcome.exit_code == 3
    assert "outside the limits" in outcome.errors
    assert "the old plan stays in force" in outcome.errors
    gate = fleet.world["pi-north"].gate
    assert gate is not None
    assert (await gate.status()).plan_generation == good["generation"]


async def test_what_is_not_there_or_makes_no_sense(fleet: Fleet) -> None:
    await fleet.refuses_each(
        [
            ("gate show south", 4, "no node has reported it (known here: north)"),
            ("gate show north g9", 4, "has no gate g9"),
            ("gate plan show nowhere", 4, "has no plan"),
            ("gate plan set nowhere --level g1=2", 4, "no node speaks for it"),
            ("gate plan set north --level g1", 2, "is no GATE=NUMBER"),
            ("gate plan set north --level g1=nan", 2, "level_m"),
            ("gate plan set north", 2, "give --file, --level or --position"),
            ("gate plan set north --file no-such-plan.yaml", 2, "no-such-plan.yaml"),
            ("gate show North", 2, "site name 'North' is not allowed"),
            ("gate show ../nodes", 2, "site name '../nodes' is not allowed"),
        ]
    )


async def test_a_node_without_a_gate_refuses_a_plan(fleet: Fleet) -> None:
    await fleet.refuses(["gate", "plan", "show", "south"], 4, "has no plan")
    outcome = await fleet.operator.try_run("gate", "plan", "set", "south", "--level", "g1=2.0")
    assert outcome.exit_code == 3
    assert "site south: this node has no gate: its agent.toml has no [gate]" in outcome.errors
    assert (await fleet.operator.ask("gate", "plan", "show", "south"))["delivery"] == "refused"
