"""A gate process on real Modbus TCP is looked back at: its scans decided again with no difference, and explained in words."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from shared.contracts.gate_plan import UpstreamLevelObjective
from tests.fakes.gate import make_plan
from tests.integration.gate.conftest import Bench, until


async def munbon_gate(bench: Bench, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent.gate_control.main", *words, "--config", str(bench.folder / "site.yaml")]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)


async def test_what_it_did_is_decided_again_without_a_difference_and_explained(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.1), generation=3))).ok
    await until(lambda: bench.gate()["moving"] is True, what="the gate moves")
    await until(lambda: bench.gate()["moving"] is False, what="the gate rests")
    assert (await bench.ask("act", gate="g1", verb="mode", params={"mode": "manual"})).ok
    await until(lambda: bench.gate()["mode"] in ("MANUAL", "HOLD"), what="manual")
    assert (await bench.ask("act", gate="g1", verb="reset_trip", note="just to see")).code == "NothingToDo"
    scans = bench.status()["scan"]
    await bench.end()

    replayed = await munbon_gate(bench, "replay", "-o", "json")
    explained = await munbon_gate(bench, "explain", "g1")
    unknown = await munbon_gate(bench, "explain", "g9")

    shown = json.loads(replayed.stdout)
    assert (replayed.returncode, shown["differences"], shown["unreadable"]) == (0, [], [])
    assert shown["scans"] >= scans
    assert explained.returncode == 0
    assert "because" in explained.stdout
    assert "last command: g1 move" in explained.stdout
    asked = next(line for line in explained.stdout.splitlines() if "asked" in line and "reset_trip" in line)
    assert "from console: just to see, refused (NothingToDo): gate g1: the gate is not tripped" in asked
    assert (unknown.returncode, "it has g1" in unknown.stderr) == (2, True)
