"""What `munbon-gate check` and `munbon-gate tune` print: a site judged, and gains for its pools."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edge_agent.gate_control.check.finding import Finding, SiteInvalid
from edge_agent.gate_control.check.loop_rules import PlacedLoop, placed_loops
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import load_site, read_site
from edge_agent.gate_control.decide import tuning
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import LevelLoop, Pool
from shared.errors import UsageError

GOOD, BAD = 0, 2


@dataclass(frozen=True)
class LoopRow:
    """One loop as people want to see it; each margin at low and at high flow."""

    structure: str
    loop: str
    pool: str
    kp_m2_per_s: float
    ti_s: float
    filter_s: float
    control_period_s: float
    phase_margin_low_deg: float
    phase_margin_high_deg: float
    gain_margin_db: float
    crossover_period_s: float
    max_age_s: float


def check(path: Path, *, as_json: bool = False) -> int:
    """Prints every mistake of a site, or its loops with their margins; 0 good, 2 not.

    Raises:
        UsageError: the file cannot be read.
    """
    site: SiteConfiguration | None = None
    try:
        site, lines = read_site(path)
        findings = check_site(site, lines)
    except SiteInvalid as error:
        findings = error.findings
    rows = [loop_row(placed, placed.loop) for placed in placed_loops(site)] if site is not None and not findings else []
    if as_json:
        listed = {
            "file": str(path),
            "good": not findings,
            "findings": [asdict(one) for one in findings],
            "loops": [asdict(row) for row in rows],
        }
        sys.stdout.write(json.dumps(listed, indent=2) + "\n")
    elif findings:
        sys.stderr.write(findings_text(path, findings))
    elif site is not None:
        sys.stdout.write(good_text(path, site, rows))
    return BAD if findings else GOOD


def tune(path: Path, margin_deg: float, pool_id: str | None, *, as_json: bool = False) -> int:
    """Prints gains with which each level loop keeps the margin; a pool without a loop is tuned for control from its far end.

    Raises:
        UsageError: the file, the margin or the pool is wrong.
    """
    site = load_site(path)
    if not 20.0 <= margin_deg <= 80.0:
        raise UsageError(f"a margin of {margin_deg:g} degrees is not between 20 and 80", remedy="45 is quick, 60 is calm")
    known = [pool.id for pool in site.pools]
    if pool_id is not None and pool_id not in known:
        raise UsageError(f"there is no pool '{pool_id}'", subject=str(path), remedy=f"pools: {', '.join(known) or 'none'}")
    rows = list(_tuned(site, margin_deg, pool_id))
    if as_json:
        sys.stdout.write(json.dumps({"margin_deg": margin_deg, "loops": [asdict(row) for row in rows]}, indent=2) + "\n")
    else:
        sys.stdout.write(tuned_text(margin_deg, rows))
    return GOOD


def loop_row(placed: PlacedLoop, loop: LevelLoop) -> LoopRow:
    """The figures of a loop with these gains at its place."""
    return _row(placed.structure.id, placed.key, placed.pool, loop, is_local=placed.is_local)


def findings_text(path: Path, findings: Sequence[Finding]) -> str:
    """One block a finding, in the form `file:line` that editors follow."""
    blocks = [f"{path}:{one.line}: {one.path}: {one.problem}\n    why: {one.reason}\n    do:  {one.remedy}\n" for one in findings]
    count = f"{len(findings)} mistake{'s' if len(findings) != 1 else ''}"
    return "".join(blocks) + f"munbon-gate: {path}: {count}; nothing was changed\n"


def good_text(path: Path, site: SiteConfiguration, rows: Sequence[LoopRow]) -> str:
    """A head line, and a row for each loop."""
    gates = len(list(site.gates()))
    head = f"{path}: site {site.site}, {gates} gate(s), {len(site.pools)} pool(s), scan every {site.scan_period_s:g} s: good\n"
    return head + (f"\n{loops_text(rows)}" if rows else "")


def tuned_text(margin_deg: float, rows: Sequence[LoopRow]) -> str:
    """A row for each loop, and the keys to put into the file."""
    if not rows:
        return "no pools: nothing to tune\n"
    keys = "".join(
        f"  {row.structure or '-'} {row.loop}:  {{kp_m2_per_s: {row.kp_m2_per_s:g}, ti_s: {row.ti_s:g}, filter_s: {row.filter_s:g},"
        f" control_period_s: {row.control_period_s:g}}}\n"
        for row in rows
    )
    return f"gains for {margin_deg:g} degrees at low and at high flow\n\n{loops_text(rows)}\nfor site.yaml:\n{keys}"


def loops_text(rows: Sequence[LoopRow]) -> str:
    """Columns: gains, margins, and the oldest level that may be used."""
    columns = ("STRUCTURE", "LOOP", "POOL", "KP m2/s", "TI s", "FILTER s", "PERIOD s", "MARGIN low/high deg", "GAIN dB", "MAX AGE s")
    cells = [
        (
            row.structure or "-",
            row.loop.removesuffix("_loop"),
            row.pool,
            f"{row.kp_m2_per_s:.4g}",
            f"{row.ti_s:.0f}",
            f"{row.filter_s:.0f}",
            f"{row.control_period_s:g}",
            f"{row.phase_margin_low_deg:.1f} / {row.phase_margin_high_deg:.1f}",
            f"{row.gain_margin_db:.1f}",
            f"{row.max_age_s:.0f}",
        )
        for row in rows
    ]
    widths = [max(len(line[index]) for line in (columns, *cells)) for index in range(len(columns))]
    # names to the left, figures to the right
    return "".join(
        "  ".join(
            cell.ljust(width) if index < 3 else cell.rjust(width) for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + "\n"
        for line in (columns, *cells)
    )


def _tuned(site: SiteConfiguration, margin_deg: float, pool_id: str | None) -> Iterator[LoopRow]:
    with_loop: set[str] = set()
    for placed in placed_loops(site):
        with_loop.add(placed.pool.id)
        if pool_id in (None, placed.pool.id):
            yield loop_row(placed, _gains(placed.pool, margin_deg, is_local=placed.is_local))
    for pool in site.pools:
        # what no structure of this site feeds has nothing that could hold its far end
        if pool.id not in with_loop and pool.inlet is not None and pool_id in (None, pool.id):
            yield _row(pool.inlet, "downstream_loop", pool, _gains(pool, margin_deg, is_local=False), is_local=False)


def _gains(pool: Pool, margin_deg: float, *, is_local: bool) -> LevelLoop:
    try:
        return tuning.tune_loop(pool, margin_deg, is_local=is_local)
    except ValueError as error:
        raise UsageError(str(error), remedy="check the pool's delay_s and area_m2") from error


def _row(structure: str, key: str, pool: Pool, loop: LevelLoop, *, is_local: bool) -> LoopRow:
    low, high = (tuning.loop_margin(one, loop, pool) for one in tuning.loop_dynamics(pool, is_local=is_local))
    worst = tuning.worst_margin(pool, loop, is_local=is_local)
    return LoopRow(
        structure=structure,
        loop=key,
        pool=pool.id,
        kp_m2_per_s=loop.kp_m2_per_s,
        ti_s=loop.ti_s,
        filter_s=loop.filter_s,
        control_period_s=loop.control_period_s,
        phase_margin_low_deg=round(low.phase_margin_deg, 2),
        phase_margin_high_deg=round(high.phase_margin_deg, 2),
        gain_margin_db=round(worst.gain_margin_db, 2),
        crossover_period_s=round(math.tau / worst.crossover_rad_s, 1),
        max_age_s=round(tuning.loop_max_age_s(pool, loop, is_local=is_local), 1),
    )
