"""Gate flow: laws, inversion, and the three measures of an opening."""

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.hydraulics import (
    count_of_opening_m,
    count_of_pct,
    gate_flow_m3s,
    invert_flow,
    opening_m_of_count,
    opening_m_of_pct,
    pct_of_count,
    pct_of_opening_m,
    resolution_pct,
)
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.gates import Gate, Geometry

UNDERSHOT = Geometry(kind="undershot", width_m=7.0, sill_m=10.0, height_m=2.3, cd=0.61)
OVERSHOT = Geometry(kind="overshot", width_m=3.0, sill_m=10.0, height_m=1.5, cd=0.62)

geometries = st.builds(
    Geometry,
    kind=st.sampled_from(["undershot", "overshot"]),
    width_m=st.floats(0.2, 20.0),
    sill_m=st.floats(-5.0, 300.0),
    height_m=st.floats(0.1, 5.0),
    cd=st.floats(0.4, 0.9),
)
depths = st.floats(-1.0, 6.0)
shares = st.floats(0.0, 1.0)
any_number = st.floats(allow_nan=True, allow_infinity=True)


def gate(geometry: Geometry, *table: tuple[float, float]) -> Gate:
    rows = [{"count": count, "opening_m": opening_m} for count, opening_m in table]
    actuator = {"device": "d1", "position": "p1", "desired_position": {"device": "d1", "register": 6}, "table": rows}
    return Gate.model_validate({"id": "g1", "geometry": geometry, "actuator": actuator})


def test_a_free_sluice_gives_the_textbook_flow() -> None:
    # 0.61 * 0.3 m * 7 m * sqrt(2 g * 2.0 / (1 + 0.61 * 0.3 / 2.0))
    assert gate_flow_m3s(UNDERSHOT, 0.3, 12.0, None) == pytest.approx(7.681, abs=0.001)


def test_a_drowned_sluice_goes_by_the_difference_of_the_levels() -> None:
    assert gate_flow_m3s(UNDERSHOT, 0.3, 12.0, 11.8) == pytest.approx(0.61 * 0.3 * 7.0 * math.sqrt(2 * 9.81 * 0.2))


def test_tailwater_below_the_jet_changes_nothing() -> None:
    free = gate_flow_m3s(UNDERSHOT, 0.3, 12.0, None)
    assert gate_flow_m3s(UNDERSHOT, 0.3, 12.0, 10.1) == free
    assert gate_flow_m3s(UNDERSHOT, 0.3, 12.0, 10.5) < free


def test_a_leaf_out_of_the_water_is_a_weir() -> None:
    assert gate_flow_m3s(UNDERSHOT, 2.3, 11.0, None) == pytest.approx(7.0 * 1.705, rel=1e-3)
    assert gate_flow_m3s(UNDERSHOT, 2.0, 11.0, None) == gate_flow_m3s(UNDERSHOT, 2.3, 11.0, None)


def test_an_overshot_gate_spills_over_its_crest() -> None:
    # crest at 10 + 1.5 - 1.0 = 10.5, so 0.5 m over it
    assert gate_flow_m3s(OVERSHOT, 1.0, 11.0, None) == pytest.approx(2 / 3 * 0.62 * 3.0 * math.sqrt(2 * 9.81) * 0.5**1.5)
    assert gate_flow_m3s(OVERSHOT, 0.4, 11.0, None) == 0.0


def test_a_drowned_weir_gives_less_than_a_free_one() -> None:
    free = gate_flow_m3s(OVERSHOT, 1.0, 11.0, None)
    assert gate_flow_m3s(OVERSHOT, 1.0, 11.0, 10.75) == pytest.approx(free * (1 - 0.5**1.5) ** 0.385)


def test_a_flow_out_of_reach_is_said_to_be() -> None:
    beyond = invert_flow(UNDERSHOT, 500.0, 12.0, 11.9)
    assert beyond.is_at_limit
    assert beyond.head_difference_m == pytest.approx(0.1)
    most = gate_flow_m3s(UNDERSHOT, UNDERSHOT.height_m, 12.0, 11.9)
    assert gate_flow_m3s(UNDERSHOT, beyond.opening_m, 12.0, 11.9) == pytest.approx(most, rel=1e-6)
    assert not invert_flow(UNDERSHOT, 1.0, 12.0, 11.9).is_at_limit


def test_no_flow_closes_and_a_spilling_crest_cannot_close() -> None:
    assert invert_flow(UNDERSHOT, 0.0, 12.0, None).opening_m == 0.0
    assert not invert_flow(UNDERSHOT, 0.0, 12.0, None).is_at_limit
    spilling = invert_flow(OVERSHOT, 0.0, 12.0, None)
    assert (spilling.opening_m, spilling.is_at_limit) == (0.0, True)


def test_without_head_the_answer_says_limit_and_no_difference() -> None:
    stagnant = invert_flow(UNDERSHOT, 1.0, 11.0, 11.2)
    assert stagnant.is_at_limit
    assert stagnant.head_difference_m == pytest.approx(-0.2)
    assert stagnant.opening_m == pytest.approx(1.0)


def test_counts_go_through_the_actuators_table() -> None:
    tabled = gate(UNDERSHOT, (100.0, 0.0), (500.0, 0.3), (900.0, 2.3))
    assert opening_m_of_count(tabled, 300.0) == pytest.approx(0.15)
    assert opening_m_of_count(tabled, 50.0) == 0.0
    assert pct_of_count(tabled, 700.0) == pytest.approx(100 * 1.3 / 2.3)
    assert count_of_pct(tabled, 100.0) == 900.0


