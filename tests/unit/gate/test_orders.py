"""Delivery orders as stories: begun once, ended always, and accounted for through whatever happens."""

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest

from edge_agent.gate_control.decide.order_outlook import busy_for_s, check_orders, ordered_changes
from edge_agent.gate_control.decide.orders import (
    Account,
    Ending,
    NoteKind,
    OrdersState,
    OrderStatus,
    limit_s,
    lost_state,
    nominal_s,
    order_flow,
    status_of,
)
from shared.contracts.gate_plan import DeliveryOrder
from tests.fakes.orders import START, Water, make_order

BEGUN_AND_ENDED = [NoteKind.STARTED, NoteKind.ENDED]


# ---- the ordinary way


def test_an_order_begins_at_its_time_and_ends_after_its_duration() -> None:
    water = Water([make_order(at_s=60)])
    water.run(59)
    assert (water.asked, status_of(water.state.accounts.get("o1"))) == ({"t1": 0.0}, OrderStatus.WAITING)
    water.run(11)
    assert (water.asked, water.demands["t1"].is_running) == ({"t1": 0.5}, True)
    water.run(4_000)
    assert (water.asked, water.account().ending, water.said()) == ({"t1": 0.0}, Ending.TIME, BEGUN_AND_ENDED)
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=5)


def test_an_order_by_volume_ends_when_the_volume_was_measured() -> None:
    water = Water([make_order(volume_m3=900.0)], share=0.8)
    water.run(4_000)
    assert (water.account().ending, water.account().estimated_m3) == (Ending.VOLUME, 0.0)
    assert water.delivered_m3["t1"] == pytest.approx(900, abs=5)


def test_volume_or_time_whichever_comes_first() -> None:
    water = Water([make_order(volume_m3=300.0, duration_s=600.0)], share=0.8)
    water.run(1_000)
    assert (water.account().ending, water.said()) == (Ending.TIME, [*BEGUN_AND_ENDED, NoteKind.SHORT])


def test_an_order_whose_flow_cannot_be_had_does_not_run_for_ever() -> None:
    water = Water([make_order(volume_m3=900.0)], share=0.0)
    water.run(10_000)
    assert water.account().ending is Ending.TIME
    assert water.account().ran_s == pytest.approx(2_700, abs=10)
    assert NoteKind.SHORT in water.said()


def test_two_orders_at_one_turnout_add_up_and_share_its_meter() -> None:
    water = Water([make_order("a", volume_m3=900.0), make_order("b", volume_m3=300.0, flow_m3s=0.25)])
    water.run(100)
    assert water.asked == {"t1": 0.75}
    assert water.account("a").volume_m3 == pytest.approx(2 * water.account("b").volume_m3)
    water.run(4_000)
    assert water.delivered_m3["t1"] == pytest.approx(1_200, abs=10)


def test_with_a_bad_meter_an_order_ends_by_time_and_its_volume_is_flagged() -> None:
    water = Water([make_order(volume_m3=900.0)], meter_is_good=False)
    water.run(4_000)
    assert water.said() == [NoteKind.STARTED, NoteKind.ESTIMATED, NoteKind.ENDED]
    assert water.account().estimated_m3 == water.account().volume_m3 == pytest.approx(900, abs=5)


# ---- missed starts


@pytest.mark.parametrize(
    ("fields", "delivered_m3"),
    [
        ({"if_missed": "skip"}, 0.0),
        ({"if_missed": "start_late"}, 1_800.0),
        ({"if_missed": "keep_end"}, 900.0),
        ({"if_missed": "start_late", "latest_start": START + timedelta(seconds=1_700)}, 0.0),
        ({"if_missed": "skip", "start_window_s": 1_900.0}, 1_800.0),
    ],
)
def test_half_an_hour_late_each_order_does_as_it_says(fields: dict[str, Any], delivered_m3: float) -> None:
    water = Water([make_order(**fields)])
    water.crash(1_800)
    water.run(8_000)
    assert water.delivered_m3.get("t1", 0.0) == pytest.approx(delivered_m3, abs=5)
    assert status_of(water.account()) is (OrderStatus.ENDED if delivered_m3 else OrderStatus.MISSED)
    assert (NoteKind.MISSED in water.said()) == (not delivered_m3)


