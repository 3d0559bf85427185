import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.model.site import SensorPoint, SiteSettings
from edge_agent.gate_control.model.values import PointHistory, Quality, Reading, Sample, Selector
from edge_agent.gate_control.validate_v1 import validate_point, validate_samples
from tests.fakes.gate import now_at, site_settings

POINT = SensorPoint.model_validate(
    {"register": 1, "valid_min": 0.0, "valid_max": 4.0, "max_rate_per_s": 0.1, "degraded_after_s": 3.0, "stale_after_s": 10.0}
)


def look(history: PointHistory, value: float | None, at_s: float, *, sampled_at_s: float | None = None) -> tuple[PointHistory, Reading]:
    sample = Sample("g1.level", value, at_s if sampled_at_s is None else sampled_at_s)
    return validate_point(POINT, history, sample, now_at(at_s), source="g1.level")


@pytest.fixture
def settings() -> SiteSettings:
    return site_settings()


def test_a_good_value_is_good_and_fresh() -> None:
    _, reading = look(PointHistory(), 2.0, 100.0)
    assert (reading.value, reading.quality, reading.is_fresh, reading.age_s) == (2.0, Quality.GOOD, True, 0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 4.1, -0.1, None])
def test_what_cannot_be_true_keeps_the_last_value_which_ages(value: float | None) -> None:
    history, _ = look(PointHistory(), 2.0, 100.0)
    history, reading = look(history, value, 102.0)
    assert (reading.value, reading.quality, reading.is_fresh) == (2.0, Quality.GOOD, False)
    assert reading.reasons
    history, reading = look(history, value, 105.0)
    assert reading.quality is Quality.DEGRADED
    history, reading = look(history, value, 111.0)
    assert reading.quality is Quality.BAD


def test_a_jump_is_not_believed_at_once_but_a_true_step_is_in_the_end() -> None:
    history, _ = look(PointHistory(), 2.0, 100.0)
    history, reading = look(history, 2.5, 101.0)
    assert reading.value == 2.0
    assert "changed by +0.5" in reading.reasons[0]
    history, reading = look(history, 2.5, 105.0)
    assert (reading.value, reading.is_fresh) == (2.5, True)


def test_a_sample_that_was_seen_before_ages_like_none() -> None:
    history, _ = look(PointHistory(), 2.0, 100.0)
    _, reading = look(history, 2.0, 111.0, sampled_at_s=100.0)
    assert reading.quality is Quality.BAD


def test_a_late_sample_does_not_turn_time_back() -> None:
    history, _ = look(PointHistory(), 2.0, 100.0)
    history, reading = look(history, 1.9, 101.0, sampled_at_s=95.0)
    assert (reading.value, reading.is_fresh) == (2.0, False)


def test_of_a_burst_only_the_newest_counts(settings: SiteSettings) -> None:
    samples = [Sample("g1.upstream_level", value, at) for value, at in ((2.02, 12.0), (2.0, 10.0), (2.01, 11.0))]
    _, readings = validate_samples(settings, {}, samples, now_at(12.0))
    assert readings["g1"].levels["upstream_level"].value == 2.02


def test_a_point_that_never_answered_is_bad() -> None:
    history, reading = look(PointHistory(), None, 100.0)
    assert (reading.value, reading.quality, reading.age_s) == (None, Quality.BAD, 0.0)
    _, reading = look(history, None, 130.0)
    assert reading.age_s == 30.0


def test_status_bits_say_selector_motion_and_jam(settings: SiteSettings) -> None:
    _, readings = validate_samples(settings, {}, [Sample("g1.status", float(1 << 0 | 1 << 5 | 1 << 11), 1.0)], now_at(1.0))
    gate = readings["g1"]
    assert (gate.selector, gate.moving, gate.jammed, gate.by_hand) == (Selector.REMOTE, True, True, False)


@pytest.mark.parametrize("value", [None, math.nan, -1.0, 1e9])
def test_no_status_is_not_taken_for_remote(settings: SiteSettings, value: float | None) -> None:
    _, readings = validate_samples(settings, {}, [Sample("g1.status", value, 1.0)], now_at(1.0))
    assert (readings["g1"].selector, readings["g1"].status_is_known) == (Selector.LOCAL, False)


values = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


@given(steps=st.lists(st.tuples(values, st.floats(-50, 50)), max_size=30))
def test_a_good_reading_is_always_a_young_number_in_range(steps: list[tuple[float | None, float]]) -> None:
    history, at_s = PointHistory(), 1000.0
    for value, shift_s in steps:
        at_s += 1.0
        history, reading = look(history, value, at_s, sampled_at_s=at_s + shift_s)
        if reading.quality is Quality.GOOD:
            assert reading.value is not None
            assert math.isfinite(reading.value)
            assert POINT.valid_min <= reading.value <= POINT.valid_max
            assert reading.age_s <= POINT.degraded_after_s
