"""`nats.url`: central uses a nats-server of somebody else, with the accounts of deploy/nats and the users that central writes down."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from central.bus.process import find_binary
from deploy.harness.agent import AgentOptions, RunningAgent
from deploy.harness.central import CentralHandle, init_central, reaper
from deploy.harness.clusters import open_cluster
from deploy.harness.operator import Operator
from deploy.harness.processes import Child, free_port, program, run_program
from deploy.local_cluster.in_memory import InMemoryServer
from deploy.nats.__main__ import FOLDER, example
from shared.clock import SystemClock
from shared.contracts.event import EventType, wire_type

pytestmark = pytest.mark.nats

PASSWORD = "the-owner-of-the-server-chose-it"
MANIFEST = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "greeting"}, "data": {"text": "hello"}}


@dataclass
class OwnNats:
    """A nats-server as its owner would run it: example.conf, with the accounts taken from the file that central keeps."""

    folder: Path
    accounts: Path
    port: int
    process: Child

    @classmethod
    def prepare(cls, folder: Path, accounts: Path, port: int) -> OwnNats:
        folder.mkdir()
        before, rest = example().split("accounts: {", 1)
        # nats-server takes the path of an included file from the folder of the one that includes it, also a path that begins with /
        text = f'{before}include "{os.path.relpath(accounts, folder)}"\n{rest[rest.index("system_account") :]}'.replace(FOLDER, str(folder))
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{port}").replace("127.0.0.1:8222", f"127.0.0.1:{free_port()}")
        (folder / "nats-server.conf").write_text(text)
        command = [str(find_binary()), "-c", str(folder / "nats-server.conf")]
        return cls(folder, accounts, port, Child("nats-server", command, log=folder / "output.log"))

    def reload(self) -> None:
        """As the owner does after each change of users."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGHUP)

    async def wait_reloads(self, count: int) -> None:
        log = self.folder / "nats-server.log"
        await self.process.wait_until(
            lambda: log.exists() and log.read_text().count("Reloaded server configuration") >= count, timeout_s=30, what="users read anew"
        )


@asynccontextmanager
async def central_on(folder: Path, *, password: str = PASSWORD) -> AsyncIterator[tuple[CentralHandle, OwnNats]]:
    """Central with `nats.url`, started, and a nats-server that is not started yet."""
    state_dir = (folder / "central").absolute()
    async with reaper(folder), AsyncExitStack() as stack:
        port, _ = await init_central(state_dir)
        nats = OwnNats.prepare(folder / "nats", state_dir / "nats" / "accounts.json", free_port())
        url = f"nats://127.0.0.1:{nats.port}"
        config = state_dir / "central.toml"
        lines = [line for line in config.read_text().splitlines() if not line.startswith(("url =", "password ="))]
        config.write_text("\n".join([*lines, f"url = {json.dumps(url)}", f"password = {json.dumps(password)}", ""]))
        command = [*program("munbon-central"), "serve", "--state-dir", str(state_dir)]
        central = CentralHandle(
            state_dir=state_dir,
            url=f"http://127.0.0.1:{port}",
            nats_url=url,
            token=(state_dir / "dev-operator" / "token").read_text().strip(),
            process=Child("munbon-central", command, log=folder / "central.log"),
        )
        stack.push_async_callback(nats.process.stop)
        stack.push_async_callback(central.close)
        await central.process.start()
        await central.process.wait_until(nats.accounts.exists, timeout_s=30, what="the users written down")
        yield central, nats


async def readiness(central: CentralHandle) -> str:
    """What `/readyz` says, as text."""
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        return (await client.get(f"{central.url}/readyz")).text


async def until(central: CentralHandle, look: Any, *, what: str, limit_s: float = 45.0) -> Any:
    """What `look` gives once it is true."""
    clock = SystemClock()
    until_s = clock.monotonic_s() + limit_s
    while True:
        try:
            found = await look()
        except httpx.TransportError:
            found = None
        if found:
            return found
        assert clock.monotonic_s() < until_s, f"not within {limit_s:g} s: {what}\n{central.process.log_tail()}"
        await clock.sleep(0.1)


