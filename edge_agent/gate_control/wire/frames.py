"""Frames around requests and replies. Pure.

TCP: MODBUS Messaging on TCP/IP V1.0b, section 3.1. RTU: MODBUS over Serial Line V1.02, section 2.5.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from edge_agent.gate_control.wire.messages import EXCEPTION_BIT, NotAnAnswer, Request

HEADER_BYTES = 7
MAX_FRAME_BYTES = 260
MAX_RTU_BYTES = 256


@dataclass(frozen=True)
class TcpFrame:
    """One message on TCP."""

    transaction: int
    unit: int
    data: bytes


def tcp_frame(transaction: int, unit: int, data: bytes) -> bytes:
    """Bytes of a message."""
    return struct.pack(">HHHB", transaction, 0, len(data) + 1, unit) + data


def take_tcp_frame(buffer: bytes) -> tuple[TcpFrame | None, bytes]:
    """The first whole frame and what follows it; no frame while bytes are missing.

    Raises:
        NotAnAnswer: this is no Modbus TCP, so where the next frame begins is unknown: the connection is lost.
    """
    if len(buffer) < HEADER_BYTES:
        return None, buffer
    transaction, protocol, length, unit = struct.unpack(">HHHB", buffer[:HEADER_BYTES])
    if protocol != 0 or not 2 <= length <= MAX_FRAME_BYTES - 6:
        raise NotAnAnswer("bytes that are no Modbus TCP")
    end = 6 + length
    if len(buffer) < end:
        return None, buffer
    return TcpFrame(transaction, unit, buffer[HEADER_BYTES:end]), buffer[end:]


def rtu_frame(unit: int, data: bytes) -> bytes:
    """Bytes of a message on a serial line."""
    body = bytes((unit,)) + data
    return body + _crc16(body).to_bytes(2, "little")


def find_rtu_reply(request: Request, buffer: bytes) -> bytes | None:
    """The reply to `request` in what came from the line, without unit and checksum; None while there is none.

    Noise before it and the late answer of another unit are passed over. What counts begins with the unit and function
    that were asked, is as long as the answer must be, and has the right checksum.
    """
    for start in range(len(buffer) - 4):
        if buffer[start] != request.unit:
            continue
        function = buffer[start + 1]
        if function == request.function:
            length = request.reply_length
        elif function == request.function | EXCEPTION_BIT:
            length = 2
        else:
            continue
        body_end = start + 1 + length
        if body_end + 2 <= len(buffer) and _crc16(buffer[start:body_end]).to_bytes(2, "little") == buffer[body_end : body_end + 2]:
            return buffer[start + 1 : body_end]
    return None


def _crc16(data: bytes) -> int:
    """CRC-16/MODBUS: polynomial 0xA001 reflected, begins with 0xFFFF."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(byte: int) -> int:
    crc = byte
    for _ in range(8):
        crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))
