"""Reading of points over real TCP connections and a real serial line (a pseudo terminal)."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Sample
from edge_agent.gate_control.sense.reader import PointReader
from edge_agent.gate_control.sense.silence import NoAnswer, Refused
from shared.clock import SystemClock
from tests.fakes.gate_site import gate, level_point, rtu_device, site, tcp_device
from tests.fakes.until import until
from tests.integration.gate.modbus_lines import RawRtu, RawTcp, closing, registers_of, rtu, tcp

LEVELS = {10: 2000, 20: 2100}


def by_point(samples: list[Sample]) -> dict[str, Sample]:
    return {sample.point: sample for sample in samples}


async def connected(reader: PointReader, point: str = "level") -> dict[str, Sample]:
    """The first scan in which the point has a value."""
    found: dict[str, Sample] = {}

    async def read() -> bool:
        found.update(by_point(await reader.read(1.0)))
        return point in found and found[point].value is not None

    await until(read, within_s=10.0, what=f"a value of {point}")
    return found


def one_device(port: int, *points: dict[str, Any], **options: Any) -> SiteConfiguration:
    return site(devices=[tcp_device("d1", port, timeout_s=0.3, **options)], points=points or [level_point("level", "d1", 10)])


def honest(values: dict[int, int]) -> Any:
    async def answer(transaction: int, body: bytes) -> list[bytes]:
        return [tcp(transaction, body[0], registers_of(body, values))]

    return answer


async def test_all_points_of_a_device_come_in_few_requests_whatever_gate_they_belong_to() -> None:
    async with RawTcp(honest({0: 1 << 5, 3: 500, 10: 2000})) as device:
        points = [level_point("level", "d1", 10), level_point("other", "d1", 11)]
        configured = site(devices=[tcp_device("d1", device.port)], points=points, gates=[gate("g1", "d1"), gate("g2", "d1")])
        async with closing(PointReader(configured, SystemClock())) as reader:
            found = await connected(reader)
            device.requests.clear()
            found = by_point(await reader.read(1.0))
            assert (found["level"].value, found["g1-position"].value, found["g1.remote"].value) == (2.0, 50.0, 1.0)
            assert found["g1.remote"].value == found["g2.remote"].value
            assert len(device.requests) == 2  # 0 to 3, 10 to 11


async def test_a_late_answer_is_not_taken_for_the_next() -> None:
    held: list[bytes] = []

    async def answer(transaction: int, body: bytes) -> list[bytes]:
        right = tcp(transaction, body[0], registers_of(body, lambda register: 1000 + len(held)))
        held.append(right)
        return [] if len(held) == 2 else held[1:2] * (len(held) == 3) + [right]

    async with RawTcp(answer) as device, closing(PointReader(one_device(device.port), SystemClock())) as reader:
        unit = reader.units["d1"]
        await until(lambda: _answers(unit), within_s=5.0)
        with pytest.raises(NoAnswer, match="no answer in"):
            await unit.read("input", 10, 1)
        assert await unit.read("input", 10, 1) == (1002,)


async def _answers(unit: Any) -> bool:
    try:
        await unit.read("input", 10, 1)
    except NoAnswer:
        return False
    return True


async def test_a_device_that_comes_back_is_read_again() -> None:
    async with RawTcp(honest(LEVELS)) as device:
        port = device.port
        async with closing(PointReader(one_device(port), SystemClock())) as reader:
            await connected(reader)
            await device.__aexit__()
            await until(lambda: _is_lost(reader), within_s=5.0)
            again = RawTcp(honest(LEVELS))
            again._server = await asyncio.start_server(again._serve, "127.0.0.1", port)
            await connected(reader)
            await again.__aexit__()


async def _is_lost(reader: PointReader) -> bool:
    return by_point(await reader.read(1.0))["level"].value is None


async def test_a_silent_unit_behind_a_gateway_is_left_alone_and_the_others_are_read() -> None:
    async def answer(transaction: int, body: bytes) -> list[bytes]:
        return [] if body[0] == 2 else [tcp(transaction, body[0], registers_of(body, {10: 2000}))]

    async with RawTcp(answer) as gateway:
        devices = [tcp_device(f"d{unit}", gateway.port, unit, timeout_s=0.1) for unit in (1, 2, 3)]
        points = [level_point(f"l{unit}", f"d{unit}", 10) for unit in (1, 2, 3)]
        async with closing(PointReader(site(devices=devices, points=points), SystemClock())) as reader:
            await connected(reader, "l3")
            await until(lambda: _is_left_alone(reader), within_s=5.0)
            began_s = time.monotonic()
            found = by_point(await reader.read(1.0))
            assert time.monotonic() - began_s < 0.1
            assert (found["l1"].value, found["l3"].value) == (2.0, 2.0)
            assert "left alone" in found["l2"].error
            assert gateway.connections == 1


async def _is_left_alone(reader: PointReader) -> bool:
    return "left alone" in by_point(await reader.read(1.0))["l2"].error


async def test_a_gateway_that_says_its_unit_is_silent_opens_the_circuit_of_that_unit() -> None:
    async def answer(transaction: int, body: bytes) -> list[bytes]:
        return [tcp(transaction, body[0], bytes((body[1] | 0x80, 11)))]

    async with RawTcp(answer) as gateway, closing(PointReader(one_device(gateway.port), SystemClock())) as reader:
        await until(lambda: _says(reader, "left alone"), within_s=5.0)


async def _says(reader: PointReader, text: str) -> bool:
    return text in by_point(await reader.read(1.0))["level"].error


async def test_a_slow_line_holds_no_scan_up_and_its_samples_come_later_with_their_own_time() -> None:
    async def answer(transaction: int, body: bytes) -> list[bytes]:
        await asyncio.sleep(0.25)
        return [tcp(transaction, body[0], registers_of(body, LEVELS))]

    async with RawTcp(answer) as device:
        configured = site(devices=[tcp_device("d1", device.port, timeout_s=2.0)], points=[level_point("level", "d1", 10)])
        async with closing(PointReader(configured, SystemClock())) as reader:
            await until(lambda: _is_asked(reader, device), within_s=5.0)
            began_s = time.monotonic()
            samples = await reader.read(0.05)
            assert time.monotonic() - began_s < 0.2
            assert all(sample.value is None for sample in samples)
            found = await connected(reader)
            assert found["level"].sampled_at_s <= SystemClock().monotonic_s()


async def _is_asked(reader: PointReader, device: RawTcp) -> bool:
    await reader.read(0.01)
    return bool(device.requests)


async def test_reads_are_repeated_as_configured_and_writes_never() -> None:
    async def answer(_transaction: int, _body: bytes) -> list[bytes]:
        return []

    async with RawTcp(answer) as device:
        configured = site(devices=[tcp_device("d1", device.port, timeout_s=0.05, retries=1)], points=[level_point("level", "d1", 10)])
        async with closing(PointReader(configured, SystemClock())) as reader:
            unit = reader.units["d1"]
            await until(lambda: _is_asked(reader, device), within_s=5.0)
            await until(lambda: len(device.requests) >= 2, within_s=5.0)
            assert device.requests[0] == device.requests[1]
            device.requests.clear()
            with pytest.raises(NoAnswer):
                await unit.write(6, (500,))
            assert [body for body in device.requests if body[1] == 6] == [b"\x01\x06\x00\x06\x01\xf4"]


async def test_a_device_that_refuses_gaps_is_asked_without_them() -> None:
    async def answer(transaction: int, body: bytes) -> list[bytes]:
        start, count = int.from_bytes(body[2:4], "big"), int.from_bytes(body[4:6], "big")
        if set(range(start, start + count)) - {10, 12}:
            return [tcp(transaction, body[0], bytes((body[1] | 0x80, 2)))]
        return [tcp(transaction, body[0], registers_of(body, {10: 2000, 12: 2100}))]

    async with RawTcp(answer) as device:
        points = [level_point("level", "d1", 10), level_point("other", "d1", 12)]
        async with closing(PointReader(one_device(device.port, *points), SystemClock())) as reader:
            found = await connected(reader)
            assert found["other"].value == pytest.approx(2.1)


async def test_a_counter_that_stands_still_and_a_stated_age_make_a_sample_old() -> None:
    values = {10: 2000, 11: 7, 20: 2100, 21: 50}

    async with RawTcp(honest(values)) as device:
        points = [level_point("level", "d1", 10, counter_register=11), level_point("aged", "d1", 20, age_register=21)]
        async with closing(PointReader(one_device(device.port, *points), SystemClock())) as reader:
            first = await connected(reader)
            second = by_point(await reader.read(1.0))
            assert second["level"].sampled_at_s == first["level"].sampled_at_s
            assert second["aged"].sampled_at_s == first["aged"].sampled_at_s
            assert SystemClock().monotonic_s() - second["aged"].sampled_at_s == pytest.approx(5.0, abs=0.5)
            values[11], values[21] = 8, 0xFFFF
            third = by_point(await reader.read(1.0))
            assert third["level"].sampled_at_s > first["level"].sampled_at_s
            assert (third["aged"].value, third["aged"].error) == (None, "its age is not known")


def serial_site(path: str, *units: int, points: Any = None, **options: Any) -> SiteConfiguration:
    devices = [rtu_device(f"d{unit}", path, unit, timeout_s=options.get("timeout_s", 0.15), **_echo(options)) for unit in units]
    points = points or [level_point("level", f"d{units[0]}", 10)]
    return site(devices=devices, points=points, gates=[gate("g1", f"d{units[0]}", "position")])


def _echo(options: dict[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in ("echo_register", "echo_value") if name in options}


async def test_points_are_read_and_registers_written_on_a_serial_line() -> None:
    async def answer(body: bytes) -> list[bytes]:
        return [rtu(body[0], body[1:6] if body[1] == 6 else registers_of(body, {3: 500, 10: 2000}))]

    async with RawRtu(answer) as line, closing(PointReader(serial_site(line.path, 1), SystemClock())) as reader:
        found = by_point(await reader.read(2.0))
        assert (found["level"].value, found["g1-position"].value) == (2.0, 50.0)
        await reader.units["d1"].write(6, (321,))
        assert line.requests[-1] == b"\x01\x06\x00\x06\x01\x41"


async def test_after_a_time_out_a_serial_line_rests_so_that_the_late_answer_finds_nobody() -> None:
    answered: list[int] = []

    async def answer(body: bytes) -> list[bytes]:
        register = int.from_bytes(body[2:4], "big")
        answered.append(register)
        if len(answered) == 1:
            await asyncio.sleep(0.25)  # later than the time-out, sooner than the line rests
        return [rtu(body[0], registers_of(body, lambda index: index))]

    async with RawRtu(answer) as line, closing(PointReader(serial_site(line.path, 1), SystemClock())) as reader:
        unit = reader.units["d1"]
        with pytest.raises(NoAnswer, match=r"no answer in 0\.15 s"):
            await unit.read("input", 100, 1)
        assert await unit.read("input", 200, 1) == (200,)


async def test_noise_and_the_answer_of_another_unit_are_passed_over() -> None:
    async def answer(body: bytes) -> list[bytes]:
        return [b"\x00\xff", rtu(2, registers_of(body, {10: 999})), rtu(body[0], registers_of(body, {10: 2000}))]

    async with RawRtu(answer) as line, closing(PointReader(serial_site(line.path, 1), SystemClock())) as reader:
        assert by_point(await reader.read(2.0))["level"].value == 2.0


async def test_only_the_answer_of_another_unit_is_no_answer() -> None:
    async def answer(body: bytes) -> list[bytes]:
        return [rtu(2, registers_of(body, {10: 999}))]

    async with RawRtu(answer) as line, closing(PointReader(serial_site(line.path, 1), SystemClock())) as reader:
        found = by_point(await reader.read(2.0))["level"]
        assert found.value is None
        assert "as of unit 2" in found.error


async def test_answers_that_lag_by_one_request_are_found_out_by_the_echo_register() -> None:
    late: list[bytes] = [rtu(1, b"\x04\x02\x03\xe7")]

    async def answer(body: bytes) -> list[bytes]:
        late.append(rtu(body[0], registers_of(body, {10: 2000, 40: 4711})))
        # each request is answered by what the one before should have got; functions made alike, so that nothing else tells
        frame = late.pop(0)
        return [rtu(1, bytes((body[1],)) + frame[2:-2])]

    points = [level_point("level", "d1", 10)]
    configured = serial_site("/dev/null", 1, points=points, echo_register=40, echo_value=4711)
    async with RawRtu(answer) as line:
        device = configured.devices[0].model_copy(update={"link": configured.devices[0].link.model_copy(update={"path": line.path})})
        one_point = configured.model_copy(update={"devices": (device,), "points": configured.points[:1]})
        async with closing(PointReader(one_point, SystemClock())) as reader:
            found = by_point(await reader.read(2.0))["level"]
            assert found.value is None
            assert "echo register 40 holds 2000, not 4711" in found.error


async def test_a_serial_line_that_is_not_there_is_said_and_tried_again(tmp_path: Any) -> None:
    async with closing(PointReader(serial_site(str(tmp_path / "ttyUSB0"), 1), SystemClock())) as reader:
        found = by_point(await reader.read(1.0))["level"]
        assert "cannot be opened: No such file" in found.error


async def test_a_refusal_is_not_asked_again_and_says_which_registers() -> None:
    async def answer(body: bytes) -> list[bytes]:
        return [rtu(body[0], bytes((body[1] | 0x80, 4)))]

    async with RawRtu(answer) as line, closing(PointReader(serial_site(line.path, 1), SystemClock())) as reader:
        with pytest.raises(Refused, match=r"refused to read registers 10 to 10: exception code 4 \(device failure\)"):
            await reader.units["d1"].read("input", 10, 1)
        assert len(line.requests) == 1


def test_reading_and_writing_devices_loads_no_modbus_and_no_serial_library() -> None:
    program = (
        "import sys; sys.modules['ssl'] = None\n"
        "import edge_agent.gate_control.sense.reader, edge_agent.gate_control.actuate.field, edge_agent.gate_control.modbus_map.server\n"
        "print(sorted({'pymodbus', 'serial'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert found.stdout.strip() == "[]"