def test_a_missed_order_is_said_once_and_waits_again_when_the_clock_was_wrong() -> None:
    water = Water([make_order(at_s=600)], clock_error_s=7_200.0)
    water.run(100)
    assert water.said() == [NoteKind.MISSED]
    water.clock_error_s = 0.0
    water.run(600)
    assert water.said() == [NoteKind.MISSED, NoteKind.STARTED]


def test_an_order_that_kept_its_end_and_came_after_it_is_missed() -> None:
    water = Water([make_order(if_missed="keep_end")])
    water.crash(3_700)
    water.run(100)
    assert status_of(water.account()) is OrderStatus.MISSED


# ---- restarts, and downtimes in the same boot


def test_a_restart_goes_on_with_the_order_and_counts_the_downtime_as_an_estimate() -> None:
    water = Water([make_order(volume_m3=1_800.0)])
    water.run(600)
    water.crash(1_200)
    water.run(4_000)
    assert water.said() == [NoteKind.STARTED, NoteKind.ESTIMATED, NoteKind.ENDED]
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=5)
    assert water.account().estimated_m3 == pytest.approx(600, abs=30)


def test_an_end_that_fell_into_a_downtime_is_carried_out_at_once_and_what_flowed_is_in_the_account() -> None:
    water = Water([make_order()])
    water.run(600)
    water.crash(7_200)
    water.scan()
    assert (water.asked, water.account().ending) == ({"t1": 0.0}, Ending.TIME)
    assert water.account().volume_m3 == pytest.approx(water.delivered_m3["t1"]) == pytest.approx(3_900)


def test_a_crash_that_lost_the_last_scans_begins_nothing_again() -> None:
    water = Water([make_order()])
    for _ in range(50):
        water.run(31)
        water.crash(1.0)
    water.run(3_000)
    assert [kind for kind in water.said() if kind is not NoteKind.ESTIMATED] == BEGUN_AND_ENDED
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=5)


# ---- clocks


def test_steps_of_the_wall_clock_move_no_end_and_begin_nothing_again() -> None:
    water = Water([make_order()])
    water.run(600)
    for error_s in (-7_200.0, 86_400.0, 0.0):
        water.clock_error_s = error_s
        water.run(600)
    water.run(4_000)
    assert water.said() == BEGUN_AND_ENDED
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=5)


def test_without_wall_time_a_running_order_ends_on_time_and_none_begins() -> None:
    water = Water([make_order("o1"), make_order("o2", at_s=1_000)])
    water.run(600)
    water.clock_is_set = False
    water.run(4_000)
    assert water.account("o1").ending is Ending.TIME
    assert "o2" not in water.state.accounts
    assert "none starts before the clock is set" in water.demands["t1"].reason


def test_after_a_reboot_without_time_a_running_order_goes_to_its_safe_default_and_on_once_the_time_is_known() -> None:
    water = Water([make_order(volume_m3=1_800.0)])
    water.run(600)
    water.reboot(300, clock_is_set=False)
    water.run(200)
    assert (water.demands["t1"].flow_m3s, water.demands["t1"].is_safe_default) == (0.0, True)
    assert status_of(water.account()) is OrderStatus.SUSPENDED
    water.clock_is_set = True
    water.run(4_000)
    assert water.said() == [NoteKind.STARTED, NoteKind.SUSPENDED, NoteKind.ESTIMATED, NoteKind.RESUMED, NoteKind.ENDED]
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=10)


def test_a_reboot_with_time_goes_on_at_once() -> None:
    water = Water([make_order()])
    water.run(600)
    water.reboot(1_000)
    water.scan()
    assert water.asked == {"t1": 0.5}
    water.run(4_000)
    assert water.account().ran_s == pytest.approx(3_600, abs=10)


