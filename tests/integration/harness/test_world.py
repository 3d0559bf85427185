"""A fleet on one machine: it comes up, and nothing of it is left, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.harness.processes import WaitedTooLong, wait_until
from deploy.harness.world import NodePlan, open_world

ROOT = Path(__file__).resolve().parents[3]
PLAN = NodePlan(has_gate=True, starts_agent=False)
OPENS_A_WORLD = """
import asyncio, pathlib, sys
from deploy.harness.world import NodePlan, open_world

async def main():
    async with open_world(pathlib.Path(sys.argv[1]), {"pi-north": NodePlan(has_gate=True, starts_agent=False)}):
        print("open", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def users_of(folder: Path) -> list[str]:
    """Command lines that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
            except OSError:
                continue
            if str(folder) in words:
                found.append(words)
    return found


async def test_a_world_has_what_its_plan_says_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    async with open_world(folder, {"pi-north": PLAN}) as world:
        node = world["pi-north"]
        assert (await node.view()).presence == "NeverSeen"
        assert node.gate is not None
        assert (await node.gate.status()).site == "pi-north"
        assert await node.cluster.kube_system_uid()
        assert users_of(folder)
    await wait_until(lambda: not users_of(folder), timeout_s=20, what="nothing is left")


async def test_a_story_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    with pytest.raises(ZeroDivisionError):
        async with open_world(folder, {"pi-north": PLAN}):
            raise ZeroDivisionError
    await wait_until(lambda: not users_of(folder), timeout_s=20, what="nothing is left")


async def test_a_run_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        OPENS_A_WORLD,
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert run.stdout is not None
    assert await asyncio.wait_for(run.stdout.readline(), 90) == b"open\n"
    assert any("nats-server" in each for each in users_of(folder))

    os.kill(run.pid, signal.SIGKILL)
    await run.wait()

    await wait_until(lambda: not users_of(folder), timeout_s=20, what="nothing is left")


async def test_a_wait_in_vain_tells_how_every_node_stands(tmp_path: Path) -> None:
    async with open_world(tmp_path / "world", {"pi-north": NodePlan(starts_agent=False)}) as world:
        with pytest.raises(WaitedTooLong) as told:
            await world.until_online("pi-north", timeout_s=0.5)
    assert "pi-north: NeverSeen" in str(told.value)
