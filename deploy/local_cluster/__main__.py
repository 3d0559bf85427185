"""The local cluster by hand: preflight, install, build, up, down, status, clean."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from deploy.local_cluster import build, cleanup, holder, preflight, records
from deploy.local_cluster.build import say
from shared.errors import MunbonError


def main() -> int:
    """Run one command; returns the exit code. No traceback for what a person can change."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local_cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("preflight", help="what this machine can run, what it lacks, and what changes it")
    commands.add_parser("install", help="as root on Debian or Ubuntu: install the packages that full nodes need")
    commands.add_parser("build", help="build what this machine can run; kept by the hash of the sources")
    up = commands.add_parser("up", help="start a cluster that stays until `down`")
    down = commands.add_parser("down", help="end clusters that `up` started")
    commands.add_parser("status", help="all local clusters of this user, those of test runs too")
    commands.add_parser("clean", help="remove what killed runs left; each start does it too")
    hold = commands.add_parser("hold", help="as `up`, in the foreground until Ctrl-C")
    for each in (up, hold):
        each.add_argument("--kind", choices=["auto", "full", "control_plane"], default="auto")
        each.add_argument("--name", default="local", help="of the cluster and, on a full node, of the node")
    down.add_argument("name", nargs="?", help="only the one of this name")
    arguments = parser.parse_args()
    table: dict[str, Callable[[], int]] = {
        "preflight": run_preflight,
        "install": install,
        "build": run_build,
        "up": lambda: holder.bring_up(arguments.kind, arguments.name),
        "down": lambda: holder.take_down(arguments.name),
        "status": print_status,
        "clean": clean,
        "hold": lambda: asyncio.run(holder.hold(arguments.kind, arguments.name)),
    }
    try:
        return table[arguments.command]()
    except MunbonError as error:
        print(f"munbon: local cluster: {error}", file=sys.stderr)
        return error.exit_code


def run_preflight() -> int:
    """Say what can run; 1 where only the cluster in memory can."""
    kind, reason = preflight.best_kind()
    for what, title in (("full", "full node (real pods)"), ("control_plane", "control plane (fake kubelet)")):
        found = preflight.lacks("full" if what == "full" else "control_plane")
        say(f"{title}: {'can run' if not found else 'cannot run: ' + preflight.in_words(found)}")
    if kind == "memory":
        say(f"only the cluster in memory can run here; {reason}")
    return 1 if kind == "memory" else 0


def run_build() -> int:
    """Build what can run here; where nothing can, say so: the cluster in memory needs no build."""
    kind, reason = preflight.best_kind()
    if reason:
        say(reason)
    if kind == "memory":
        return 0
    folder = build.ensure_built("control_plane")
    if kind == "full":
        build.ensure_built("full")
    say(f"ready in {folder}")
    return 0


def install() -> int:
    """Install the packages of full nodes with apt-get."""
    line = f"apt-get install {' '.join(preflight.PACKAGES)}"
    if shutil.which("apt-get") is None:
        raise preflight.CannotRun("no apt-get: not Debian or Ubuntu", subject="install", remedy="install the like of: " + line)
    if os.geteuid() != 0:
        raise preflight.CannotRun("not root", subject="install", remedy="as root: " + line)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=False, env=environment)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *preflight.PACKAGES]
    return subprocess.run(command, check=False, env=environment).returncode


def print_status() -> int:
    """One line for each cluster."""
    found = records.read_records()
    if not found:
        say("nothing runs")
    for record in found:
        state = f"owner {record.owner.pid}" if record.owner_lives() else "its owner died; `clean` removes it"
        network = f"netns {record.netns}, " if record.netns else ""
        say(f"{record.instance}: {record.kind}, port {record.port}, {network}{record.state_dir}, {state}")
    return 0


def clean() -> int:
    """Remove what killed runs left."""
    removed = cleanup.clean_up_stale()
    say(f"removed {', '.join(removed)}" if removed else "nothing was left")
    left = [record.instance for record in records.read_records() if not record.owner_lives()]
    if left:
        say(f"could not remove {', '.join(left)}; as root: python -m deploy.local_cluster clean")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
