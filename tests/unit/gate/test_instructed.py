"""What people ask, inside a scan of a whole site: the answer says what the gate does now, or what holds it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.console.views import alarm_views, with_modes
from edge_agent.gate_control.decide.alarms import Raised, rules_of, update_alarms
from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.decide.site import decide
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import Command, MoveTo, Quality, Reading
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_socket import GateReading, SiteAction, SiteVerb
from tests.fakes.desk import RUNNING, carry_out_all
from tests.fakes.gate_site import START, gate, level_point, now_at, pool, site, tcp_device

FLOOD = {"name": "high_high", "points": ["l1"], "side": "high", "action": "inhibit_close", "trip": 2.6, "reset": 2.4}


def small_site(*, interlocks: Sequence[object] = ()) -> SiteConfiguration:
    return site(
        devices=[tcp_device("d1")],
        points=[level_point("l1", "d1", 10)],
        pools=[pool("p1", outlet="g1", tail_levels=["l1"])],
        gates=[gate("g1", "d1") | {"interlocks": interlocks}],
    )


class Scans:
    """Whole scans of a site with one gate that stands at 30 % and does not move."""

    def __init__(self, configuration: SiteConfiguration, level_m: float = 2.0) -> None:
        self.site = configuration
        self.level_m = level_m
        self.time_s = 1_000.0
        self.state = SiteState(modes={"g1": RUNNING})
        for _ in range(3):
            self.scan()

    def readings(self) -> dict[str, Reading]:
        [only] = self.site.gates()
        values = {"g1-position": 30.0, "l1": self.level_m, "p1/tail": self.level_m}
        values |= {f"g1.{fact}": 1.0 if fact == "remote" else 0.0 for fact in facts_of(only)}
        return {name: Reading(value, 0.0, Quality.GOOD, name, (), True) for name, value in values.items()}

    def scan(self, *asked: Pending) -> tuple[Command, ...]:
        self.time_s += 1.0
        now = now_at(self.time_s)
        carried = carry_out_all(self.state, asked, rules_of(()), now)
        decision = decide(carried.state, self.readings(), None, self.site, now)
        self.state = decision.state
        carried.answer(decision.reasons)
        return decision.commands


def ask(verb: GateVerb = GateVerb.MOVE, place: Place = Place.CENTRAL, **params: object) -> Pending:
    action = GateAction(gate="g1", verb=verb, params=params or {"opening_pct": 20.0})
    return Pending(Instruction("i", action, "office", Role.MAINTAINER, place)).take()


async def test_a_move_is_commanded_in_the_scan_that_takes_it() -> None:
    scans, asked = Scans(small_site()), ask()
    commands = scans.scan(asked)
    assert [(type(command), command.gate) for command in commands] == [(MoveTo, "g1")]
    assert isinstance(commands[0], MoveTo)
    assert commands[0].opening_pct == 20.0
    outcome = await asked.outcome()
    assert outcome.accepted
    assert any("20.0 %" in reason for reason in outcome.reasons)


async def test_an_interlock_holds_a_move_and_the_answer_says_so() -> None:
    scans, asked = Scans(small_site(interlocks=[FLOOD]), level_m=2.8), ask()
    assert scans.scan(asked) == ()
    outcome = await asked.outcome()
    assert any("high_high" in reason for reason in outcome.reasons), outcome


async def test_a_tagged_gate_gets_no_command_however_it_is_asked() -> None:
    scans = Scans(small_site(interlocks=[FLOOD | {"action": "drive_to", "opening_pct": 90.0}]))
    tag = Pending(Instruction("t", SiteAction(gate="g1", verb=SiteVerb.TAG, note="diver"), "som", Role.OPERATOR, Place.CONSOLE)).take()
    assert scans.scan(tag, ask(), ask(GateVerb.MODE, mode="auto")) == ()
    scans.level_m = 2.9
    assert all(scans.scan(ask()) == () for _ in range(5))
    shown = with_modes(GateReading(), scans.state.modes["g1"], now_at(scans.time_s))
    assert (shown.control, shown.owner) == ("manual", "central")
    assert "diver" in shown.tagout


async def test_a_device_that_did_not_take_it_is_in_the_answer() -> None:
    asked = ask()
    carry_out_all(SiteState(modes={"g1": RUNNING}), [asked], rules_of(()), now_at(1.0)).answer({}, {"g1": "timed out"})
    assert (await asked.outcome()).reasons[-1] == "device: timed out"


async def test_a_scan_that_fails_leaves_nobody_without_an_answer() -> None:
    moved, refused = ask(), ask(GateVerb.RESET_TRIP, opening_pct=1.0)
    carried = carry_out_all(SiteState(modes={"g1": RUNNING}), [moved, refused], rules_of(()), now_at(1.0))
    carried.fail()
    assert ((await moved.outcome()).code, (await refused.outcome()).code) == ("Interrupted", "NothingToDo")


async def test_a_fault_of_ours_in_one_instruction_is_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[SiteState, tuple[()], Outcome]:
        raise RuntimeError("bug")

    asked = ask()
    before = SiteState(modes={"g1": RUNNING})
    monkeypatch.setattr("edge_agent.gate_control.decide.instructions.carry_out", broken)
    carried = carry_out_all(before, [asked], rules_of(()), now_at(1.0))
    carried.answer({})
    assert carried.state == before
    assert (await asked.outcome()).code == "Failed"


async def test_an_ack_goes_to_the_alarms_and_is_told_to_the_journal() -> None:
    alarms, _ = update_alarms(rules_of(()), {}, {"g1/stuck": Raised("no travel")}, now_at(0.0))
    asked = ask(GateVerb.ACK, alarm="stuck")
    carried = carry_out_all(SiteState(alarms=alarms), [asked], rules_of(()), now_at(1.0))
    carried.answer({})
    [view] = alarm_views(carried.state.alarms, now_at(1.0))
    assert (view.key, view.gate, view.name, view.state, view.acknowledged_by, view.raised_at) == (
        "g1/stuck", "g1", "stuck", "acknowledged", "office", START,
    )  # fmt: skip
    assert [(change.key, change.by) for change in carried.alarm_changes] == [("g1/stuck", "office")]


def test_a_shelf_is_shown_with_its_end_on_the_wall_clock() -> None:
    alarms, _ = update_alarms(rules_of(()), {}, {"g1/stuck": Raised("no travel")}, now_at(0.0))
    shelved = {key: replace(alarm, shelved_until_s=130.0) for key, alarm in alarms.items()}
    assert alarm_views(shelved, now_at(100.0))[0].shelved_until == START + timedelta(seconds=130)
