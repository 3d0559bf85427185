"""Runs a cluster in a process of its own, which a test may kill at will."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local_cluster import cgroups, records
from deploy.local_cluster.records import Record

ROOT = Path(__file__).parents[3]
READY_S = 150.0
HOLD = """
import asyncio
from deploy.local_cluster import control_plane, full_node

async def hold():
    async with {call} as cluster:
        print(cluster.instance, flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


@asynccontextmanager
async def held_cluster(call: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Record]]:
    """The process that holds `call`'s cluster, and its record as it was when the cluster was ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD.format(call=call), cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_S):
            while line := (await process.stdout.readline()).decode():
                found = [each for each in records.read_records() if each.instance == line.strip()]
                if found:
                    break
        assert line, "the cluster did not start"
        yield process, found[0]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(condition: object, what: str, timeout_s: float = 60.0) -> None:
    """Wait for a condition to hold; a callable that gives a truth."""
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.05)
    assert condition(), what


def all_gone(record: Record) -> bool:
    """Whether no process of a cluster runs, in its record or in its control groups."""
    return not any(records.is_alive(each) for each in record.processes) and not (record.cgroup and cgroups.processes(record.cgroup))
