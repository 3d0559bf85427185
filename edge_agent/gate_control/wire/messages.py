"""Requests, and what counts as their answer. Pure. Rules: MODBUS Application Protocol Specification V1.1b3, sections 5 to 7.

A client library that takes a reply for what it claims to be hands on the registers of another request: here each reply is
held against the request that was sent, and whatever does not fit is no answer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16
READS = (READ_HOLDING, READ_INPUT)
MAX_READ_REGISTERS = 125
MAX_WRITE_REGISTERS = 123
EXCEPTION_BIT = 0x80
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE = 1, 2, 3, 4
_MEANINGS = {
    1: "function not supported",
    2: "no such register",
    3: "value not allowed",
    4: "device failure",
    5: "accepted, takes long",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway got no answer from the unit",
}
GATEWAY_CODES = (10, 11)
"""Said by a gateway about a unit that did not answer it."""


class NotAnAnswer(ValueError):
    """Bytes that do not fit the request."""


class RefusedByDevice(ValueError):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception code {code} ({_MEANINGS.get(code, 'unknown')})")
        self.code = code


@dataclass(frozen=True)
class Request:
    """One request to one unit; with `values` it writes."""

    unit: int
    function: int
    start: int
    count: int
    values: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """Function code and data."""
        if self.function in READS:
            return struct.pack(">BHH", self.function, self.start, self.count)
        if self.function == WRITE_ONE:
            return struct.pack(">BHH", self.function, self.start, self.values[0])
        return struct.pack(f">BHHB{self.count}H", self.function, self.start, self.count, 2 * self.count, *self.values)

    @property
    def reply_length(self) -> int:
        """Bytes of the good reply, function code included."""
        return 2 + 2 * self.count if self.function in READS else 5


def read_request(unit: int, table: str, start: int, count: int) -> Request:
    """Read registers of table `input` or `holding`.

    Raises:
        ValueError: more registers than one request can read, or beyond the last.
    """
    if not 1 <= count <= MAX_READ_REGISTERS or start + count > 0x10000:
        raise ValueError(f"registers {start} to {start + count - 1} cannot be read in one request")
    return Request(unit, READ_INPUT if table == "input" else READ_HOLDING, start, count)


def write_request(unit: int, start: int, values: tuple[int, ...]) -> Request:
    """Write holding registers: one by function 6, several by function 16, so that they change together.

    Raises:
        ValueError: none, too many, or a value of more than 16 bits.
    """
    if not 1 <= len(values) <= MAX_WRITE_REGISTERS or start + len(values) > 0x10000:
        raise ValueError(f"{len(values)} registers from {start} cannot be written in one request")
    if not all(0 <= value <= 0xFFFF for value in values):
        raise ValueError(f"{values} are not all 16-bit registers")
    return Request(unit, WRITE_ONE if len(values) == 1 else WRITE_MANY, start, len(values), values)


def parse_reply(request: Request, reply: bytes) -> tuple[int, ...]:
    """Registers that a reply gives; empty for a write.

    Raises:
        RefusedByDevice: the reply is an exception to this very function.
        NotAnAnswer: anything else that is not the answer to `request`.
    """
    if len(reply) < 2:
        raise NotAnAnswer(f"{len(reply)} bytes are too short for an answer")
    if reply[0] == request.function | EXCEPTION_BIT and len(reply) == 2:
        raise RefusedByDevice(reply[1])
    if reply[0] != request.function:
        raise NotAnAnswer(f"answers function {reply[0]}, asked for {request.function}")
    if len(reply) != request.reply_length:
        raise NotAnAnswer(f"answer of {len(reply)} bytes, expected {request.reply_length}")
    if request.function in READS:
        if reply[1] != 2 * request.count:
            raise NotAnAnswer(f"says {reply[1]} bytes of registers, asked for {2 * request.count}")
        return struct.unpack(f">{request.count}H", reply[2:])
    if reply != request.to_bytes()[:5]:
        raise NotAnAnswer("confirms another write than the one that was sent")
    return ()


def parse_request(data: bytes) -> tuple[int, int, int] | int:
    """Function, start and count of a read that a client sent; or the exception code that it deserves.

    Only reads are known here: everything else, every write included, is an illegal function.
    """
    if not data or data[0] not in READS:
        return ILLEGAL_FUNCTION
    if len(data) != 5:
        return ILLEGAL_VALUE
    function, start, count = struct.unpack(">BHH", data)
    return (function, start, count) if 1 <= count <= MAX_READ_REGISTERS else ILLEGAL_VALUE


def read_reply(function: int, registers: tuple[int, ...]) -> bytes:
    """Answer to a read."""
    return struct.pack(f">BB{len(registers)}H", function, 2 * len(registers), *registers)


def exception_reply(function: int, code: int) -> bytes:
    """Answer to what cannot be done."""
    return bytes((function & 0x7F | EXCEPTION_BIT, code))
