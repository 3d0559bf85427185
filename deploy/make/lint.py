"""Every check, one after the other, also after one failed: the whole list of what to mend comes at once."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Check:
    """One tool, and the line that mends what it finds, where a machine can."""

    name: str
    command: tuple[str, ...]
    mend: str = ""


CHECKS = (
    Check("rules (ruff)", (f"{BIN}/ruff", "check", "."), mend=".venv/bin/ruff check --fix ."),
    Check("format (ruff)", (f"{BIN}/ruff", "format", "--check", "--quiet", "."), mend="make format"),
    Check("types (mypy --strict)", (f"{BIN}/mypy",)),
    Check("imports (import-linter)", (f"{BIN}/lint-imports", "--no-logo")),
    Check("architecture (pytest)", (sys.executable, "-m", "pytest", "-q", "tests/architecture")),
)


def main() -> int:
    """Runs the checks and says which failed; returns the exit code."""
    failed = []
    for check in CHECKS:
        started_s = time.monotonic()
        answer = subprocess.run(check.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        verdict = "ok" if answer.returncode == 0 else "FAILED"
        print(f"{verdict:7} {check.name}  {time.monotonic() - started_s:.1f} s", flush=True)
        if answer.returncode:
            failed.append(check)
            print(answer.stdout, flush=True)
    for check in failed:
        print(f"lint: {check.name} failed{f'; try: {check.mend}' if check.mend else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
