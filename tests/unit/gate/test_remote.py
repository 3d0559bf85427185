"""A gate that holds a level which another site measures: what it does while that site is there, gone, and back."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.remote import STEP_SHARE, clamped_change, is_remote
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import UpstreamLevelObjective
from tests.fakes.gate import CanalBench, make_bench, make_plan, with_value

T2_S = 600.0


def remote_bench(**options: Any) -> CanalBench:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)), **options)
    level = bench.site.points[0].model_copy(update={"remote": "south"})
    bench.site = bench.site.model_copy(update={"points": (level, *bench.site.points[1:])})
    return bench


def test_a_remote_point_gone_freezes_its_term_and_the_last_flow_is_held() -> None:
    bench = remote_bench()
    bench.run(600)
    bench.distort = lambda sample: with_value(sample, "g1-level", None)
    bench.run(120)
    held = bench.controller().wanted_flow_m3s
    moves = len(bench.moves())
    bench.run(900)
    assert bench.controller().wanted_flow_m3s == held
    assert len(bench.moves()) == moves
    assert bench.has_alarm("site/site_lost.south")
    assert not bench.has_alarm("g1/sensor_stale.g1-level")


def test_after_its_time_comes_the_gates_fallback_and_control_again_when_the_site_is_back() -> None:
    bench = remote_bench(fallback={"kind": "position", "opening_pct": 45.0, "after_s": T2_S})
    bench.run(600)
    bench.distort = lambda sample: with_value(sample, "g1-level", None)
    bench.run(T2_S - 60.0)
    assert bench.gate().mode == "AUTO"
    bench.run(180)
    assert bench.gate().mode == "FALLBACK"
    assert abs(bench.position_pct() - 45.0) <= 0.5
    bench.distort = lambda sample: sample
    bench.run(30)
    assert bench.gate().mode == "AUTO"


def test_a_remote_level_that_jumps_moves_the_flow_by_no_more_than_its_share() -> None:
    bench = remote_bench()
    bench.run(120)
    before = bench.controller().wanted_flow_m3s or 0.0
    bench.distort = lambda sample: with_value(sample, "g1-level", 2.5) if sample.point == "g1-level" else sample
    bench.memory = replace(bench.memory, histories={})
    bench.run(bench.site.structures[0].upstream_loop.control_period_s + 1.0)  # type: ignore[union-attr]
    change = abs((bench.controller().wanted_flow_m3s or 0.0) - before)
    assert 0.0 < change <= STEP_SHARE * bench.site.structures[0].capacity_m3s + 1e-9


@given(change=st.floats(allow_nan=True, allow_infinity=True), capacity=st.floats(0.1, 100.0))
def test_what_a_remote_value_changes_is_clamped_and_no_number_changes_nothing(change: float, capacity: float) -> None:
    assert abs(clamped_change(change, capacity, is_from_remote=True)) <= STEP_SHARE * capacity


def test_a_place_is_remote_when_one_of_its_points_is() -> None:
    level, position = example_site().points
    points = {"a": level.model_copy(update={"remote": "south"}), "b": position}
    assert is_remote(points, ["b", "a"])
    assert not is_remote(points, ["b", "c"])
