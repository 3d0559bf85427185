import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.control import clamp, filter_level, pi_increment, quantise

levels = st.floats(-10, 10)
anything = st.floats(allow_nan=True, allow_infinity=True)


def test_the_first_level_passes_the_filter_as_it_is() -> None:
    assert filter_level(None, 2.0, 1.0, 60.0) == 2.0


def test_after_one_time_constant_the_filter_has_gone_63_percent_of_a_step() -> None:
    assert math.isclose(filter_level(0.0, 1.0, 60.0, 60.0), 1 - math.exp(-1))


@given(before=levels, level=levels, elapsed_s=st.floats(0, 1e6), filter_s=st.floats(0, 1e4))
def test_a_filtered_level_lies_between_the_old_and_the_new(before: float, level: float, elapsed_s: float, filter_s: float) -> None:
    filtered = filter_level(before, level, elapsed_s, filter_s)
    assert min(before, level) - 1e-9 <= filtered <= max(before, level) + 1e-9


def test_many_small_filter_steps_make_one_large_one() -> None:
    level = 0.0
    for _ in range(60):
        level = filter_level(level, 1.0, 1.0, 45.0)
    assert math.isclose(level, filter_level(0.0, 1.0, 60.0, 45.0), rel_tol=1e-9)


def test_taking_over_has_no_proportional_kick() -> None:
    assert pi_increment(0.5, None, 0.0, 100.0, 60.0) == 0.0


def test_increments_sum_to_the_position_form() -> None:
    errors, kp, ti_s, step_s = [0.1, 0.3, 0.2, -0.1], 50.0, 120.0, 10.0
    total = sum(pi_increment(now, before, step_s, kp, ti_s) for before, now in itertools.pairwise(errors))
    assert math.isclose(total, kp * (errors[-1] - errors[0]) + kp * step_s / ti_s * sum(errors[1:]))


@given(value=anything, ends=st.tuples(st.floats(-100, 100), st.floats(-100, 100)))
def test_a_clamped_value_is_inside_whatever_it_was(value: float, ends: tuple[float, float]) -> None:
    low, high = sorted(ends)
    assert low <= clamp(value, low, high) <= high


@given(value=anything, ends=st.tuples(st.floats(0, 100), st.floats(0, 100)), step=st.floats(-1, 10))
def test_rounding_to_the_register_never_leaves_the_limits(value: float, ends: tuple[float, float], step: float) -> None:
    low, high = sorted(ends)
    assert low <= quantise(value, step, low, high) <= high


def test_a_figure_is_rounded_to_what_the_register_can_hold() -> None:
    assert quantise(33.337, 0.1, 0.0, 100.0) == 33.3
    assert quantise(99.99, 0.1, 0.0, 99.95) == 99.9
