"""The real program, with neither bus nor cluster: it starts, answers, and stops cleanly."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders_agent import TRUST

TOML = """
node = "pi-north"
state_dir = "state"
trust_root = "trust-root.json"
kubeconfig = "absent.yaml"
heartbeat_s = 0.5
[nats]
urls = ["nats://127.0.0.1:1"]
"""
PROGRAM = [sys.executable, "-m", "edge_agent.main"]


class Program:
    """`munbon-agent` over one folder, with a socket in the place of systemd's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.toml"
        self.config.write_text(TOML)
        (folder / "trust-root.json").write_text(TRUST.model_dump_json())
        self.notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notices.bind(f"\0munbon-test-{os.getpid()}-{id(self)}")
        self.notices.settimeout(30)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        address = self.notices.getsockname().decode().replace("\0", "@")
        self.process = subprocess.Popen(
            [*PROGRAM, "run", "--config", str(self.config)],
            env={**os.environ, "NOTIFY_SOCKET": address},
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def wait_notice(self, word: str) -> str:
        while True:
            notice = self.notices.recv(4_096).decode()
            if word in notice:
                return notice

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*PROGRAM, *words, "--config", str(self.config)], capture_output=True, text=True, timeout=60)

    def stop(self) -> None:
        if self.process is not None:
            with self.process:
                self.process.kill()
        self.notices.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path)
    yield made
    made.stop()


def test_it_runs_answers_and_stops_without_bus_and_cluster(program: Program) -> None:
    process = program.start()
    program.wait_notice("READY=1")
    assert "no bus, no K3s" in program.wait_notice("WATCHDOG=1")

    shown = program.ask("status", "-o", "json")
    data = json.loads(shown.stdout)
    assert (shown.returncode, data["status"]["node"], data["bus"]["connected"]) == (0, "pi-north", False)
    assert data["status"]["messages"] == ["no desired state was received yet"]
    assert "pi-north" in program.ask("status").stdout
    assert program.ask("pause").stdout == "pi-north is paused: it receives and reports, applies and heals nothing\n"
    assert json.loads(program.ask("status", "-o", "json").stdout)["status"]["paused_locally"]

    second = program.ask("run")
    assert second.returncode == 2
    assert "another agent runs on this folder" in second.stderr

    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - began_s < 20
    assert "Traceback" not in log
    assert program.ask("status").returncode == 5


def test_a_file_that_is_damaged_while_in_use_is_begun_anew_without_a_restart(program: Program) -> None:
    process = program.start()
    program.wait_notice("WATCHDOG=1")
    state = program.folder / "state"
    writer = sqlite3.connect(state / "state.sqlite")
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.close()
    (state / "state.sqlite.suspect").touch()
    with (state / "state.sqlite").open("r+b") as file:
        file.write(b"\xff" * 100_000)
    program.ask("pause")

    program.wait_notice("READY=1")
    assert (state / "state.sqlite.corrupt-1").exists()
    assert process.poll() is None
    assert program.ask("resume").returncode == 0


def test_a_kill_at_any_moment_is_survived(program: Program) -> None:
    for _ in range(3):
        process = program.start()
        program.wait_notice("READY=1")
        process.kill()
        process.communicate()

    program.start()
    program.wait_notice("READY=1")
    events = json.loads(program.ask("status", "-o", "json").stdout)["status"]["outbox_rows"]

    assert events == 4
