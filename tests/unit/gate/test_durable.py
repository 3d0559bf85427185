"""What reaches the disk at once, and what waits a minute: each thing that must not be lost changes the durable part of the state."""

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.gate_control.decide.alarms import AlarmState, Phase
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Place, Tag
from edge_agent.gate_control.decide.orders import Account, Ending, OrdersState, after_boot
from edge_agent.gate_control.decide.restart import durable_part, restore, saved_state, with_alarms_since
from edge_agent.gate_control.decide.starts import StartHistory, record_start
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.values import ControllerState, GateState, InterlockState
from tests.fakes.gate import RUNNING, now_at

ACCOUNT = Account("g3")
ALARM = AlarmState(phase=Phase.UNACKNOWLEDGED)
STATE = SiteState(
    gates={"g1": GateState()},
    modes={"g1": RUNNING},
    starts={"g1": StartHistory()},
    alarms={"g1/stuck": ALARM},
    orders=OrdersState(accounts={"o1": ACCOUNT}),
)


def with_modes(**changes: Any) -> SiteState:
    return replace(STATE, modes={"g1": replace(RUNNING, **changes)})


def with_alarm(**changes: Any) -> SiteState:
    return replace(STATE, alarms={"g1/stuck": replace(ALARM, **changes)})


def with_account(**changes: Any) -> SiteState:
    return replace(STATE, orders=replace(STATE.orders, accounts={"o1": replace(ACCOUNT, **changes)}))


@pytest.mark.parametrize(
    "state",
    [
        with_modes(tags=(Tag("ana", "now"),)),
        with_modes(trip="stuck"),
        with_modes(stopped_by="ana"),
        with_modes(control=Control.MANUAL),
        with_modes(in_service=False),
        with_modes(owner=Place.CONSOLE),
        with_modes(commissioning=GateModes().commissioning),
        replace(STATE, alarms={}),
        replace(STATE, alarms={"g1/stuck": ALARM, "g1/jammed": ALARM}),
        with_alarm(phase=Phase.ACKNOWLEDGED),
        with_alarm(phase=Phase.RETURNED),
        with_alarm(acknowledged_by="ana"),
        with_alarm(phase=Phase.SHELVED, shelved_until_s=600.0),
        with_account(started_wall_s=1.0),
        with_account(ending=next(iter(Ending))),
        with_account(is_suspended=True),
        replace(STATE, gates={"g1": GateState(interlocks={"high": InterlockState(0.0, tripped=True)})}),
        replace(STATE, starts={"g1": record_start(StartHistory(), 1, 5.0)}),
    ],
)
def test_what_must_not_be_lost_is_saved_at_once(state: SiteState) -> None:
    assert durable_part(state) != durable_part(STATE)


@pytest.mark.parametrize(
    "state",
    [
        replace(STATE, gates={"g1": GateState(position_pct=40.0, mode="AUTO")}),
        replace(STATE, controllers={"g1": ControllerState(wanted_flow_m3s=2.0)}),
        replace(STATE, flows_m3s={"g1": 2.0}),
        with_account(volume_m3=5.0),
        with_alarm(reason="still there"),
    ],
)
def test_what_changes_in_each_scan_waits(state: SiteState) -> None:
    assert durable_part(state) == durable_part(STATE)


@pytest.mark.parametrize(("boot_id", "is_another"), [("boot", False), ("another", True)])
def test_another_boot_tells_the_orders_that_the_monotonic_clock_began_anew(boot_id: str, is_another: bool) -> None:
    running = with_account(started_wall_s=1.0)
    running = replace(running, orders=replace(running.orders, scanned_at_s=5_000.0))
    begun = restore(saved_state(running, "boot", now_at(5_000.0)), ["g1"], boot_id, now_at(5_060.0))
    assert begun.orders == (after_boot(running.orders) if is_another else running.orders)
    assert (begun.orders.scanned_at_s is None) == is_another


def test_a_tripped_interlock_is_still_tripped_and_a_delay_that_ran_begins_anew() -> None:
    held = {"high": InterlockState(5.0, tripped=True, is_latched=True), "low": InterlockState(5.0)}
    saved = saved_state(replace(STATE, gates={"g1": GateState(interlocks=held)}), "boot", now_at(10.0))
    begun = restore(saved, ["g1"], "boot", now_at(20.0)).gates["g1"].interlocks
    assert begun == {"high": InterlockState(None, tripped=True, is_latched=True)}


def test_with_nothing_saved_no_gate_is_armed_and_no_order_begun() -> None:
    begun = restore(None, ["g1", "g2"], "boot", now_at(20.0))
    assert begun.modes == {"g1": GateModes(), "g2": GateModes()}
    assert begun.modes["g1"].commissioning is Commissioning.UNARMED
    assert begun.orders == OrdersState(is_lost=True)


def test_what_came_before_the_saved_state_was_known_does_not_come_twice() -> None:
    """A process scans before a slow disk has given its state: an alarm of then was journalled."""
    on, gone = replace(ALARM, is_on=True, is_there=True), replace(ALARM, phase=Phase.RETURNED)
    seen = replace(on, phase=Phase.ACKNOWLEDGED, acknowledged_by="ana")
    saved = replace(STATE, alarms={"g1/stuck": seen, "g1/jammed": gone, "site/door_open": gone})
    current = replace(STATE, alarms={"g1/stuck": on, "g1/jammed": on, "site/clock_not_set": on})
    assert with_alarms_since(saved, current).alarms == {
        "g1/stuck": seen,
        "g1/jammed": on,
        "site/door_open": gone,
        "site/clock_not_set": on,
    }
    assert with_alarms_since(saved, SiteState()) == saved
