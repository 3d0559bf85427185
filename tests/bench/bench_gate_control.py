"""Gate control on simulated canals: how long a scan decides, what it writes, how fast it is simulated, and how well levels are held."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from edge_agent.gate_control.journal.database import JOURNAL_FILE
from edge_agent.gate_control.loop import scan as gate_loop
from edge_agent.gate_control.simulation.asce import CANAL_1, AsceCanal, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site, target_plan
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import put_in_service
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from edge_agent.gate_control.simulation.run import Run
from tests.bench.gate_canals import (
    AS_CONFIGURED,
    CANALS,
    CHANGES,
    DEADBAND_M,
    GOALS,
    IAE,
    LAST_S,
    MAE,
    MARGIN_DEG,
    SCAN_S,
    VARIANTS,
    Judged,
    judge,
    misses,
)
from tests.bench.result import NotHere, Result

DECIDE = "gate_decide_p99_ms"
JOURNAL = "gate_journal_mb_per_day"
SPEED = "simulate_speed_per_gate"
UNSAFE = "gate_unsafe_events_count"
KINDS: tuple[Literal["swmm", "id"], ...] = ("swmm", "id")
QUALITY = {(kind, canal.name): f"gate_{kind}_{canal.name.replace('-', '_')}" for kind in KINDS for canal in CANALS}
NAMES = (DECIDE, JOURNAL, SPEED, UNSAFE, *(f"{name}_{figure}_pct" for name in QUALITY.values() for figure in ("mae", "iae")))
DECIDE_S, SERIES_S, SPEED_S = 900.0, 1800.0, 1800.0
DAY_S = 86_400.0


async def run(wanted: frozenset[str]) -> list[Result]:
    """All on this machine, one run each.

    gate_decide_p99_ms: instructions, validation and decision of one scan of 16 gates in two rows of ASCE canal 1, over 15 simulated
    minutes with an unannounced demand; sensing, writing and the disk are not in it.

    gate_journal_mb_per_day: growth of gate.sqlite for 4 gates scanned once a second under noise of 1 mm and a changed demand, over
    half an hour, told for a day.

    simulate_speed_per_gate: gate-seconds simulated in a second: the whole loop of 4 gates on the integrator-delay canal, 1 s scans.

    gate_<plant>_asce_<canal>_{mae,iae}_pct: the worst pool of eight over 12 hours with unannounced demand changes after 2 hours, by
    EPA SWMM (swmm) and by the integrator-delay model (id); all variants and columns stand in the params.

    gate_unsafe_events_count: over all of those runs.
    """
    results: list[Result] = []
    if DECIDE in wanted:
        results.append(await asyncio.to_thread(decide_times))
    if JOURNAL in wanted:
        results.append(await asyncio.to_thread(journal_growth))
    if SPEED in wanted:
        results.append(await asyncio.to_thread(simulation_speed))
    unsafe: list[str] = []
    for (kind, canal_name), name in QUALITY.items():
        if UNSAFE in wanted or any(one.startswith(name) for one in wanted):
            canal = next(canal for canal in CANALS if canal.name == canal_name)
            judged = await asyncio.to_thread(judge_all, kind, canal)
            unsafe += [f"{name} {variant}: {event}" for variant, one in judged.items() for event in one.unsafe]
            results += [result for result in quality(name, canal_name, judged) if result.name in wanted]
    if UNSAFE in wanted:
        params = {"goal": 0, "runs": len(QUALITY) * len(VARIANTS), "events": unsafe}
        results.append(Result(UNSAFE, float(len(unsafe)), "events", "lower", params))
    return results


def judge_all(kind: Literal["swmm", "id"], canal: AsceCanal) -> dict[str, Judged]:
    """Every variant of one canal."""
    if kind == "swmm":
        try:
            import pyswmm  # noqa: F401 - only whether it is there
        except ImportError:
            raise NotHere("the extra `sim` (pyswmm) is not installed: make venv") from None
    return {variant.name: judge(kind, canal, variant) for variant in VARIANTS}


def quality(name: str, canal: str, judged: dict[str, Judged]) -> Iterator[Result]:
    """MAE and IAE as configured; every variant and column in the params, with the row that it is held against and what it misses."""
    table = {variant: {column: round(value, 3) for column, value in one.found.worst.items()} for variant, one in judged.items()}
    params: dict[str, object] = {
        "margin_deg": MARGIN_DEG[canal],
        "deadband_m": DEADBAND_M[canal],
        "scan_period_s": SCAN_S,
        "hours": LAST_S / 3600.0,
        "changes": [f"{change.offtake} to {change.flow_m3s:g} m3/s at {change.at_s / 3600.0:g} h" for change in CHANGES[canal]],
        "max_over_pools": table,
        "rows": {variant: dict(GOALS[canal, variant]) for variant in judged},
        "missed": {variant: found for variant, one in judged.items() if (found := misses(canal, variant, one.found.worst))},
    }
    for figure, column in (("mae", MAE), ("iae", IAE)):
        value = judged[AS_CONFIGURED].found.worst[column]
        yield Result(f"{name}_{figure}_pct", round(value, 2), "%", "lower", {"goal": GOALS[canal, AS_CONFIGURED][column], **params})


def short_run(canal: AsceCanal, duration_s: float, folder: Path, **more: Any) -> Run:
    """One second a scan, with a change to answer."""
    site = asce_site(canal, SiteOptions(tune=VARIANTS[0].options(CANAL_1).tune, scan_period_s=1.0, noise_m=0.001, **more))
    plant = canal_of(site, changes=[DemandChange(60.0, "t3", 0.2)])
    return simulate([site], [target_plan(site, START)], plant, duration_s=duration_s, state_dir=folder, events=put_in_service(site))


@contextmanager
def timed_scans(into: list[tuple[float, float]]) -> Iterator[None]:
    """The pure part of each scan, in ms on the wall and of this thread alone."""
    whole: Callable[..., Any] = vars(gate_loop)["scan"]

    def timed(*arguments: Any) -> Any:
        began_s, busy_s = time.perf_counter(), time.thread_time()
        scanned = whole(*arguments)
        into.append(((time.perf_counter() - began_s) * 1000.0, (time.thread_time() - busy_s) * 1000.0))
        return scanned

    vars(gate_loop)["scan"] = timed
    try:
        yield
    finally:
        vars(gate_loop)["scan"] = whole


def decide_times() -> Result:
    """See `run`."""
    times_ms: list[tuple[float, float]] = []
    canal = replace(CANAL_1, name="two rows", reaches=CANAL_1.reaches * 2)
    gc.collect()
    gc.freeze()  # as the process does after its start
    with timed_scans(times_ms), tempfile.TemporaryDirectory(prefix="munbon-bench-") as folder:
        short_run(canal, DECIDE_S, Path(folder))
    gc.unfreeze()
    ordered, busy = (sorted(column) for column in zip(*times_ms, strict=True))
    params = {
        "goal": 50,
        "gates": 16,
        "scans": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 2),
        "max": round(ordered[-1], 1),
        "cpu_p50": round(busy[len(busy) // 2], 2),
        "cpu_p99": round(busy[int(0.99 * len(busy))], 2),
        "load_of_machine": round(os.getloadavg()[0], 1),
    }
    return Result(DECIDE, round(ordered[int(0.99 * len(ordered))], 2), "ms", "lower", params)


def journal_growth() -> Result:
    """See `run`."""
    with tempfile.TemporaryDirectory(prefix="munbon-bench-") as name:
        short_run(first_pools(CANAL_1, 4), SERIES_S, Path(name))
        journal = Path(name) / "canal" / JOURNAL_FILE
        size_mb = sum(path.stat().st_size for path in journal.parent.glob(f"{JOURNAL_FILE}*")) / 1e6
    params = {"goal": 20, "gates": 4, "simulated_s": SERIES_S, "file_mb": round(size_mb, 3)}
    return Result(JOURNAL, round(size_mb * DAY_S / SERIES_S, 2), "MB/day", "lower", params)


def simulation_speed() -> Result:
    """See `run`."""
    with tempfile.TemporaryDirectory(prefix="munbon-bench-") as folder:
        done = short_run(first_pools(CANAL_1, 4), SPEED_S, Path(folder))
    params = {"gates": len(done.gates), "scan_period_s": 1.0, "simulated_s": SPEED_S, "wall_s": round(done.wall_s, 1)}
    return Result(SPEED, round(done.speed_per_gate), "gate-s/s", "higher", params)
