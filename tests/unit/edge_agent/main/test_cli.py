"""What people on the node see of the agent."""

import json
from pathlib import Path
from typing import Any

import pytest

from edge_agent.main.cli import run_command, status_text
from edge_agent.main.control import ControlServer, ask_agent
from edge_agent.main.settings import load_agent_settings
from shared.contracts.desired import AppDesired
from shared.contracts.event import Cause
from shared.contracts.status import AppPhase, AppStatus, ClusterSummary, NodeStatus, SiteSummary
from shared.errors import Retryable
from tests.builders_agent import TRUST, target
from tests.fakes.fake_clock import START

TOML = """
node = "pi-north"
state_dir = "state"
trust_root = "trust-root.json"
kubeconfig = "k3s.yaml"
[nats]
urls = ["nats://127.0.0.1:4222"]
password = "secret-word"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(TOML)
    (tmp_path / "trust-root.json").write_text(TRUST.model_dump_json())
    return path


def test_a_good_configuration_is_checked_and_its_paths_start_at_its_folder(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "--config", str(config)]) == 0
    assert "node pi-north, 1 bus address(es), 2 trusted key(s): good" in capsys.readouterr().out
    assert load_agent_settings(config).state_dir == config.parent / "state"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("pi-north", "Pi North"), "node"),
        (lambda text: text.replace("urls", "addresses"), "nats.urls"),
        (lambda text: text + "colour = 1\n", "nats.colour"),
        (lambda text: text.replace('"state"', "state"), "not valid TOML"),
        (lambda text: text.replace("trust-root.json", "elsewhere.json"), "trust root is missing"),
    ],
)
def test_bad_input_is_named_and_ends_with_2(config: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str) -> None:
    config.write_text(change(TOML))

    assert run_command(["check", "--config", str(config)]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors
    assert "secret-word" not in errors


def test_a_missing_configuration_and_a_broken_trust_root_end_with_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["run", "--config", str(config.with_name("absent.toml"))]) == 2
    (config.parent / "trust-root.json").write_text("{}")
    assert run_command(["run", "--config", str(config)]) == 2
    assert "trust root is not valid" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "pause", "resume"])
def test_no_running_agent_ends_with_5_and_says_what_to_do(config: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    (config.parent / "state").mkdir()
    assert run_command([command, "--config", str(config)]) == 5
    assert "systemctl status munbon-agent" in capsys.readouterr().err


async def test_the_socket_works_in_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("very-long-name-" * 10)
    folder.mkdir()
    server = ControlServer(folder, {"status": lambda: {"answer": 42}, "pause": _refuse})
    await server.start()

    assert await _ask(folder, "status") == {"answer": 42}
    for operation in ("pause", "nonsense"):
        with pytest.raises(Retryable):
            await _ask(folder, operation)
    assert (folder / "agent.sock").stat().st_mode & 0o777 == 0o600
    await server.stop()
    assert not (folder / "agent.sock").exists()


def _refuse() -> dict[str, Any]:
    raise Retryable("no space left")


async def _ask(folder: Path, operation: str) -> dict[str, Any]:
    import asyncio

    return await asyncio.to_thread(ask_agent, folder, operation)


def test_the_status_shows_at_a_glance_what_matters() -> None:
    app = AppStatus(
        phase=AppPhase.ROLLED_BACK,
        desired=AppDesired(release=target("1.1.0").ref),
        running_version="1.0.0",
        last_good_version="1.0.0",
        cause=Cause(code="CrashLoopBackOff", message="container web, exit code 3"),
        since=START,
    )
    status = NodeStatus(
        node="pi-north",
        outboxid="outbox-1",
        revision=1,
        at=START,
        boot_id="b",
        agent_version="0.1.0",
        desired_epoch=1,
        desired_generation=7,
        apps={"web": app},
        cluster=ClusterSummary(message="no answer"),
        site=SiteSummary(site="north", reachable=True, plan_generation=4, hold=True, hold_reasons=("gate g1 is moving",)),
        outbox_rows=3,
        messages=("web: no space left",),
    )

    text = status_text(
        {"status": json.loads(status.model_dump_json()), "bus": {"connected": False, "problem": "refused"}, "uptime_s": 12.0}
    )

    for said in (
        "not connected: refused; 3 event(s) wait",
        "epoch 1, generation 7",
        "unknown, not reachable: no answer",
        "north, plan 4, holds updates: gate g1 is moving",
        "web: no space left",
        "CrashLoopBackOff: container web, exit code 3",
    ):
        assert said in text
    assert text.splitlines()[-1].split()[:4] == ["web", "RolledBack", "1.0.0", "1.0.0"]
