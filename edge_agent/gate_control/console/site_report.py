"""What `munbon-gate check` and `munbon-gate tune` print: a site judged, and gains for its pools."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edge_agent.gate_control.check.canal import check_canal
from edge_agent.gate_control.check.finding import Finding, SiteInvalid
from edge_agent.gate_control.check.loop_rules import AGE_SCANS, PlacedLoop, placed_loops
from edge_agent.gate_control.check.notes import notes_of
from edge_agent.gate_control.check.site_file import SiteFile
from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import load_site, read_site
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import LevelLoop
from shared.errors import UsageError

GOOD, BAD = 0, 2
LEAST_MARGIN_DEG, MOST_MARGIN_DEG = 35.0, 80.0
MOST_SHOWN = 100
"""Of the findings of one file; more help nobody at once."""
TUNED = ("kp_m2_per_s", "ti_s", "filter_s", "control_period_s")


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


@dataclass(frozen=True)
class Judged:
    """One file, and everything that is to be said of it."""

    path: Path
    file: SiteFile | None
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    """What is no mistake, but worth knowing."""

    @property
    def rows(self) -> list[LoopRow]:
        """Its loops, where nothing is wrong with it."""
        return [loop_row(placed, placed.loop) for placed in placed_loops(self.file.site)] if self.file and not self.findings else []


def check(paths: Sequence[Path], *, as_json: bool = False) -> int:
    """Prints every mistake of a site, or of several sites together, or their loops with their margins; 0 good, 2 not.

    Raises:
        UsageError: a file cannot be read.
    """
    judged = judge(paths)
    if as_json:
        files = [_as_json(one) for one in judged]
        listed = files[0] if len(files) == 1 else {"good": not any(one.findings for one in judged), "files": files}
        sys.stdout.write(json.dumps(listed, indent=2) + "\n")
    else:
        for one in judged:
            if one.findings:
                sys.stderr.write(findings_text(one.path, one.findings))
            elif one.file is not None:
                sys.stdout.write(good_text(one.path, one.file.site, one.rows) + notes_text(one))
        if len(judged) > 1:
            sys.stderr.write(together_text(judged))
    return BAD if any(one.findings for one in judged) else GOOD


def judge(paths: Sequence[Path]) -> tuple[Judged, ...]:
    """Each file by itself, and where all of them can be read, all together.

    Raises:
        UsageError: the only file cannot be read.
    """
    read: list[Judged] = []
    for path in paths:
        try:
            site, lines = read_site(path)
        except SiteInvalid as error:
            read.append(Judged(path, None, error.findings))
        except UsageError as error:
            if len(paths) == 1:
                raise
            read.append(Judged(path, None, (Finding(1, "site", error.message, "what is not read cannot be compared", error.remedy or ""),)))
        else:
            read.append(Judged(path, SiteFile(str(path), site, lines), check_site(site, lines)))
    files = [one.file for one in read if one.file is not None]
    if len(files) < len(read):
        return tuple(read)
    together = zip(read, check_canal(files), notes_of(files), strict=True)
    return tuple(replace(one, findings=(*one.findings, *between), notes=notes) for one, between, notes in together)


def _as_json(judged: Judged) -> dict[str, Any]:
    return {
        "file": str(judged.path),
        "good": not judged.findings,
        "findings": [asdict(one) for one in judged.findings],
        "notes": [asdict(one) for one in judged.notes],
        "loops": [asdict(row) for row in judged.rows],
    }


def tune(path: Path, margin_deg: float, pool_id: str | None, *, output: str = "text") -> int:
    """Prints gains with which each level loop keeps the margin; a pool without a loop is tuned for control from its far end.

    Raises:
        UsageError: the file, the margin or the pool is wrong.
    """
    site = load_site(path)
    if not LEAST_MARGIN_DEG <= margin_deg <= MOST_MARGIN_DEG:
        problem = f"a margin of {margin_deg:g} degrees is not between {LEAST_MARGIN_DEG:g} and {MOST_MARGIN_DEG:g}"
        raise UsageError(f"{problem}; with 30 and less no level is young enough for the loop", remedy="45 is quick, 60 is calm")
    known = [pool.id for pool in site.pools]
    if pool_id is not None and pool_id not in known:
        raise UsageError(f"there is no pool '{pool_id}'", subject=str(path), remedy=f"pools: {', '.join(known) or 'none'}")
    tuned = list(_tuned(site, margin_deg, pool_id))
    rows = [loop_row(placed, loop) for placed, loop in tuned]
    if output == "json":
        sys.stdout.write(json.dumps({"margin_deg": margin_deg, "loops": [asdict(row) for row in rows]}, indent=2) + "\n")
    elif output == "yaml":
        sys.stdout.write(tuned_yaml(margin_deg, tuned))
    elif rows:
        title = f"gains for {margin_deg:g} degrees at low and at high flow\n\n"
        sys.stdout.write(
            f"{title}{loops_text(rows)}\nfor site.yaml, in place of each structure's own loop:\n\n{tuned_yaml(margin_deg, tuned)}"
        )
    else:
        sys.stdout.write("no pools: nothing to tune\n")
    return GOOD


def loop_row(placed: PlacedLoop, loop: LevelLoop) -> LoopRow:
    """The figures of a loop with these gains at its place."""
    placed = replace(placed, loop=loop)
    low, high = placed.margins()
    worst = min((low, high), key=lambda margin: margin.phase_margin_deg)
    return LoopRow(
        structure=placed.structure.id,
        loop=placed.key,
        pool=placed.pool.id,
        kp_m2_per_s=loop.kp_m2_per_s,
        ti_s=loop.ti_s,
        filter_s=loop.filter_s,
        control_period_s=loop.control_period_s,
        phase_margin_low_deg=round(low.phase_margin_deg, 2),
        phase_margin_high_deg=round(high.phase_margin_deg, 2),
        gain_margin_db=round(min(low.gain_margin_db, high.gain_margin_db), 2),
        crossover_period_s=round(math.tau / worst.crossover_rad_s, 1),
        max_age_s=round(placed.max_age_s(), 1),
    )


def findings_text(path: Path, findings: Sequence[Finding]) -> str:
    """One block a finding, in the form `file:line` that editors follow."""
    shown = findings[:MOST_SHOWN]
    blocks = [f"{path}:{one.line}: {one.path}: {one.problem}\n    why: {one.reason}\n    do:  {one.remedy}\n" for one in shown]
    blocks += [f"... and {len(findings) - len(shown)} more; '-o json' has all\n"] if len(shown) < len(findings) else []
    count = f"{len(findings)} mistake{'s' if len(findings) != 1 else ''}"
    return "".join(blocks) + f"munbon-gate: {path}: {count}; nothing was changed\n"


def good_text(path: Path, site: SiteConfiguration, rows: Sequence[LoopRow]) -> str:
    """A head line, and a row for each loop."""
    gates = len(list(site.gates()))
    head = f"{path}: site {site.site}, {gates} gate(s), {len(site.pools)} pool(s), scan every {site.scan_period_s:g} s: good\n"
    return head + (f"\n{loops_text(rows)}" if rows else "")


def notes_text(judged: Judged) -> str:
    """What is no mistake."""
    told = "".join(f"  line {one.line}: {one.problem}\n    why: {one.reason}\n    do:  {one.remedy}\n" for one in judged.notes)
    return f"\nno mistakes, but worth knowing:\n{told}\n" if told else ""


def together_text(judged: Sequence[Judged]) -> str:
    """The last line about several files."""
    count = sum(len(one.findings) for one in judged)
    if any(one.file is None for one in judged):
        return f"munbon-gate: {len(judged)} sites, not compared with each other: first mend the files above\n"
    return f"munbon-gate: {len(judged)} sites together: {count or 'no'} mistake{'s' if count != 1 else ''}\n"


def tuned_yaml(margin_deg: float, tuned: Sequence[tuple[PlacedLoop, LevelLoop]]) -> str:
    """Whole loops by structure, to be put into the file as they are: what else the loop says there is said here too."""
    text = f"# munbon-gate tune --margin {margin_deg:g}\n"
    last = ""
    for placed, loop in sorted(tuned, key=lambda one: one[0].path):
        if placed.structure.id != last:
            text += f"{placed.structure.id}:\n"
            last = placed.structure.id
        rest = {key: value for key, value in loop.model_dump(exclude_defaults=True).items() if key not in TUNED}
        keys = {**{key: getattr(loop, key) for key in TUNED}, **rest}
        text += f"  {placed.key}: {{{', '.join(f'{key}: {_plain(value)}' for key, value in keys.items())}}}\n"
    return text


def _plain(value: Any) -> str:
    """A value as `site.yaml` has it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if isinstance(value, float) else str(value)


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


