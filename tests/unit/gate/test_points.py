"""Registers, requests and frames: what is asked together, what counts as an answer, and when a silent unit is asked again."""

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from edge_agent.gate_control.model.devices import Device, Point, RegisterPlace
from edge_agent.gate_control.sense.circuit import MAX_PAUSE_S, OPEN_AFTER, Circuit, after_failure, may_ask
from edge_agent.gate_control.sense.points import MAX_BLOCK_REGISTERS, Block, fact_value, join_blocks, plan_reads, point_value
from edge_agent.gate_control.wire.frames import find_rtu_reply, rtu_frame, take_tcp_frame, tcp_frame
from edge_agent.gate_control.wire.messages import (
    NotAnAnswer,
    RefusedByDevice,
    parse_reply,
    parse_request,
    read_reply,
    read_request,
    write_request,
)
from edge_agent.gate_control.wire.values import decode, encode
from tests.fakes.gate_site import actuator, gate, level_point, site, tcp_device

RANGES = {"uint16": (0, 0xFFFF), "int16": (-0x8000, 0x7FFF), "uint32": (0, 0xFFFFFFFF), "int32": (-(2**31), 2**31 - 1)}
orders = st.sampled_from(["big", "little"])
words = st.integers(0, 0xFFFF)


def place(kind: str, **options: Any) -> RegisterPlace:
    return RegisterPlace.model_validate({"device": "d1", "register": 0, "type": kind, **options})


def point(**options: Any) -> Point:
    return Point.model_validate(level_point("level", "d1", 10, **options))


@given(kind=st.sampled_from(sorted(RANGES)), word_order=orders, byte_order=orders, share=st.floats(0, 1))
def test_what_is_written_is_read_again(kind: str, word_order: str, byte_order: str, share: float) -> None:
    low, high = RANGES[kind]
    value = float(low + int((high - low) * share))
    where = place(kind, word_order=word_order, byte_order=byte_order)
    assert decode(where, encode(where, value)) == value


@given(found=st.lists(words, min_size=2, max_size=2), word_order=orders, byte_order=orders)
def test_any_registers_are_some_float_and_never_an_error(found: list[int], word_order: str, byte_order: str) -> None:
    value = decode(place("float32", word_order=word_order, byte_order=byte_order), found)
    assert isinstance(value, float)


def test_orders_of_words_and_bytes_are_those_of_the_device() -> None:
    big = [0x3F80, 0x0000]  # 1.0
    assert decode(place("float32"), big) == 1.0
    assert decode(place("float32", word_order="little"), big[::-1]) == 1.0
    assert decode(place("float32", byte_order="little"), [0x803F, 0x0000]) == 1.0


def test_a_current_loop_is_scaled_and_not_clamped() -> None:
    through = point(scale=0.001, offset=100.0, current_loop={"low": 0.0, "high": 4.0}, valid_min=99.0, valid_max=105.0)
    assert [point_value(through, {("input", 10): raw}) for raw in (4000, 20000, 3500)] == [100.0, 104.0, 99.875]


def test_a_bit_is_one_or_nought_and_is_written_alone() -> None:
    where = place("bit", bit=3)
    assert [decode(where, [word]) for word in (0b1000, 0b0111)] == [1.0, 0.0]
    assert encode(where, 1.0) == (0b1000,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 70_000.0])
def test_what_does_not_fit_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match=r"cannot be written|does not fit"):
        encode(place("uint16"), value)


def test_blocks_of_a_device_are_joined_over_its_gates() -> None:
    configured = site(
        points=[level_point("a", "d1", 10), level_point("b", "d1", 12), level_point("far", "d1", 200)],
        gates=[gate("g1", "d1"), gate("g2", "d1")],
    )
    (reads,) = plan_reads(configured)
    assert reads.blocks == (Block("input", 0, 4), Block("input", 10, 3), Block("input", 200, 1))
    assert len(reads.points) == 5
    assert Block("input", 12, 1) in reads.single


def test_the_echo_register_is_read_last() -> None:
    device = tcp_device("d1", echo_register=0, echo_value=7)
    (reads,) = plan_reads(site(devices=[device], points=[level_point("a", "d1", 10, table="holding")]))
    assert reads.blocks[-1] == Block("holding", 0, 1)


@given(
    wanted=st.sets(st.tuples(st.sampled_from(["input", "holding"]), st.integers(0, 300), st.integers(1, 2)), max_size=30),
    gap=st.integers(0, 4),
)
def test_joined_blocks_read_every_register_that_is_wanted(wanted: set[tuple[str, int, int]], gap: int) -> None:
    blocks = join_blocks(sorted(wanted), gap)
    read = {(block.table, block.start + index) for block in blocks for index in range(block.count)}
    assert read >= {(table, start + index) for table, start, count in wanted for index in range(count)}
    assert all(block.count <= MAX_BLOCK_REGISTERS for block in blocks)


def test_facts_come_from_the_actuators_own_map() -> None:
    auma = gate("g1", "d1", "auma")
    (reads,) = plan_reads(site(gates=[auma]))
    assert set(reads.facts) == {
        f"g1.{fact}" for fact in ("remote", "moving", "closed_limit", "open_limit", "jammed", "by_hand", "inhibited")
    }
    registers = {("input", 0x3000): 0, ("input", 0x3001): 0b100, ("input", 0x3003): 1 << 4, ("input", 0x3005): 0}
    values = {name: fact_value(bits, registers) for name, bits in reads.facts.items()}
    assert (values["g1.remote"], values["g1.jammed"], values["g1.moving"]) == (1.0, 1.0, 0.0)
    assert fact_value(reads.facts["g1.moving"], {("input", 0x3000): 0}) is None


