"""The maps of real actuators, and the site's own map, on real Modbus TCP."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from pymodbus.client import AsyncModbusTcpClient

from edge_agent.gate_control.actuate.comms_lost import secure_comms_lost
from edge_agent.gate_control.modbus_map.layout import MapSnapshot, next_snapshot
from edge_agent.gate_control.modbus_map.publisher import MapPublisher
from edge_agent.gate_control.modbus_map.server import MAX_CONNECTIONS, ModbusMapServer
from edge_agent.gate_control.model.configuration import ModbusMap, SiteConfiguration
from edge_agent.gate_control.model.values import MoveTo, PointHistory, Pulse, Quality, Reading, Sample, StopMotion
from edge_agent.gate_control.sense.reader import PointReader
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, Position, Raise, Stop
from edge_agent.gate_control.validate import validate_samples
from shared.clock import SystemClock
from tests.fakes.gate_site import level_point, now_at, site, tcp_device
from tests.fakes.until import until
from tests.integration.gate.conftest import Bench
from tests.integration.gate.field_bench import FieldBench, canal_site, field_bench, free_port
from tests.integration.gate.modbus_lines import closing


def is_set(bench: FieldBench, fact: str) -> bool:
    return bench.readings[f"g1.{fact}"].value == 1.0


@pytest.mark.parametrize("profile", ["rotork_iq", "auma"])
async def test_a_gate_goes_where_it_is_told_says_so_on_the_way_and_stops(profile: str) -> None:
    async with field_bench(canal_site(profile)) as bench:
        assert (await bench.act(MoveTo("g1", 80.0, "test"))).error == ""
        await bench.scan_until(lambda _: is_set(bench, "moving"), what="motion")
        assert (await bench.act(StopMotion("g1", "test"))).error == ""
        await bench.scan_until(lambda _: not is_set(bench, "moving"), what="rest")
        assert bench.devices.writes[0] == ("g1", Position(80.0))
        assert bench.devices.writes[-1] == ("g1", Stop())
        stopped_pct = bench.readings["g1-position"].value
        assert stopped_pct is not None
        assert stopped_pct < 79.0
        await bench.act(MoveTo("g1", 100.0, "test"))
        await bench.stands_at(100.0)
        await bench.scan_until(lambda _: is_set(bench, "open_limit"), what="open limit")


@pytest.mark.parametrize("profile", ["rotork_iq", "auma"])
async def test_selector_jam_and_handwheel_are_read_from_the_map(profile: str) -> None:
    async with field_bench(canal_site(profile)) as bench:
        assert is_set(bench, "remote")
        bench.devices.set_fault("g1", ActuatorTrouble.LOCAL)
        await bench.scan_until(lambda _: not is_set(bench, "remote"), what="local")
        before = bench.readings["g1-position"].value
        await bench.act(MoveTo("g1", 90.0, "test"))
        await bench.scan()
        assert bench.readings["g1-position"].value == before
        bench.devices.set_fault("g1", ActuatorTrouble.LOCAL, on=False)
        bench.devices.set_fault("g1", ActuatorTrouble.JAMMED)
        await bench.scan_until(lambda _: is_set(bench, "jammed"), what="jam")
        bench.devices.set_fault("g1", ActuatorTrouble.JAMMED, on=False)
        bench.devices.plant.move_by_hand("g1", 70.0)  # type: ignore[attr-defined]
        await bench.scan_until(lambda _: is_set(bench, "by_hand"), what="handwheel")


async def test_an_auma_at_local_refuses_a_command_as_an_illegal_value() -> None:
    async with field_bench(canal_site("auma")) as bench:
        bench.devices.set_fault("g1", ActuatorTrouble.LOCAL)
        await bench.scan_until(lambda _: not is_set(bench, "remote"), what="local")
        outcome = await bench.act(MoveTo("g1", 90.0, "test"))
        assert "exception code 3 (value not allowed)" in outcome.error


async def test_relays_run_the_motor_for_the_time_of_the_pulse_and_never_longer_than_the_hardware_allows() -> None:
    output = {"device": "drive", "table": "holding", "type": "bit", "register": 20}
    relays = {"raise_output": {**output, "bit": 0}, "lower_output": {**output, "bit": 1}, "hardware_pulse_limit_s": 0.4}
    status = {"device": "drive", "register": 30, "table": "input"}
    configured = canal_site("relays", actuator={"relays": relays, "status": status})
    async with field_bench(configured, speed=5.0) as bench:
        before = bench.readings["g1-position"].value or 0.0
        assert (await bench.act(Pulse("g1", 1, 0.6, "test"))).error == ""
        await bench.scan_until(lambda _: bench.devices.writes[-1] == ("g1", Stop()), what="end of the pulse")
        # 60 s from closed to open, 0.6 s at five times the speed: 5 %
        assert bench.readings["g1-position"].value == pytest.approx(before + 5.0, abs=3.0)
        await bench.reader.units["drive"].write(20, (1,))  # as by a process that dies before it switches off
        await bench.scan_until(lambda _: is_set(bench, "moving"), what="motion")
        await bench.scan_until(lambda _: not is_set(bench, "moving"), what="end by the hardware")
        assert bench.devices.writes[-1] == ("g1", Raise())


async def test_comms_lost_settings_of_a_rotork_are_set_and_read_back() -> None:
    lost = {"action": "position", "opening_pct": 30.0, "timer_s": 45.0}
    async with field_bench(canal_site(actuator={"comms_lost": lost})) as bench:
        (report,) = await secure_comms_lost(bench.site, bench.reader.units)
        assert report.problems == ()
        assert report.written == ("position was 0, is 30", "timer was 0, is 45")
        assert report.unverified == ("action 'position' has no register",)
        assert await bench.reader.units["drive"].read("holding", 13, 1) == (30,)
        assert bench.devices.writes == []


async def test_an_actuator_that_nobody_talks_to_goes_by_itself_where_it_was_told_beforehand() -> None:
    lost = {"action": "position", "opening_pct": 70.0, "timer_s": 1.0}
    async with field_bench(canal_site(actuator={"comms_lost": lost})) as bench:
        await secure_comms_lost(bench.site, bench.reader.units)
        await bench.reader.close()  # as if the process had died
        drive = bench.devices.plant.actuators["g1"]  # type: ignore[attr-defined]
        await until(lambda: bool(abs(drive.position_pct - 70.0) < 0.1), what="the actuator's own position")
        assert bench.devices.writes == []


async def test_levels_and_positions_are_those_of_the_plant() -> None:
    async with field_bench(canal_site("auma")) as bench:
        readings = await bench.scan()
        found = bench.devices.plant.actuators["g1"]  # type: ignore[attr-defined]
        assert readings["g1-position"].value == pytest.approx(found.position_pct, abs=0.1)
        assert readings["p1/tail"].quality is Quality.GOOD
        assert readings["level"].value == pytest.approx(1.7, abs=0.5)


CLOCK = SystemClock()
GOOD_LEVEL = Reading(2.125, 0.4, Quality.GOOD, "level", (), True)
POSITION = Reading(40.0, 0.0, Quality.GOOD, "g1-position", (), True)
REMOTE = Reading(1.0, 0.0, Quality.GOOD, "g1.remote", (), True)


class OwnMap:
    """The map of the site `north`, shown scan by scan."""

    def __init__(self, configured: SiteConfiguration, server: ModbusMapServer) -> None:
        self.site, self.server, self.snapshot = configured, server, MapSnapshot()

    def scan(self, level: Reading = GOOD_LEVEL) -> None:
        readings = {"level": level, "g1-position": POSITION, "g1.remote": REMOTE, "p1/tail": level}
        flows = {"g1": Reading(1.5, 0.0, Quality.DEGRADED, "computed")}
        self.snapshot = next_snapshot(self.snapshot, readings, flows, {"g1": "AUTO"}, CLOCK.monotonic_s())
        self.server.show(self.snapshot)


@asynccontextmanager
async def own_map(*allow: str) -> AsyncIterator[OwnMap]:
    configured = canal_site()
    server = ModbusMapServer(configured, ModbusMap(port=free_port(), allow=allow), CLOCK)
    await server.start()
    try:
        shown = OwnMap(configured, server)
        shown.scan()
        yield shown
    finally:
        await server.stop()


@asynccontextmanager
async def scada(port: int) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


def floating(words: Sequence[int]) -> float:
    return float(struct.unpack(">f", struct.pack(">HH", *words))[0])


async def test_scada_reads_levels_positions_flows_quality_and_heartbeat() -> None:
    async with own_map() as shown, scada(shown.server.port) as client:
        shown.scan()
        site_words = (await client.read_input_registers(0, count=8)).registers
        assert site_words[:2] == [1, 2]
        assert site_words[3:7] == [2, 1, 1, 1]
        level = (await client.read_holding_registers(1000, count=8)).registers
        assert (floating(level[:2]), level[2], level[4]) == (2.125, 2, 2)
        assert 4 <= level[3] < 50
        assert struct.unpack(">i", struct.pack(">HH", *level[6:])) == (2125,)
        gate = (await client.read_input_registers(100, count=20)).registers
        assert (floating(gate[:2]), gate[8], gate[9]) == (40.0, 7, 1 << 15 | 1)
        assert floating((await client.read_input_registers(4008, count=2)).registers) == 2.125
        flow = (await client.read_input_registers(5000, count=3)).registers
        assert (floating(flow[:2]), flow[2]) == (1.5, 1)


async def test_a_bad_value_is_no_number_and_a_map_without_scans_shows_none() -> None:
    async with own_map() as shown, scada(shown.server.port) as client:
        shown.scan(replace(GOOD_LEVEL, quality=Quality.BAD))
        level = (await client.read_input_registers(1000, count=8)).registers
        assert floating(level[:2]) != floating(level[:2])
        assert (level[2], level[6:]) == (0, [0x8000, 0])
        shown.server.show(replace(shown.snapshot, at_s=CLOCK.monotonic_s() - 11.0))
        gate = (await client.read_input_registers(100, count=10)).registers
        assert (gate[2], gate[8], gate[9] >> 15) == (0, 0xFFFF, 0)


async def test_nothing_can_be_written_and_what_is_not_there_not_read() -> None:
    async with own_map() as shown, scada(shown.server.port) as client:
        answers = [
            await client.write_register(1000, 1),
            await client.write_registers(1000, [1, 2]),
            await client.write_coil(1, True),
            await client.read_coils(1, count=1),
            await client.readwrite_registers(read_address=0, read_count=1, address=0, values=[1]),
        ]
        assert [answer.exception_code for answer in answers] == [1] * 5
        assert (await client.read_input_registers(50, count=1)).exception_code == 2
        assert (await client.read_input_registers(1015, count=2)).exception_code == 2


async def test_strangers_are_turned_away_at_the_door() -> None:
    async with own_map("192.0.2.0/24") as shown:
        reader, writer = await asyncio.open_connection("127.0.0.1", shown.server.port)
        assert await reader.read(10) == b""
        writer.close()
        assert shown.server.refused == 1


async def test_more_connections_than_there_is_room_for_are_closed_and_the_others_served() -> None:
    async with own_map() as shown, scada(shown.server.port) as client:
        crowd = [await asyncio.open_connection("127.0.0.1", shown.server.port) for _ in range(MAX_CONNECTIONS + 4)]
        await until(lambda: shown.server.refused == 5, what="the last five turned away")
        assert (await client.read_input_registers(1, count=1)).registers == [1]
        for _, writer in crowd:
            writer.close()


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 40, b"\xff" * 300, b"\x00\x01\x00\x00\x00\x02\x01"])
async def test_nonsense_ends_its_own_connection_at_most(nonsense: bytes) -> None:
    async with own_map() as shown, scada(shown.server.port) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", shown.server.port)
        writer.write(nonsense)
        await writer.drain()
        assert (await client.read_input_registers(1, count=1)).registers == [1]
        writer.close()


async def test_a_neighbour_reads_a_remote_point_with_its_true_age_and_loses_it_with_the_site() -> None:
    async with own_map() as shown:
        newness = {"counter_register": 1004, "age_register": 1003, "stale_after_s": 1.5}
        point = level_point("north-level", "north", 1000, type="float32", scale=1.0, remote="north", **newness)
        neighbour = site(devices=[tcp_device("d1", free_port()), tcp_device("north", shown.server.port)], points=[point], site="south")
        histories, readings = dict[str, PointHistory](), dict[str, Reading]()
        async with closing(PointReader(neighbour, CLOCK)) as reader:

            async def scan() -> Reading:
                nonlocal histories, readings
                samples: list[Sample] = await reader.read(0.5)
                histories, readings = validate_samples(neighbour, histories, samples, now_at(CLOCK.monotonic_s()))
                return readings["north-level"]

            async def has(quality: Quality) -> bool:
                return (await scan()).quality is quality

            await until(lambda: has(Quality.GOOD), what="the neighbour's level")
            found = readings["north-level"]
            assert (found.value, found.source) == (2.125, "north/north-level")
            assert 0.3 <= found.age_s < 1.0
            assert not (await scan()).is_fresh
            shown.scan(replace(GOOD_LEVEL, quality=Quality.BAD, is_fresh=False))
            await until(lambda: has(Quality.BAD), what="loss of the level")
            assert "is no number" in readings["north-level"].reasons
            shown.scan()
            await until(lambda: has(Quality.GOOD), what="the level again")
            await shown.server.stop()
            await until(lambda: has(Quality.BAD), what="loss of the site")


async def test_a_map_whose_port_is_taken_says_so_and_control_goes_on() -> None:
    port = free_port()
    configured = canal_site(modbus_map={"port": port})
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    publisher = MapPublisher(configured, CLOCK)
    publisher.begin()
    await until(lambda: str(port) in publisher.problem, what="the problem named")
    publisher.show({"level": GOOD_LEVEL}, {"g1": 1.0}, {"g1": "AUTO"}, CLOCK.monotonic_s())
    await publisher.end()
    taken.close()
    await taken.wait_closed()
    publisher.begin()
    publisher.show({"level": GOOD_LEVEL}, {"g1": None}, {"g1": "HOLD"}, CLOCK.monotonic_s())
    await until(lambda: publisher.problem == "", what="the door open")
    async with scada(port) as client:
        assert (await client.read_input_registers(1, count=1)).registers == [2]
        assert (await client.read_input_registers(5002, count=1)).registers == [0]
    await publisher.end()


async def test_a_flow_that_rests_on_what_is_not_known_is_shown_as_bad_and_an_old_one_is_not_counted_as_new() -> None:
    port = free_port()
    publisher = MapPublisher(canal_site(modbus_map={"port": port}), CLOCK)
    publisher.begin()
    listening = publisher._listening
    assert listening is not None
    await until(listening.done, what="the door open")
    shown = []
    async with asyncio.timeout(10.0):
        for is_fresh, doubts in ((True, {}), (False, {}), (True, {"g1": "the level above is not known now"})):
            level = replace(GOOD_LEVEL, is_fresh=is_fresh)
            publisher.show({"level": level}, {"g1": 1.0}, {"g1": "AUTO"}, CLOCK.monotonic_s(), doubts)
            async with scada(port) as client:
                shown.append((await client.read_input_registers(5002, count=3)).registers)
    await publisher.end()
    assert [(quality, counter) for quality, _age, counter in shown] == [(2, 1), (2, 1), (0, 1)]


async def test_a_site_without_a_map_opens_no_door() -> None:
    publisher = MapPublisher(canal_site(), CLOCK)
    publisher.begin()
    publisher.show({}, {}, {}, 1.0)
    await publisher.end()
    assert (publisher.server, publisher.problem) == (None, "")


async def test_a_running_gate_shows_its_scans_levels_flow_and_mode(bench: Bench) -> None:
    port = free_port()
    config = bench.folder / "site.yaml"
    config.write_text(f"{config.read_text()}\nmodbus_map: {{port: {port}}}\n")
    await bench.start()
    async with scada(port) as client:

        async def heartbeat_goes_on() -> bool:
            answer = await client.read_input_registers(0, count=3)
            return answer.registers[1] > 3 and answer.registers[2] < 20

        async def flow_is_shown() -> bool:
            words = (await client.read_input_registers(5000, count=3)).registers
            return words[2] == 2 and floating(words[:2]) > 0.0

        await until(heartbeat_goes_on, what="a heartbeat")
        await until(flow_is_shown, what="the flow")
        gate = (await client.read_input_registers(100, count=10)).registers
        assert gate[2] == 2
        assert gate[9] & 1 << 15
