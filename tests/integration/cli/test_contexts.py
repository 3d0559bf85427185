"""`munbon login` and contexts: two centrals, and a laptop on which little is as it should be."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.harness.central import CentralHandle, running_central
from deploy.harness.operator import Operator
from tests.integration.cli.conftest import Fleet

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other_central(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CentralHandle]:
    """A second central with a node of its own."""
    async with running_central(tmp_path_factory.mktemp("other"), nodes=["pi-elsewhere"], fleet="elsewhere") as central:
        yield central


@pytest.fixture
def laptop(tmp_path: Path) -> Operator:
    """An operator who has not logged in yet."""
    return Operator(tmp_path / "laptop")


async def test_two_centrals_are_told_apart_by_context(fleet: Fleet, other_central: CentralHandle, laptop: Operator) -> None:
    await laptop.log_in(fleet.central, name="here")
    words = ["--token-file", str(other_central.token_file), "--name", "there"]
    said = await laptop.run("login", other_central.url, *words)
    assert said.output.startswith(f"Logged in to {other_central.url} as dev-operator (context there, kept in {laptop.config_file})")
    assert "No signing key given" in said.errors
    assert stat.S_IMODE(laptop.config_file.stat().st_mode) == 0o600

    assert {node["node"] for node in await laptop.ask("node", "list")} == {"pi-elsewhere"}
    assert {node["node"] for node in await laptop.ask("--context", "here", "node", "list")} == {"pi-north", "pi-south"}
    assert (await laptop.run("context", "use", "here")).output == "Current context: here\n"
    assert {node["node"] for node in await laptop.ask("node", "list")} == {"pi-north", "pi-south"}
    listed = (await laptop.ask("context", "list"))["contexts"]
    assert [(each["name"], each["url"], each["current"]) for each in listed] == [
        ("here", fleet.central.url, True),
        ("there", other_central.url, False),
    ]
    _, here, there = (await laptop.run("context", "list")).output.splitlines()
    assert here.split() == ["*", "here", fleet.central.url, str(fleet.central.operator_key_file)]
    assert there.split() == ["there", other_central.url]

    path = fleet.write("keyless.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    keyless = await laptop.try_run("--context", "there", "release", "publish", str(path), "--app", "a", "--version", "1.0.0")
    assert (keyless.exit_code, "no signing key is set up" in keyless.errors) == (2, True)

    assert (await laptop.ask("context", "remove", "here")) == {"context": "here", "removed": True}
    without = await laptop.try_run("status")
    assert (without.exit_code, "not logged in" in without.errors) == (2, True)
    unknown = await laptop.try_run("--context", "here", "status")
    assert (unknown.exit_code, "known: there" in unknown.errors) == (2, True)
    assert (await laptop.try_run("context", "use", "here")).exit_code == 4


async def test_a_token_file_may_end_with_empty_lines_and_json_tells_who_one_is(fleet: Fleet, laptop: Operator, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{fleet.central.token}\r\n\n")
    who = await laptop.ask("login", f"{fleet.central.url}/", "--token-file", str(file))
    assert (who["actor"], who["context"], who["url"]) == ("dev-operator", "default", fleet.central.url)
    assert (await laptop.status())["nodes_online"] == 2


@pytest.mark.parametrize("content", ["", "first\nsecond", "in two", "geheimnisvöll"], ids=["empty", "two-lines", "space", "umlaut"])
async def test_what_can_be_no_token_is_never_sent_or_shown(fleet: Fleet, laptop: Operator, tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    outcome = await laptop.try_run("login", fleet.central.url, "--token-file", str(file))
    assert outcome.exit_code == 2
    assert "token" in outcome.errors
    assert not content or content.splitlines()[0] not in outcome.errors
    assert not laptop.config_file.exists()


@pytest.mark.parametrize("url", ["localhost:7480", "127.0.0.1", "ftp://central", "http://", "http://[::1", ""])
async def test_what_is_no_address_is_2(laptop: Operator, url: str) -> None:
    outcome = await laptop.try_run("login", url, "--token", "t")
    assert (outcome.exit_code, "write it as http://HOST:PORT" in outcome.errors) == (2, True), outcome


async def test_a_wrong_login_keeps_the_old_one(fleet: Fleet, laptop: Operator) -> None:
    await laptop.log_in(fleet.central)
    before = laptop.config_file.read_text()
    assert (await laptop.try_run("login", fleet.central.url, "--token", "wrong")).exit_code == 6
    no_key = await laptop.try_run("login", fleet.central.url, "--token-file", str(fleet.central.token_file), "--key", "no.key")
    assert (no_key.exit_code, "no.key" in no_key.errors) == (2, True)
    assert laptop.config_file.read_text() == before


async def test_the_environment_alone_will_do(fleet: Fleet, laptop: Operator) -> None:
    laptop.environment = {
        **laptop.environment,
        "MUNBON_CONFIG": "",
        "HOME": "/nonexistent",
        "MUNBON_URL": fleet.central.url,
        "MUNBON_TOKEN": fleet.central.token,
    }
    assert (await laptop.status())["nodes_online"] == 2


async def test_a_home_that_cannot_be_written_is_told(fleet: Fleet, laptop: Operator, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    laptop.environment = {**laptop.environment, "MUNBON_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": str(blocked)}
    outcome = await laptop.try_run("login", fleet.central.url, "--token-file", str(fleet.central.token_file))
    assert outcome.exit_code == 2
    assert str(blocked) in outcome.errors
    assert "set MUNBON_CONFIG to another path" in outcome.errors


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user whom nobody knows")
async def test_without_any_home_folder_the_remedy_is_named(laptop: Operator) -> None:
    from deploy.harness.processes import program, run_program

    nobody = ["env", "--unset=HOME", "--unset=XDG_CONFIG_HOME", "setpriv", "--reuid=54321", "--clear-groups"]
    code, output, errors = await run_program([*nobody, *program("munbon"), "context", "list"])
    assert (code, output) == (2, "")
    assert errors.startswith("munbon: ~/.config: nothing says where your home folder is (set HOME, or MUNBON_CONFIG to a file)")
