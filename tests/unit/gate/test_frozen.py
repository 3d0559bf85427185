"""Frozen level sensors on the ASCE canals: found when flows changed, never where gates, waves or unmeasured offtakes explain the level."""

import random
from collections.abc import Callable

import pytest

from edge_agent.gate_control.model.pools import LevelLoop, Pool
from edge_agent.gate_control.model.values import PointHistory, Sample, ValidationContext
from edge_agent.gate_control.simulation.asce import CANAL_1, CANAL_2, AsceCanal
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site
from edge_agent.gate_control.simulation.integrator_delay import Canal, canal_of
from edge_agent.gate_control.simulation.plant import Position
from edge_agent.gate_control.validate import validate_samples
from tests.fakes.gate_site import now_at

STEP_S = 5.0
CONTROL_S = 300.0


def some_loop(_pool: Pool, _period_s: float) -> LevelLoop:
    return LevelLoop(kp_m2_per_s=1.0, ti_s=600.0)


class Run:
    """A canal seen by sensors of 1 mm without noise: the hardest case, since true levels stand still for minutes."""

    def __init__(self, canal: AsceCanal, seed: int = 3) -> None:
        self.site = asce_site(canal, SiteOptions(tune=some_loop))
        self.plant: Canal = canal_of(self.site)
        self.random = random.Random(seed)
        self.start_m = dict(self.plant.levels_m)
        self.histories: dict[str, PointHistory] = {}
        self.shown: dict[str, float] = {}
        self.frozen_values: dict[str, float] = {}
        self.found: dict[str, float] = {}
        self.time_s = 0.0
        self.levels = {point for pool in self.site.pools for point in (*pool.tail_levels, *pool.head_levels)}

    def freeze(self, point: str) -> None:
        self.frozen_values[point] = self.values()[point]

    def values(self) -> dict[str, float]:
        self.plant.advance(self.time_s)
        new = {sample.point: sample.value for sample in self.plant.samples()}
        self.shown |= {point: round(value, 3) if point in self.levels else value for point, value in new.items()}
        return self.shown

    def move(self, gate: str, by_pct: float) -> None:
        position_pct = self.plant.actuators[gate].position_pct
        self.plant.write(gate, Position(min(95.0, max(5.0, position_pct + by_pct))))

    def run(self, hours: float, control: Callable[["Run"], None] = lambda _: None, *, until_found: str = "") -> None:
        end_s = self.time_s + hours * 3600.0
        flows: dict[str, float | None] = {}
        while self.time_s < end_s and until_found not in self.found:
            self.time_s += STEP_S
            if self.time_s % CONTROL_S == 0.0:
                control(self)
            samples = [Sample(point, self.frozen_values.get(point, value), self.time_s) for point, value in self.values().items()]
            self.histories, readings = validate_samples(
                self.site, self.histories, samples, now_at(self.time_s), ValidationContext(flows_m3s=flows)
            )
            flows = {structure.id: self.plant.flow_m3s(structure.id) for structure in self.site.structures}
            for point in self.levels:
                if any(reason.startswith("frozen") for reason in readings[point].reasons):
                    self.found.setdefault(point, self.time_s)


def at_random(run: Run) -> None:
    for structure in run.site.structures:
        run.move(structure.id, run.random.uniform(-3.0, 3.0))
    somebody_takes_more_or_less(run)


def holding_levels(run: Run) -> None:
    for pool in run.site.pools:
        if pool.outlet is not None and pool.inlet is not None:
            run.move(pool.outlet, 30.0 * (run.plant.levels_m[pool.id] - run.start_m[pool.id]))
    somebody_takes_more_or_less(run)


def somebody_takes_more_or_less(run: Run) -> None:
    flows = run.plant.demands.flows_m3s
    take = run.random.choice(sorted(flows))
    flows[take] = max(0.0, flows[take] * run.random.uniform(0.6, 1.4) + run.random.uniform(-0.05, 0.05))


@pytest.mark.parametrize("control", [at_random, holding_levels])
@pytest.mark.parametrize("canal", [CANAL_1, CANAL_2])
def test_no_sensor_that_works_is_called_frozen(canal: AsceCanal, control: Callable[[Run], None]) -> None:
    run = Run(canal)
    run.run(2.0, control)
    assert run.found == {}


@pytest.mark.parametrize("canal", [CANAL_1, CANAL_2])
def test_a_frozen_sensor_is_found_within_minutes_when_its_own_gate_opens(canal: AsceCanal) -> None:
    run = Run(canal)
    run.run(0.5)
    run.freeze("p3.tail")
    opened_at_s = run.time_s
    run.move("g4", 8.0)
    run.run(1.0, until_found="p3.tail")
    assert run.found.keys() == {"p3.tail"}
    assert run.found["p3.tail"] - opened_at_s <= 180.0


@pytest.mark.parametrize("control", [at_random, holding_levels])
def test_moves_of_three_percent_add_up_until_a_frozen_sensor_is_found(control: Callable[[Run], None]) -> None:
    """A twentieth of the pool's flow is more than most of them change: one alone proves nothing."""
    run = Run(CANAL_1)
    run.run(1.0, control)
    frozen_at_s = run.time_s
    run.freeze("p3.tail")
    run.run(2.0, control, until_found="p3.tail")
    assert run.found.keys() == {"p3.tail"}
    assert run.found["p3.tail"] - frozen_at_s <= 3_600.0
