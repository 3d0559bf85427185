"""`python -m deploy.demo [--cluster auto] [--keep]`; exit code 0 only if every step held."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from deploy.demo.k3s import own_cluster
from deploy.demo.kinds import WORDS, Choice, choose
from deploy.demo.screen import Screen
from deploy.demo.story import APP, NORTH, SOUTH, Story
from deploy.harness.world import NodePlan, World, open_world
from shared.errors import MunbonError

_WIDTH_WITHOUT_TERMINAL = 140


def main() -> int:
    """Tell the story."""
    parser = argparse.ArgumentParser(prog="make demo", description="The whole chain on this machine, told step by step.")
    parser.add_argument("--cluster", default="auto", help="auto, full, control_plane, memory, or k3s (your own, only when asked for)")
    parser.add_argument("--keep", action="store_true", help="leave everything running afterwards, and print commands to try")
    options = parser.parse_args()
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL, soft_wrap=True)
    try:
        choice = choose(options.cluster)
        return asyncio.run(_run(console, choice, keep=options.keep))
    except MunbonError as error:
        console.print(f"[red]{error}[/]")
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Stopped; everything that the demo had started is gone.")
        return 130


async def _run(console: Console, choice: Choice, *, keep: bool) -> int:
    console.print(f"Cluster: {choice.kind} - {WORDS[choice.kind]}.{f' Better: {choice.better}' if choice.better else ''}", markup=False)
    console.print("Starting central, two nodes, two gates on a simulated canal ...")
    screen = Screen(console)
    started_s = screen.clock.monotonic_s()
    with tempfile.TemporaryDirectory(prefix="munbon-demo-", ignore_cleanup_errors=True) as folder:
        async with open_world(Path(folder)) as world:
            await asyncio.gather(
                world.add_node(NORTH, _plan(choice, "north")),
                world.add_node(SOUTH, _plan(choice, "south")),
            )
            console.print(f"Everything runs after {screen.clock.monotonic_s() - started_s:.1f} s.")
            story = Story(world, screen)
            async with screen.watching(world):
                held = await story.tell()
            console.print(screen.closing_table())
            console.print(f"{'Every step held' if held else 'A step did NOT hold'}; {screen.clock.monotonic_s() - started_s:.0f} s in all.")
            if not held:
                _show_logs(console, world)
            if keep:
                await _stay(console, world)
            if choice.kind == "k3s":
                await _clean_up(world)
    return 0 if held else 1


def _plan(choice: Choice, site: str) -> NodePlan:
    plan = NodePlan(cluster=choice.kind, labels={"canal": "main", "site": site}, has_gate=True, site=site, heartbeat_s=1.0)
    if choice.kind != "k3s":
        return plan
    return replace(plan, own_cluster=own_cluster) if site == "north" else replace(plan, cluster="memory")


async def _clean_up(world: World) -> None:
    """Leave nothing of the demo in a K3s that is not ours."""
    await world.operator.ask("app", "remove", APP, "--yes")
    await world.until_phase(NORTH, APP, "Removed")


def _show_logs(console: Console, world: World) -> None:
    for node in world.nodes.values():
        console.print(f"--- end of the log of the agent on {node.name}\n{node.agent.process.log_tail(30)}", markup=False)


async def _stay(console: Console, world: World) -> None:
    config = world.operator.config_file
    north = world[NORTH]
    lines = [
        "",
        "It goes on running until you press Ctrl-C. In another terminal:",
        f"  export MUNBON_CONFIG={config} PATH={Path(sys.executable).parent}:$PATH",
        "  munbon status --watch",
        f"  munbon node show {NORTH}",
        f"  munbon events {NORTH} --follow",
        "  munbon gate show north",
        "  munbon gate plan set north --level g1=2.05",
        "  munbon rollback gate-ui --wait",
        f"  munbon-gate status --config {north.gate.config_file if north.gate else ''}",
        f"  munbon-agent status --config {north.agent.config_file}",
        f"  kubectl --kubeconfig {north.cluster.kubeconfig} get deployments,pods,services",
        f"Logs: {world.folder}",
    ]
    console.print("\n".join(lines), markup=False)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
