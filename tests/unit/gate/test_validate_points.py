"""What devices say, and how much of it is believed."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import PointHistory, Quality, Reading, Sample, ValidationContext
from edge_agent.gate_control.validate import validate_samples
from tests.fakes.gate_site import gate, level_point, now_at, pool, sample, site

GOOD, DEGRADED, BAD = Quality.GOOD, Quality.DEGRADED, Quality.BAD


class Watch:
    """Scans of one site, one after the other."""

    def __init__(self, configuration: SiteConfiguration) -> None:
        self.site = configuration
        self.histories: dict[str, PointHistory] = {}

    def scan(self, now_s: float, *samples: Sample, flows: dict[str, float | None] | None = None) -> dict[str, Reading]:
        context = ValidationContext(flows_m3s=flows or {})
        self.histories, readings = validate_samples(self.site, self.histories, samples, now_at(now_s), context)
        return readings

    def level(self, now_s: float, value: float | None, sampled_at_s: float | None = None) -> Reading:
        return self.scan(now_s, sample("level", value, now_s if sampled_at_s is None else sampled_at_s))["level"]


def watch(*levels: dict[str, Any], **options: Any) -> Watch:
    return Watch(site(points=levels or [level_point("level", "d1", 10)], **options))


def test_a_value_that_can_be_true_is_good_once_and_then_ages() -> None:
    seen = watch()
    first = seen.level(100.0, 2.0)
    assert (first.value, first.quality, first.is_fresh) == (2.0, GOOD, True)
    again = seen.level(106.0, 2.0, sampled_at_s=100.0)
    assert (again.value, again.quality, again.is_fresh, again.age_s) == (2.0, DEGRADED, False, 6.0)
    assert seen.level(111.0, 2.0, sampled_at_s=100.0).quality is BAD


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 4.1, None])
def test_what_cannot_be_true_leaves_the_last_value_and_says_why(value: float | None) -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    reading = seen.level(101.0, value)
    assert (reading.value, reading.quality, reading.is_fresh) == (2.0, GOOD, False)
    assert reading.reasons


@pytest.mark.parametrize("value", [-0.1, 4.1, math.nan, math.inf])
def test_what_cannot_be_true_is_not_believed_as_the_first_value_either(value: float) -> None:
    reading = watch().level(100.0, value)
    assert (reading.value, reading.quality) == (None, BAD)


def test_a_value_that_creeps_out_of_its_range_stays_at_the_last_one_inside() -> None:
    seen = watch()
    for step in range(30):
        reading = seen.level(100.0 + step, 3.95 + 0.01 * step)
    assert reading.value == pytest.approx(4.0)


def test_a_jump_is_not_believed_at_once_and_a_true_step_in_the_end() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    assert seen.level(101.0, 2.5).value == 2.0
    assert seen.level(105.0, 2.5).value == 2.5


def test_of_a_late_burst_in_any_order_the_newest_is_used_once() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    burst = [sample("level", 2.0 + index / 100, 100.0 + index) for index in (3, 1, 4, 2)]
    reading = seen.scan(107.0, *burst)["level"]
    assert (reading.value, reading.age_s, reading.is_fresh) == (2.04, 3.0, True)
    repeated = seen.scan(108.0, *burst)["level"]
    assert (repeated.value, repeated.is_fresh) == (2.04, False)


@pytest.mark.parametrize("ahead_s", [1.5, 100.0, math.inf, math.nan])
def test_a_sample_of_a_time_to_come_is_not_believed_and_keeps_no_later_one_out(ahead_s: float) -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    early = seen.level(101.0, 2.01, sampled_at_s=101.0 + ahead_s)
    assert (early.value, early.is_fresh, early.age_s) == (2.0, False, 1.0)
    assert "is from the future" in early.reasons
    later = seen.level(102.0, 2.02)
    assert (later.value, later.quality, later.is_fresh) == (2.02, GOOD, True)


def test_a_sample_that_is_overtaken_on_its_way_changes_nothing() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    seen.level(104.0, 2.04)
    late = seen.level(105.0, 2.01, sampled_at_s=101.0)
    assert (late.value, late.age_s, late.is_fresh) == (2.04, 1.0, False)
    assert "is older than the last value" in late.reasons


def test_another_value_of_the_very_same_time_is_not_taken() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    again = seen.level(101.0, 2.01, sampled_at_s=100.0)
    assert (again.value, again.age_s, again.is_fresh) == (2.0, 1.0, False)


def test_an_outlier_at_the_end_of_a_burst_does_not_hide_the_good_values_before_it() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    reading = seen.scan(103.0, sample("level", 3.9, 103.0), sample("level", 2.01, 102.0))["level"]
    assert (reading.value, reading.is_fresh) == (2.01, True)


def test_a_clock_that_jumped_back_makes_no_old_value_young() -> None:
    seen = watch()
    seen.level(10_000.0, 2.0)
    reading = seen.scan(50.0)["level"]
    assert (reading.value, reading.quality) == (None, BAD)
    assert seen.level(51.0, 2.1).quality is GOOD


LOOP = {"low": 0.0, "high": 4.0, "fault_after_s": 4.0}
LOOP_POINT = level_point("level", "d1", 10, current_loop=LOOP, valid_min=-2.0, valid_max=6.0, max_rate_per_s=10.0)


def level_at(current_ma: float) -> float:
    return (current_ma - 4.0) / 16.0 * 4.0


def test_a_broken_current_loop_is_bad_as_soon_as_it_has_lasted() -> None:
    seen = watch(LOOP_POINT)
    seen.level(100.0, level_at(12.0))
    for second in (101.0, 102.0, 103.0, 104.0):
        assert (seen.level(second, level_at(3.5)).value, seen.level(second, level_at(3.5)).quality) == (2.0, GOOD)
    broken = seen.level(105.5, level_at(3.5))
    assert broken.quality is BAD
    assert "current loop broken" in broken.reasons[-1]
    assert seen.level(106.0, level_at(12.1)).quality is GOOD


def test_a_dip_of_a_current_loop_is_forgotten() -> None:
    seen = watch(LOOP_POINT)
    seen.level(100.0, level_at(12.0))
    seen.level(101.0, level_at(2.0))
    seen.level(102.0, level_at(12.0))
    assert seen.level(105.5, level_at(22.0)).quality is GOOD


def test_between_the_valid_and_the_fault_band_a_current_is_used_with_doubt() -> None:
    reading = watch(LOOP_POINT).level(100.0, level_at(3.7))
    assert reading.value == pytest.approx(-0.075)
    assert reading.quality is DEGRADED


def test_a_fact_that_cannot_be_read_is_bad_at_once_and_one_not_yet_read_after_three_scans() -> None:
    seen = watch()
    assert seen.scan(100.0, sample("g1.remote", 1.0, 100.0))["g1.remote"].quality is GOOD
    assert seen.scan(101.0, sample("g1.remote", None, 101.0, "silent"))["g1.remote"].quality is BAD
    assert seen.scan(102.0, sample("g1.remote", 1.0, 102.0))["g1.remote"].quality is GOOD
    assert seen.scan(103.0)["g1.remote"].quality is GOOD
    assert seen.scan(106.0)["g1.remote"].quality is BAD
    assert seen.scan(107.0, sample("g1.remote", 7.0, 107.0))["g1.remote"].quality is BAD


def test_a_remote_point_names_its_site() -> None:
    seen = watch(level_point("level", "d1", 10, remote="south"))
    assert seen.level(100.0, 2.0).source == "south/level"


def end_of(*values: float | None, disagree_m: float = 0.05) -> dict[str, Reading]:
    names = [f"l{index}" for index in range(len(values))]
    points = [level_point(name, "d1", 10 + index) for index, name in enumerate(names)]
    seen = watch(*points, pools=[pool("p1", outlet="g1", tail_levels=names, disagree_m=disagree_m)])
    return seen.scan(100.0, *(sample(name, value, 100.0) for name, value in zip(names, values, strict=True)))


def test_two_sensors_that_agree_give_their_mean() -> None:
    end = end_of(2.0, 2.04)["p1/tail"]
    assert end.value == pytest.approx(2.02)
    assert (end.quality, end.is_fresh) == (GOOD, True)


def test_two_sensors_that_disagree_are_in_doubt_and_hold_their_end() -> None:
    readings = end_of(2.0, 2.2)
    assert (readings["l0"].quality, readings["l1"].quality, readings["p1/tail"].quality) == (DEGRADED, DEGRADED, BAD)
    assert "l0: disagrees with l1 by 0.2" in readings["p1/tail"].reasons


def test_of_three_sensors_the_middle_counts_and_the_one_apart_is_bad() -> None:
    readings = end_of(2.0, 2.01, 3.0)
    assert (readings["l2"].quality, readings["p1/tail"].quality) == (BAD, DEGRADED)
    assert readings["p1/tail"].value == pytest.approx(2.005)
    assert "without l2" in readings["p1/tail"].reasons


def test_three_sensors_of_which_no_two_agree_hold_their_end() -> None:
    assert end_of(1.0, 2.0, 3.0)["p1/tail"].quality is BAD


def test_the_last_sensor_of_an_end_is_used_with_doubt_and_none_is_bad() -> None:
    readings = end_of(2.0, None)
    assert (readings["p1/tail"].value, readings["p1/tail"].quality) == (2.0, DEGRADED)
    assert end_of(None, None)["p1/tail"].quality is BAD


POOL = pool("p1", inlet="g0", outlet="g1", tail_levels=["level"])


class Canal:
    """A pool's tail level seen each second, with what flows in and out."""

    def __init__(self) -> None:
        gates = [gate("g0", "d1"), gate("g1", "d1")]
        self.watch = watch(level_point("level", "d1", 10), gates=gates, pools=[POOL])
        self.now_s = 1000.0

    def run(self, seconds: int, level_m: float, into_m3s: float | None, out_m3s: float | None, slope: float = 0.0) -> Reading:
        reading = None
        for _ in range(seconds):
            self.now_s += 1.0
            level_m += slope
            flows = {"g0": into_m3s, "g1": out_m3s}
            reading = self.watch.scan(self.now_s, sample("level", round(level_m, 3), self.now_s), flows=flows)["p1/tail"]
        assert reading is not None
        return reading


