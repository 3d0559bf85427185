"""Commands to registers by profile; pulses; what actuators do when we fall silent."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.actuate.comms_lost import Heartbeat, secure_comms_lost
from edge_agent.gate_control.actuate.field import FieldActuator
from edge_agent.gate_control.actuate.profiles import RegisterWrite, plan_writes
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import Command, MoveTo, Pulse, StopMotion
from shared.clock import SystemClock
from shared.errors import Retryable
from tests.fakes.gate_site import actuator, gate, site
from tests.fakes.until import until


def made(profile: str, **options: Any) -> SiteConfiguration:
    return site(gates=[{**gate("g1", "d1", profile), "actuator": actuator(profile, "d1", "g1", **options)}])


def only_gate(configured: SiteConfiguration) -> Gate:
    return next(configured.gates())


def relays(*, limit_s: float | None = 1.0, shared: bool = True) -> dict[str, Any]:
    output = {"device": "d1", "table": "holding", "type": "bit"}
    raise_output = {**output, "register": 20, "bit": 0}
    lower_output = {**output, "register": 20 if shared else 21, "bit": 1}
    return {"raise_output": raise_output, "lower_output": lower_output, "hardware_pulse_limit_s": limit_s}


def writes(configured: SiteConfiguration, command: Command, measured_pct: float | None = 30.0) -> tuple[RegisterWrite, ...]:
    return plan_writes(only_gate(configured), command, measured_pct)


def test_a_rotork_takes_a_position_and_a_stop() -> None:
    assert writes(made("rotork_iq"), MoveTo("g1", 33.3, "")) == (RegisterWrite("d1", 6, (333,)),)
    assert writes(made("rotork_iq"), StopMotion("g1", "")) == (RegisterWrite("d1", 5, (0,)),)


def test_an_auma_takes_its_setpoint_and_then_the_command_to_go_there() -> None:
    assert writes(made("auma"), MoveTo("g1", 50.0, "")) == (RegisterWrite("d1", 0x1002, (500,)), RegisterWrite("d1", 0x1000, (4,)))
    assert writes(made("auma"), StopMotion("g1", "")) == (RegisterWrite("d1", 0x1000, (0,)),)


@pytest.mark.parametrize("profile", ["rotork_iq", "auma", "position"])
@pytest.mark.parametrize("opening_pct", [float("nan"), float("inf"), -0.1, 100.1])
def test_what_is_no_opening_is_refused_as_such(profile: str, opening_pct: float) -> None:
    with pytest.raises(ValueError, match="is no opening"):
        writes(made(profile), MoveTo("g1", opening_pct, ""))


def test_a_generic_actuator_is_stopped_where_it_stands_or_not_at_all() -> None:
    assert writes(made("position"), StopMotion("g1", ""), 41.2) == (RegisterWrite("d1", 6, (412,)),)
    with pytest.raises(ValueError, match="where it stands is not known"):
        writes(made("position"), StopMotion("g1", ""), None)


def test_an_actuator_with_a_table_is_told_counts() -> None:
    table = [{"count": 200.0, "opening_m": 0.0}, {"count": 1200.0, "opening_m": 1.2}]
    place = {"device": "d1", "register": 6, "table": "holding"}
    assert writes(made("position", table=table, desired_position=place), MoveTo("g1", 50.0, "")) == (RegisterWrite("d1", 6, (700,)),)


def test_relays_are_switched_one_way_and_never_both() -> None:
    shared = made("relays", relays=relays())
    assert writes(shared, Pulse("g1", 1, 2.0, "")) == (RegisterWrite("d1", 20, (1,)),)
    assert writes(shared, Pulse("g1", -1, 2.0, "")) == (RegisterWrite("d1", 20, (2,)),)
    apart = made("relays", relays=relays(shared=False))
    assert writes(apart, Pulse("g1", -1, 2.0, "")) == (RegisterWrite("d1", 20, (0,)), RegisterWrite("d1", 21, (2,)))
    assert writes(apart, StopMotion("g1", "")) == (RegisterWrite("d1", 20, (0,)), RegisterWrite("d1", 21, (0,)))


def test_relays_without_a_hardware_limit_are_never_switched_on() -> None:
    with pytest.raises(ValueError, match="hardware pulse limit"):
        writes(made("relays", relays=relays(limit_s=None)), Pulse("g1", 1, 2.0, ""))


@given(opening_pct=st.floats(allow_nan=True, allow_infinity=True), profile=st.sampled_from(["rotork_iq", "auma", "position"]))
def test_what_is_no_opening_is_never_written(opening_pct: float, profile: str) -> None:
    try:
        planned = writes(made(profile), MoveTo("g1", opening_pct, ""))
    except ValueError:
        assert not 0.0 <= opening_pct <= 100.0
    else:
        assert 0 <= planned[0].values[0] <= 1000


class Device:
    """Registers in memory that keep a log of writes; some may be worn, silent or unreadable."""

    def __init__(self, **holding: int) -> None:
        self.holding = {int(name.removeprefix("r")): value for name, value in holding.items()}
        self.log: list[tuple[int, tuple[int, ...]]] = []
        self.is_silent = False
        self.stubborn: set[int] = set()
        self.delay_s = 0.0

    async def read(self, _table: str, start: int, count: int) -> tuple[int, ...]:
        if self.is_silent:
            raise Retryable("no answer", subject="d1")
        return tuple(self.holding.get(start + index, 0) for index in range(count))

    async def write(self, start: int, values: tuple[int, ...]) -> None:
        await asyncio.sleep(self.delay_s)
        if self.is_silent:
            raise Retryable("no answer", subject="d1")
        self.log.append((start, values))
        self.holding.update({start + index: value for index, value in enumerate(values) if start + index not in self.stubborn})


def field_of(configured: SiteConfiguration, device: Device) -> FieldActuator:
    return FieldActuator(configured, {"d1": device}, SystemClock())


async def test_a_command_is_written_once_and_confirmed() -> None:
    device = Device()
    (outcome,) = await field_of(made("rotork_iq"), device).act([MoveTo("g1", 40.0, "")], 1.0)
    assert (outcome.error, device.log) == ("", [(6, (400,))])


async def test_a_setpoint_that_was_not_confirmed_is_not_followed_by_its_command() -> None:
    device = Device()
    device.is_silent = True
    (outcome,) = await field_of(made("auma"), device).act([MoveTo("g1", 40.0, "")], 1.0)
    assert (outcome.error, device.log) == ("d1: no answer", [])


async def test_a_late_confirmation_is_a_failure_and_not_waited_for() -> None:
    device = Device()
    device.delay_s = 5.0
    (outcome,) = await field_of(made("rotork_iq"), device).act([MoveTo("g1", 40.0, "")], 0.05)
    assert outcome.error == "not confirmed within 0.05 s"


async def test_a_short_pulse_is_switched_on_and_off() -> None:
    device = Device()
    field = field_of(made("relays", relays=relays()), device)
    (outcome,) = await field.act([Pulse("g1", 1, 0.05, "")], 1.0)
    assert outcome.error == ""
    await until(lambda: device.log[-1] == (20, (0,)), within_s=2.0)
    assert device.log == [(20, (1,)), (20, (0,))]


async def test_a_long_pulse_is_kept_up_against_the_hardware_limit() -> None:
    device = Device()
    field = field_of(made("relays", relays=relays(limit_s=0.1)), device)
    await field.act([Pulse("g1", -1, 0.22, "")], 1.0)
    await until(lambda: device.log[-1] == (20, (0,)), within_s=2.0)
    assert device.log.count((20, (2,))) >= 4


async def test_a_pulse_ends_with_the_process_and_with_a_stop() -> None:
    device = Device()
    field = field_of(made("relays", relays=relays()), device)
    await field.act([Pulse("g1", 1, 30.0, "")], 1.0)
    await field.act([StopMotion("g1", "")], 1.0)
    assert device.holding[20] == 0
    await field.act([Pulse("g1", 1, 30.0, "")], 1.0)
    await field.close()
    assert device.holding[20] == 0


async def test_a_pulse_whose_device_falls_silent_is_left_to_the_hardware_and_told() -> None:
    device = Device()
    field = field_of(made("relays", relays=relays(limit_s=0.1)), device)
    await field.act([Pulse("g1", 1, 0.2, "")], 1.0)
    device.is_silent = True
    await until(lambda: "not ended" in field.pulse_errors.get("g1", ""), within_s=2.0)
    assert device.log == [(20, (1,))]


LOST = {"action": "position", "opening_pct": 20.0, "timer_s": 30.0, "action_register": 7, "action_value": 2, "heartbeat_register": 9}


async def test_what_the_actuator_does_in_silence_is_written_once_and_read_back() -> None:
    configured, device = made("rotork_iq", comms_lost=LOST), Device(r7=2, r13=0, r21=0)
    (report,) = await secure_comms_lost(configured, {"d1": device})
    assert (report.is_verified, report.written) == (True, ("position was 0, is 20", "timer was 0, is 30"))
    assert device.log == [(13, (20,)), (21, (30,))]
    (report,) = await secure_comms_lost(configured, {"d1": device})
    assert (report.is_verified, report.written, len(device.log)) == (True, (), 2)


async def test_an_actuator_that_keeps_its_own_mind_is_a_problem() -> None:
    device = Device(r7=2, r13=20)
    device.stubborn = {21}
    (report,) = await secure_comms_lost(made("rotork_iq", comms_lost=LOST), {"d1": device})
    assert report.problems == ("timer: register 21 holds 0, not 30, after it was written",)


async def test_what_has_no_register_is_for_a_person_to_look_at() -> None:
    (report,) = await secure_comms_lost(made("auma"), {"d1": Device()})
    assert (report.problems, report.is_verified) == ((), False)
    assert report.unverified == ("action 'stay' has no register", "timer 30 s has no register")


async def test_the_heartbeat_counts_and_names_the_gates_that_do_not_hear_it() -> None:
    configured, device = made("rotork_iq", comms_lost=LOST), Device()
    heart = Heartbeat(configured, {"d1": device})
    assert [await heart.beat(1.0), await heart.beat(1.0)] == [{}, {}]
    assert device.log == [(9, (1,)), (9, (2,))]
    device.is_silent = True
    assert await heart.beat(1.0) == {"g1": "d1: no answer"}
