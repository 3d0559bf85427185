"""Nothing stays behind: after an error, after Ctrl-C, after kill -9."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from deploy.local_cluster import cleanup, control_plane, records
from deploy.local_cluster.records import Record
from tests.integration.local_cluster.killed_runs import all_gone, held_cluster, until

pytestmark = pytest.mark.control_plane


async def test_a_failed_test_leaves_nothing() -> None:
    made: list[Record] = []

    async def fail_inside() -> None:
        async with control_plane() as cluster:
            made.extend(each for each in records.read_records() if each.instance == cluster.instance)
            raise RuntimeError("the test failed")

    with pytest.raises(RuntimeError, match="the test failed"):
        await fail_inside()
    (record,) = made
    assert cleanup.leftovers(record) == []
    assert not record.path.exists()


async def test_ctrl_c_leaves_nothing() -> None:
    async with held_cluster("control_plane()") as (process, record):
        process.send_signal(signal.SIGINT)
        await process.wait()
    assert cleanup.leftovers(record) == []
    assert not record.path.exists()


async def test_kill_9_ends_the_processes_and_the_next_start_removes_the_rest() -> None:
    async with held_cluster("control_plane()") as (process, record):
        process.kill()
        await process.wait()
        await until(lambda: all_gone(record), "its processes end with it")
    assert Path(record.state_dir).exists()
    async with control_plane():
        assert not Path(record.state_dir).exists()
        assert not record.path.exists()


async def test_cleaning_up_leaves_the_clusters_of_living_runs_alone() -> None:
    async with held_cluster("control_plane()") as (process, record), control_plane() as own:
        assert record.instance not in cleanup.clean_up_stale()
        assert process.returncode is None
        assert Path(record.state_dir).exists()
        assert await own.kube_system_uid()
