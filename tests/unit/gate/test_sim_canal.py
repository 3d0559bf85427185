"""The integrator-delay canal: water is neither made nor lost, waves take their time, actuators their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.integrator_delay import Canal, CanalSettings, canal_of
from edge_agent.gate_control.simulation.plant import (
    ActuatorTrouble,
    FaultyPlant,
    Lower,
    Plant,
    Position,
    Raise,
    Sample,
    SpillingPlant,
    Stop,
)


def site(*, kind: str = "undershot", count_table: bool = False, turnout: bool = False, branch: bool = False) -> SiteConfiguration:
    """Two pools in a row: `a` above gate `g`, `b` below it."""
    point = {"device": "plc", "register": 1, "valid_min": -10.0, "valid_max": 2000.0, "max_rate_per_s": 10.0}
    names = ["a.tail", "b.head", "b.tail", "c.tail"]
    dynamics = {"flow_m3s": 2.0, "delay_s": 60.0, "area_m2": 1000.0}
    pool = {"low": dynamics, "high": dynamics, "level_min_m": 0.5, "level_max_m": 4.0, "bank_m": 5.0}
    takes: list[dict[str, Any]] = [{"id": "farm", "nominal_flow_m3s": 0.5}]
    if turnout:
        takes.append({"id": "lateral", "structure": "s", "nominal_flow_m3s": 0.4})
    pools: list[dict[str, Any]] = [
        {**pool, "id": "a", "outlet": "g", "invert_m": 2.0, "target_depth_m": 2.0, "tail_levels": ["a.tail"], "offtakes": takes},
        {**pool, "id": "b", "inlet": "g", "invert_m": 0.0, "target_depth_m": 1.5, "head_levels": ["b.head"], "tail_levels": ["b.tail"]},
    ]
    if branch:
        pools.append({**pool, "id": "c", "inlet": "g", "invert_m": 0.0, "target_depth_m": 1.0, "tail_levels": ["c.tail"]})
    table = [{"count": 200.0, "opening_m": 0.0}, {"count": 1200.0, "opening_m": 1.0}] if count_table else []
    return SiteConfiguration.model_validate(
        {
            "site": "north",
            "state_dir": "state",
            "devices": [{"id": "plc", "link": {"kind": "modbus_tcp", "host": "127.0.0.1"}}],
            "points": [
                *({**point, "id": name} for name in names),
                *(
                    {**point, "id": f"{gate}.position", "unit": "count" if count_table else "pct"}
                    for gate in ("g", *(["s"] if turnout else []))
                ),
            ],
            "pools": pools,
            "structures": [structure("g", kind, table), *([structure("s", "undershot", [])] if turnout else [])],
        }
    )


def structure(name: str, kind: str, table: list[dict[str, float]]) -> dict[str, Any]:
    place = {"device": "plc", "register": 6, "table": "holding"}
    actuator = {"device": "plc", "position": f"{name}.position", "desired_position": place, "stroke_time_s": 100.0, "table": table}
    geometry = {"kind": kind, "width_m": 2.0, "sill_m": 2.0, "height_m": 1.0}
    return {"id": name, "capacity_m3s": 8.0, "gates": [{"id": name, "geometry": geometry, "actuator": actuator}]}


def values(canal: Canal) -> dict[str, float]:
    return {sample.point: sample.value for sample in canal.samples()}


def test_it_is_a_plant_with_faults_and_spills() -> None:
    canal = canal_of(site())
    plant: Plant = canal
    assert plant.time_s == 0.0
    assert isinstance(canal, FaultyPlant)
    assert isinstance(canal, SpillingPlant)


def test_a_canal_that_nobody_touches_stays_as_it_began() -> None:
    canal = canal_of(site())
    before = canal.levels_m
    canal.advance(7200.0)
    assert canal.levels_m == pytest.approx(before, abs=1e-4)


def test_a_change_at_the_gate_reaches_the_far_end_after_the_delay() -> None:
    canal = canal_of(site())
    start_m = canal.levels_m["b"]
    canal.write("g", Raise())
    canal.advance(59.0)
    assert canal.levels_m["b"] == pytest.approx(start_m)
    assert values(canal)["b.head"] > start_m + 0.01
    canal.advance(120.0)
    assert canal.levels_m["b"] > start_m + 0.01


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=6), st.sampled_from(["undershot", "overshot"]))
def test_water_is_neither_made_nor_lost(openings_pct: list[float], kind: str) -> None:
    """Volume at the end = volume at the start + what came in - what went out, the delay line included."""
    canal = canal_of(site(kind=kind))
    water = {name: canal._pools[name] for name in ("a", "b")}

    def stored_m3() -> float:
        return sum(one.level_m * one.area_m2 + sum(one._way) for one in water.values())

    stored, gone_m3 = stored_m3(), 0.0
    for number, opening_pct in enumerate(openings_pct, start=1):
        canal.write("g", Position(opening_pct))
        for ten_s in range(1, 31):
            canal.advance((number - 1) * 300.0 + ten_s * 10.0)
            # a dry pool gives nobody what he wants, so that this sum would not hold
            assume(all(one.level_m > one.pool.invert_m + 0.05 for one in water.values()))
        gone_m3 += 300.0 * (water["b"].tail_m3s + 0.5 - water["a"].inflow_m3s)
    assert stored - gone_m3 == pytest.approx(stored_m3() + sum(canal.spilled_m3.values()), rel=1e-6)


def test_a_pool_that_ran_dry_gives_nothing_and_fills_again() -> None:
    canal = canal_of(site())
    canal.write("g", Lower())
    canal.advance(7200.0)
    assert canal.levels_m["b"] == pytest.approx(0.0, abs=0.03)
    canal.write("g", Position(40.0))
    canal.advance(9000.0)
    assert canal.levels_m["b"] > 0.2


def test_an_offtake_that_takes_more_without_a_word_draws_its_pool_down() -> None:
    canal = canal_of(site(), changes=[DemandChange(600.0, "farm", 1.5)])
    start_m = canal.levels_m["a"]
    canal.advance(600.0)
    assert canal.levels_m["a"] == pytest.approx(start_m)
    canal.advance(700.0)
    assert canal.levels_m["a"] < start_m - 0.05
    with pytest.raises(KeyError, match="orchard"):
        canal_of(site(), changes=[DemandChange(0.0, "orchard", 1.0)])


def test_what_stands_over_the_bank_is_counted_as_spilled() -> None:
    canal = canal_of(site(), CanalSettings(levels_m={"a": 4.9}))
    canal.write("g", Lower())
    canal.advance(3600.0)
    lost_m3 = canal.spilled_m3["a"]
    assert lost_m3 > 1000.0
    assert canal.levels_m["a"] < 5.6
    assert canal.spilled_m3["b"] == 0.0


def test_a_lower_crest_of_an_overshot_gate_passes_more() -> None:
    canal = canal_of(site(kind="overshot"))
    before = canal.flow_m3s("g")
    canal.write("g", Raise())
    canal.advance(30.0)
    assert canal.flow_m3s("g") > before


def test_a_turnout_takes_water_from_its_pool_and_a_branch_gets_its_share() -> None:
    canal = canal_of(site(turnout=True))
    assert canal.flow_m3s("s") == pytest.approx(0.4, abs=0.01)
    start_m = canal.levels_m["a"]
    canal.write("s", Raise())
    canal.advance(200.0)
    assert canal.levels_m["a"] < start_m
    fork = canal_of(site(branch=True))
    fork.write("g", Lower())
    fork.advance(400.0)
    assert set(fork.levels_m) == {"a", "b", "c"}
    assert fork.levels_m["c"] < 1.0


def test_an_actuator_travels_at_its_stroke_speed_and_stops_when_told() -> None:
    canal = canal_of(site())
    start_pct = values(canal)["g.position"]
    canal.write("g", Raise())
    canal.advance(10.0)
    seen = values(canal)
    assert seen["g.position"] == pytest.approx(start_pct + 10.0)
    assert (seen["g.moving"], seen["g.remote"], seen["g.open_limit"]) == (1.0, 1.0, 0.0)
    canal.write("g", Stop())
    canal.advance(20.0)
    assert values(canal)["g.position"] == pytest.approx(start_pct + 10.0)
    canal.write("g", Position(100.0))
    canal.advance(200.0)
    assert values(canal)["g.open_limit"] == 1.0
    assert canal.actuators["g"].starts == 2


@pytest.mark.parametrize(
    ("trouble", "travel_pct", "fact"),
    [
        (ActuatorTrouble.STUCK, 0.0, ""),
        (ActuatorTrouble.JAMMED, 0.0, "jammed"),
        (ActuatorTrouble.LOCAL, 0.0, ""),
        (ActuatorTrouble.REVERSED, -10.0, "moving"),
        (ActuatorTrouble.SLOW, 2.5, "moving"),
        (ActuatorTrouble.CREEPING, 10.0, "moving"),
        (ActuatorTrouble.RUNAWAY, -10.0, "moving"),
    ],
)
def test_a_gate_in_trouble_moves_as_its_trouble_says(trouble: ActuatorTrouble, travel_pct: float, fact: str) -> None:
    canal = canal_of(site())
    start_pct = values(canal)["g.position"]
    canal.set_trouble("g", trouble, on=True)
    canal.write("g", Position(start_pct + 20.0))
    canal.advance(10.0)
    seen = values(canal)
    assert seen["g.position"] - start_pct == pytest.approx(travel_pct)
    assert not fact or seen[f"g.{fact}"] == 1.0
    assert seen["g.remote"] == (0.0 if trouble is ActuatorTrouble.LOCAL else 1.0)
    canal.set_trouble("g", trouble, on=False)
    canal.write("g", Position(start_pct))
    canal.advance(200.0)
    assert values(canal)["g.position"] == pytest.approx(start_pct)


def test_a_creeping_gate_sinks_by_itself_and_a_handwheel_moves_a_local_one() -> None:
    canal = canal_of(site())
    start_pct = values(canal)["g.position"]
    canal.set_trouble("g", ActuatorTrouble.CREEPING, on=True)
    canal.advance(20.0)
    assert values(canal)["g.position"] == pytest.approx(start_pct - 2.0)
    canal.set_trouble("g", ActuatorTrouble.CREEPING, on=False)
    canal.set_trouble("g", ActuatorTrouble.LOCAL, on=True)
    canal.move_by_hand("g", start_pct + 10.0)
    canal.advance(25.0)
    assert values(canal)["g.by_hand"] == 1.0
    canal.advance(60.0)
    seen = values(canal)
    assert seen["g.position"] == pytest.approx(start_pct + 10.0)
    assert seen["g.by_hand"] == 0.0


def test_positions_are_told_in_counts_where_the_point_says_so() -> None:
    canal = canal_of(site(count_table=True))
    assert values(canal)["g.position"] == pytest.approx(200.0 + 10.0 * canal.actuators["g"].position_pct)


def test_samples_are_given_once_and_gates_must_be_known() -> None:
    canal = canal_of(site())
    assert all(isinstance(sample, Sample) for sample in canal.samples())
    assert canal.samples() == []
    with pytest.raises(KeyError):
        canal.write("g9", Stop())


EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"


def test_eight_sites_that_each_know_a_part_make_the_same_canal_as_one_that_knows_all() -> None:
    whole = canal_of(load_site(EXAMPLES / "canal-8-pools" / "site.yaml"))
    sites = [load_site(EXAMPLES / "canal-8-sites" / str(number) / "site.yaml") for number in range(1, 9)]
    parts = canal_of(sites)
    for canal in (whole, parts):
        canal.write("g3", Position(30.0))
        canal.advance(1800.0)
    assert parts.levels_m == pytest.approx(whole.levels_m, abs=1e-6)
    assert values(parts)["g3.flow"] == pytest.approx(parts.flow_m3s("g3"))
    missing = {point.id for one in sites for point in one.points if not point.id.startswith("cabinet")} - set(values_of(parts))
    assert missing == set()


def test_in_a_steep_pool_the_water_below_the_inlet_stands_where_its_sensor_can_see_it() -> None:
    example = load_site(EXAMPLES / "canal-8-pools" / "site.yaml")
    seen = values_of(canal_of(example))
    heads = {point.id: point for point in example.points if point.id.endswith(".head")}
    assert heads
    assert not [name for name, point in heads.items() if not point.valid_min < seen[name] < point.valid_max]


def values_of(canal: Canal) -> dict[str, float]:
    canal.advance(canal.time_s + 1.0)
    return values(canal)
