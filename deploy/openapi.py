"""Writes down the operator API: `python -m deploy.openapi docs/reference/openapi.json [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from central.api.app import make_app

DEFAULT_FILE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "openapi.json"


def render_openapi() -> str:
    """The OpenAPI document in a stable form; `version` is that of the API, not of the installed program."""
    return json.dumps(make_app("1").openapi(), indent=2, sort_keys=True) + "\n"


def is_current(file: Path) -> bool:
    """Whether the file says what the code says."""
    return file.exists() and file.read_text(encoding="utf-8") == render_openapi()


def main(arguments: list[str] | None = None) -> int:
    """Write the document, or with `--check` compare it; exit code 1 where it is out of date."""
    parser = argparse.ArgumentParser(prog="python -m deploy.openapi", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=DEFAULT_FILE)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is out of date")
    options = parser.parse_args(arguments)
    if options.check:
        if is_current(options.file):
            return 0
        print(f"{options.file} is out of date: run 'python -m deploy.openapi'", file=sys.stderr)
        return 1
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_text(render_openapi(), encoding="utf-8")
    print(f"{options.file} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
