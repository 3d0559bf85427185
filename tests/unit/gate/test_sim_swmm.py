"""SWMM's canal 1 as a plant: it settles, follows a gate and takes an unannounced demand. Needs the extra `sim`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce import CANAL_1, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, FaultyPlant, Plant, Position, SpillingPlant
from edge_agent.gate_control.simulation.swmm import SwmmCanal, SwmmSettings
from shared.errors import UsageError

pytest.importorskip("pyswmm", reason="the extra `sim` (pyswmm) is not installed")
CANAL = first_pools(CANAL_1, 4)


@pytest.fixture(scope="module")
def site() -> SiteConfiguration:
    return asce_site(CANAL, SiteOptions(tune=lambda pool, period_s: tune_loop(pool, 50.0, control_period_s=period_s)))


@pytest.fixture
def canal(site: SiteConfiguration) -> Iterator[SwmmCanal]:
    with SwmmCanal(CANAL, site, SwmmSettings(tail_m3s=0.4), [DemandChange(7200.0, "t3", 0.2)]) as plant:
        yield plant


def depths_m(canal: SwmmCanal) -> list[float]:
    return [level_m - bed_m for level_m, (_, bed_m) in zip(canal.levels_m.values(), CANAL.inverts_m(), strict=True)]


def test_it_is_a_plant_that_begins_at_its_targets_and_stays_there(canal: SwmmCanal) -> None:
    plant: Plant = canal
    assert plant.time_s == 0.0
    assert isinstance(canal, FaultyPlant)
    assert isinstance(canal, SpillingPlant)
    assert depths_m(canal) == pytest.approx([0.9, 0.9, 0.8, 0.9], abs=1e-3)
    canal.advance(7200.0)
    assert depths_m(canal) == pytest.approx([0.9, 0.9, 0.8, 0.9], abs=1e-3)
    assert sum(canal.spilled_m3.values()) == 0.0


def test_a_gate_that_opens_draws_its_pool_down_and_fills_the_next_one_later(canal: SwmmCanal) -> None:
    start_pct = canal.actuators["g2"].position_pct
    canal.write("g2", Position(start_pct * 1.2))
    canal.advance(60.0)
    assert depths_m(canal)[1] == pytest.approx(0.9, abs=1e-3)
    canal.advance(3600.0)
    first, second, *_ = depths_m(canal)
    assert first < 0.87
    assert second > 0.91
    seen = {sample.point: sample.value for sample in canal.samples()}
    assert seen["g2.position"] == pytest.approx(start_pct * 1.2)
    assert seen["p1.tail"] == pytest.approx(canal.levels_m["p1"])


def test_an_unannounced_demand_draws_its_pool_down(canal: SwmmCanal) -> None:
    canal.advance(7200.0)
    before_m3s, before_m = canal.flow_m3s("t3"), depths_m(canal)[2]
    canal.advance(7500.0)
    assert canal.flow_m3s("t3") > 1.7 * before_m3s
    assert depths_m(canal)[2] < before_m - 0.02


def test_a_gate_that_is_stuck_shut_makes_its_pool_run_over(canal: SwmmCanal) -> None:
    canal.write("g3", Position(0.0))
    canal.advance(60.0)
    canal.set_trouble("g3", ActuatorTrouble.STUCK, on=True)
    canal.write("g3", Position(50.0))
    canal.advance(7200.0)
    assert canal.actuators["g3"].position_pct < 1.0
    assert canal.spilled_m3["p2"] > 100.0


def test_a_demand_of_an_unknown_offtake_is_a_mistake(site: SiteConfiguration) -> None:
    with pytest.raises(KeyError, match="orchard"):
        SwmmCanal(CANAL, site, changes=[DemandChange(0.0, "orchard", 1.0)])


def test_a_site_of_another_canal_is_refused(site: SiteConfiguration) -> None:
    with pytest.raises(UsageError, match="has no gate g5"):
        SwmmCanal(CANAL_1, site)