def test_a_crest_whose_count_rises_as_it_is_raised_still_opens_downward() -> None:
    tabled = gate(OVERSHOT, (1000.0, 0.0), (0.0, 1.5))
    assert opening_m_of_count(tabled, 250.0) == pytest.approx(1.125)
    assert count_of_opening_m(tabled, 1.125) == pytest.approx(250.0)


def test_without_a_table_the_actuator_speaks_percent() -> None:
    plain = gate(UNDERSHOT)
    assert opening_m_of_count(plain, 50.0) == pytest.approx(1.15)
    assert count_of_pct(plain, 37.5) == pytest.approx(37.5)


def test_the_steepest_part_of_the_table_decides_what_a_count_is_worth() -> None:
    point = Point.model_validate(
        {
            "id": "p1",
            "device": "d1",
            "register": 3,
            "unit": "count",
            "valid_min": 0,
            "valid_max": 1000,
            "max_rate_per_s": 5,
            "resolution": 1.0,
        }
    )
    assert resolution_pct(gate(UNDERSHOT, (0.0, 0.0), (500.0, 0.3), (1000.0, 2.3)), point) == pytest.approx(100 * (2.0 / 500) / 2.3)


@given(geometries, shares, shares, depths, st.none() | depths)
def test_more_opening_never_gives_less_flow(geometry: Geometry, one: float, other: float, up: float, down: float | None) -> None:
    low, high = sorted((one, other))
    tail_m = None if down is None else geometry.sill_m + down
    flows = [gate_flow_m3s(geometry, share * geometry.height_m, geometry.sill_m + up, tail_m) for share in (low, high)]
    assert flows[0] <= flows[1] * (1.0 + 1e-9) + 1e-9


@given(geometries, shares, depths, depths)
def test_tailwater_never_helps(geometry: Geometry, share: float, up: float, down: float) -> None:
    opening_m = share * geometry.height_m
    drowned = gate_flow_m3s(geometry, opening_m, geometry.sill_m + up, geometry.sill_m + down)
    assert drowned <= gate_flow_m3s(geometry, opening_m, geometry.sill_m + up, None) * (1.0 + 1e-9)


@given(geometries, shares, depths, st.floats(0.0, 5.0))
def test_without_head_there_is_no_flow(geometry: Geometry, share: float, up: float, more: float) -> None:
    up_m = geometry.sill_m + up
    assert gate_flow_m3s(geometry, share * geometry.height_m, up_m, up_m + more) == 0.0


@given(geometries, shares, depths, st.none() | depths)
def test_the_opening_for_a_flow_gives_that_flow(geometry: Geometry, share: float, up: float, down: float | None) -> None:
    up_m, down_m = geometry.sill_m + up, None if down is None else geometry.sill_m + down
    flow = gate_flow_m3s(geometry, share * geometry.height_m, up_m, down_m)
    assume(flow > 1e-3)
    found = invert_flow(geometry, flow, up_m, down_m)
    assert found.opening_m <= share * geometry.height_m + 1e-6, "the least opening that gives the flow"
    given_flow = gate_flow_m3s(geometry, found.opening_m, up_m, down_m)
    slope = gate_flow_m3s(geometry, found.opening_m, up_m, down_m) - gate_flow_m3s(geometry, found.opening_m - 1e-6, up_m, down_m)
    assert given_flow == pytest.approx(flow, rel=1e-5, abs=abs(slope) + 1e-6)


@given(geometries, any_number, any_number, any_number, st.none() | any_number)
@example(UNDERSHOT, math.nan, math.inf, -math.inf, math.nan)
def test_whatever_comes_in_a_number_comes_out(geometry: Geometry, opening_m: float, flow: float, up: float, down: float | None) -> None:
    assert 0.0 <= gate_flow_m3s(geometry, opening_m, up, down) < math.inf
    found = invert_flow(geometry, flow, up, down)
    assert 0.0 <= found.opening_m <= geometry.height_m
    assert math.isfinite(found.head_difference_m)


@given(
    geometries,
    st.lists(st.tuples(st.floats(1.0, 500.0), st.floats(0.01, 1.0)), min_size=1, max_size=6),
    st.booleans(),
    shares,
)
def test_counts_and_openings_are_inverse(geometry: Geometry, steps: list[tuple[float, float]], falling: bool, share: float) -> None:
    total_m = sum(step for _, step in steps)
    rows, count, opening_m = [(0.0, 0.0)], 0.0, 0.0
    for count_step, opening_step in steps:
        count, opening_m = count + count_step, opening_m + opening_step / total_m * geometry.height_m
        rows.append((-count if falling else count, min(opening_m, geometry.height_m)))
    tabled, wanted_m = gate(geometry, *rows), share * geometry.height_m
    assert opening_m_of_count(tabled, count_of_opening_m(tabled, wanted_m)) == pytest.approx(wanted_m, abs=1e-6)
    assert opening_m_of_pct(tabled, pct_of_opening_m(tabled, wanted_m)) == pytest.approx(wanted_m, abs=1e-9)


@given(any_number)
def test_any_count_is_an_opening_within_the_travel(count: float) -> None:
    for tabled in (gate(UNDERSHOT), gate(UNDERSHOT, (-1e308, 0.0), (1e308, 2.3))):
        assert 0.0 <= opening_m_of_count(tabled, count) <= 2.3
        assert math.isfinite(count_of_opening_m(tabled, count))
        assert 0.0 <= pct_of_opening_m(tabled, count) <= 100.0
