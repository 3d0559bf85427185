"""The fault table: what goes wrong at a canal, played on the integrator-delay plant through the whole loop."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import (
    ActuatorFault,
    ClockStep,
    Command,
    Event,
    Handwheel,
    Kill,
    LinkCut,
    NewPlan,
    Restart,
    SensorFault,
    SensorTrouble,
    WriteFault,
    power_cut,
)
from edge_agent.gate_control.simulation.harness import START
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from edge_agent.gate_control.simulation.run import Run
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateDirective, GatePlan, PositionObjective, ScheduleEntry
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.fakes.simulated_canal import alarms_of, assert_safe, commands_of, run_site, small_site

THIRSTY = (DemandChange(300.0, "t2", 0.2),)
"""The farm at pool 2 takes twice as much, and tells nobody."""
FAULT_S = 600.0
LEVEL_OF_P2 = "p2.tail"


def play(tmp_path: Path, *events: Event, duration_s: float = 2400.0, options: dict[str, Any] | None = None, **more: Any) -> Run:
    """A run that is checked for unsafe events whatever the story is."""
    site = small_site(2, **(options or {}))
    run = run_site(site, tmp_path, *events, duration_s=duration_s, changes=THIRSTY, **more)
    assert_safe(run, site, THIRSTY)
    return run


def error_m(run: Run, pool: str = "p2") -> float:
    """Of the level at the end."""
    site = small_site(2)
    found = next(one for one in site.pools if one.id == pool)
    assert found.target_depth_m is not None
    return run.series[f"{pool}.tail"].values[-1] - found.invert_m - found.target_depth_m


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same day without a fault."""
    return play(tmp_path_factory.mktemp("calm"))


def test_without_a_fault_control_answers_an_unannounced_demand(calm: Run) -> None:
    assert len(commands_of(calm, "g2", FAULT_S)) >= 3
    assert calm.series["g2.position"].values[-1] > calm.series["g2.position"].values[0] + 1.0
    assert alarms_of(calm).keys() <= {"p2/level_low"}


# data


def test_data_that_come_a_minute_late_are_used_as_they_are(tmp_path: Path, calm: Run) -> None:
    run = play(tmp_path, SensorFault(FAULT_S, LEVEL_OF_P2, SensorTrouble.LATE, value=60.0))
    assert not [key for key in alarms_of(run) if "sensor_stale" in key]
    moved = [found.series["g2.position"].values[-1] for found in (run, calm)]
    assert moved[0] == pytest.approx(moved[1], abs=1.5)


def test_data_older_than_the_loop_bears_freeze_feedback_and_are_told(tmp_path: Path) -> None:
    run = play(tmp_path, SensorFault(FAULT_S, LEVEL_OF_P2, SensorTrouble.SILENT), options={"stale_after_s": 120.0})
    told_s = alarms_of(run)["g2/sensor_stale.p2.tail"]
    assert 120.0 <= told_s - FAULT_S <= 150.0
    later = [record for record in run.commands if record.gate == "g2" and record.at_s > told_s]
    assert all("held" in record.reason for record in later)
    assert run.series["flow:g2"].values[-1] == pytest.approx(run.series["flow:g2"].at(told_s), rel=0.1)


def test_a_level_too_old_for_its_loop_is_told_though_its_sensor_is_not_called_stale(tmp_path: Path) -> None:
    run = play(tmp_path, SensorFault(60.0, "p1.tail", SensorTrouble.LATE, value=400.0), duration_s=1500.0)
    assert 60.0 < alarms_of(run)["g1/sensor_stale"] < 500.0
    reason = next(alarm.reason for alarm in run.alarms if alarm.key == "g1/sensor_stale")
    assert "the loop bears" in reason


def test_after_its_time_a_gate_without_data_falls_back_as_configured(tmp_path: Path) -> None:
    options = {"stale_after_s": 60.0, "fallback": {"kind": "position", "opening_pct": 25.0, "after_s": 600.0}}
    run = play(tmp_path, SensorFault(FAULT_S, LEVEL_OF_P2, SensorTrouble.SILENT), options=options)
    assert run.mode_at("g2", FAULT_S + 590.0) == "AUTO"
    assert run.mode_at("g2", FAULT_S + 800.0) == "FALLBACK"
    assert run.series["g2.position"].values[-1] == pytest.approx(25.0, abs=0.5)