def test_status_of_the_site_wins_over_the_profile() -> None:
    status = {"device": "d1", "register": 50, "table": "holding", "moving_bit": None}
    (reads,) = plan_reads(site(gates=[{**gate("g1", "d1"), "actuator": actuator("rotork_iq", "d1", "g1", status=status)}]))
    assert "g1.moving" not in reads.facts
    assert reads.facts["g1.remote"][0].register == 50


requests = st.one_of(
    st.builds(read_request, st.integers(0, 255), st.sampled_from(["input", "holding"]), st.integers(0, 1000), st.integers(1, 125)),
    st.builds(write_request, st.integers(0, 255), st.integers(0, 1000), st.lists(words, min_size=1, max_size=5).map(tuple)),
)


@given(request=requests, reply=st.binary(max_size=260))
def test_bytes_are_the_answer_a_refusal_or_no_answer_and_nothing_else(request: Any, reply: bytes) -> None:
    try:
        registers = parse_reply(request, reply)
    except (NotAnAnswer, RefusedByDevice):
        return
    assert len(registers) == (request.count if not request.values else 0)


@given(registers=st.lists(words, min_size=1, max_size=125).map(tuple), noise=st.binary(max_size=6))
def test_the_right_answer_is_found_behind_noise(registers: tuple[int, ...], noise: bytes) -> None:
    request = read_request(17, "input", 0, len(registers))
    line = noise + rtu_frame(17, read_reply(4, registers))
    found = find_rtu_reply(request, line)
    assert found is not None
    assert parse_reply(request, found) == registers


@given(unit=st.integers(1, 255), data=st.binary(min_size=1, max_size=250))
def test_frames_are_those_of_another_implementation(unit: int, data: bytes) -> None:
    assert rtu_frame(unit, data) == FramerRTU(DecodePDU(True)).encode(data, unit, 0)
    assert tcp_frame(7, unit, data) == FramerSocket(DecodePDU(True)).encode(data, unit, 7)


@given(line=st.binary(max_size=300))
def test_babble_on_a_line_is_never_an_answer(line: bytes) -> None:
    request = read_request(1, "holding", 0, 4)
    found = find_rtu_reply(request, line)
    if found is not None:  # only with the right checksum, which chance makes once in 65,536
        assert found[0] in (3, 0x83)


@given(stream=st.binary(max_size=600))
def test_a_stream_gives_whole_frames_or_is_no_modbus(stream: bytes) -> None:
    rest = stream
    while True:
        try:
            frame, left = take_tcp_frame(rest)
        except NotAnAnswer:
            return
        if frame is None:
            assert left == rest
            return
        assert len(left) < len(rest)
        rest = left


def test_frames_are_taken_one_by_one_however_they_arrive() -> None:
    frame, rest = take_tcp_frame(tcp_frame(1, 5, b"\x04\x02\x00\x01") + tcp_frame(2, 5, b"\x04")[:5])
    assert frame is not None
    assert (frame.transaction, frame.unit, frame.data) == (1, 5, b"\x04\x02\x00\x01")
    assert take_tcp_frame(rest) == (None, rest)


@given(data=st.binary(max_size=12))
def test_a_server_knows_reads_and_refuses_all_else(data: bytes) -> None:
    parsed = parse_request(data)
    if isinstance(parsed, tuple):
        assert parsed[0] in (3, 4)
        assert 1 <= parsed[2] <= 125
    else:
        assert parsed in (1, 3)


@given(request=requests)
def test_no_write_of_ours_would_be_taken_by_our_own_server(request: Any) -> None:
    parsed = parse_request(request.to_bytes())
    assert (parsed == 1) == bool(request.values)


@given(failures=st.integers(0, 40), now_s=st.floats(-1e9, 1e9), later_s=st.floats(0.0, 1e6))
@example(failures=6, now_s=8.81, later_s=0.0)
def test_a_silent_unit_is_asked_again_within_seconds_whatever_its_past(failures: int, now_s: float, later_s: float) -> None:
    circuit = Circuit()
    for _ in range(failures):
        circuit = after_failure(circuit, now_s)
    assert may_ask(circuit, now_s) == (failures < OPEN_AFTER)
    assert may_ask(circuit, now_s + MAX_PAUSE_S + 0.001 + later_s)


def test_a_clock_that_jumps_back_leaves_no_unit_alone_for_long() -> None:
    circuit = Circuit()
    for _ in range(OPEN_AFTER):
        circuit = after_failure(circuit, 1e6)
    assert may_ask(circuit, 5.0)


@pytest.mark.parametrize(("options", "reason"), [({"unit": 0}, "no unit of a serial line"), ({"baud_rate": 10_000}, "no standard rate")])
def test_a_serial_line_that_cannot_work_is_refused(options: dict[str, int], reason: str) -> None:
    link = {"kind": "modbus_rtu", "path": "/dev/ttyUSB0", "baud_rate": options.get("baud_rate", 9600)}
    with pytest.raises(ValueError, match=reason):
        Device.model_validate({"id": "d1", "link": link, "device_id": options.get("unit", 1)})
