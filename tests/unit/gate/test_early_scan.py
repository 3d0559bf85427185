"""Between two rounds of sensing: what people ask is done by what the devices said last, and nothing else comes of such a scan."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.model.values import MoveTo, Pulse, Sample, StopMotion, WriteOutcome
from edge_agent.gate_control.replay.redecide import redecide
from edge_agent.gate_control.replay.step import Given, after_writing, scan
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import PositionObjective, UpstreamLevelObjective
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.fakes.gate import CanalBench, make_bench, make_plan, with_value
from tests.fakes.gate_machine import SITE, Machine
from tests.fakes.gate_story import Story


def asking(verb: GateVerb, **params: Any) -> Instruction:
    return Instruction("i1", GateAction(gate="g1", verb=verb, params=params), "ana", Role.MAINTAINER, Place.CONSOLE)


STOP, MOVE = asking(GateVerb.STOP), asking(GateVerb.MOVE, opening_pct=50.0)
TAG = Instruction("i1", SiteAction(gate="g1", verb=SiteVerb.TAG, note="diver"), "ana", Role.MAINTAINER, Place.CONSOLE)


def settled(opening_pct: float = 40.0) -> CanalBench:
    bench = make_bench(make_plan(PositionObjective(opening_pct=opening_pct)))
    bench.run(300)
    bench.commands.clear()
    return bench


def kinds(bench: CanalBench) -> list[type]:
    return [type(command) for _, command in bench.commands]


def test_a_move_is_commanded_by_what_the_last_round_said() -> None:
    bench = settled()
    [outcome] = bench.early(MOVE)
    assert outcome.accepted
    assert kinds(bench) == [MoveTo]
    bench.run(60)
    assert bench.position_pct() == pytest.approx(50.0, abs=0.3)


@pytest.mark.parametrize("asked", [STOP, TAG])
def test_the_move_in_hand_ends_at_once(asked: Instruction) -> None:
    bench = settled()
    bench.scan(MOVE)
    bench.run(2)
    bench.early(asked)
    assert kinds(bench) == [MoveTo, StopMotion]
    stands_pct = bench.position_pct()
    bench.run(30)
    assert bench.position_pct() == pytest.approx(stands_pct, abs=0.5)
    assert kinds(bench) == [MoveTo, StopMotion]


def test_a_gate_that_was_on_its_way_when_it_was_turned_back_does_not_count_as_running_the_wrong_way() -> None:
    bench = settled()
    [structure] = bench.site.structures
    quick = structure.gates[0].model_copy(update={"limits": structure.gates[0].limits.model_copy(update={"reversal_pause_s": 0.0})})
    bench.site = bench.site.model_copy(update={"structures": (structure.model_copy(update={"gates": (quick,)}),)})
    bench.canal.actuators["g1"].desired_pct = 46.0  # between two rounds it goes further than the position that is known
    bench.early(asking(GateVerb.MOVE, opening_pct=35.0))
    assert kinds(bench) == [MoveTo]
    bench.canal.actuators["g1"].position_pct = 43.0
    bench.run(60)
    assert bench.modes().trip == ""
    assert bench.position_pct() == pytest.approx(35.0, abs=0.3)


def test_a_position_older_than_the_last_round_moves_nothing() -> None:
    bench = settled()
    bench.early(MOVE, after_s=1.9)
    assert bench.commands == []
    bench.scan()
    assert kinds(bench) == [MoveTo]


@pytest.mark.parametrize("point", ["g1-position", "g1.remote", "g1.moving"])
def test_what_did_not_answer_in_the_last_round_moves_nothing_though_it_is_young(point: str) -> None:
    bench = settled()
    bench.distort = lambda sample: with_value(sample, point, None)
    bench.scan()
    bench.early(MOVE, after_s=0.1)
    assert bench.commands == []


def test_a_stop_is_tried_also_where_the_actuator_says_nothing() -> None:
    bench = settled()
    bench.scan(MOVE)
    bench.distort = lambda sample: with_value(sample, "g1.moving", None)
    bench.scan()
    bench.early(STOP)
    assert kinds(bench) == [MoveTo, StopMotion]


def test_a_stop_that_the_device_does_not_take_is_given_again_until_it_does() -> None:
    bench = settled()
    bench.distort = lambda sample: with_value(sample, "g1.moving", 0.0)  # an actuator that does not say whether it runs
    bench.scan(MOVE)
    bench.refuses = "no answer in 0.4 s"
    bench.early(STOP)
    bench.run(6)
    tries = kinds(bench).count(StopMotion)
    assert 3 <= tries <= 4
    bench.refuses = ""
    bench.run(10)
    assert kinds(bench).count(StopMotion) == tries + 1
    assert bench.position_pct() < 49.0


def test_a_stop_is_no_command_to_a_gate_that_a_person_at_the_site_moves() -> None:
    bench = settled()

    def in_hands(sample: Sample) -> Sample:
        told = {"g1.remote": 0.0, "g1.moving": 1.0}
        return with_value(sample, sample.point, told.get(sample.point, sample.value))

    bench.distort = in_hands
    bench.scan()
    bench.scan(STOP)
    bench.run(5)
    assert (bench.gate().mode, bench.commands) == ("STOPPED", [])


def test_it_counts_neither_for_nor_against_the_two_scans_that_must_agree() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=40.0)))
    bench.scan()
    bench.early()
    assert (bench.gate().consistent_scans, bench.commands) == (1, [])
    bench.scan()
    assert kinds(bench) == [MoveTo]


def test_a_jam_told_once_is_not_believed_for_being_looked_at_again() -> None:
    bench = settled()
    bench.distort = lambda sample: with_value(sample, "g1.jammed", 1.0)
    bench.scan()
    for after_s in (0.2, 0.6, 1.5):
        bench.early(after_s=after_s)
    assert bench.modes().trip == ""


@settings(max_examples=15, deadline=None)
@given(offsets=st.lists(st.tuples(st.integers(40, 400), st.floats(0.05, 0.95)), max_size=30))
def test_scans_without_sensing_change_nothing_of_what_control_comes_to(offsets: list[tuple[int, float]]) -> None:
    plan = make_plan(UpstreamLevelObjective(level_m=2.05))
    plain, often = make_bench(plan), make_bench(plan)
    plain.run(600)
    for second in range(600):
        often.scan()
        for at_s, after_s in sorted(offsets):
            if at_s == second:
                often.early(after_s=after_s)
    assert often.levels_m[-1] == pytest.approx(plain.levels_m[-1], abs=0.01)
    assert often.alarms == plain.alarms
    assert often.modes() == plain.modes()
    assert len(often.moves()) <= len(plain.moves()) + 2


@settings(max_examples=15, deadline=None)
@given(st.integers(min_value=0, max_value=10_000))
def test_a_journal_with_scans_between_is_decided_again_without_a_difference(seed: int) -> None:
    story = Story(seed)
    for second in range(120):
        story.scan(second)
        if story.random.random() < 0.3:
            story.early(second, [STOP] if second == 60 else [MOVE] if second == 80 else ())
    again = list(redecide(story.site, story.block()))
    assert len(again) > 120
    assert all(one.is_same for one in again)
    assert again[-1].scanned.decision.state == story.last.decision.state


@pytest.mark.parametrize("speaks", [lambda time_s: int(time_s) % 2 == 0, lambda time_s: int(time_s) % 3 != 1])
def test_a_line_slower_than_the_scan_is_controlled_and_told_neither_silent_nor_at_fault(speaks: Callable[[float], bool]) -> None:
    plan = make_plan(UpstreamLevelObjective(level_m=2.05))
    quick, slow = make_bench(plan), make_bench(plan)
    slow.speaks = speaks
    modes: set[str] = set()
    for second in range(600):
        quick.scan()
        slow.scan()
        if second > 10:
            modes.add(slow.gate().mode)
    assert modes == {"AUTO"}
    assert slow.levels_m[-1] == pytest.approx(quick.levels_m[-1], abs=0.005)
    assert slow.alarms == []


def test_a_sensor_out_of_range_is_one_alarm_though_it_is_heard_in_every_other_scan_alone() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.speaks = lambda time_s: int(time_s) % 2 == 0
    bench.run(30)
    bench.distort = lambda sample: with_value(sample, "g1-level", 99.0)
    bench.run(30)
    assert [event for _, key, event in bench.alarms if "out_of_range" in key] == ["came"]


def test_a_command_that_was_carried_out_though_its_answer_was_lost_is_no_move_by_itself() -> None:
    bench = settled()
    bench.refuses, bench.obeys_unheard = "not confirmed within 0.3 s", True
    bench.scan(MOVE)
    bench.run(30)
    assert bench.modes().trip == ""
    assert not bench.has_alarm("g1/uncommanded")


@pytest.mark.parametrize(("obeys", "spent"), [(True, 1), (False, 0)])
def test_a_start_whose_answer_was_lost_is_spent_and_one_that_was_refused_is_not(obeys: bool, spent: int) -> None:
    bench = settled()
    bench.memory = replace(bench.memory, state=replace(bench.memory.state, starts={}))
    bench.refuses, bench.obeys_unheard = "no answer", obeys
    bench.scan(MOVE)
    assert len(bench.memory.state.starts["g1"].starts_s) == spent


def test_a_relays_pulse_is_not_worked_out_from_a_position_that_the_gate_may_have_left() -> None:
    machine = Machine()
    for _ in range(15):
        machine.step()

    def asked(verb: GateVerb, **params: Any) -> Instruction:
        return Instruction("i1", GateAction(gate="g2", verb=verb, params=params), "ana", Role.MAINTAINER, Place.CONSOLE)

    def early(*instructions: Instruction) -> list[type]:
        now = replace(machine.now, monotonic_s=machine.now.monotonic_s + 0.4)
        scanned = scan(SITE, machine.memory, Given(now, [], None, instructions))
        machine.memory = after_writing(scanned.memory, [WriteOutcome(one.gate, one) for one in scanned.decision.commands], now)
        return [type(one) for one in scanned.decision.commands]

    # at rest the last position is as good as a new one
    assert early(asked(GateVerb.MOVE, opening_pct=60.0)) == [Pulse]
    machine.step()
    assert early(asked(GateVerb.STOP)) == [StopMotion]
    assert early(asked(GateVerb.MOVE, opening_pct=70.0)) == []
    machine.step()
    assert isinstance(machine.deeds[-1].command, Pulse)
