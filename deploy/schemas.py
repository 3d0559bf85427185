"""Exports the JSON Schemas of the contracts and of `site.yaml`: `python -m deploy.schemas docs/reference/schemas [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from deploy.contract_catalogue import CATALOGUE
from deploy.site_docs import site_schema
from shared.contracts.base import Contract

SITE = "site"
"""`site.yaml` is no contract: nobody but its owner writes it, and its unknown keys are mistakes."""
NAMES = (*CATALOGUE, SITE)


def render_schema(name: str, model: type[Contract]) -> str:
    """JSON Schema (2020-12) of one contract, in a stable form."""
    return _rendered(name, model.model_json_schema(mode="validation"))


def rendered(name: str) -> str:
    """What belongs into the file of that name."""
    return _rendered(SITE, site_schema()) if name == SITE else render_schema(name, CATALOGUE[name])


def _rendered(name: str, schema: dict[str, Any]) -> str:
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"munbon:{name}", **schema}, indent=2, sort_keys=True)
        + "\n"
    )


def outdated(folder: Path) -> list[str]:
    """Names whose exported schema is missing or differs from the code."""
    return [name for name in NAMES if _text(folder / f"{name}.json") != rendered(name)]


def main(arguments: list[str] | None = None) -> int:
    """Write (or with `--check` compare) every schema; exit code 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m deploy.schemas", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a schema is out of date")
    options = parser.parse_args(arguments)
    stale = outdated(options.folder)
    if options.check:
        for name in stale:
            print(f"{options.folder / name}.json is out of date: run 'make schemas'", file=sys.stderr)
        return 1 if stale else 0
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (options.folder / f"{name}.json").write_text(rendered(name), encoding="utf-8")
    print(f"{len(NAMES)} schemas in {options.folder}, {len(stale)} of them written anew")
    return 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
