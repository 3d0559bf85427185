"""A pool falls no faster than its lining bears."""

import math

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.drawdown import (
    DAY_S,
    HOUR_S,
    LevelHistory,
    judge_drawdown,
    lowering_direction,
    move_to_boot,
    record_level,
)
from edge_agent.gate_control.model.gates import Drawdown

LINED = Drawdown(per_hour_m=0.15, per_day_m=0.30)


def record(*levels: tuple[float, float]) -> LevelHistory:
    history = LevelHistory()
    for at_s, level_m in levels:
        history = record_level(history, level_m, at_s)
    return history


def test_a_pool_without_a_limit_may_fall() -> None:
    assert judge_drawdown(Drawdown(), record((0, 2.0)), 0.5, 1.0).room_m is None


def test_no_more_than_the_hours_limit_in_an_hour_and_then_it_may_fall_on() -> None:
    history = record((0, 2.0), (1_800, 1.9))
    assert math.isclose(judge_drawdown(LINED, history, 1.9, 1_800.0).room_m or 0.0, 0.05)
    verdict = judge_drawdown(LINED, record_level(history, 1.85, 2_700.0), 1.849, 2_701.0)
    assert verdict.is_limited
    assert verdict.reason == "fell 0.151 m in an hour, 0.15 m are allowed"
    assert not judge_drawdown(LINED, record_level(history, 1.85, 2_700.0), 1.849, HOUR_S + 61.0).is_limited


def test_slow_enough_by_the_hour_can_be_too_fast_by_the_day() -> None:
    history = record(*((600.0 * step, 2.0 - 0.01 * step) for step in range(31)))
    verdict = judge_drawdown(LINED, history, 1.70, 18_000.0)
    assert (verdict.is_limited, "a day" in verdict.reason) == (True, True)


def test_a_rising_pool_has_all_its_room() -> None:
    assert judge_drawdown(LINED, record((0, 1.0), (60, 1.5)), 2.0, 120.0).room_m == 0.15


def test_a_lost_level_and_a_value_that_is_none_give_no_verdict_and_no_history() -> None:
    history = record((0, 2.0), (10, math.nan), (20, math.inf))
    assert judge_drawdown(LINED, history, None, 30.0).room_m is None
    assert [peak.level_m for peak in history.hour] == [2.0]


def test_a_limited_pool_forbids_opening_at_its_end_and_closing_at_its_head() -> None:
    assert (lowering_direction("outlet"), lowering_direction("inlet")) == (1, -1)


def test_a_reboot_does_not_wipe_out_how_high_the_water_was() -> None:
    history = move_to_boot(record((1_000, 2.0)), 1_300.0, None, 5.0)
    assert judge_drawdown(LINED, history, 1.8, 3_000.0).is_limited
    history = move_to_boot(record((1_000, 2.0)), 1_300.0, 3_400.0, 5.0)
    assert not judge_drawdown(LINED, history, 1.8, 100.0).is_limited


walks = st.lists(st.tuples(st.floats(1, 4_000), st.floats(0.5, 2.5)), min_size=1, max_size=80)


@given(walk=walks)
def test_a_level_is_limited_whenever_it_truly_fell_too_far_within_a_window(walk: list[tuple[float, float]]) -> None:
    history, now_s, seen = LevelHistory(), 0.0, list[tuple[float, float]]()
    for wait_s, level_m in walk:
        now_s += wait_s
        seen.append((now_s, level_m))
        history = record_level(history, level_m, now_s)
        hour_m = max(level for at_s, level in seen if now_s - at_s <= HOUR_S)
        day_m = max(level for at_s, level in seen if now_s - at_s <= DAY_S)
        verdict = judge_drawdown(LINED, history, level_m, now_s)
        assert verdict.room_m is not None
        assert verdict.room_m <= min(0.15 - (hour_m - level_m), 0.30 - (day_m - level_m)) + 1e-9
        older_hour_m = max(level for at_s, level in seen if now_s - at_s <= HOUR_S + 120.0)
        older_day_m = max(level for at_s, level in seen if now_s - at_s <= DAY_S + 1_800.0)
        assert verdict.room_m >= min(0.15 - (older_hour_m - level_m), 0.30 - (older_day_m - level_m)) - 1e-9
        assert len(history.hour) + len(history.day) <= 62 + 98
