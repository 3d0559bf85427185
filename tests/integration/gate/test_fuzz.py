"""Devices that answer wrongly, on real Modbus TCP: nothing crashes, nothing moves, and nothing of it is believed."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from edge_agent.gate_control.model.devices import ModbusRtu, ModbusTcp
from edge_agent.gate_control.model.values import MoveTo, Quality
from edge_agent.gate_control.sense.rtu import RtuLink
from edge_agent.gate_control.sense.silence import LineDown, NoAnswer, Refused
from edge_agent.gate_control.sense.tcp import TcpLink
from edge_agent.gate_control.simulation.device_faults import DeviceFault, PointFault, ScriptedFault
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from edge_agent.gate_control.wire.messages import read_request
from shared.clock import SystemClock
from shared.contracts.gate_plan import UpstreamLevelObjective
from tests.fakes.gate import make_plan
from tests.fakes.until import until
from tests.integration.gate.conftest import Bench
from tests.integration.gate.field_bench import canal_site, field_bench
from tests.integration.gate.modbus_lines import RawRtu, RawTcp, closing, registers_of, rtu, tcp

UNREADABLE = [
    DeviceFault.SILENT,
    DeviceFault.LATE,
    DeviceFault.EXCEPTION,
    DeviceFault.SHORT,
    DeviceFault.WRONG_FUNCTION,
    DeviceFault.OTHER_UNIT,
    DeviceFault.NO_MODBUS,
]


@pytest.mark.parametrize("fault", UNREADABLE)
async def test_a_unit_that_answers_wrongly_is_bad_moves_nothing_and_recovers(fault: DeviceFault) -> None:
    async with field_bench(canal_site()) as bench:
        bench.devices.set_fault("drive", fault)
        await bench.has_quality(Quality.BAD, "g1-position", "g1.remote")
        assert bench.readings["g1-position"].reasons
        assert bench.devices.writes == []
        bench.devices.clear_faults("drive")
        await bench.has_quality(Quality.GOOD)


async def test_registers_full_of_nonsense_never_become_a_selector_and_a_position_of_good_quality() -> None:
    async with field_bench(canal_site(level={"max_rate_per_s": 0.5}, position={"max_rate_per_s": 2.0})) as bench:
        before = bench.readings["g1-position"].value
        bench.devices.set_fault("drive", DeviceFault.GARBAGE)
        bench.devices.set_fault("sensor", DeviceFault.GARBAGE)
        for _ in range(40):
            for name, reading in (await bench.scan()).items():
                if reading.quality is Quality.GOOD and reading.value is not None:
                    assert 0.0 <= reading.value <= 100.0, name
        assert before is not None
        assert bench.devices.writes == []
        bench.devices.clear_faults("drive")
        bench.devices.clear_faults("sensor")
        await bench.has_quality(Quality.GOOD)


async def test_a_write_that_is_refused_or_answered_wrongly_is_a_failure_and_is_sent_once() -> None:
    async with field_bench(canal_site()) as bench:
        bench.devices.set_fault("drive", DeviceFault.REFUSED)
        outcome = await bench.act(MoveTo("g1", 60.0, "test"))
        assert "refused a write to registers 6 to 6: exception code 4" in outcome.error
        assert bench.devices.writes == []
        bench.devices.clear_faults("drive")
        bench.devices.set_fault("drive", DeviceFault.WRONG_FUNCTION)
        outcome = await bench.act(MoveTo("g1", 60.0, "test"))
        assert outcome.error
        assert len(bench.devices.writes) == 1


@pytest.mark.parametrize("fault", [PointFault.STALE, PointFault.NAN])
async def test_a_level_that_is_old_or_no_number_turns_bad_and_comes_back(fault: PointFault) -> None:
    async with field_bench(canal_site()) as bench:
        bench.devices.set_fault("level", fault)
        await bench.has_quality(Quality.BAD, "level", "p1/tail")
        bench.devices.clear_faults("level")
        await bench.has_quality(Quality.GOOD)


async def test_a_broken_current_loop_turns_bad() -> None:
    loop = {"current_loop": {"low": 0.0, "high": 4.0, "fault_after_s": 0.2}, "scale": 0.001, "valid_min": -1.0, "stale_after_s": 10.0}
    configured = canal_site(level=loop | {"stale_after_s": 10.0})
    async with field_bench(configured) as bench:
        bench.devices.set_fault("level", PointFault.LOOP_BROKEN)
        await bench.has_quality(Quality.BAD, "level")
        assert "current loop broken" in bench.readings["level"].reasons[-1]


async def test_faults_can_be_scripted_by_the_plants_time() -> None:
    script = [
        ScriptedFault(20.0, "sensor", DeviceFault.SILENT),
        ScriptedFault(20.0, "g1", ActuatorTrouble.JAMMED),
        ScriptedFault(60.0, "sensor", DeviceFault.SILENT, on=False),
    ]
    async with field_bench(canal_site(), *script) as bench:
        await bench.scan_until(lambda found: found["g1.jammed"].value == 1.0, what="jam")
        await bench.has_quality(Quality.BAD, "level")
        await bench.has_quality(Quality.GOOD, "level")


async def test_a_whole_gate_in_control_is_moved_by_none_of_them_and_controls_again(bench: Bench) -> None:
    await bench.start()
    assert (await bench.set_plan(make_plan(UpstreamLevelObjective(level_m=2.3)))).ok
    await until(lambda: bench.gate()["mode"] == "AUTO", what="control")
    for fault in (DeviceFault.LATE, DeviceFault.SHORT, DeviceFault.WRONG_FUNCTION, DeviceFault.OTHER_UNIT, DeviceFault.NO_MODBUS):
        bench.site.set_fault("g1", fault)
        await until(lambda: bench.gate()["mode"] == "FAULT", what=f"{fault} seen")
        writes, scan = len(bench.site.writes), bench.status()["scan"]
        await until(lambda scan=scan: bench.status()["scan"] >= scan + 8, what="scans that go on")  # type: ignore[misc]
        assert len(bench.site.writes) == writes, fault
        bench.site.clear_faults("g1")
        await until(lambda: bench.gate()["mode"] == "AUTO", what=f"control after {fault}")


def mutated(frame: bytes, source: random.Random) -> list[bytes]:
    """A right answer, spoiled in one of many ways."""
    spoiled = bytearray(frame)
    ways: Sequence[str] = ("flip", "cut", "grow", "split", "twice", "none", "noise", "exception", "function", "transaction")
    way = source.choice(ways)
    if way == "flip":
        spoiled[source.randrange(len(spoiled))] ^= 1 << source.randrange(8)
    elif way == "cut":
        del spoiled[source.randrange(len(spoiled)) :]
    elif way == "grow":
        spoiled += source.randbytes(source.randrange(1, 300))
    elif way == "split":
        middle = source.randrange(len(spoiled))
        return [bytes(spoiled[:middle]), bytes(spoiled[middle:])]
    elif way == "twice":
        return [frame, frame]
    elif way == "none":
        return []
    elif way == "noise":
        return [source.randbytes(source.randrange(1, 64))]
    elif way == "exception":
        return [frame[:4] + b"\x00\x03" + frame[6:7] + bytes((frame[7] | 0x80, source.randrange(256)))]
    elif way == "function":
        spoiled[7] = source.randrange(256)
    elif way == "transaction":
        spoiled[1] ^= 1 << source.randrange(8)
    return [bytes(spoiled)]


@pytest.mark.parametrize("seed", range(3))
async def test_hundreds_of_spoiled_answers_are_answers_refusals_or_silence_and_the_line_heals(seed: int) -> None:
    source, spoils = random.Random(seed), True

    async def answer(transaction: int, body: bytes) -> list[bytes]:
        frame = tcp(transaction, body[0], registers_of(body, {10: 2000, 11: 7}))
        return mutated(frame, source) if spoils and source.random() < 0.7 else [frame]

    async with RawTcp(answer) as device, closing(TcpLink(ModbusTcp(host="127.0.0.1", port=device.port), SystemClock())) as link:
        outcomes: dict[str, int] = {}
        while len(device.requests) < 200:
            outcome = await ask(link)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert {"answer", "NoAnswer", "Refused"} <= outcomes.keys()
        spoils = False
        await until(lambda: is_answered(link), what="an answer")
        assert await link.exchange(REQUEST, 0.5) == (2000, 7)


@pytest.mark.parametrize("seed", range(3))
async def test_on_a_serial_line_spoiled_answers_never_become_wrong_registers(seed: int) -> None:
    source = random.Random(seed)

    async def answer(body: bytes) -> list[bytes]:
        frame = rtu(body[0], registers_of(body, {10: 2000, 11: 7}))
        other = rtu(2, registers_of(body, {10: 999, 11: 999}))
        ways = [mutated_on_the_line(frame, source), [other], [other, frame], [frame, other], [source.randbytes(5), frame], [frame]]
        return source.choice(ways)

    async with RawRtu(answer) as line:
        settings = ModbusRtu(path=line.path, baud_rate=115_200, parity="N", max_response_s=0.005)
        async with closing(RtuLink(settings, SystemClock())) as link:
            outcomes: list[str] = []
            while len(line.requests) < 120:
                try:
                    registers = await link.exchange(REQUEST, 0.02)
                except (NoAnswer, Refused) as error:
                    outcomes.append(type(error).__name__)
                else:
                    assert registers == (2000, 7)
                    outcomes.append("answer")
            assert {"answer", "NoAnswer"} <= set(outcomes)


def mutated_on_the_line(frame: bytes, source: random.Random) -> list[bytes]:
    spoiled = bytearray(frame)
    way = source.choice(("flip", "cut", "none", "split"))
    if way == "flip":
        spoiled[source.randrange(len(spoiled))] ^= 1 << source.randrange(8)
    elif way == "cut":
        del spoiled[source.randrange(len(spoiled)) :]
    elif way == "none":
        return []
    elif way == "split":
        return [frame[:3], frame[3:]]
    return [bytes(spoiled)] if spoiled else []


REQUEST = read_request(1, "input", 10, 2)


async def ask(link: TcpLink) -> str:
    try:
        registers = await link.exchange(REQUEST, 0.01)
    except (NoAnswer, Refused) as error:
        if isinstance(error, LineDown):
            await asyncio.sleep(0.001)
        return type(error).__name__
    assert len(registers) == 2
    return "answer"


async def is_answered(link: TcpLink) -> bool:
    return await ask(link) == "answer"
