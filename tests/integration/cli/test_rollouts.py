"""`munbon rollout`, `rollback` and `app` against real agents: a release goes out, goes bad, goes back, is paused and is removed."""

from __future__ import annotations

import json

import pytest

from deploy.harness.apps import CRASHING, LAST_WORDS, NEVER_READY
from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_rollout_is_followed_to_its_good_end(fleet: Fleet) -> None:
    await fleet.publish("followed", "1.0.0")
    outcome = await fleet.operator.run("rollout", "start", "followed@1.0.0", "--reason", "first day", "--wait", "--timeout", "60")
    headline, heading, *rows = outcome.output.splitlines()
    assert headline.endswith("of followed@1.0.0 to all nodes: Succeeded (2/2 ready)")
    assert heading.split() == ["NODE", "PHASE", "RUNS", "REACHABLE", "SINCE", "CAUSE"]
    assert [row.split()[:4] for row in rows] == [["pi-north", "Ready", "1.0.0", "yes"], ["pi-south", "Ready", "1.0.0", "yes"]]
    told = outcome.errors.splitlines()
    assert told, "where nobody looks at a terminal, progress is one line a change"
    assert all(": Running (" in line for line in told)


async def test_a_selector_and_settings_go_along_and_json_stays_alone(fleet: Fleet) -> None:
    await fleet.publish_small("chosen", "1.0.0")
    outcome = await fleet.operator.run(
        "rollout", "start", "chosen@1.0.0", "-l", "site=south", "--set", "pool=p1", "--wait", "--timeout", "60", "-o", "json"
    )
    view = outcome.json()
    assert outcome.errors == ""
    assert (view["phase"], view["selector"], [node["node"] for node in view["nodes"]]) == ("Succeeded", "site=south", ["pi-south"])
    (standing,) = await fleet.operator.ask("app", "list", "chosen")
    assert (standing["settings"], standing["nodes"], standing["version"]) == ({"pool": "p1"}, 1, "1.0.0")
    assert "chosen  site=south  present  1.0.0" in await fleet.says("app", "list", "chosen")


async def test_without_wait_the_rollout_is_named_and_can_be_followed_later(fleet: Fleet) -> None:
    await fleet.publish_small("later", "1.0.0")
    outcome = await fleet.operator.run("rollout", "start", "later@1.0.0")
    rollout_id = outcome.output.split()[1]
    assert f"Follow it with: munbon rollout wait {rollout_id}" in outcome.errors
    assert "Succeeded (2/2 ready)" in await fleet.says("rollout", "wait", rollout_id, "--timeout", "60")
    assert (await fleet.operator.ask("rollout", "show", rollout_id))["ready"] == 2
    assert "pi-south  Ready" in await fleet.says("rollout", "show", rollout_id)


async def test_a_bad_release_ends_with_7_and_names_the_cause_then_the_app_goes_back(fleet: Fleet) -> None:
    await fleet.publish("back", "1.0.0", "1.1.0")
    await fleet.publish("back", "1.2.0", behaviour=CRASHING)
    for version in ("1.0.0", "1.1.0"):
        await fleet.operator.roll_out("back", version, wait_s=60)
    failed = await fleet.operator.try_run("rollout", "start", "back@1.2.0", "--wait", "--timeout", "60")
    assert failed.exit_code == 7
    assert f"exit code 3: {LAST_WORDS}" in failed.output
    assert "2 of 2 failed: pi-north (CrashLoopBackOff), pi-south (CrashLoopBackOff)" in failed.errors.splitlines()[-1]

    back = await fleet.operator.ask("rollback", "back", "--wait", "--timeout", "60")
    assert (back["kind"], back["version"], back["phase"]) == ("rollback", "1.1.0", "Succeeded")
    further = await fleet.says("rollback", "back", "--to", "1.0.0", "--reason", "try the old one", "--wait", "--timeout", "60")
    assert "of back@1.0.0 to all nodes: Succeeded (2/2 ready)" in further
    assert further.startswith("Rollback ")

    history = await fleet.operator.ask("rollout", "history", "back")
    assert [(each["version"], each["kind"], each["phase"]) for each in history] == [
        ("1.0.0", "rollback", "Succeeded"),
        ("1.1.0", "rollback", "Succeeded"),
        ("1.2.0", "rollout", "Failed"),
        ("1.1.0", "rollout", "Succeeded"),
        ("1.0.0", "rollout", "Succeeded"),
    ]
    heading, newest, *_ = (await fleet.says("rollout", "history", "back")).splitlines()
    assert heading.split() == ["ID", "VERSION", "FROM", "KIND", "SELECTOR", "PHASE", "READY", "AGE", "BY", "REASON"]
    assert newest.split()[1:7] == ["1.0.0", "1.1.0", "rollback", "(all)", "Succeeded", "2/2"]
    assert newest.endswith("dev-operator  try the old one")


async def test_a_rollback_of_several_assignments_waits_for_each(fleet: Fleet) -> None:
    await fleet.publish("several", "1.0.0")
    await fleet.publish("several", "1.1.0")
    for site in ("north", "south"):
        for version in ("1.0.0", "1.1.0"):
            await fleet.operator.roll_out("several", version, selector=f"site={site}", wait_s=60)
    said = await fleet.says("rollback", "several", "--wait", "--timeout", "60")
    assert said.count("of several@1.0.0 to site=") == 2
    assert said.count("Succeeded (1/1 ready)") == 2


async def test_time_over_is_8_and_the_rollout_goes_on(fleet: Fleet) -> None:
    await fleet.publish("slow", "1.0.0", behaviour=NEVER_READY)
    outcome = await fleet.operator.try_run("rollout", "start", "slow@1.0.0", "-l", "site=south", "--wait", "--timeout", "1", "-o", "json")
    assert outcome.exit_code == 8
    view, error = outcome.json(), json.loads(outcome.errors)["error"]
    assert view["phase"] == "Running"
    assert (error["exit_code"], error["code"], error["remedy"]) == (8, "TimedOut", f"munbon rollout wait {view['rollout_id']}")
    assert (await fleet.central.get(f"rollouts/{view['rollout_id']}"))["phase"] == "Running"


async def test_an_app_is_paused_resumed_and_removed(fleet: Fleet) -> None:
    await fleet.publish("stopped", "1.0.0")
    await fleet.operator.roll_out("stopped", "1.0.0", wait_s=60)
    paused = await fleet.operator.run("app", "pause", "stopped", "--reason", "maintenance")
    assert paused.output.splitlines()[1].split()[2] == "paused"
    assert "Nodes follow as they are reached" in paused.errors
    await fleet.world.until_phase("pi-north", "stopped", "Paused")
    (resumed,) = await fleet.operator.ask("app", "resume", "stopped")
    assert resumed["state"] == "present"
    await fleet.world.until_phase("pi-north", "stopped", "Ready")

    (partly,) = await fleet.operator.ask("app", "pause", "stopped", "-l", "site=north")
    assert (partly["state"], partly["paused_selectors"]) == ("present", ["site=north"])
    assert "present, paused for site=north" in await fleet.says("app", "list", "stopped")
    assert "paused for" not in await fleet.says("app", "resume", "stopped")

    (removed,) = await fleet.operator.ask("app", "remove", "stopped", "--yes")
    assert removed["state"] == "absent"
    north = fleet.world["pi-north"].cluster

    async def is_gone() -> bool:
        return await north.find("Deployment", "stopped") is None

    await fleet.world.until(is_gone, what="the app's objects are deleted")
    assert "absent" in await fleet.says("app", "remove", "stopped", "--yes")