def test_a_downtime_is_measured_from_the_last_scan_though_the_clock_was_lost_before_it() -> None:
    water = Water([make_order()])
    water.run(600)
    water.clock_is_set = False
    water.run(1_200)
    water.reboot(300)
    water.run(4_000)
    assert water.account().ran_s == pytest.approx(3_600, abs=10)
    assert water.delivered_m3["t1"] == pytest.approx(1_800, abs=30)


def test_a_time_that_comes_after_the_end_finds_the_order_over() -> None:
    water = Water([make_order()])
    water.run(600)
    water.reboot(100, clock_is_set=False)
    water.run(7_000)
    water.clock_is_set = True
    water.scan()
    assert (water.account().ending, NoteKind.SHORT in water.said()) == (Ending.TIME, True)
    assert water.account().volume_m3 == pytest.approx(water.delivered_m3["t1"], abs=10)


def test_a_monotonic_clock_that_went_back_is_taken_for_another_boot() -> None:
    water = Water([make_order()])
    water.run(600)
    water.boot_s += 5_000.0
    water.run(4_000)
    assert water.said()[0] is NoteKind.STARTED
    assert water.account().ending is Ending.TIME


# ---- plans and lost state


def test_an_order_that_a_new_plan_leaves_out_ends_and_comes_back_no_more() -> None:
    water = Water([make_order()])
    water.run(600)
    water.orders = []
    water.run(10)
    assert (water.asked, water.account().ending) == ({"t1": 0.0}, Ending.WITHDRAWN)
    water.orders = [make_order()]
    water.run(100)
    assert water.asked == {"t1": 0.0}


def test_an_order_left_out_while_the_process_was_down_has_the_downtime_in_its_account() -> None:
    water = Water([make_order()])
    water.run(600)
    water.crash(300)
    water.orders = []
    water.scan()
    assert water.account().volume_m3 == pytest.approx(water.delivered_m3["t1"]) == pytest.approx(450)
    assert water.said() == [NoteKind.STARTED, NoteKind.ESTIMATED, NoteKind.ENDED, NoteKind.SHORT]


def test_an_order_left_out_while_no_clock_says_how_long_the_downtime_was_is_accounted_once_one_does() -> None:
    water = Water([make_order()])
    water.run(600)
    water.reboot(300, clock_is_set=False)
    water.orders = []
    water.run(100)
    assert (water.asked, status_of(water.account())) == ({"t1": 0.0}, OrderStatus.SUSPENDED)
    water.clock_is_set = True
    water.scan()
    assert water.account().ending is Ending.WITHDRAWN
    assert water.account().volume_m3 == pytest.approx(water.delivered_m3["t1"], abs=10) == pytest.approx(450, abs=10)


def test_a_running_order_whose_figures_change_goes_on_by_the_new_ones() -> None:
    water = Water([make_order()])
    water.run(600)
    water.orders = [make_order(flow_m3s=0.25, duration_s=1_200.0)]
    water.run(2_000)
    assert water.said() == BEGUN_AND_ENDED
    assert water.delivered_m3["t1"] == pytest.approx(450, abs=10)


def test_an_order_moved_to_another_turnout_closes_the_first() -> None:
    water = Water([make_order()])
    water.run(600)
    water.orders = [make_order(turnout="t2")]
    water.run(100)
    assert (water.asked, water.account().ending) == ({"t1": 0.0, "t2": 0.0}, Ending.WITHDRAWN)


def test_where_the_accounts_were_lost_nothing_is_delivered_twice() -> None:
    water = Water([make_order("o1", if_missed="start_late"), make_order("o2", at_s=7_000)], state=lost_state(), true_s=600.0)
    water.clock_is_set = False
    water.run(100)
    water.clock_is_set = True
    water.run(6_500)
    assert (water.account("o1").ending, water.said("o1")) == (Ending.STATE_LOST, [NoteKind.MISSED])
    assert water.account("o2").is_running