def test_a_burst_of_late_samples_is_not_integrated_twice(tmp_path: Path) -> None:
    runs = [
        play(tmp_path / trouble, SensorFault(FAULT_S, LEVEL_OF_P2, trouble, until_s=FAULT_S + 300.0))
        for trouble in (SensorTrouble.STALE, SensorTrouble.SILENT)
    ]
    assert commands_of(runs[0], "g2") == commands_of(runs[1], "g2")


def test_a_frozen_sensor_is_found_out_by_what_a_gate_changed(tmp_path: Path) -> None:
    """What nobody measures cannot unmask it; a gate beside it can, once 3 mm must be missing whatever else was taken."""
    opened = Command(FAULT_S + 20.0, GateAction(gate="g2", verb=GateVerb.MOVE, params={"opening_pct": 30.0, "expires_after_s": 300.0}))
    run = play(tmp_path, SensorFault(FAULT_S, "p1.tail", SensorTrouble.FROZEN), opened)
    told_s = alarms_of(run)["g2/sensor_frozen.p1.tail"]
    assert told_s - FAULT_S < 120.0
    later = [record for record in run.commands if record.gate == "g1" and told_s < record.at_s]
    assert all("held" in record.reason for record in later)


@pytest.mark.parametrize("trouble", [SensorTrouble.NAN, SensorTrouble.FIXED])
def test_a_value_that_cannot_be_is_not_believed(tmp_path: Path, trouble: SensorTrouble) -> None:
    run = play(tmp_path, SensorFault(FAULT_S, LEVEL_OF_P2, trouble, value=500.0), options={"stale_after_s": 60.0})
    assert [key for key in alarms_of(run, FAULT_S) if key.endswith("p2.tail")]
    later = [record for record in run.commands if record.gate == "g2" and record.at_s > FAULT_S + 120.0]
    assert all("held" in record.reason for record in later)


def test_a_neighbour_that_falls_silent_freezes_its_terms_alone(tmp_path: Path) -> None:
    site = small_site(2, stale_after_s=60.0)
    points = tuple(point.model_copy(update={"remote": "south"}) if point.id == LEVEL_OF_P2 else point for point in site.points)
    remote = site.model_copy(update={"points": points})
    run = run_site(remote, tmp_path, LinkCut(FAULT_S, until_s=1500.0), duration_s=2400.0, changes=THIRSTY)
    assert_safe(run, remote, THIRSTY)
    assert all("held" in record.reason for record in run.commands if record.gate == "g2" and FAULT_S + 90.0 < record.at_s < 1500.0)
    assert run.mode_at("g1", 1400.0) == "AUTO"
    assert commands_of(run, "g2", 1501.0)


# process and power


def test_a_restart_observes_first_and_goes_on_as_if_nothing_was(tmp_path: Path, calm: Run) -> None:
    """A controller's state that is too old is worked out from the present flow, which costs at most a deadband of output."""
    run = play(tmp_path, Kill(FAULT_S), Restart(FAULT_S + 20.0))
    back_s = FAULT_S + 20.0
    assert run.mode_at("g2", back_s + 3.0) == "OBSERVE"
    assert run.mode_at("g2", back_s + 10.0) == "AUTO"
    # a scan each two seconds: the second one is the first that may command
    assert not [record for record in run.commands if FAULT_S < record.at_s < back_s + 4.0]
    assert error_m(run) == pytest.approx(error_m(calm), abs=0.025)


def test_after_a_power_cut_levels_are_held_though_the_time_is_not_known(tmp_path: Path) -> None:
    run = play(tmp_path, *power_cut(FAULT_S, 120.0), duration_s=3000.0)
    assert run.mode_at("g2", FAULT_S + 130.0) == "AUTO"
    assert "site/clock_not_set" in alarms_of(run)
    assert commands_of(run, "g2", FAULT_S + 130.0)


def test_without_the_time_a_schedule_waits(tmp_path: Path) -> None:
    run = play(tmp_path, *power_cut(FAULT_S, 120.0), plans=[scheduled()])
    assert run.series["g2.position"].values[-1] == pytest.approx(20.0, abs=0.5)
    known = play(tmp_path / "known", *power_cut(FAULT_S, 120.0, wall_is_trusted=True), plans=[scheduled()])
    assert known.series["g2.position"].values[-1] == pytest.approx(26.0, abs=0.5)


