"""A whole day in one process: memory stays flat, and the canal is held."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce_sites import target_plan
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import put_in_service
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.indicators import indicators
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process import GateProcess
from edge_agent.gate_control.simulation.recorder import Recorder
from edge_agent.gate_control.simulation.run import Run
from tests.fakes.heap import growth, weigh
from tests.fakes.simulated_canal import assert_safe, small_site

DAY_S = 86_400.0
SCAN_S = 2.0
MORNING_S, EVENING_S = 6 * 3600.0, DAY_S - 2 * SCAN_S
GROWTH_BYTES = 20_000
"""Of all that the process holds, between morning and evening; a leak of a byte a scan would show. Half an hour gains 1 kB."""
SITE = small_site(2, scan_period_s=SCAN_S)
CHANGES = [DemandChange(hour * 3600.0, "t2", 0.2 if hour % 4 else 0.1) for hour in range(2, 24, 2)]


class Weighed(GateProcess):
    """Notes all that the whole process holds at two moments, but for what the simulation records of the run."""

    def __init__(self, site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path, weigh_at_s: list[float]) -> None:
        super().__init__(site, field, clock, folder)
        self._clock_of_day = clock
        self._weigh_at_s = weigh_at_s
        self.held: list[Counter[str]] = []
        self.leak: Callable[[], None] = lambda: None

    async def scan(self) -> None:
        await super().scan()
        self.leak()
        if len(self.held) < len(self._weigh_at_s) and self._clock_of_day.monotonic_s() >= self._weigh_at_s[len(self.held)]:
            self.journal._write()  # up to 500 records wait to be written together
            self.held.append(weigh(without=[*recorded(), self.held]))


def recorded() -> list[object]:
    """What grows in any simulation, for the one who looks at it afterwards."""
    recorders = [one for one in gc.get_objects() if isinstance(one, Recorder)]
    return [part for one in recorders for part in (one.commands, one.alarms, one.modes, one._times_s, one._values)]


Leak = Callable[[], None]


def run_day(folder: Path, duration_s: float, weigh_at_s: list[float], leak: Leak = lambda: None) -> tuple[Run, dict[str, int]]:
    """The run, and the bytes that each type gained between the two moments."""
    lives: list[Weighed] = []

    async def start(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, state: Path) -> Weighed:
        lives.append(Weighed(site, field, clock, state, weigh_at_s))
        lives[-1].leak = leak
        return lives[-1]

    run = simulate(
        [SITE], [target_plan(SITE, START)], canal_of(SITE, changes=CHANGES), duration_s=duration_s, state_dir=folder,
        events=put_in_service(SITE), start_process=start, record_every_s=60.0,
    )  # fmt: skip
    morning, evening = lives[0].held
    return run, growth(morning, evening)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_is_flat_over_a_day(tmp_path: Path) -> None:
    run, grown = run_day(tmp_path, DAY_S, [MORNING_S, EVENING_S])
    assert sum(grown.values()) < GROWTH_BYTES, grown
    assert_safe(run, SITE, CHANGES)
    assert indicators(run, SITE).worst["IAE %"] < 20.0


HOUR_S = 3600.0


def run_hour(folder: Path, leak: Leak = lambda: None) -> dict[str, int]:
    _, grown = run_day(folder, HOUR_S + 10.0, [HOUR_S / 2, HOUR_S], leak)
    return grown


@pytest.fixture(scope="module")
def without_a_leak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return run_hour(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("what", ["numbers", "text", "tuples"])
def test_a_leak_of_anything_is_seen_within_the_hour(tmp_path: Path, without_a_leak: dict[str, int], what: str) -> None:
    """So that the day's test means something: one small thing a scan, kept for ever, and its type is told."""
    kept: list[object] = []
    things: dict[str, Callable[[], object]] = {
        "numbers": lambda: float(len(kept)) + 0.5,
        "text": lambda: f"scan {len(kept)}",
        "tuples": lambda: (float(len(kept)), (float(len(kept)) + 0.5,)),
    }
    grown = run_hour(tmp_path, lambda: kept.append(things[what]()))
    scans = HOUR_S / 2 / SCAN_S
    leaked = {"numbers": "builtins.float", "text": "builtins.str", "tuples": "builtins.tuple"}[what]
    least_bytes = {"numbers": 24, "text": 49, "tuples": 96}[what]
    assert grown[leaked] - without_a_leak.get(leaked, 0) > 0.9 * scans * least_bytes
