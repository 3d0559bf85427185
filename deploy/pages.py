"""Pages of docs/reference that are made from the code: written, or compared with what is there."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(target: Path, text: str, command: str) -> int:
    """Write the page, or with `--check` on the command line compare it; 1 when it is out of date.

    Args:
        target: the page.
        text: as it should be.
        command: what writes it, for people.
    """
    if "--check" not in sys.argv[1:]:
        target.write_text(text, encoding="utf-8")
        print(f"wrote {target}")
        return 0
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return 0
    print(f"{target} is out of date: run '{command}'", file=sys.stderr)
    return 1
