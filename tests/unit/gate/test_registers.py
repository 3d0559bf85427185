import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.model.site import RegisterPoint
from edge_agent.gate_control.sense.registers import MAX_BLOCK_REGISTERS, Block, decode_registers, encode_registers, plan_blocks
from tests.fakes.gate import site_settings

KINDS = {"uint16": (0, 0xFFFF), "int16": (-0x8000, 0x7FFF), "uint32": (0, 0xFFFFFFFF), "int32": (-(2**31), 2**31 - 1)}


def point(kind: str, **options: object) -> RegisterPoint:
    return RegisterPoint.model_validate({"register": 0, "type": kind, **options})


@given(kind=st.sampled_from(sorted(KINDS)), order=st.sampled_from(["big", "little"]), share=st.floats(0, 1))
def test_what_is_written_is_read_again(kind: str, order: str, share: float) -> None:
    low, high = KINDS[kind]
    value = float(low + int((high - low) * share))
    place = point(kind, word_order=order)
    assert decode_registers(place, encode_registers(place, value)) == value


def test_scale_and_offset_make_units() -> None:
    assert decode_registers(point("uint16", scale=0.001, offset=12.0), [2100]) == pytest.approx(14.1)
    assert encode_registers(point("uint16", scale=0.1), 33.3) == [333]


def test_not_a_number_is_read_as_such_and_never_written() -> None:
    assert math.isnan(decode_registers(point("float32"), [0x7FC0, 0]))
    with pytest.raises(ValueError, match="cannot be written"):
        encode_registers(point("uint16"), math.nan)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_registers(point("uint16"), -1.0)


def test_neighbours_are_read_in_one_request() -> None:
    blocks = plan_blocks(site_settings().gates[0])
    assert blocks == (Block("input", 0, 4), Block("input", 12, 4))
    assert all(block.count <= MAX_BLOCK_REGISTERS for block in blocks)
