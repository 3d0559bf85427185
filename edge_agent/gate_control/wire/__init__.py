"""Modbus as bytes: requests, replies and frames of TCP and RTU, judged strictly. Pure.

Takes: requests as values, bytes as they came from a line.
Gives: bytes to send; registers, or the reason why bytes are no answer to a request.
May import: `gate_control.model`, data types of the standard library.
Never: opens, waits, retries, or lets a reply pass that does not fit its request in unit, function, length and checksum.
"""