def test_schedule_entries_that_passed_meanwhile_are_not_played_one_after_the_other(tmp_path: Path) -> None:
    run = play(tmp_path, Kill(500.0), Restart(1600.0), plans=[scheduled()])
    assert {opening_pct for _, opening_pct in commands_of(run, "g2", 1600.0)} == {26.0}


def scheduled() -> GatePlan:
    """Gate 2 at 20 %, at 1000 s 24 %, at 1500 s 26 %."""
    entries = tuple(
        ScheduleEntry(at=START + timedelta(seconds=at_s), objective=PositionObjective(opening_pct=opening_pct))
        for at_s, opening_pct in ((1000.0, 24.0), (1500.0, 26.0))
    )
    directive = GateDirective(objective=PositionObjective(opening_pct=20.0), schedule=entries)
    return GatePlan(site="canal", generation=1, valid_from=START, gates={"g2": directive})


@pytest.mark.parametrize("step_s", [-7200.0, 7200.0])
def test_a_jump_of_the_wall_clock_does_not_touch_level_control(tmp_path: Path, calm: Run, step_s: float) -> None:
    run = play(tmp_path, ClockStep(FAULT_S, step_s))
    assert [commands_of(run, gate) for gate in run.gates] == [commands_of(calm, gate) for gate in calm.gates]


def test_a_jump_forward_takes_the_schedule_as_it_is_then_and_makes_no_burst(tmp_path: Path) -> None:
    run = play(tmp_path, ClockStep(FAULT_S, 7200.0), plans=[scheduled()], duration_s=1200.0)
    assert {opening_pct for _, opening_pct in commands_of(run, "g2", FAULT_S)} == {26.0}


def test_tags_trips_and_modes_survive_a_restart(tmp_path: Path) -> None:
    tag = Command(400.0, SiteAction(gate="g1", verb=SiteVerb.TAG, note="work in the gate"))
    manual = Command(410.0, GateAction(gate="g2", verb=GateVerb.MODE, params={"mode": "manual"}))
    run = play(tmp_path, tag, manual, *power_cut(FAULT_S, 60.0))
    assert (run.mode_at("g1", 2400.0), run.mode_at("g2", 2400.0)) == ("TAGGED_OUT", "MANUAL")
    assert not commands_of(run, "g1", 400.0)
    assert not commands_of(run, "g2", 410.0)
    move = Command(500.0, GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 50.0}))
    refused = play(tmp_path / "again", tag, move, duration_s=600.0)
    assert not refused.answers[-1].accepted
    assert "tagged out" in refused.answers[-1].reason


# actuators


def test_a_stuck_gate_is_tried_once_more_then_left_alone_until_somebody_resets_it(tmp_path: Path) -> None:
    stuck = ActuatorFault(FAULT_S, "g2", ActuatorTrouble.STUCK, until_s=1500.0)
    reset = Command(1600.0, GateAction(gate="g2", verb=GateVerb.RESET_TRIP))
    run = play(tmp_path, stuck, reset)
    ordered_s = commands_of(run, "g2", FAULT_S)[0][0]
    told_s = alarms_of(run)["g2/stuck"]
    assert told_s - ordered_s <= 2 * 10.0 + 3 * 2.0, "two tries of ten seconds, and three scans"
    tried = [record.verb for record in run.commands if record.gate == "g2" and FAULT_S < record.at_s < 1600.0]
    assert tried == ["move", "move", "stop"]
    assert run.mode_at("g2", 1590.0) == "FAULT"
    assert run.mode_at("g2", 1610.0) == "AUTO"
    assert commands_of(run, "g2", 1600.0)


def test_neighbours_of_a_stuck_gate_follow_its_actual_flow(tmp_path: Path) -> None:
    run = play(tmp_path, ActuatorFault(300.0, "g2", ActuatorTrouble.STUCK))
    assert abs(run.series["flow:g1"].values[-1] - run.series["flow:g1"].values[0]) < 0.05
    assert abs(error_m(run, "p1")) < 0.05


