"""Rows of the fault table on real Modbus TCP, the whole process at work; what `test_devices` has is not told again.

Detection times are by the gate's own journal: docs/operations/gate-faults.md states the same bounds for scans of a second.
"""

from datetime import timedelta
from typing import Any

import pytest

from edge_agent.gate_control.simulation.device_faults import PointFault
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, Position, Stop
from shared.contracts.gate_plan import PositionObjective, ScheduleEntry, UpstreamLevelObjective
from tests.fakes.gate import make_plan
from tests.fakes.jump_clock import JumpClock
from tests.integration.gate.conftest import SCAN_S, Bench, until

TRY_S = 0.6
"""At most until a move that did not begin is seen: `start_within_s` of 0.4 s, and two scans."""
SLACK_S = 20 * SCAN_S
"""Of a busy machine."""


async def told_after_s(bench: Bench, alarm: str) -> float:
    """Seconds from the first command of the gate to an alarm, by its journal."""
    records: list[dict[str, Any]] = []
    while page := (await bench.ask("journal.read", after=len(records), limit=500, wait_s=0)).data["records"]:
        records += page
    ordered_s = next(record["monotonic_s"] for record in records if record["kind"] == "commanded")
    told_s = next(record["monotonic_s"] for record in records if record["kind"] == "alarm_raised" and record["data"]["alarm"] == alarm)
    return float(told_s - ordered_s)


async def written(bench: Bench, alarm: str) -> None:
    """Until the journal has it."""

    async def is_there() -> bool:
        page = (await bench.ask("journal.read", after=0, limit=1000, wait_s=0)).data["records"]
        return any(record["kind"] == "alarm_raised" and record["data"]["alarm"] == alarm for record in page)

    await until(is_there, what=f"{alarm} in the journal")


async def test_a_level_that_comes_late_is_degraded_and_control_goes_on(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=32.0)))).ok
    await until(lambda: bench.gate()["mode"] == "AUTO" and not bench.gate()["moving"], what="rest")
    bench.site.set_fault("g1-level", PointFault.STALE)
    await until(lambda: bench.gate()["quality"] == "degraded", what="degraded")
    assert bench.gate()["mode"] == "AUTO"
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0), generation=2))).ok
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate at its position")


@pytest.mark.parametrize("step_s", [-7_200.0, pytest.param(7_200.0, marks=pytest.mark.slow)])
async def test_a_wall_clock_that_jumps_moves_a_gate_only_where_its_schedule_says_so(bench: Bench, step_s: float) -> None:
    clock = JumpClock()
    await bench.start(clock=clock)
    now = clock.wall()
    later = ScheduleEntry(at=now + timedelta(hours=1), objective=PositionObjective(opening_pct=40.0))
    earlier = ScheduleEntry(at=now - timedelta(hours=10), objective=PositionObjective(opening_pct=30.0))
    plan = make_plan(PositionObjective(opening_pct=30.0), schedule=[earlier, later], valid_from=now - timedelta(hours=12))
    assert (await bench.set_plan(plan)).ok
    await until(lambda: bench.gate()["opening_pct"] == 30.0 and not bench.gate()["moving"], what="gate at its position")
    writes = len(bench.site.writes)
    clock.jump_wall(step_s)
    scan = bench.status()["scan"]
    await until(lambda: bench.status()["scan"] >= scan + 20, what="scans go on")
    if step_s > 0.0:
        await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate where the schedule has it now")
    moves = [command for _, command in bench.site.writes[writes:]]
    assert moves == ([Position(40.0)] if step_s > 0.0 else [])
    assert bench.gate()["mode"] == "AUTO"
    assert not {"sensor_stale.g1-level", "stuck", "actuator_silent"} & set(bench.gate()["alarms"])


async def test_after_its_time_a_gate_without_a_level_goes_to_its_fallback_and_comes_back(bench: Bench) -> None:
    bench.configure(fallback={"kind": "position", "opening_pct": 25.0, "after_s": 2.0})
    await bench.start()
    assert (await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.0)))).ok
    await until(lambda: bench.gate()["mode"] == "AUTO", what="control")
    bench.site.set_fault("g1-level", PointFault.STALE)
    await bench.alarm("fallback_active")
    assert bench.gate()["mode"] == "FALLBACK"
    await until(lambda: abs(bench.gate()["opening_pct"] - 25.0) < 0.4, what="gate at its fallback")
    bench.site.clear_faults("g1-level")
    await until(lambda: bench.gate()["mode"] == "AUTO", what="control again")
    await bench.alarm("fallback_active", raised=False)