def test_a_level_at_rest_is_not_frozen() -> None:
    assert Canal().run(600, 2.0, 2.0, 2.0).quality is GOOD


def test_a_level_that_ignores_its_gate_is_frozen_and_free_when_it_moves_again() -> None:
    canal = Canal()
    canal.run(30, 2.0, 2.0, 2.0)
    # 1 m3/s more out of 1000 m2: 1 mm a second
    assert canal.run(2, 2.0, 2.0, 3.0).quality is GOOD
    frozen = canal.run(5, 2.0, 2.0, 3.0)
    assert frozen.quality is BAD
    assert any("frozen" in reason for reason in frozen.reasons)
    assert canal.run(1, 1.99, 2.0, 3.0).quality is GOOD


def test_a_change_upstream_is_expected_only_after_one_and_a_half_times_the_pools_delay() -> None:
    canal = Canal()
    canal.run(240, 2.0, 2.0, 2.0)
    assert canal.run(118, 2.0, 3.0, 2.0).quality is GOOD
    assert canal.run(40, 2.0, 3.0, 2.0).quality is BAD


def test_a_small_change_of_flow_can_be_an_offtake_that_nobody_measures() -> None:
    canal = Canal()
    canal.run(240, 2.0, 2.0, 2.0)
    assert canal.run(3000, 2.0, 2.0, 2.19).quality is GOOD


