"""`munbon-gate check` and `munbon-gate tune`: their arguments. What they need is loaded when they run: a gate in control never does."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DEFAULT_SITE = "/etc/munbon/site.yaml"
DEFAULT_MARGIN_DEG = 60.0


def add_tune(commands: Any) -> None:
    """Registers `tune SITE [--margin DEG] [--pool ID] [-o json]`."""
    parser: argparse.ArgumentParser = commands.add_parser("tune", help="gains and filter for each pool, from its delay and area")
    parser.add_argument("site", type=Path, nargs="?", default=Path(DEFAULT_SITE), help=f"site.yaml (default {DEFAULT_SITE})")
    parser.add_argument("--margin", type=float, default=DEFAULT_MARGIN_DEG, help="phase margin in degrees, 20 to 80 (default 60)")
    parser.add_argument("--pool", help="this pool only")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.set_defaults(handler=lambda options: tune(options.site, options.margin, options.pool, as_json=options.output == "json"))


def check(path: Path, *, as_json: bool = False) -> int:
    """Prints every mistake of a site, or its loops with their margins; 0 good, 2 not.

    Raises:
        UsageError: the file cannot be read.
    """
    from edge_agent.gate_control.console import site_report

    return site_report.check(path, as_json=as_json)


def tune(path: Path, margin_deg: float, pool_id: str | None, *, as_json: bool = False) -> int:
    """Prints gains with which each level loop keeps the margin.

    Raises:
        UsageError: the file, the margin or the pool is wrong.
    """
    from edge_agent.gate_control.console import site_report

    return site_report.tune(path, margin_deg, pool_id, as_json=as_json)
