"""Runs pytest with a marker expression; a selection that holds no test is said, and is no failure.

With `--side-by-side` first, the tests are shared out among two workers (as tests/conftest.py says): most wait for a
cluster or a process.

With MUNBON_SECOND_TRY=1 (as .ci/run sets it) the few tests that failed are tried once more, alone, for a machine may have been
too busy for a wait with a bound. What passed only then is named, so that it can be mended; what fails again fails the run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
SIDE_BY_SIDE = "--side-by-side"
FAILED = 1
NO_TESTS_COLLECTED = 5
MOST_TO_TRY_AGAIN = 5


def main(arguments: list[str]) -> int:
    """Runs the tests of one marker expression, with any further arguments for pytest; returns the exit code."""
    side_by_side = arguments[0] == SIDE_BY_SIDE
    expression, *rest = arguments[1:] if side_by_side else arguments
    workers = ["--numprocesses=2", "--dist=loadfile"] if side_by_side and (os.cpu_count() or 1) > 1 else []
    code = run_pytest(expression, ["--durations=10", *workers, *rest])
    if code == NO_TESTS_COLLECTED and not rest:
        print(f"munbon: no test is marked '{expression}'")
        return 0
    if code == FAILED and os.environ.get("MUNBON_SECOND_TRY") == "1":
        return try_again(expression, rest)
    return code


def try_again(expression: str, rest: list[str]) -> int:
    """Exit code of a second try of what failed; 1 without a try where too many did."""
    found = json.loads(LAST_FAILED.read_text(encoding="utf-8")) if LAST_FAILED.exists() else {}
    failed = sorted(found)
    if not 0 < len(failed) <= MOST_TO_TRY_AGAIN:
        return FAILED
    print(f"munbon: trying again, alone: {', '.join(failed)}", flush=True)
    code = run_pytest(expression, ["--last-failed", *rest])
    if code == 0:
        print(f"munbon: passed only at the second try: {', '.join(failed)}")
    return code


def run_pytest(expression: str, rest: list[str]) -> int:
    """Exit code of pytest."""
    return subprocess.run([sys.executable, "-m", "pytest", "-m", expression, *rest], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