def test_a_gate_that_stops_a_rise_makes_no_sensor_frozen() -> None:
    canal = Canal()
    canal.run(60, 2.0, 2.0, 2.0, slope=0.001)
    assert canal.run(120, 2.06, 2.0, 3.0).quality is GOOD


def test_a_slow_rise_that_a_gate_stops_a_moment_after_the_last_step_makes_no_sensor_frozen() -> None:
    """What the gate takes off is what made it rise: nothing is left to be expected."""
    canal = Canal()
    canal.run(60, 2.0, 2.5, 2.0, slope=0.0005)
    canal.run(1, 2.03, 2.5, 2.0)
    assert canal.run(120, 2.03, 2.5, 2.5).quality is GOOD


def test_a_pool_that_shares_its_inlet_is_not_watched_for_nobody_knows_its_part() -> None:
    canal = Canal()
    other = pool("p2", inlet="g0", tail_levels=[])
    gates = [gate("g0", "d1"), gate("g1", "d1")]
    canal.watch = watch(level_point("level", "d1", 10), gates=gates, pools=[POOL, other])
    canal.run(240, 2.0, 2.0, 2.0)
    assert canal.run(120, 2.0, 2.0, 4.0).quality is GOOD


def test_a_turnout_that_takes_what_the_gate_below_no_longer_does_leaves_a_level_still() -> None:
    canal = Canal()
    gates = [gate("g0", "d1"), gate("g1", "d1"), gate("t1", "d1")]
    offtake = {"id": "field", "structure": "t1", "nominal_flow_m3s": 0.0}
    canal.watch = watch(level_point("level", "d1", 10), gates=gates, pools=[{**POOL, "offtakes": [offtake]}])
    for second in range(400):
        taken_m3s = 0.0 if second < 240 else 1.0
        canal.now_s += 1.0
        flows: dict[str, float | None] = {"g0": 2.0, "g1": 2.0 - taken_m3s, "t1": taken_m3s}
        reading = canal.watch.scan(canal.now_s, sample("level", 2.0, canal.now_s), flows=flows)["p1/tail"]
    assert reading.quality is GOOD
    for _ in range(60):
        canal.now_s += 1.0
        flows = {"g0": 2.0, "g1": 1.0, "t1": 3.0}
        reading = canal.watch.scan(canal.now_s, sample("level", 2.0, canal.now_s), flows=flows)["p1/tail"]
    assert reading.quality is BAD


