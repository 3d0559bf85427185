"""A whole day in one process: memory stays flat, and the canal is held."""

from __future__ import annotations

import gc
import tracemalloc
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
from tests.fakes.simulated_canal import assert_safe, small_site

DAY_S = 86_400.0
MORNING_S, EVENING_S = 6 * 3600.0, DAY_S - 5.0
PARTS = ("decide", "validate", "loop", "replay", "journal", "model")
GROWTH_BYTES = 100_000
"""Of what control holds, between morning and evening; a leak of 2 bytes a scan would show."""


class Weighed(GateProcess):
    """Notes what all of `decide`, `validate`, `loop` and `replay` hold, in the morning and in the evening."""

    def __init__(self, site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> None:
        super().__init__(site, field, clock, folder)
        self._clock_of_day = clock
        self.held_bytes: list[int] = []

    async def scan(self) -> None:
        await super().scan()
        if len(self.held_bytes) < 2 and self._clock_of_day.monotonic_s() >= (MORNING_S, EVENING_S)[len(self.held_bytes)]:
            gc.collect()
            ours = [tracemalloc.Filter(True, f"*/gate_control/{part}/*") for part in PARTS]
            kept = tracemalloc.take_snapshot().filter_traces(ours)
            self.held_bytes.append(sum(trace.size for trace in kept.traces))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat_over_a_day(tmp_path: Path) -> None:
    site = small_site(2, scan_period_s=2.0)
    changes = [DemandChange(hour * 3600.0, "t2", 0.2 if hour % 4 else 0.1) for hour in range(2, 24, 2)]
    lives: list[Weighed] = []

    async def start(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> Weighed:
        lives.append(Weighed(site, field, clock, folder))
        return lives[-1]

    tracemalloc.start()
    try:
        run = simulate(
            [site], [target_plan(site, START)], canal_of(site, changes=changes), duration_s=DAY_S, state_dir=tmp_path,
            events=put_in_service(site), start_process=start, record_every_s=60.0,
        )  # fmt: skip
    finally:
        tracemalloc.stop()
    assert_safe(run, site, changes)
    morning, evening = lives[0].held_bytes
    assert evening - morning < GROWTH_BYTES, f"{morning} bytes in the morning, {evening} in the evening"
    assert indicators(run, site).worst["IAE %"] < 20.0
