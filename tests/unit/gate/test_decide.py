"""One gate on the simulated canal, scan by scan: who has the say, and what is never done."""

import itertools
from datetime import timedelta

import pytest

from edge_agent.gate_control.decide.v1.site import hold_reasons
from edge_agent.gate_control.model.values import Sample
from shared.contracts.gate_plan import PositionObjective, ScheduleEntry, UpstreamLevelObjective
from tests.fakes.gate import START, CanalBench, make_bench, make_plan, with_value


def openings(bench: CanalBench) -> list[float]:
    return [command.opening_pct for _, command in bench.commands]


def test_nothing_moves_before_two_scans_agree() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=40.0)))
    bench.scan()
    assert (bench.gate().mode, bench.commands) == ("OBSERVE", [])
    bench.scan()
    assert (bench.gate().mode, openings(bench)) == ("AUTO", [40.0])


def test_a_scan_without_position_begins_the_observing_anew() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=40.0)))
    bench.scan()
    bench.distort = lambda sample: with_value(sample, "g1.position", None)
    bench.scan()
    bench.distort = lambda sample: sample
    bench.scan()
    assert (bench.gate().mode, bench.commands) == ("OBSERVE", [])


def test_without_a_plan_the_gate_is_left_where_it_is() -> None:
    bench = make_bench()
    bench.run(600)
    assert (bench.gate().mode, bench.commands) == ("HOLD", [])


def test_a_far_position_is_approached_in_steps_with_rests() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=60.0)))
    bench.run(300)
    moves = openings(bench)
    assert moves[-1] == 60.0
    assert all(after - before <= 10.0 + 1e-6 for before, after in zip([32.0, *moves], moves, strict=False))
    times = [at for at, _ in bench.commands]
    assert min(after - before for before, after in itertools.pairwise(times)) >= 10.0 + 10.0 / 100 * 120


def test_less_than_the_deadband_is_not_moved() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=32.4)))
    bench.run(100)
    assert bench.commands == []


def test_the_level_is_brought_to_its_setpoint_and_held() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)))
    bench.run(3 * 3600)
    assert all(abs(level - 2.1) < 0.01 for level in bench.levels_m[-1800:])


def test_an_unannounced_demand_is_made_up_for_with_few_starts() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.run(1800)
    bench.canal.demands_m3s["g1"] = 0.8
    before = bench.canal.actuators["g1"].starts
    bench.run(3 * 3600)
    assert abs(bench.levels_m[-1] - 2.0) < 0.01
    assert max(abs(level - 2.0) for level in bench.levels_m[1800:]) < 0.12
    assert bench.canal.actuators["g1"].starts - before < 60


def test_a_restart_moves_nothing_by_itself() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)))
    bench.run(2 * 3600)
    opening, seen = bench.canal.actuators["g1"].position_pct, len(bench.commands)
    bench.restart()
    bench.run(120)
    assert abs(bench.canal.actuators["g1"].position_pct - opening) <= 1.0
    assert len(bench.commands) - seen <= 1
    assert abs(bench.levels_m[-1] - 2.1) < 0.01


def test_a_gate_under_local_control_is_not_commanded_and_taken_over_where_it_was_left() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.0)))
    bench.run(600)
    actuator = bench.canal.actuators["g1"]
    actuator.is_local = True
    actuator.position_pct = actuator.desired_pct = 50.0
    seen = len(bench.commands)
    bench.run(60)
    assert (bench.gate().mode, len(bench.commands)) == ("LOCAL", seen)
    assert hold_reasons(bench.state, bench.readings, bench.settings)[0] == ("gate g1 is under manual control at the site",)
    actuator.is_local = False
    bench.run(5)
    assert bench.gate().mode == "AUTO"
    assert abs(bench.gate().wanted_pct - 50.0) <= 10.5


def test_a_stuck_gate_is_tried_once_more_then_locked_out_and_alarmed() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=40.0)))
    bench.canal.actuators["g1"].is_stuck = True
    bench.run(60)
    assert openings(bench) == [40.0, 40.0]
    assert "stuck" in bench.gate().alarms
    assert bench.gate().mode == "FAULT"
    bench.canal.actuators["g1"].is_stuck = False
    bench.run(60)
    assert "stuck" not in bench.gate().alarms
    assert abs(bench.canal.actuators["g1"].position_pct - 40.0) < 0.5


def test_a_gate_that_runs_the_wrong_way_is_locked_out_at_once() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=40.0)))
    bench.canal.actuators["g1"].is_reversed = True
    bench.run(30)
    assert openings(bench) == [40.0]
    assert "wrong_way" in bench.gate().alarms


