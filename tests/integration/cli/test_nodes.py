"""`munbon node`, `events` and `status` against real agents."""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from shared.contracts.api import FleetStatus
from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def guests(fleet: Fleet) -> AsyncIterator[None]:
    """Nodes of a test that failed must not be part of the rollouts of others."""
    yield
    for node in await fleet.central.get("nodes"):
        if node["node"] not in fleet.world.nodes:
            await fleet.central.request("DELETE", f"nodes/{node['node']}")


@pytest.mark.usefixtures("guests")
async def test_a_node_is_enrolled_into_files_labelled_listed_and_forgotten(fleet: Fleet) -> None:
    folder = fleet.folder / "pi-new"
    said = await fleet.says("node", "add", "pi-new", "-l", "site=new", "-l", "canal=side", "--output-dir", str(folder))
    assert said.startswith("Enrolled pi-new (canal=side,site=new).\nCopy ")
    settings = tomllib.loads((folder / "agent.toml").read_text())
    assert (settings["node"], settings["nats"]["user"]) == ("pi-new", "pi-new")
    assert (folder / "agent.toml").stat().st_mode & 0o077 == 0, "it holds the node's password"
    assert json.loads((folder / "trust-root.json").read_text()) == json.loads(fleet.central.trust_root_file.read_text())

    assert await fleet.says("node", "label", "pi-new", "canal-", "pool=p1") == "pi-new: pool=p1,site=new\n"
    labelled = await fleet.operator.ask("node", "label", "pi-new", "site=newer")
    assert labelled["labels"] == {"pool": "p1", "site": "newer"}
    assert [node["node"] for node in await fleet.operator.ask("node", "list", "-l", "pool in (p1,p2)")] == ["pi-new"]
    assert ["pi-new", "NeverSeen", "never"] in [line.split()[:3] for line in (await fleet.says("node", "list")).splitlines()]

    assert await fleet.says("node", "remove", "pi-new", "--yes") == "Forgot pi-new.\n"
    assert "pi-new" not in await fleet.says("node", "list")


@pytest.mark.usefixtures("guests")
async def test_without_a_folder_the_settings_are_shown_once_and_a_new_card_gets_new_ones(fleet: Fleet) -> None:
    first = await fleet.operator.run("node", "add", "pi-card", "-l", "site=card")
    assert 'node = "pi-card"' in first.output
    assert "this once" in first.errors
    again = await fleet.operator.ask("node", "add", "pi-card", "--replace")
    assert (again["replaced"], again["labels"]) == (True, {"site": "card"})
    assert again["nats_password"] not in first.output
    assert (await fleet.operator.ask("node", "remove", "pi-card", "-y")) == {"node": "pi-card", "removed": True}


async def test_a_node_is_shown_with_its_apps(fleet: Fleet) -> None:
    await fleet.publish("shown", "1.0.0")
    await fleet.operator.roll_out("shown", "1.0.0", wait_s=60)
    view = await fleet.operator.ask("node", "show", "pi-north")
    (app,) = [each for each in view["apps"] if each["app"] == "shown"]
    assert (view["presence"], app["phase"], app["running_version"]) == ("Online", "Ready", "1.0.0")
    said = (await fleet.says("node", "show", "pi-north")).splitlines()
    assert said[0].startswith("Node     pi-north (Online, last seen ")
    assert said[1] == "Labels   canal=main,site=north"
    (row,) = [line.split() for line in said if line.startswith("shown ")]
    assert row[1:5] == ["Ready", "1.0.0", "1.0.0", "1.0.0"]


async def test_events_tell_the_story_of_a_node(fleet: Fleet) -> None:
    await fleet.publish("told", "1.0.0")
    await fleet.operator.roll_out("told", "1.0.0", selector="site=south", wait_s=60)
    await fleet.world.until_event("pi-south", "ReleaseReady", app="told")
    lines = [line.split() for line in (await fleet.says("events", "pi-south")).splitlines()]
    assert [words[1] for words in lines if words[2] == "told"] == ["ReleaseVerified", "ReleaseApplied", "ReleaseReady"]
    outcome = await fleet.operator.run("events", "pi-south", "--type", "ReleaseReady", "--limit", "1", "-o", "json")
    (event,) = [json.loads(line) for line in outcome.output.splitlines()]
    assert (event["subject"], event["data"]["version"]) == ("told", "1.0.0")


async def test_the_status_shows_apps_gates_and_nodes(fleet: Fleet) -> None:
    await fleet.publish_small("glance", "1.0.0")
    await fleet.operator.roll_out("glance", "1.0.0", wait_s=60)
    view = FleetStatus.model_validate(await fleet.operator.status())
    assert (view.nodes_online, view.sequence_gaps, view.events_quarantined) == (2, 0, 0)
    assert {node.node for node in view.nodes} == {"pi-north", "pi-south"}
    said = await fleet.says("status")
    assert said.startswith("2/2 nodes online, ")
    assert "glance" in said
    assert "glance@1.0.0 Ready" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("north ")] == [["north", "g1"]]
