"""A cluster that stays while a person works with it: held by a process of its own, until `down`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from deploy.local_cluster import records
from deploy.local_cluster.build import say
from deploy.local_cluster.control_plane import control_plane
from deploy.local_cluster.fake_kubelet import FakeKubelet
from deploy.local_cluster.folders import cache_folder
from deploy.local_cluster.full_node import full_node
from deploy.local_cluster.handle import ClusterHandle
from deploy.local_cluster.preflight import CannotRun, best_kind, check_node_name
from deploy.local_cluster.records import Record

_READY = "ready: export KUBECONFIG="
_UP_S = 1800.0
_DOWN_S = 60.0
_POLL_S = 0.1


async def hold(kind: str, name: str) -> int:
    """Run one cluster until SIGTERM or Ctrl-C; on a control plane a fake kubelet plays the node.

    Raises:
        CannotRun: this machine can run neither.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        cluster = await _start(kind, name, stack)
        say(f"{cluster.kind} {name} {_READY}{cluster.kubeconfig}")
        await ended.wait()
    return 0


def bring_up(kind: str, name: str) -> int:
    """Start `hold` in the background and wait until it is ready; returns the exit code."""
    check_node_name(name)
    log = cache_folder() / "run" / f"up-{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local_cluster", "hold", "--kind", kind, "--name", name],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    shown, until_s = 0, time.monotonic() + _UP_S
    while time.monotonic() < until_s:
        running = process.poll() is None
        lines = log.read_text().splitlines()
        for line in lines[shown:]:
            print(line, flush=True)
        shown = len(lines)
        if any(_READY in line for line in lines):
            return 0
        if not running:
            return process.returncode or 1
        time.sleep(_POLL_S)
    process.terminate()
    say(f"not ready within {_UP_S:.0f} s; see {log}")
    return 1


def take_down(name: str | None) -> int:
    """End what `up` and `hold` started, never a test run's; returns the exit code."""
    held = [record for record in records.read_records() if _is_held(record) and name in {None, record.name}]
    if not held:
        say("nothing to end" if name is None else f"no cluster {name} to end; `status` shows what runs")
        return 0
    for record in held:
        os.kill(record.owner.pid, signal.SIGTERM)
    until_s = time.monotonic() + _DOWN_S
    while any(records.is_alive(record.owner) for record in held) and time.monotonic() < until_s:
        time.sleep(_POLL_S)
    left = [record.instance for record in held if record.path.exists()]
    say(f"still there: {', '.join(left)}" if left else f"ended {', '.join(record.instance for record in held)}")
    return 1 if left else 0


async def _start(kind: str, name: str, stack: AsyncExitStack) -> ClusterHandle:
    best, reason = best_kind()
    if kind == "auto" and best == "memory":
        raise CannotRun(reason, subject="local cluster")
    if kind == "auto" and reason:
        say(reason)
    if kind == "full" or (kind == "auto" and best == "full"):
        return await stack.enter_async_context(full_node(name))
    cluster = await stack.enter_async_context(control_plane(name=name))
    client = await stack.enter_async_context(cluster.client())
    await stack.enter_async_context(FakeKubelet(client, name, serves_logs=True))
    return cluster


def _is_held(record: Record) -> bool:
    try:
        command = Path(f"/proc/{record.owner.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return record.owner_lives() and b"deploy.local_cluster" in command and b"hold" in command