async def test_a_release_goes_out_and_its_events_come_home_over_a_server_that_is_not_ours(tmp_path: Path) -> None:
    async with (
        central_on(tmp_path) as (central, nats),
        InMemoryServer() as memory,
        open_cluster("memory", "pi-1", tmp_path, memory) as cluster,
    ):
        await nats.process.start()
        await central.wait_ready()
        assert central.nats_pid == nats.process.pid or central.nats_pid is None, "central started none of its own"

        enrolment = await central.add_node("pi-1", {"canal": "north"})
        assert enrolment.nats_url == central.nats_url
        nats.reload()
        await nats.wait_reloads(1)
        agent = RunningAgent(tmp_path / "agent", enrolment, AgentOptions(cluster.kubeconfig, heartbeat_s=1.0))
        try:
            await agent.start()
            operator = Operator(tmp_path / "laptop")
            await operator.log_in(central)
            (tmp_path / "app.yaml").write_text(yaml.safe_dump(MANIFEST))
            await operator.publish(tmp_path / "app.yaml", "greeting", "1.0.0")
            rollout = await operator.roll_out("greeting", "1.0.0", selector="canal=north", wait_s=60)

            assert (rollout["phase"], rollout["ready"]) == ("Succeeded", 1)
            node = await central.get("nodes/pi-1")
            assert node["accepted_generation"] == node["desired_generation"] > 0
            wanted = wire_type(EventType.RELEASE_READY)

            async def stored() -> list[Any]:
                return [event for event in await central.get("nodes/pi-1/events", limit=1000) if event["type"] == wanted]

            [event] = await until(central, stored, what="the event stored")
            assert event["subject"] == "greeting"
            assert await cluster.find("ConfigMap", "greeting") is not None
        finally:
            await agent.stop()
        assert await central.stop() == 0
        assert nats.process.is_running, "it is not ours to stop"


async def test_the_users_written_down_are_those_of_deploy_nats_for_the_owners_eyes_only(tmp_path: Path) -> None:
    async with central_on(tmp_path) as (central, nats):
        await central.add_node("pi-1")
        accounts = json.loads(nats.accounts.read_text())["accounts"]
        shown = example()
        known = json.loads("{" + shown[shown.index("accounts: {") + len("accounts: {") : shown.index("\nsystem_account")])
        for account in ("CORE", "EDGE"):
            assert accounts[account]["exports"] == known[account]["exports"]
            assert accounts[account]["imports"] == known[account]["imports"]
        assert [user["user"] for user in accounts["EDGE"]["users"]] == ["pi-1"]
        assert accounts["EDGE"]["users"][0]["password"].startswith("$2")
        assert nats.accounts.stat().st_mode & 0o777 == 0o600
        assert "reload nats-server" in central.process.read_log()


async def test_a_server_that_is_away_is_named_and_found_when_it_comes(tmp_path: Path) -> None:
    async with central_on(tmp_path) as (central, nats):

        async def is_named() -> bool:
            return f"127.0.0.1:{nats.port}" in await readiness(central)

        await until(central, is_named, what="readyz names the address")
        assert (await central.get("whoami"))["actor"], "the API answers meanwhile"
        await nats.process.start()
        await central.wait_ready()


async def test_a_password_that_the_server_does_not_take_is_said_with_a_remedy(tmp_path: Path) -> None:
    async with central_on(tmp_path) as (central, nats):
        accounts = nats.accounts.read_text()
        assert PASSWORD in accounts
        other = tmp_path / "other.json"
        other.write_text(accounts.replace(PASSWORD, "another-password"))
        config = nats.folder / "nats-server.conf"
        config.write_text(config.read_text().replace(os.path.relpath(nats.accounts, nats.folder), os.path.relpath(other, nats.folder)))
        await nats.process.start()

        async def is_said() -> bool:
            said = await readiness(central)
            return "nats.password" in said and "central.toml" in said

        await until(central, is_said, what="readyz names the setting")
        assert central.process.is_running


async def test_an_address_without_its_password_is_refused_at_the_start(tmp_path: Path) -> None:
    state_dir = tmp_path / "central"
    await init_central(state_dir)
    code, _, errors = await run_program([*program("munbon-central"), "serve", "-d", str(state_dir), "--nats-url", "nats://127.0.0.1:1"])
    assert (code, len(errors.strip().splitlines())) == (2, 1), errors
    assert "nats.password" in errors
    assert "central.toml" in errors


@pytest.mark.parametrize("url", ["127.0.0.1:4222", "http://127.0.0.1:4222", "nats://"])
async def test_an_address_that_is_none_is_refused_at_the_start(tmp_path: Path, url: str) -> None:
    state_dir = tmp_path / "central"
    await init_central(state_dir)
    code, _, errors = await run_program(
        [*program("munbon-central"), "serve", "-d", str(state_dir), "--nats-url", url], environment={"MUNBON_CENTRAL_NATS__PASSWORD": "x"}
    )
    assert (code, len(errors.strip().splitlines())) == (2, 1), errors
    assert "nats.url" in errors
    assert "nats://HOST:4222" in errors
