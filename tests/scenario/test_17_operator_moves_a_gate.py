"""An operator moves a gate from the laptop: signed there, answered by the gate; a person at the site has the last word."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from central.cli import exits
from deploy.harness.gate import RunningGate
from deploy.harness.processes import program, run_program
from deploy.harness.world import World, WorldNode
from shared.contracts.gate_socket import GateReading


class Story:
    """`munbon gate` at the laptop and `munbon-gate` at the site, about one gate."""

    def __init__(self, world: World, node: WorldNode, gate: RunningGate) -> None:
        self.world, self.node, self.gate = world, node, gate

    async def operator(self, *words: str, code: int = exits.OK) -> str:
        outcome = await self.world.operator.try_run("gate", *words)
        assert outcome.exit_code == code, outcome
        return outcome.output + outcome.errors

    async def at_the_site(self, *words: str, code: int = 0) -> str:
        found, output, errors = await run_program([*program("munbon-gate"), *words, "--config", str(self.gate.config_file)])
        assert found == code, (words, output, errors)
        return output + errors

    async def reading(self) -> GateReading:
        return (await self.gate.status()).gates["g1"]

    async def until_at(self, opening_pct: float) -> None:
        async def is_there() -> bool:
            now = await self.reading()
            return now.opening_pct is not None and abs(now.opening_pct - opening_pct) < 1.0 and not now.moving

        await self.world.until(is_there, what=f"the gate at {opening_pct} %", timeout_s=90)


@pytest_asyncio.fixture(loop_scope="session")
async def story(world: World) -> AsyncIterator[Story]:
    node = world["pi-north"]
    assert node.gate is not None
    told = Story(world, node, node.gate)
    yield told
    await told.operator("mode", "north", "g1", "auto")


async def test_a_gate_is_moved_from_the_laptop_and_given_back(story: Story) -> None:
    said = await story.operator("move", "north", "g1", "62", "--for", "5m", "--note", "weeds at the rack")
    assert "to 62.0 %" in said
    await story.until_at(62.0)
    assert (await story.reading()).mode == "MANUAL"
    event = await story.world.until_event("pi-north", "GateCommandAccepted")
    assert (event.data["verb"], event.data["from"]) == ("move", "central")
    lines = [line for line in await story.world.central.get("audit", limit=1000) if line["action"].startswith("gate.command")]
    assert [(line["action"], line["target"]) for line in lines[-2:]] == [("gate.command.sent", "north"), ("gate.command.answered", "north")]
    assert "in auto" in await story.operator("mode", "north", "g1", "auto")
    shown = await story.operator("history", "north", "g1", "--since", "10m")
    assert "g1 opening" in shown
    assert "CommandAccepted" in shown


async def test_a_tag_at_the_site_outranks_every_key(story: Story) -> None:
    await story.at_the_site("tagout", "set", "g1", "--note", "diver in the water")
    refused = await story.operator("move", "north", "g1", "10", code=exits.REFUSED)
    assert "diver in the water" in refused
    await story.gate.kill()
    await story.gate.start()
    assert "TaggedOut" in await story.operator("mode", "north", "g1", "auto", code=exits.REFUSED)
    code = (await story.at_the_site("tagout", "clear", "g1")).split()[-1]
    assert "is off" in await story.at_the_site("tagout", "confirm", "g1", code)


async def test_central_alone_cannot_move_a_gate(story: Story) -> None:
    key = story.world.central.state_dir / "keys" / "central.key"
    assert key.exists()
    before = (await story.reading()).opening_pct
    refused = await story.operator("move", "north", "g1", "10", "--key", str(key), "-o", "json", code=exits.REFUSED)
    assert "SignatureInvalid" in refused
    assert (await story.reading()).opening_pct == before


async def test_a_command_to_a_node_without_a_link_is_refused_now_and_not_kept(story: Story) -> None:
    await story.node.link.cut()
    try:
        await story.world.until_online("pi-north", is_online=False)
        said = await story.operator("move", "north", "g1", "15", code=exits.UNREACHABLE)
        assert "offline" in said or "may have been carried out" in said
    finally:
        story.node.link.heal()
    await story.world.until_online("pi-north")
    accepted = [event for event in await story.node.events("GateCommandAccepted") if event.data["params"] == {"opening_pct": 15.0}]
    assert accepted == []