async def test_a_frozen_level_is_found_out_when_its_own_gate_opens(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=32.0)))).ok
    await until(lambda: not bench.gate()["moving"] and bench.gate()["mode"] == "AUTO", what="rest")
    bench.site.set_fault("g1-level", PointFault.FROZEN)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=42.0), generation=2))).ok
    await bench.alarm("sensor_frozen.g1-level")
    await written(bench, "sensor_frozen.g1-level")
    # 50 times as fast as a canal: the two minutes of the table are 2.4 s here
    assert await told_after_s(bench, "sensor_frozen.g1-level") < 120.0 / 50.0 + SLACK_S
    assert bench.gate()["quality"] == "bad"
    bench.site.clear_faults("g1-level")
    await bench.alarm("sensor_frozen.g1-level", raised=False)


async def test_a_stuck_gate_is_told_after_two_tries(bench: Bench) -> None:
    await bench.start()
    bench.site.set_fault("g1", ActuatorTrouble.STUCK)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await bench.alarm("stuck")
    await written(bench, "stuck")
    assert await told_after_s(bench, "stuck") < 2 * TRY_S + SLACK_S


async def test_a_gate_that_runs_the_wrong_way_is_stopped_and_left_alone(bench: Bench) -> None:
    await bench.start()
    bench.site.set_fault("g1", ActuatorTrouble.REVERSED)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=60.0)))).ok
    await bench.alarm("wrong_way")
    assert [type(command) for _, command in bench.site.writes] == [Position, Stop]
    assert (bench.gate()["mode"], bench.gate()["trip"]) == ("FAULT", "wrong_way")


async def test_a_gate_that_moves_by_itself_is_stopped_and_told(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=32.0)))).ok
    await until(lambda: bench.gate()["mode"] == "AUTO" and not bench.gate()["moving"], what="rest")
    await until(lambda: bench.service is not None and bench.service.loop.memory.state.gates["g1"].rest_pct is not None, what="seen still")
    bench.site.set_fault("g1", ActuatorTrouble.RUNAWAY)
    await bench.alarm("uncommanded")
    assert ("g1", Stop()) in bench.site.writes
    assert bench.gate()["mode"] == "FAULT"


async def test_local_and_handwheel_are_followed_without_a_command_and_without_a_fault(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await until(lambda: bench.gate()["opening_pct"] == 40.0 and not bench.gate()["moving"], what="gate at its position")
    bench.site.set_fault("g1", ActuatorTrouble.LOCAL)
    await until(lambda: bench.gate()["mode"] == "LOCAL", what="local")
    writes = len(bench.site.writes)
    bench.canal.move_by_hand("g1", 55.0)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=35.0), generation=2))).ok
    await until(lambda: abs(bench.gate()["opening_pct"] - 55.0) < 0.3, what="the hand's opening")
    scan = bench.status()["scan"]
    await until(lambda: bench.status()["scan"] >= scan + 20, what="scans go on")
    assert len(bench.site.writes) == writes
    assert not {"uncommanded", "stuck", "wrong_way", "jammed"} & set(bench.gate()["alarms"])
    bench.site.set_fault("g1", ActuatorTrouble.LOCAL, on=False)
    await until(lambda: bench.gate()["mode"] == "AUTO" and bench.gate()["opening_pct"] == 35.0, what="control again")


@pytest.mark.parametrize("when", ["at rest", "moving"])
async def test_out_of_service_or_stopped_a_gate_gets_no_motion(bench: Bench, when: str) -> None:
    await bench.start()
    if when == "moving":
        assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=60.0)))).ok
        await until(lambda: bench.gate()["moving"], what="motion")
    for verb, params in (("service", {"service": "out"}), ("stop", {})):
        assert (await bench.ask("act", gate="g1", verb=verb, params=params)).ok
        plan = make_plan(PositionObjective(opening_pct=80.0), generation=5 if verb == "stop" else 4)
        assert (await bench.set_plan(plan)).ok
        moves = sum(isinstance(command, Position) for _, command in bench.site.writes)
        scan = bench.status()["scan"]
        await until(lambda scan=scan: bench.status()["scan"] >= scan + 10, what="scans go on")  # type: ignore[misc]
        assert sum(isinstance(command, Position) for _, command in bench.site.writes) == moves, verb
        assert (await bench.ask("act", gate="g1", verb="service", params={"service": "in"})).ok