def test_accounts_are_kept_of_what_was_begun_and_not_for_ever_of_the_rest() -> None:
    missed = Account("t1", is_missed=True)
    ended = {f"x{count}": Account("t1", started_wall_s=0.0, ending=Ending.TIME, ended_wall_s=float(count)) for count in range(2_100)}
    state, _, _ = order_flow([], OrdersState({"m": missed, **ended}), Water([]).now(), {})
    assert len(state.accounts) == 2_000
    assert {"x2099"} <= set(state.accounts)
    assert {"m", "x0"}.isdisjoint(state.accounts)


def test_an_account_is_written_down_and_read_back_as_it_was() -> None:
    water = Water([make_order()], meter_is_good=False)
    water.run(4_000)
    written = json.loads(json.dumps(asdict(water.account())))
    assert Account(**{**written, "ending": Ending(written["ending"])}) == water.account()


# ---- what is coming


def test_changes_are_foretold_by_the_delay_of_the_canal() -> None:
    water = Water([make_order(at_s=1_000)])
    water.run(10)
    assert ordered_changes(water.orders, water.state, water.now(), 900.0) == {}
    assert ordered_changes(water.orders, water.state, water.now(), 990.0) == {"t1": 0.5}
    water.run(3_990)
    assert water.asked == {"t1": 0.5}
    assert ordered_changes(water.orders, water.state, water.now(), 590.0) == {}
    assert ordered_changes(water.orders, water.state, water.now(), 610.0) == {"t1": -0.5}
    assert busy_for_s(water.orders, water.state) == pytest.approx(600, abs=10)


def test_an_end_by_volume_is_foretold_by_the_flow_that_is_measured() -> None:
    water = Water([make_order(volume_m3=900.0)], share=0.8)
    water.run(1_000)
    assert busy_for_s(water.orders, water.state) == pytest.approx(1_250, abs=20)


def test_without_a_clock_only_ends_are_foretold() -> None:
    water = Water([make_order("o1"), make_order("o2", at_s=1_000, turnout="t2")])
    water.run(600)
    water.clock_is_set = False
    water.scan()
    assert ordered_changes(water.orders, water.state, water.now(), 5_000.0) == {"t1": -0.5}


def test_what_was_missed_or_is_over_is_not_foretold() -> None:
    water = Water([make_order()], true_s=2_000.0)
    water.scan()
    assert ordered_changes(water.orders, water.state, water.now(), 100.0) == {}
    assert busy_for_s(water.orders, water.state) is None


REFUSED: list[tuple[list[DeliveryOrder], str]] = [
    ([make_order(), make_order()], "order o1 stands twice"),
    ([make_order(turnout="t9")], "no structure t9 at this site; it has t1, t2"),
    ([make_order(flow_m3s=2.0)], "flow 2 m3/s is above what t1 takes, 0.8"),
    ([make_order("a"), make_order("b", at_s=3_000)], "orders a, b ask for 1 m3/s together at 2026-05-01T06:50:00+00:00; t1 takes 0.8"),
]


@pytest.mark.parametrize(("orders", "reason"), REFUSED)
def test_orders_that_cannot_be_had_are_refused_with_order_figure_and_limit(orders: list[DeliveryOrder], reason: str) -> None:
    assert any(reason in problem for problem in check_orders(orders, {"t1": 0.8, "t2": 0.8}))


def test_orders_one_after_the_other_or_at_two_turnouts_pass() -> None:
    orders = [make_order("a"), make_order("b", at_s=3_600), make_order("c", turnout="t2")]
    assert check_orders(orders, {"t1": 0.8, "t2": 0.8}) == ()


def test_the_longest_time_of_an_order() -> None:
    assert (nominal_s(make_order(volume_m3=900.0)), limit_s(make_order(volume_m3=900.0))) == (1_800.0, 2_700.0)
    assert limit_s(make_order(if_missed="keep_end"), late_s=600.0) == 3_000.0
