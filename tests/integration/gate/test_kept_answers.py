"""What was answered is in the state file and in the journal, and an alarm is never in the state before the journal tells of it.

Looked at when the state file is replaced and when an answer arrives; between two such moments the disk does not change.
"""

import json
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.journal import state_file
from edge_agent.gate_control.journal.writer import Journal
from edge_agent.gate_control.simulation.device_faults import DeviceFault
from shared.clock import SystemClock
from shared.durable_file import write_atomic
from tests.integration.gate.conftest import Bench, until

SHOWN = ("unacknowledged", "acknowledged")


class SlowDisk:
    """Journal and state file wait for it, each for a time of its own."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.complaints: list[str] = []
        self.states = 0
        self._write = write_atomic

    def connect(self, path: Path) -> sqlite3.Connection:
        disk = self

        class Slow(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    time.sleep(disk.random.choice((0.0, 0.0, 0.03, 0.1)))
                return super().execute(sql, *values)

        return sqlite3.connect(path, timeout=5.0, check_same_thread=False, isolation_level=None, factory=Slow)

    def write_state(self, path: Path, content: bytes, **options: Any) -> None:
        told = {f"{record['gate'] or 'site'}/{record['data']['alarm']}" for record in self.records("alarm_raised")}
        alarms = json.loads(content.split(b"\n")[0])["state"]["alarms"]
        untold = {key for key, alarm in alarms.items() if alarm["phase"] in SHOWN} - told
        self.complaints += [f"{key} is in the state and not in the journal" for key in sorted(untold)]
        self.states += 1
        time.sleep(self.random.choice((0.0, 0.05)))
        self._write(path, content, **options)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """On the disk now."""
        connection = sqlite3.connect(self.folder / "gate.sqlite", timeout=5.0)
        try:
            found = [json.loads(text) for (text,) in connection.execute("SELECT record FROM journal ORDER BY cursor")]
        finally:
            connection.close()
        return [record for record in found if record["kind"] == kind]

    def modes(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "gate-state.json").read_bytes().split(b"\n")[0])["state"]["modes"]["g1"]
        return found


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_answers_are_kept_in_both_and_alarms_first_in_the_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    folder = bench.folder / "state"
    folder.mkdir()
    disk = SlowDisk(seed, folder)
    monkeypatch.setattr(state_file, "write_atomic", disk.write_state)
    await bench.start(Journal(folder / "gate.sqlite", SystemClock(), connect=disk.connect))
    asked: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("mode", {"params": {"mode": "manual"}}, {"control": "manual"}),
        ("tag", {"note": "diver"}, {"tags": 1}),
        ("mode", {"params": {"mode": "manual"}}, {"tags": 1}),
        ("stop", {}, {"stopped_by": True}),
        ("service", {"params": {"service": "out"}}, {"in_service": False}),
    ]
    for number, (verb, more, expected) in enumerate(asked):
        if number == 2:
            bench.site.set_fault("g1", DeviceFault.SILENT, on=True)
        reply = await bench.ask("act", gate="g1", verb=verb, **more)
        kept, told = disk.modes(), disk.records("command_accepted")
        if reply.ok:
            assert {name: _short(kept[name], value) for name, value in expected.items()} == expected
            assert reply.data["id"] in [record["data"]["id"] for record in told]
    await until(lambda: any("actuator_silent" in key for key in bench.gate()["alarms"]), what="the alarm")
    await until(lambda: disk.states > 8, what="states on the disk")
    assert disk.complaints == []


def _short(value: Any, like: Any) -> Any:
    return len(value) if isinstance(value, list) else bool(value) if isinstance(like, bool) else value
