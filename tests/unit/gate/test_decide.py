"""One gate on the simulated canal, scan by scan: who has the say, and what is never done."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from edge_agent.gate_control.decide.hold import hold_updates
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Tag
from edge_agent.gate_control.model.values import MoveTo, Sample, StopMotion
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import FlowObjective, Objective, PositionObjective, ScheduleEntry, UpstreamLevelObjective
from tests.fakes.gate import RUNNING, START, CanalBench, make_bench, make_plan, now_at, with_value
from tests.fakes.gate_machine import Machine

AUTO = GateAction(gate="g1", verb=GateVerb.MODE, params={"mode": "auto"})
MANUAL = GateAction(gate="g1", verb=GateVerb.MODE, params={"mode": "manual"})
STOP = GateAction(gate="g1", verb=GateVerb.STOP, params={})
RESET = GateAction(gate="g1", verb=GateVerb.RESET_TRIP, params={})


def position(opening_pct: float) -> Objective:
    return PositionObjective(opening_pct=opening_pct)


def move(opening_pct: float, valid_s: float = 600.0) -> GateAction:
    return GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": opening_pct, "expires_after_s": valid_s})


def openings(bench: CanalBench) -> list[float]:
    return [opening_pct for _, opening_pct in bench.moves()]


def rise(bench: CanalBench, level_m: float) -> None:
    """The pool stands at another level, as after long rain; the sensors are asked as if for the first time."""
    bench.canal._pools["p1"].level_m = level_m
    bench.memory = replace(bench.memory, histories={})


def test_nothing_moves_before_two_scans_agree() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.scan()
    assert (bench.gate().mode, bench.commands) == ("OBSERVE", [])
    bench.scan()
    assert (bench.gate().mode, openings(bench)) == ("AUTO", [40.0])


def test_a_scan_without_position_begins_the_observing_anew() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.scan()
    bench.distort = lambda sample: with_value(sample, "g1-position", None)
    bench.scan()
    bench.distort = lambda sample: sample
    bench.scan()
    assert (bench.gate().mode, bench.commands) == ("OBSERVE", [])


def test_a_gate_whose_state_is_new_or_lost_observes_until_it_is_armed() -> None:
    bench = make_bench(make_plan(position(40.0)), modes=GateModes())
    bench.run(60)
    assert (bench.gate().mode, bench.commands) == ("OBSERVE", [])
    assert bench.has_alarm("g1/not_commissioned")


def test_without_a_plan_the_gate_is_left_where_it_is() -> None:
    bench = make_bench()
    bench.run(600)
    assert (bench.gate().mode, bench.commands) == ("HOLD", [])


def test_a_far_position_is_approached_in_steps_with_rests() -> None:
    bench = make_bench(make_plan(position(60.0)))
    began_pct = bench.position_pct()
    bench.run(300)
    moves = openings(bench)
    assert moves[-1] == 60.0
    assert all(after - before <= 10.0 + 0.2 for before, after in itertools.pairwise([began_pct, *moves]))
    times = [at_s for at_s, _ in bench.commands]
    assert min(after - before for before, after in itertools.pairwise(times)) >= 10.0


def test_less_than_the_deadband_is_not_moved() -> None:
    bench = make_bench()
    bench.plan = make_plan(position(round(bench.position_pct() + 0.4, 1)))
    bench.run(100)
    assert bench.commands == []


def test_the_schedule_goes_by_the_wall_clock_and_stops_when_nobody_set_it() -> None:
    schedule = [ScheduleEntry(at=START + timedelta(seconds=at_s), objective=position(pct)) for at_s, pct in ((100, 36.0), (200, 40.0))]
    bench = make_bench(make_plan(position(34.0), schedule=schedule))
    bench.run(90)
    assert bench.gate().target == "position 34.0 %"
    bench.run(20)
    assert bench.gate().target == "position 36.0 %"
    bench.run(100)
    assert bench.gate().target == "position 40.0 %"
    bench.trusted = False
    bench.run(1)
    assert bench.gate().target == "position 34.0 %"


def test_a_tag_ends_the_move_in_hand_and_no_command_follows_not_even_in_a_flood() -> None:
    bench = make_bench(make_plan(position(60.0)))
    bench.run(4)
    assert isinstance(bench.commands[-1][1], MoveTo)
    tagged = replace(bench.modes(), tags=(Tag("ana", "now"),), control=Control.MANUAL)
    bench.memory = replace(bench.memory, state=replace(bench.memory.state, modes={"g1": tagged}))
    bench.scan()
    assert isinstance(bench.commands[-1][1], StopMotion)
    count = len(bench.commands)
    rise(bench, 2.8)
    bench.canal.move_by_hand("g1", 80.0)
    bench.run(300)
    assert len(bench.commands) == count
    assert bench.gate().mode == "TAGGED_OUT"
    assert not bench.has_alarm("g1/uncommanded")


def test_a_stop_ends_the_move_and_holds_protection_back_until_a_person_says_how_it_goes_on() -> None:
    bench = make_bench(make_plan(position(60.0)))
    bench.run(4)
    assert bench.ask(STOP).accepted
    assert isinstance(bench.commands[-1][1], StopMotion)
    count = len(openings(bench))
    rise(bench, 2.8)
    bench.run(60)
    assert (bench.gate().mode, len(openings(bench))) == ("STOPPED", count)
    assert bench.ask(AUTO).accepted
    assert openings(bench)[-1] == 95.0


def test_out_of_service_and_local_get_no_command() -> None:
    bench = make_bench(make_plan(position(60.0)))
    bench.run(3)
    bench.ask(GateAction(gate="g1", verb=GateVerb.SERVICE, params={"service": "out"}))
    count = len(bench.commands)
    rise(bench, 2.8)
    bench.run(60)
    assert (bench.gate().mode, len(bench.commands)) == ("OUT_OF_SERVICE", count)
    local = make_bench(make_plan(position(60.0)))
    local.canal.set_trouble("g1", ActuatorTrouble.LOCAL, on=True)
    rise(local, 2.8)
    local.run(60)
    assert (local.gate().mode, local.commands) == ("LOCAL", [])
    assert (
        hold_updates(local.memory.state, local.readings, local.site, None, now_at(local.time_s)).reasons[-1]
        == "gate g1 is under manual control"
    )


def test_a_manual_move_goes_there_at_once_and_auto_is_a_persons_act() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.run(30)
    assert bench.ask(move(70.0)).accepted
    assert openings(bench)[-1] == 70.0
    bench.run(120)
    assert abs(bench.position_pct() - 70.0) <= 0.3
    count = len(bench.commands)
    bench.run(900)
    assert (bench.gate().mode, len(bench.commands)) == ("MANUAL", count)
    bench.ask(AUTO)
    bench.run(5)
    assert bench.gate().mode == "AUTO"


def test_a_manual_move_that_expires_on_the_way_ends_there_and_the_mode_holds() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.run(30)
    bench.ask(move(90.0, valid_s=10.0))
    bench.run(15)
    assert isinstance(bench.commands[-1][1], StopMotion)
    assert bench.position_pct() < 60.0
    assert bench.gate().mode == "MANUAL"


def test_a_manual_move_stays_within_the_travel_limits() -> None:
    bench = make_bench()
    bench.run(3)
    bench.ask(move(100.0))
    assert openings(bench)[-1] == 95.0


def test_a_gate_outside_its_limits_only_moves_inward() -> None:
    bench = make_bench(make_plan(position(95.0)))
    bench.canal.move_by_hand("g1", 99.0)
    bench.run(78)
    assert bench.position_pct() > 98.0
    bench.run(30)
    assert openings(bench) == [95.0]
    assert not bench.has_alarm("g1/outside_travel")
    forbidden = make_bench(make_plan(position(20.0)))
    forbidden.canal.move_by_hand("g1", 2.0)
    forbidden.run(150)
    assert openings(forbidden)[0] == 12.0
    assert all(opening_pct >= 5.0 for opening_pct in openings(forbidden))


def test_high_high_opens_at_once_whatever_rest_step_budget_and_deadband_say_and_is_a_flood() -> None:
    bench = make_bench(make_plan(position(20.0)))
    bench.run(60)
    bench.memory = replace(
        bench.memory,
        state=replace(
            bench.memory.state,
            starts={"g1": replace(bench.memory.state.starts["g1"], starts_s=(bench.time_s,) * 60, direction=0, is_running=False)},
        ),
    )
    rise(bench, 2.61)
    bench.scan()
    assert openings(bench)[-1] == 95.0
    assert bench.has_alarm("g1/interlock_tripped.high_high")
    hold = hold_updates(bench.memory.state, bench.readings, bench.site, bench.plan, now_at(bench.time_s))
    assert hold.is_flood
    assert hold.for_s is None
    assert "flood alarm at gate g1: high_high" in hold.reasons


def test_a_flood_opening_first_ends_a_closing_move_and_waits_for_the_reversal_pause_alone() -> None:
    bench = make_bench(make_plan(position(5.0)))
    bench.run(3)
    assert bench.moves()
    rise(bench, 2.7)
    began_s = bench.time_s
    bench.run(12)
    after = [(at_s - began_s, command) for at_s, command in bench.commands if at_s > began_s]
    assert isinstance(after[0][1], StopMotion)
    assert after[0][0] <= 1.0
    assert isinstance(after[1][1], MoveTo)
    assert after[1][1].opening_pct == 95.0
    assert after[1][0] <= 1.0 + bench.site.structures[0].gates[0].limits.reversal_pause_s + 1.0


def test_a_latched_interlock_stays_until_a_person_resets_it_and_comes_back_where_its_cause_is_there() -> None:
    bench = make_bench(make_plan(position(20.0)))
    [structure] = bench.site.structures
    latching = structure.gates[0].interlocks[0].model_copy(update={"latch": True})
    latched = structure.gates[0].model_copy(update={"interlocks": (latching,)})
    bench.site = bench.site.model_copy(update={"structures": (structure.model_copy(update={"gates": (latched,)}),)})
    rise(bench, 2.7)
    bench.run(3)
    assert bench.ask(RESET).accepted
    bench.scan()
    assert bench.gate().interlocks["high_high"].tripped
    rise(bench, 2.0)
    bench.run(30)
    assert bench.gate().interlocks["high_high"].tripped
    assert bench.ask(RESET).reasons == ("gate g1: interlock high_high reset",)
    bench.run(30)
    assert not bench.gate().interlocks["high_high"].tripped
    assert not bench.ask(RESET).accepted


def test_low_low_forbids_opening() -> None:
    bench = make_bench(make_plan(position(60.0)))
    bench.canal.set_inflow("p1", 0.0)
    rise(bench, 1.15)
    bench.run(120)
    assert bench.commands == []
    assert bench.has_alarm("g1/interlock_tripped.low_low")


def test_a_tripped_interlock_stays_tripped_when_its_sensor_fails() -> None:
    bench = make_bench(make_plan(position(20.0)))
    rise(bench, 2.7)
    bench.run(5)
    bench.distort = lambda sample: with_value(sample, "g1-level", None)
    bench.run(120)
    assert bench.gate().interlocks["high_high"].tripped
    assert bench.has_alarm("g1/interlock_blind.high_high")


def test_a_stuck_gate_is_tried_once_more_then_tripped_and_a_person_resets_it() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.canal.set_trouble("g1", ActuatorTrouble.STUCK, on=True)
    took_s = bench.run_until("g1/stuck", 60.0)
    assert took_s <= 2 * bench.site.structures[0].gates[0].motion.start_within_s + 10.0
    assert openings(bench) == [40.0, 40.0]
    assert isinstance(bench.commands[-1][1], StopMotion)
    assert bench.gate().mode == "FAULT"
    bench.canal.set_trouble("g1", ActuatorTrouble.STUCK, on=False)
    bench.run(60)
    assert openings(bench) == [40.0, 40.0]
    assert bench.ask(RESET).accepted
    bench.run(60)
    assert abs(bench.position_pct() - 40.0) <= 0.5


def thrifty_bench() -> CanalBench:
    """One start an hour."""
    bench = make_bench(make_plan(position(40.0)))
    [structure] = bench.site.structures
    tight = structure.gates[0].model_copy(update={"limits": structure.gates[0].limits.model_copy(update={"starts_per_hour": 1})})
    bench.site = bench.site.model_copy(update={"structures": (structure.model_copy(update={"gates": (tight,)}),)})
    return bench


def test_a_stuck_gate_whose_budget_is_spent_is_tripped_without_a_retry() -> None:
    bench = thrifty_bench()
    bench.canal.set_trouble("g1", ActuatorTrouble.STUCK, on=True)
    bench.run_until("g1/stuck", 60.0)
    assert openings(bench) == [40.0]
    assert bench.gate().mode == "FAULT"


def test_a_gate_that_came_part_of_the_way_and_has_no_start_left_waits_and_is_not_tripped() -> None:
    bench = thrifty_bench()
    bench.run(3)
    bench.canal.actuators["g1"].desired_pct = bench.position_pct()  # its thermal switch
    bench.run(300)
    assert openings(bench) == [40.0]
    assert bench.position_pct() < 39.0
    assert bench.gate().mode == "AUTO"
    assert not bench.has_alarm("g1/stuck")


def test_a_stuck_gate_is_still_asked_for_the_flood_now_and_then() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.canal.set_trouble("g1", ActuatorTrouble.STUCK, on=True)
    bench.run_until("g1/stuck", 60.0)
    rise(bench, 2.7)
    count = len(openings(bench))
    bench.run(60)
    assert 3 <= len(openings(bench)) - count <= 8
    assert set(openings(bench)[count:]) == {95.0}


def test_a_gate_that_runs_the_wrong_way_is_stopped_and_tripped_within_seconds() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.canal.set_trouble("g1", ActuatorTrouble.REVERSED, on=True)
    assert bench.run_until("g1/wrong_way", 30.0) <= 10.0
    assert openings(bench) == [40.0]
    assert isinstance(bench.commands[-1][1], StopMotion)
    rise(bench, 2.7)
    bench.run(60)
    assert openings(bench) == [40.0]


def test_a_gate_that_moves_without_a_command_is_stopped_and_tripped() -> None:
    bench = make_bench()
    bench.run(60)
    bench.canal.set_trouble("g1", ActuatorTrouble.CREEPING, on=True)
    assert bench.run_until("g1/uncommanded", 60.0) <= 30.0
    assert isinstance(bench.commands[-1][1], StopMotion)


def test_a_jam_that_the_actuator_tells_trips_the_gate() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.canal.set_trouble("g1", ActuatorTrouble.JAMMED, on=True)
    assert bench.run_until("g1/jammed", 30.0) <= 10.0
    bench.run(5)
    assert (bench.gate().mode, bench.commands) == ("FAULT", [])


@pytest.mark.parametrize("made", [{"g1.closed_limit": 1.0}, {"g1.open_limit": 1.0}, {"g1.closed_limit": 1.0, "g1.open_limit": 1.0}])
def test_a_position_that_its_limit_switches_deny_is_told_and_the_controller_holds(made: dict[str, float]) -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.run(300)
    bench.plan = make_plan(position(60.0), generation=2)
    bench.commands.clear()
    bench.distort = lambda sample: with_value(sample, sample.point, made.get(sample.point, sample.value))
    bench.run(60)
    assert bench.has_alarm("g1/position_fault")
    assert bench.commands == []
    assert bench.ask(move(45.0)).accepted
    assert openings(bench) == [45.0]
    bench.distort = lambda sample: sample
    bench.run(60)
    assert not bench.has_alarm("g1/position_fault")


def test_an_auma_whose_torque_switch_trips_in_mid_travel_is_told_as_that() -> None:
    machine = Machine()
    for _ in range(10):
        machine.step(garbled={"g3a.jammed": 1.0})
    standing = {key for key, alarm in machine.memory.state.alarms.items() if alarm.is_on}
    assert {"g3a/overtorque", "g3a/jammed"} <= standing
    assert machine.modes("g3a").trip == "jammed"


def test_a_command_that_no_device_takes_is_no_move_and_is_ordered_anew_after_a_rest() -> None:
    bench = make_bench(make_plan(position(40.0)))
    bench.refuses = "exception code 4"
    bench.run(45)
    assert 2 <= len(openings(bench)) <= 5
    assert bench.has_alarm("g1/actuator_silent")
    bench.refuses = ""
    bench.run(60)
    assert abs(bench.position_pct() - 40.0) <= 0.5


def test_what_is_wrong_with_one_gate_moves_no_other() -> None:
    gates = ("g1", "g2", "g3")
    plan = make_plan()
    levels = zip(gates, (8.0, 5.0, 2.0), strict=True)
    directives = {gate: plan.gates["g1"].model_copy(update={"objective": UpstreamLevelObjective(level_m=level)}) for gate, level in levels}
    plan = plan.model_copy(update={"gates": directives})
    bench = make_bench(plan, gates=gates, distort=lambda sample: broken(sample, "g2"))
    bench.run(3600)
    assert bench.gate("g2").mode == "OBSERVE"
    assert [bench.gate(gate).mode for gate in ("g1", "g3")] == ["AUTO", "AUTO"]
    assert {command.gate for _, command in bench.commands} <= {"g1", "g3"}
    assert abs(bench.canal.levels_m["p1"] - 8.0) < 0.02


def broken(sample: Sample, gate: str) -> Sample:
    return Sample(sample.point, None, sample.sampled_at_s, "no answer") if sample.point.startswith(gate) else sample


@pytest.mark.parametrize("modes", [RUNNING, GateModes(control=Control.MANUAL, commissioning=Commissioning.COMMISSIONED)])
def test_manual_counts_as_a_reason_to_hold_updates_and_auto_does_not(modes: GateModes) -> None:
    bench = make_bench(make_plan(FlowObjective(flow_m3s=3.0)), modes=modes)
    bench.run(60)
    hold = hold_updates(bench.memory.state, bench.readings, bench.site, bench.plan, now_at(bench.time_s))
    assert bool(hold.reasons) == (modes.control is Control.MANUAL)
    assert not hold.is_flood
