"""`munbon-gate check` and `munbon-gate tune`: their arguments. What they need is loaded when they run: a gate in control never does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.errors import UsageError

DEFAULT_SITE = "/etc/munbon/site.yaml"
DEFAULT_MARGIN_DEG = 60.0


def add_tune(commands: Any) -> None:
    """Registers `tune SITE [--margin DEG] [--pool ID] [-o yaml|json]`."""
    parser: argparse.ArgumentParser = commands.add_parser("tune", help="gains and filter for each pool, from its delay and area")
    parser.add_argument("site", type=Path, nargs="?", default=Path(DEFAULT_SITE), help=f"site.yaml (default {DEFAULT_SITE})")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN_DEG, help="phase margin in degrees, 35 to 80 (default 60)")
    parser.add_argument("--pool", help="this pool only")
    parser.add_argument("-o", "--output", choices=("text", "yaml", "json"), default="text")
    parser.set_defaults(handler=lambda options: tune(options.site, options.margin, options.pool, output=options.output))


def add_check(commands: Any) -> None:
    """Registers `check [SITE ...] [-o json]`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "check", help="check a site, or several together; exit code 2 names what is wrong"
    )
    parser.add_argument("--config", type=Path, default=Path(DEFAULT_SITE), help=f"configuration (default {DEFAULT_SITE})")
    parser.add_argument(
        "site", type=Path, nargs="*", help="site.yaml, a folder of them, or a pattern; several are judged together; or --config"
    )
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(handler=lambda options: check(options.site or [options.config], as_json=options.output == "json"))


def check(paths: Sequence[Path], *, as_json: bool = False) -> int:
    """Prints every mistake of a site, or of several together, or their loops with their margins; 0 good, 2 not.

    Raises:
        UsageError: a file cannot be read.
    """
    from edge_agent.gate_control.console import site_report

    return site_report.check(site_files(paths), as_json=as_json)


def site_files(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant, each once: a folder stands for each `site.yaml` in and below it, or for its own yaml files.

    Raises:
        UsageError: a folder or pattern has none.
    """
    found: list[Path] = []
    for path in paths:
        try:
            some = _meant(path)
        except (OSError, ValueError):
            # too long a name, a folder that nobody may enter: reading it says so
            some = [path]
        if not some:
            raise UsageError("holds no site.yaml", subject=str(path), remedy="name the files of the sites")
        found += some
    return list({path.absolute(): path for path in reversed(found)}.values())[::-1]


def _meant(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.rglob("site.yaml")) or sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    if set("*?[") & set(str(path)) and not path.exists():
        root = Path(path.anchor or ".")
        return sorted(one for one in root.glob(str(path.relative_to(root)) if path.anchor else str(path)) if one.is_file())
    return [path]


def tune(path: Path, margin_deg: float, pool_id: str | None, *, output: str = "text") -> int:
    """Prints gains with which each level loop keeps the margin.

    Raises:
        UsageError: the file, the margin or the pool is wrong.
    """
    from edge_agent.gate_control.console import site_report

    return site_report.tune(path, margin_deg, pool_id, output=output)