def _tuned(site: SiteConfiguration, margin_deg: float, pool_id: str | None) -> Iterator[tuple[PlacedLoop, LevelLoop]]:
    placed_ones = [*placed_loops(site)]
    with_loop = {placed.pool.id for placed in placed_ones}
    for pool in site.pools:
        # what no structure of this site feeds has nothing that could hold its far end
        feeder = site.structure(pool.inlet) if pool.inlet is not None else None
        if feeder is not None and pool.id not in with_loop:
            nothing = LevelLoop(kp_m2_per_s=1.0, ti_s=1.0)
            path = ("structures", site.structures.index(feeder), "downstream_loop")
            placed_ones.append(PlacedLoop(feeder, "downstream_loop", nothing, pool, False, path, site.lag_s(pool.tail_levels)))
    for placed in placed_ones:
        if pool_id in (None, placed.pool.id):
            yield placed, _gains(placed, margin_deg, site.scan_period_s)


def _gains(placed: PlacedLoop, margin_deg: float, scan_s: float) -> LevelLoop:
    """Tuned, with whatever else the loop says in the file."""
    try:
        tuned = placed.tuned(margin_deg)
    except ValueError as error:
        raise UsageError(str(error), remedy="check the pool's delay_s and area_m2, or ask for another margin") from error
    bears_s = replace(placed, loop=tuned).max_age_s()
    if bears_s < AGE_SCANS * scan_s:
        problem = (
            f"pool {placed.pool.id}: at {margin_deg:g} degrees the loop bears levels of {bears_s:.1f} s, and a scan takes {scan_s:g} s"
        )
        raise UsageError(problem, remedy="ask for more margin, or scan faster")
    return placed.loop.model_copy(update={key: getattr(tuned, key) for key in TUNED})
