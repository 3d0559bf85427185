"""What the benches read of processes, and how they let a program run as on a node."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.harness.processes import Child, ProcessFailed
from deploy.local_cluster import preflight
from tests.bench import device, fleet
from tests.bench.result import NotHere


def test_the_memory_of_a_process_is_read_in_mib() -> None:
    found = device.memory_mib(os.getpid())
    assert 5 < found["Pss"] <= found["Rss"] < 2_000


def test_a_program_runs_in_the_nodes_environment_with_its_units_variables_and_none_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    shown = "import os, sys; print(os.environ.get('PYTHONPATH'), os.environ['MALLOC_ARENA_MAX'], sys.flags.safe_path)"
    child = Child("agent", ["env", "/venv/bin/munbon-agent", "-c", shown], log=tmp_path / "log")
    device.run_on(child, "munbon-agent", "edge_agent.main", Path(sys.executable))
    assert child.command[-4:] == ["-m", "edge_agent.main", "-c", shown]
    run = [word for word in child.command if word not in ("-m", "edge_agent.main")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.split() == ["None", "1", "True"]


def test_a_program_has_the_priority_of_its_unit_where_that_may_be_given() -> None:
    assert device.unit_values("munbon-gate", "Nice") == ["-10"]
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert device.prefer_as_unit(child.pid, "munbon-gate") == os.getpriority(os.PRIO_PROCESS, child.pid)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) in (-10, os.getpriority(os.PRIO_PROCESS, 0))
    finally:
        child.communicate(b"")


async def test_an_environment_that_cannot_be_made_is_said_and_this_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_index(_lock: Path, _folder: Path) -> None:
        raise ProcessFailed("ended with 1: no package index")

    monkeypatch.setenv("MUNBON_CACHE", str(tmp_path))
    monkeypatch.setattr(device, "_install", no_index)
    interpreter, words = await device.node_python("agent")
    assert interpreter.exists()
    assert "all extras" in words
    assert "no package index" in words


def test_a_machine_without_a_real_cluster_gives_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "best_kind", lambda: ("memory", "no Go"))
    with pytest.raises(NotHere, match="no Go"):
        fleet.best_real_cluster()


def test_percentiles_and_medians_of_few_runs() -> None:
    assert fleet.p99([0.5]) == 0.5
    assert fleet.p99([float(number) for number in range(101)]) == 99.0
