"""Devices that lie, say nothing, or do not move: the scan goes on, alarms say what is wrong, and nothing wrong is done."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.gate_control.simulation.device_faults import DeviceFault, PointFault
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, Position, Stop
from shared.contracts.gate_plan import PositionObjective, UpstreamLevelObjective
from tests.fakes.gate import make_plan
from tests.integration.gate.conftest import Bench, make_bench, until

LEVEL_FAULTS = [PointFault.STALE, pytest.param(PointFault.NAN, marks=pytest.mark.slow)]
DEVICE_FAULTS = [DeviceFault.SILENT, pytest.param(DeviceFault.EXCEPTION, marks=pytest.mark.slow)]


async def scans_go_on(bench: Bench, count: int = 10) -> None:
    scan = bench.status()["scan"]
    await until(lambda: bench.status()["scan"] >= scan + count, what="scans go on")


@pytest.mark.parametrize("fault", LEVEL_FAULTS)
async def test_a_level_that_is_no_news_or_no_number_is_alarmed_and_the_gate_held(bench: Bench, fault: PointFault) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.05)))).ok
    await until(lambda: bench.gate()["mode"] == "AUTO", what="control")
    bench.site.set_fault("g1-level", fault)
    await bench.alarm("sensor_stale.g1-level")
    writes = len(bench.site.writes)
    await scans_go_on(bench)
    assert len(bench.site.writes) == writes
    assert bench.gate()["quality"] == "bad"
    bench.site.clear_faults("g1-level")
    await bench.alarm("sensor_stale.g1-level", raised=False)


@pytest.mark.parametrize("fault", DEVICE_FAULTS)
async def test_a_device_that_does_not_answer_stops_no_scan_and_is_observed_anew(bench: Bench, fault: DeviceFault) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate at its position")
    bench.site.set_fault("g1", fault)
    await bench.alarm("actuator_silent")
    await scans_go_on(bench)
    assert bench.gate()["mode"] == "FAULT"
    bench.site.clear_faults("g1")
    await until(lambda: bench.gate()["mode"] == "AUTO", what="control again")
    await bench.alarm("actuator_silent", raised=False)


async def test_random_registers_move_nothing_and_break_nothing(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.0)))).ok
    bench.site.set_fault("g1", DeviceFault.GARBAGE)
    await scans_go_on(bench, 40)
    assert all(5.0 <= command.opening_pct <= 95.0 for _, command in bench.site.writes if isinstance(command, Position))
    bench.site.clear_faults("g1")
    await until(lambda: bench.gate()["mode"] == "AUTO" and bench.gate()["quality"] == "good", what="control again")


async def test_a_stuck_gate_is_alarmed_and_no_longer_commanded(bench: Bench) -> None:
    await bench.start()
    bench.site.set_fault("g1", ActuatorTrouble.STUCK)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await bench.alarm("stuck")
    assert bench.site.writes == [("g1", Position(40.0)), ("g1", Position(40.0)), ("g1", Stop())]
    assert (bench.gate()["mode"], bench.gate()["trip"]) == ("FAULT", "stuck")
    bench.site.set_fault("g1", ActuatorTrouble.STUCK, on=False)
    assert (await bench.ask("act", gate="g1", verb="reset_trip")).ok
    await bench.alarm("stuck", raised=False)
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate at its position")


async def test_an_actuator_that_says_jammed_is_alarmed_at_once(bench: Bench) -> None:
    await bench.start()
    bench.site.set_fault("g1", ActuatorTrouble.JAMMED)
    await bench.alarm("jammed")
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await scans_go_on(bench)
    assert bench.site.writes == []


async def test_a_refused_write_is_an_alarm_and_tried_again(bench: Bench) -> None:
    await bench.start()
    bench.site.set_fault("g1", DeviceFault.REFUSED)
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await bench.alarm("actuator_silent")
    assert any("exception code 4" in reason for reason in bench.gate()["reasons"])
    bench.site.clear_faults("g1")
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate at its position")
    await bench.alarm("actuator_silent", raised=False)


async def test_a_device_that_comes_late_is_taken_up(bench: Bench) -> None:
    await bench.site.stop(water=False)
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=40.0)))).ok
    await bench.alarm("actuator_silent")
    await bench.site.start()
    await until(lambda: bench.gate()["opening_pct"] == 40.0, what="gate at its position")


@pytest.mark.parametrize("answer", [b"", b"\x00" * 9, b"HTTP/1.1 200 OK\r\n\r\n", b"\xff" * 300])
async def test_something_that_is_no_modbus_device_stops_no_scan(bench: Bench, answer: bytes) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await _reader.read(100):
                writer.write(answer + os.urandom(20))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config = bench.folder / "site.yaml"
    config.write_text(config.read_text().replace(f'"port": {bench.port}', f'"port": {port}'))
    await bench.start()
    await bench.alarm("actuator_silent")
    await scans_go_on(bench, 20)
    assert bench.gate()["mode"] == "OBSERVE"
    await bench.end()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def three_gates(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = await make_bench(tmp_path, ("g1", "g2", "g3"))
    try:
        yield bench
    finally:
        await bench.end()
        await bench.site.stop()


async def test_one_dead_device_leaves_the_others_at_work(three_gates: Bench) -> None:
    bench = three_gates
    await bench.start()
    plan = make_plan(PositionObjective(opening_pct=40.0))
    assert (await bench.set_plan(plan.model_copy(update={"gates": dict.fromkeys(("g1", "g2", "g3"), plan.gates["g1"])}))).ok
    bench.site.set_fault("g2", DeviceFault.SILENT)
    for gate in ("g1", "g3"):
        await until(lambda gate=gate: bench.gate(gate)["opening_pct"] == 40.0, what=f"{gate} at its position")  # type: ignore[misc]
    await bench.alarm("actuator_silent", gate="g2")
    assert bench.gate("g1")["quality"] == "good"


async def test_a_high_level_opens_and_holds_updates_back(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(PositionObjective(opening_pct=10.0)))).ok
    bench.canal.set_inflow("p1", 20.0)
    await bench.alarm("interlock_tripped.high_high")
    assert any("flood alarm at gate g1" in reason for reason in bench.status()["hold_reasons"])
    await until(lambda: ("g1", Position(95.0)) in bench.site.writes, what="gate driven open")
    text = (bench.folder / "run" / "interlock.json").read_text
    await until(lambda: '"flood_alarm":true' in text(), what="interlock file says flood")
