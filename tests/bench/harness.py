"""Runs the benches one after the other; one that fails is said, and does not cost the others their figures.

A bench is a module tests/bench/bench_*.py with

    NAMES: tuple[str, ...]                                     the figures that it gives
    async def run(wanted: frozenset[str]) -> list[Result]      measures those of them that are wanted

It raises NotHere when this machine cannot run it.
"""

import asyncio
import importlib
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.result import NotHere, Result

TIME_LIMIT_S = 1200.0


@dataclass(frozen=True)
class Bench:
    """One bench module."""

    module: str
    names: tuple[str, ...]
    run: Callable[[frozenset[str]], Awaitable[list[Result]]]


@dataclass
class Outcome:
    """What a run of some benches gave."""

    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_here: dict[str, str] = field(default_factory=dict)


class UnknownBench(Exception):
    """A name that no bench gives."""


def discover(folder: Path, package: str) -> tuple[list[Bench], dict[str, str]]:
    """The benches of a folder, and those that could not even be imported, with the reason."""
    benches, broken = [], {}
    for path in sorted(folder.glob("bench_*.py")):
        try:
            module = importlib.import_module(f"{package}.{path.stem}")
            benches.append(Bench(path.stem, tuple(module.NAMES), module.run))
        except Exception as error:  # noqa: BLE001 - a broken bench must not cost the others their figures
            broken[path.stem] = f"cannot be imported: {type(error).__name__}: {error}"
    return benches, broken


def choose(benches: Iterable[Bench], only: Sequence[str]) -> list[tuple[Bench, frozenset[str]]]:
    """The benches to run and the figures wanted of each: all, or those named by figure or by module.

    Raises:
        UnknownBench: a name that no bench gives, with the names there are.
    """
    benches = list(benches)
    known = {name for bench in benches for name in (*bench.names, bench.module)}
    if unknown := [name for name in only if name not in known]:
        raise UnknownBench(f"no bench is called {', '.join(unknown)}; there are: {', '.join(sorted(known)) or 'none'}")
    chosen = []
    for bench in benches:
        wanted = frozenset(bench.names if not only or bench.module in only else set(bench.names) & set(only))
        if wanted:
            chosen.append((bench, wanted))
    return chosen


def run_all(chosen: Iterable[tuple[Bench, frozenset[str]]], *, time_limit_s: float = TIME_LIMIT_S) -> Outcome:
    """Runs benches one after the other, each in an event loop of its own."""
    outcome = Outcome()
    for bench, wanted in chosen:
        print(f"bench: {bench.module}: {', '.join(sorted(wanted))}", flush=True)
        started_s = time.monotonic()
        run_one(bench, wanted, outcome, time_limit_s)
        print(f"       {time.monotonic() - started_s:.0f} s", flush=True)
    return outcome


def run_one(bench: Bench, wanted: frozenset[str], outcome: Outcome, time_limit_s: float) -> None:
    """Runs one bench and files what it gave, or why it gave nothing."""
    try:
        results = asyncio.run(within(bench.run(wanted), time_limit_s))
    except NotHere as reason:
        outcome.not_here |= dict.fromkeys(sorted(wanted), str(reason))
        print(f"       not here: {reason}", flush=True)
        return
    except Exception as error:  # noqa: BLE001 - the others still run; the run as a whole fails at its end
        traceback.print_exc(file=sys.stderr)
        outcome.failed |= dict.fromkeys(sorted(wanted), f"{type(error).__name__}: {error}")
        return
    outcome.results += results
    for result in results:
        print(f"       {result.name} = {result.value:.4g} {result.unit}", flush=True)
    for name in sorted(wanted - {result.name for result in results}):
        outcome.failed[name] = "the bench ended without giving this figure"


async def within(work: Awaitable[list[Result]], time_limit_s: float) -> list[Result]:
    """Waits for a bench, but not for ever."""
    async with asyncio.timeout(time_limit_s):
        return await work
