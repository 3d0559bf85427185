"""What systemd says of the unit, put into the words of an update; systemctl is played by a script."""

from pathlib import Path

import pytest

from edge_agent.gate_control.update.keeper import Systemctl
from edge_agent.gate_control.update.next_step import Process
from shared.errors import Permanent


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script = tmp_path / "systemctl"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return script


def play(script: Path, text: str) -> None:
    script.write_text(f'#!/bin/sh\necho "$@" >> {script}.asked\n{text}\n')
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("state", "process"),
    [("running", Process.UP), ("start-pre", Process.UP), ("dead", Process.UP), ("auto-restart", Process.DOWN), ("failed", Process.DOWN)],
)
def test_a_unit_that_waits_for_its_next_start_is_down_and_one_between_two_jobs_is_not(
    systemctl: Path, state: str, process: Process
) -> None:
    play(systemctl, f"echo {state}")
    assert Systemctl().state() is process


def test_a_unit_that_systemd_does_not_know_is_unknown(systemctl: Path) -> None:
    play(systemctl, "exit 4")
    assert Systemctl("none.service").state() is Process.UNKNOWN


def test_a_restart_is_asked_for_and_not_waited_for(systemctl: Path) -> None:
    play(systemctl, "exit 0")
    Systemctl().restart()
    assert Path(f"{systemctl}.asked").read_text() == "restart --no-block munbon-gate.service\n"


def test_a_refused_restart_says_why(systemctl: Path) -> None:
    play(systemctl, "echo Access denied >&2; exit 1")
    with pytest.raises(Permanent, match="Access denied"):
        Systemctl().restart()


def test_without_systemd_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Permanent, match="systemctl cannot be asked"):
        Systemctl().restart()