def test_flows_that_nobody_knows_make_nothing_expected() -> None:
    canal = Canal()
    canal.run(30, 2.0, 2.0, 2.0)
    assert canal.run(60, 2.0, None, 3.0).quality is GOOD


floats = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0.0, 4.0))
times = st.one_of(st.floats(-1e6, 1e6), st.floats(allow_nan=True, allow_infinity=True), st.floats(995.0, 1010.0))
scans = st.lists(
    st.tuples(st.floats(-5.0, 20.0), st.lists(st.tuples(st.sampled_from(["l0", "l1", "g1.remote"]), floats, times), max_size=4), floats),
    max_size=12,
)


@given(scans=scans)
def test_whatever_comes_a_good_reading_is_a_young_number_in_range_and_nothing_is_used_twice(
    scans: list[tuple[float, list[tuple[str, float | None, float]], float | None]],
) -> None:
    levels = [level_point(name, "d1", 10, current_loop=LOOP) for name in ("l0", "l1")]
    seen = watch(*levels, pools=[pool("p1", outlet="g1", tail_levels=["l0", "l1"])])
    now_s, used = 1000.0, dict[str, float]()
    for step_s, came, flow in scans:
        now_s += step_s
        readings = seen.scan(now_s, *(sample(*item) for item in came), flows={"g1": flow})
        for name, reading in readings.items():
            assert math.isfinite(reading.age_s)
            assert reading.age_s >= 0.0
            if reading.quality is GOOD:
                assert reading.value is not None
                assert math.isfinite(reading.value)
                assert reading.age_s <= 10.0
                assert name == "g1.remote" or 0.0 <= reading.value <= 4.0 or name == "g1-position"
            if reading.is_fresh and name in ("l0", "l1") and step_s >= 0.0:
                at_s = seen.histories[name].sampled_at_s
                assert at_s > used.get(name, -math.inf) or step_s < 0.0 or used[name] > now_s
                used[name] = at_s


@given(steps=st.lists(st.floats(-0.05, 0.05), min_size=5, max_size=40), flow_m3s=st.one_of(st.none(), st.floats(0.0, 10.0)))
def test_flows_that_do_not_change_make_no_sensor_frozen_whatever_the_level_does(steps: list[float], flow_m3s: float | None) -> None:
    canal, level_m = Canal(), 2.0
    for step_m in steps:
        level_m = min(3.9, max(0.1, level_m + step_m))
        assert not any("frozen" in reason for reason in canal.run(3, level_m, flow_m3s, 2.0).reasons)


@given(values=st.lists(st.floats(0.0, 4.0), min_size=1, max_size=3), disagree_m=st.floats(0.01, 1.0))
def test_the_level_of_an_end_lies_between_its_sensors(values: list[float], disagree_m: float) -> None:
    end = end_of(*values, disagree_m=disagree_m)["p1/tail"]
    assert end.value is not None
    assert min(values) <= end.value <= max(values)
    if end.quality is GOOD:
        assert max(values) - min(values) <= 2 * disagree_m


def test_a_history_of_the_scan_before_is_all_that_is_needed() -> None:
    seen = watch()
    seen.level(100.0, 2.0)
    twin = watch()
    twin.histories = {name: replace(history) for name, history in seen.histories.items()}
    assert twin.level(101.0, 2.01) == seen.level(101.0, 2.01)
