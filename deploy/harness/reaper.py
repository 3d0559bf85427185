"""Kills what a dead test run has left: `python -m deploy.harness.reaper FOLDER` waits until its standard input is closed.

A nats-server outlives its central on purpose (the next central adopts it), so the death of the parent does not end it. The
reaper holds one end of a pipe of the test run; when the run dies, however, it kills every process whose command line names FOLDER.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

PROC = Path("/proc")


def kill_users_of(folder: str) -> list[int]:
    """SIGKILL for every process of ours whose command line names the folder; their ids."""
    killed = []
    for entry in PROC.iterdir():
        if not entry.name.isdecimal() or int(entry.name) in (os.getpid(), os.getppid()):
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if any(_is_in(word.decode("utf-8", "replace"), folder) for word in words) and b"deploy.harness.reaper" not in words:
                os.kill(int(entry.name), signal.SIGKILL)
                killed.append(int(entry.name))
    return killed


def _is_in(word: str, folder: str) -> bool:
    path = word.split("=", 1)[-1]
    return path == folder or path.startswith(f"{folder}/")


def main(arguments: list[str]) -> int:
    """Wait for the end of standard input, then clean up."""
    folder = arguments[0]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1024):
        pass
    kill_users_of(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