def test_high_high_opens_at_once_whatever_rest_step_and_deadband_say_and_is_a_flood() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=20.0)))
    bench.run(20)
    bench.canal.levels_m[0] = 2.61
    bench.distort = lambda sample: sample
    bench.histories = {}
    bench.run(1)
    assert openings(bench)[-1] == 95.0
    assert "interlock_high_high" in bench.gate().alarms
    reasons, flood = hold_reasons(bench.state, bench.readings, bench.settings)
    assert flood
    assert "flood alarm at gate g1: high_high" in reasons


def test_low_low_forbids_opening() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=60.0)))
    bench.canal.levels_m[0] = 1.15
    bench.canal.inflow_m3s = 0.0
    bench.run(120)
    assert bench.commands == []
    assert "interlock_low_low" in bench.gate().alarms


def test_a_tripped_interlock_stays_tripped_when_its_sensor_fails() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=20.0)))
    bench.canal.levels_m[0] = 2.7
    bench.run(5)
    bench.distort = lambda sample: with_value(sample, "g1.upstream_level", None)
    bench.run(120)
    assert "interlock_high_high" in bench.gate().alarms


def test_without_a_level_the_opening_is_held_and_after_a_while_falls_back() -> None:
    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.1)), fallback='kind = "position", opening_pct = 45.0, after_s = 300')
    bench.run(600)
    bench.distort = lambda sample: with_value(sample, "g1.upstream_level", None)
    bench.run(60)
    held = bench.canal.actuators["g1"].desired_pct
    assert "upstream_level_stale" in bench.gate().alarms
    bench.run(200)
    assert bench.canal.actuators["g1"].desired_pct == held
    bench.run(600)
    assert abs(bench.canal.actuators["g1"].position_pct - 45.0) <= 0.5


def test_the_schedule_goes_by_the_wall_clock_and_stops_when_nobody_set_it() -> None:
    schedule = [
        ScheduleEntry(at=START + timedelta(seconds=100), objective=PositionObjective(opening_pct=36.0)),
        ScheduleEntry(at=START + timedelta(seconds=200), objective=PositionObjective(opening_pct=40.0)),
    ]
    bench = make_bench(make_plan(PositionObjective(opening_pct=34.0), schedule=schedule))
    bench.run(90)
    assert bench.gate().target == "position 34.0 %"
    bench.run(20)
    assert bench.gate().target == "position 36.0 %"
    bench.run(100)
    assert bench.gate().target == "position 40.0 %"
    bench.trusted = False
    bench.run(1)
    assert bench.gate().target == "position 34.0 %"


def test_what_is_wrong_with_one_gate_moves_no_other() -> None:
    gates = ("g1", "g2", "g3")
    plan = make_plan(UpstreamLevelObjective(level_m=8.0))
    plan = plan.model_copy(
        update={"gates": {gate: plan.gates["g1"].model_copy(update={"objective": UpstreamLevelObjective(level_m=level)})
                for gate, level in (("g1", 8.0), ("g2", 5.0), ("g3", 2.0))}}
    )  # fmt: skip
    bench = make_bench(plan, gates=gates, distort=lambda sample: broken(sample, "g2"))
    bench.run(3600)
    assert bench.gate("g2").mode == "OBSERVE"
    assert [bench.gate(gate).mode for gate in ("g1", "g3")] == ["AUTO", "AUTO"]
    assert {command.gate for _, command in bench.commands} <= {"g1", "g3"}
    assert abs(bench.canal.levels_m[0] - 8.0) < 0.02


def broken(sample: Sample, gate: str) -> Sample:
    return Sample(sample.point, None, sample.sampled_at_s, "no answer") if sample.point.startswith(gate) else sample


@pytest.mark.parametrize("noise_m", [0.001, 0.003])
def test_noise_does_not_wear_the_motor_out(noise_m: float) -> None:
    signs = iter([1, -1, 1, 1, -1, -1] * 20_000)

    def noisy(sample: Sample) -> Sample:
        if sample.point != "g1.upstream_level" or sample.value is None:
            return sample
        return with_value(sample, sample.point, sample.value + next(signs) * noise_m)

    bench = make_bench(make_plan(UpstreamLevelObjective(level_m=2.05)), distort=noisy)
    bench.run(1800)
    before = bench.canal.actuators["g1"].starts
    bench.run(3600)
    assert bench.canal.actuators["g1"].starts - before <= 30
    assert abs(bench.levels_m[-1] - 2.05) < 0.02