def test_what_a_gate_lets_through_is_passed_on_before_the_level_between_has_told_it(tmp_path: Path) -> None:
    """The gate above answers the actual flow of the one below, not the sag of the pool between them."""
    opened = Command(FAULT_S, GateAction(gate="g2", verb=GateVerb.MOVE, params={"opening_pct": 26.0, "expires_after_s": 300.0}))
    run = play(tmp_path, opened, duration_s=900.0)
    flows = [run.series[f"flow:{gate}"] for gate in ("g1", "g2")]
    above_m3s, below_m3s = (flow.at(FAULT_S + 150.0) - flow.at(FAULT_S) for flow in flows)
    assert below_m3s > 0.1
    assert above_m3s > 0.6 * below_m3s


def test_a_gate_that_runs_the_wrong_way_is_stopped_at_once(tmp_path: Path) -> None:
    run = play(tmp_path, ActuatorFault(300.0, "g2", ActuatorTrouble.REVERSED))
    ordered_s, _ = commands_of(run, "g2", 300.0)[0]
    told_s = alarms_of(run)["g2/wrong_way"]
    assert told_s - ordered_s <= 10.0
    assert run.mode_at("g2", 2400.0) == "FAULT"
    verbs = [record.verb for record in run.commands if record.gate == "g2"]
    assert verbs == ["move", "stop"]


def test_a_jammed_gate_says_so_itself(tmp_path: Path) -> None:
    run = play(tmp_path, ActuatorFault(FAULT_S, "g2", ActuatorTrouble.JAMMED))
    assert "g2/jammed" in alarms_of(run)
    assert run.mode_at("g2", 2400.0) == "FAULT"


def test_a_gate_that_moves_by_itself_is_told(tmp_path: Path) -> None:
    run = play(tmp_path, ActuatorFault(320.0, "g1", ActuatorTrouble.RUNAWAY, until_s=330.0))
    assert alarms_of(run)["g1/uncommanded"] - 320.0 <= 10.0
    assert run.mode_at("g1", 2400.0) == "FAULT"


def test_local_and_handwheel_are_no_faults_and_get_no_commands(tmp_path: Path) -> None:
    local = ActuatorFault(FAULT_S, "g2", ActuatorTrouble.LOCAL, until_s=1200.0)
    run = play(tmp_path, local, Handwheel(700.0, "g2", 24.0))
    assert run.mode_at("g2", 1100.0) == "LOCAL"
    assert not commands_of(run, "g2", FAULT_S + 4.0, 1200.0)
    assert not {"g2/uncommanded", "g2/stuck", "g2/wrong_way"} & alarms_of(run).keys()
    assert run.mode_at("g2", 1210.0) == "AUTO"
    assert run.series["g2.position"].at(1300.0) == pytest.approx(24.0, abs=1.5)


def test_a_device_that_refuses_writes_is_told_and_tried_again(tmp_path: Path) -> None:
    run = play(tmp_path, WriteFault(FAULT_S, "g2", until_s=1500.0))
    assert [key for key in alarms_of(run, FAULT_S) if key.startswith("g2/")]
    assert commands_of(run, "g2", 1500.0)
    assert run.series["g2.position"].values[-1] > run.series["g2.position"].at(1500.0)


# people and plans


def test_central_gone_changes_nothing_and_a_replayed_plan_is_refused(tmp_path: Path, calm: Run) -> None:
    """No message at all is the normal case of every run here; an old plan that comes again must not count."""
    site = small_site(2)
    old = GatePlan(site="canal", generation=1, valid_from=START, gates={"g2": GateDirective(objective=PositionObjective(opening_pct=60.0))})
    run = run_site(site, tmp_path, NewPlan(FAULT_S, old), duration_s=2400.0, changes=THIRSTY)
    assert not run.answers[-1].accepted
    assert commands_of(run, "g2") == commands_of(calm, "g2")


def test_a_person_moves_a_gate_by_hand_and_it_then_holds(tmp_path: Path) -> None:
    move = Command(FAULT_S, GateAction(gate="g2", verb=GateVerb.MOVE, params={"opening_pct": 22.0, "expires_after_s": 300.0}))
    run = play(tmp_path, move)
    assert run.answers[-1].accepted
    assert run.series["g2.position"].values[-1] == pytest.approx(22.0, abs=0.5)
    assert run.mode_at("g2", 2400.0) == "MANUAL"
