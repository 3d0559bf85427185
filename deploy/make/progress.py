"""Runs a long command and shows how far it is: a line that is rewritten on a terminal, now and then a line elsewhere."""

import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence

KEPT_LINES = 30
LINES_BETWEEN_REPORTS = 20


def run(command: Sequence[str], *, what: str, total: int, env: Mapping[str, str]) -> str | None:
    """Runs pip and counts the packages it names.

    Args:
        command: the pip command.
        what: what is being done, for the reader.
        total: how many packages are to come; 0 if that is not known.
        env: the environment of the command.

    Returns:
        None when it went well, else the end of its output.
    """
    print(f"munbon: {what}", flush=True)
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    seen = 0
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=dict(env)
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail.append(line.rstrip())
            words = line.split()
            if len(words) > 1 and (words[0] == "Collecting" or line.startswith("Requirement already")):
                seen += 1
                name = words[1] if words[0] == "Collecting" else words[3]
                show(seen, total, name.split(";")[0])
            elif total and line.startswith("Installing collected packages"):
                show(seen, total, "unpacking", last=True)
    if sys.stdout.isatty() and seen:
        print("\r\033[K", end="", flush=True)
    return "\n".join(tail) if process.returncode else None


def show(seen: int, total: int, name: str, *, last: bool = False) -> None:
    """Shows one step: rewritten in place on a terminal, every twentieth elsewhere."""
    count = f"{seen}/{total}" if total else str(seen)
    if sys.stdout.isatty():
        print(f"\r\033[K        {count}  {name}", end="", flush=True)
    elif last or seen % LINES_BETWEEN_REPORTS == 0:
        print(f"        {count}  {name}", flush=True)
