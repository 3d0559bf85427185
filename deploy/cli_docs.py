"""Writes docs/reference/cli.md from the commands themselves: `python -m deploy.cli_docs [--check]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from deploy.pages import write_or_check

TARGET = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
HEAD = """<!-- written by `python -m deploy.cli_docs`; edit the docstrings in central/cli instead -->

# The command `munbon`

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed, or a question was answered with anything but yes: nothing was changed then |
| 2 | wrong usage, or bad input: nothing was changed |
| 3 | refused by central or by the gate: policy, signature, immutable version, conflict |
| 4 | not found |
| 5 | central cannot be reached; nodes and gates go on without it |
| 6 | not authorised: wrong or revoked token |
| 7 | the rollout failed (`--wait`) |
| 8 | the time was over (`--wait`); the rollout goes on |
| 130 | interrupted with Ctrl-C, also out of `--watch` and `--follow` |

Every command takes `-o json`: one JSON document on standard output (streams: one a line); an error is then one JSON object
`{"error": {"code", "message", "remedy", "exit_code"}}`, the last line of standard error. Notes and progress go to standard error;
`-o json` shows no progress. A reader of the output that goes away (`| head`) is no error.

Tables fit the terminal: texts fold at words, and where that does not do the least important columns are left out and `…` ends the heading.
`COLUMNS` sets another width. A file or a program gets every row on one line, with all columns. `NO_COLOR` takes the colours away.

| environment | meaning |
|---|---|
| `MUNBON_CONFIG` | the file of contexts; default `~/.config/munbon/config.toml`, mode 0600 |
| `MUNBON_CONTEXT` | which context to use |
| `MUNBON_URL`, `MUNBON_TOKEN`, `MUNBON_KEY` | override single parts of the context: for CI |
| `MUNBON_DEBUG` | `1` shows the traceback of an internal error |

Shell completion of commands and options (bash, zsh, fish): `munbon --install-completion`, or
`source <(munbon --show-completion bash)`.

"""


def render() -> str:
    """The page as it should be."""
    command = [sys.executable, "-m", "typer", "central.cli.main", "utils", "docs", "--name", "munbon"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body = done.stdout.split("\n", 1)[1] if done.stdout.startswith("# ") else done.stdout
    return HEAD + "\n".join(line.rstrip() for line in body.strip().splitlines()) + "\n"


def main() -> int:
    """Write, or compare with `--check`; 1 when it is out of date."""
    return write_or_check(TARGET, render(), "python -m deploy.cli_docs")


if __name__ == "__main__":
    sys.exit(main())
