"""A turnout with a gate of its own: it stands at a pool and ends none. Its water is known, its orders are delivered, and told upstream."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.decide.feedforward import Ordered
from edge_agent.gate_control.decide.orders import OrderDemand, OrdersState
from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.decide.topology import StructurePlace, topology
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce_sites import target_plan
from edge_agent.gate_control.simulation.harness import START
from edge_agent.gate_control.simulation.integrator_delay import CanalSettings, canal_of
from edge_agent.gate_control.simulation.run import Run
from shared.contracts.gate_plan import DeliveryOrder
from tests.fakes.gate_site import now_at
from tests.fakes.simulated_canal import alarms_of, run_site, small_site

BEGINS_S, LASTS_S, FLOW_M3S = 1800.0, 2400.0, 0.15
ORDER = DeliveryOrder(
    order_id="o1", turnout="farm", start=START + timedelta(seconds=BEGINS_S), flow_m3s=FLOW_M3S, volume_m3=FLOW_M3S * LASTS_S
)  # fmt: skip
GATE: dict[str, Any] = {
    "id": "farm", "geometry": {"width_m": 0.6, "sill_m": 0.3, "height_m": 0.5},
    "actuator": {
        "device": "plc", "position": "farm.position", "stroke_time_s": 60.0,
        "desired_position": {"device": "plc", "register": 170, "table": "holding", "scale": 0.1},
    },
}  # fmt: skip
POSITION = {
    "id": "farm.position", "device": "plc", "register": 171, "scale": 0.1, "unit": "pct", "valid_min": 0.0, "valid_max": 100.0,
    "max_rate_per_s": 10.0, "resolution": 0.1, "stale_after_s": 10.0,
}  # fmt: skip
METER = {
    "id": "farm.flow", "device": "plc", "register": 172, "scale": 0.001, "unit": "m3s", "valid_min": 0.0, "valid_max": 2.0,
    "max_rate_per_s": 1.0, "resolution": 0.001, "stale_after_s": 60.0,
}  # fmt: skip


def turnout_site(*, metered: bool) -> SiteConfiguration:
    """Pools p1 and p2; the farm takes its water from p2 through a gate of this site."""
    document = small_site(2).model_dump(mode="json", by_alias=True)
    [pool] = [one for one in document["pools"] if one["id"] == "p2"]
    pool["offtakes"] = [{"id": "farm-outlet", "structure": "farm"}]
    document["points"] += [POSITION, METER]
    flow_loop = {"flow_points": ["farm.flow"] if metered else [], "control_period_s": 20.0, "ti_s": 200.0}
    document["structures"].append({"id": "farm", "gates": [GATE], "capacity_m3s": 0.5, "flow_loop": flow_loop})
    return SiteConfiguration.model_validate(document)


def place(site: SiteConfiguration, structure: str) -> StructurePlace:
    return next(one for one in topology(site).structures if one.structure.id == structure)


@cache
def delivered(folder: Path, *, metered: bool) -> Run:
    """The order on a plant whose gates pass a tenth more than the law says."""
    site = turnout_site(metered=metered)
    plan = target_plan(site, START).model_copy(update={"orders": (ORDER,)})
    assert check_plan(plan, site, now_at(0.0)) == ()
    plant = canal_of(site, CanalSettings(cd_error=0.1))
    plant.flow_points["farm.flow"] = "farm"
    return run_site(site, folder, duration_s=BEGINS_S + LASTS_S + 1200.0, plans=[plan], plant=plant, changes=())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("turnout")


@pytest.mark.parametrize(("metered", "error"), [(True, 0.03), (False, 0.15)])
def test_an_order_at_a_turnout_gate_opens_it_and_its_volume_closes_it(folder: Path, metered: bool, error: float) -> None:
    run = delivered(folder / str(metered), metered=metered)
    assert run.series["farm.flow"].at(BEGINS_S + 1200.0) == pytest.approx(FLOW_M3S, rel=error)
    assert run.series["farm.position"].at(BEGINS_S - 10.0) == pytest.approx(0.0, abs=0.3)
    assert run.series["farm.position"].values[-1] == pytest.approx(0.0, abs=0.3)
    closings = [record.at_s for record in run.commands if record.gate == "farm" and record.opening_pct == 0.0]
    closed_s = next(at_s for at_s in closings if at_s > BEGINS_S)
    assert closed_s - BEGINS_S == pytest.approx(LASTS_S, rel=error)
    assert not [key for key in alarms_of(run) if "order" in key or "flow_not_controlled" in key]


def test_the_gates_above_open_before_the_turnout_does(folder: Path) -> None:
    run = delivered(folder / "True", metered=True)
    delay_s = next(pool.low.delay_s for pool in turnout_site(metered=True).pools if pool.id == "p2")
    before_s = BEGINS_S - delay_s - 60.0
    for gate in ("g1", "g2"):
        position = run.series[f"{gate}.position"]
        assert position.at(BEGINS_S - 30.0) > position.at(before_s) + 0.5


def test_its_water_is_that_of_the_pool_that_lists_it_and_its_levels_stay_the_alarms_of_the_gates_at_its_ends() -> None:
    site = turnout_site(metered=False)
    farm = place(site, "farm")
    assert (farm.above.id if farm.above else None, farm.is_turnout, farm.below) == ("p2", True, ())
    assert topology(site).subjects["p2.tail"] == "g2"
    assert not place(site, "g2").is_turnout


def test_a_pool_that_falls_too_fast_forbids_its_turnout_to_open(folder: Path) -> None:
    site = turnout_site(metered=False)
    pools = [pool.model_copy(update={"drawdown": pool.drawdown.model_copy(update={"per_hour_m": 0.02})}) for pool in site.pools]
    limited = site.model_copy(update={"pools": tuple(pools)})
    big = ORDER.model_copy(update={"flow_m3s": 0.5, "volume_m3": 3000.0})
    plan = target_plan(site, START).model_copy(update={"orders": (big,)})
    run = run_site(limited, folder / "drawdown", duration_s=BEGINS_S + 1800.0, plans=[plan], changes=())
    assert "p2/drawdown_limited" in alarms_of(run)
    told_s = alarms_of(run)["p2/drawdown_limited"]
    opened = [record for record in run.commands if record.gate == "farm" and record.at_s > told_s and record.opening_pct]
    assert all(record.opening_pct <= run.series["farm.position"].at(told_s) + 0.5 for record in opened if record.opening_pct is not None)


def test_an_order_at_a_turnout_whose_level_nobody_measures_is_refused_with_the_plan() -> None:
    site = turnout_site(metered=False)
    blind = site.model_copy(
        update={"pools": tuple(one.model_copy(update={"tail_levels": ()}) if one.id == "p2" else one for one in site.pools)}
    )
    plan = target_plan(site, START).model_copy(update={"gates": {}, "orders": (ORDER,)})
    [problem] = check_plan(plan, blind, now_at(0.0))
    assert "o1" in problem
    assert "level above" in problem


def test_orders_below_a_turnout_are_told_upstream_unless_the_turnout_has_one_of_its_own() -> None:
    """A lateral behind the farm's gate, with an outlet that delivers an order."""
    site = turnout_site(metered=False)
    [p2] = [pool for pool in site.pools if pool.id == "p2"]
    field = p2.offtakes[0].model_copy(update={"id": "field", "structure": None})
    lateral = p2.model_copy(update={"id": "lateral", "inlet": "farm", "outlet": None, "offtakes": (field,)})
    wide = site.model_copy(update={"pools": (*site.pools, lateral)})
    order = replace_turnout(ORDER, "field")
    demands = {"field": OrderDemand(0.1, "order o1", is_running=True)}
    ordered = Ordered(wide, (order,), OrdersState(), demands, now_at(0.0))
    assert ordered.flow_m3s(place(wide, "g2"), "downstream_level", 1.0) == pytest.approx(0.1)
    both = replace(ordered, demands={**demands, "farm": OrderDemand(0.3, "order o2", is_running=True)})
    assert both.flow_m3s(place(wide, "g2"), "downstream_level", 1.0) == pytest.approx(0.3)


def replace_turnout(order: DeliveryOrder, turnout: str) -> DeliveryOrder:
    return order.model_copy(update={"turnout": turnout})
