"""Modbus RTU on a serial line of Linux. Answers carry no number: after one that did not come, the line rests until it cannot come."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import termios

from edge_agent.gate_control.model.devices import ModbusRtu
from edge_agent.gate_control.sense.silence import LineDown, NoAnswer, Refused
from edge_agent.gate_control.wire.frames import MAX_RTU_BYTES, find_rtu_reply, rtu_frame
from edge_agent.gate_control.wire.messages import NotAnAnswer, RefusedByDevice, Request, parse_reply
from shared.clock import Clock

REOPEN_AFTER_S = 1.0
FAST_GAP_S = 0.00175
"""Silence between frames above 19,200 baud (MODBUS over Serial Line V1.02, 2.5.1.1)."""
BITS_PER_CHARACTER = 11
GAP_CHARACTERS = 3.5


class RtuLink:
    """One serial line; all its units share this queue."""

    def __init__(self, settings: ModbusRtu, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._turn = asyncio.Lock()
        self._descriptor: int | None = None
        self._received = bytearray()
        self._came = asyncio.Event()
        self._line_error = ""
        self._quiet_until_s = 0.0
        self._reopen_at_s = 0.0

    @property
    def name(self) -> str:
        """The device file."""
        return self._settings.path

    async def exchange(self, request: Request, timeout_s: float) -> tuple[int, ...]:
        """See `Link`. Waits first until the line is quiet; `timeout_s` begins after that."""
        async with self._turn:
            await self._quiet()
            descriptor = self._opened()
            try:
                termios.tcflush(descriptor, termios.TCIFLUSH)
                self._received.clear()
                async with asyncio.timeout(timeout_s):
                    await self._send(descriptor, rtu_frame(request.unit, request.to_bytes()))
                    reply = await self._reply(request)
                registers = parse_reply(request, reply)
            except RefusedByDevice as refusal:
                self._rest(self._gap_s)
                raise Refused(str(refusal), code=refusal.code, subject=self.name) from refusal
            except (TimeoutError, NotAnAnswer) as error:
                self._rest(self._settings.max_response_s)
                raise NoAnswer(self._why(request, error, timeout_s), subject=self.name) from error
            except (OSError, termios.error) as error:
                self._shut()
                raise NoAnswer(f"the line broke: {error}", subject=self.name) from error
            except asyncio.CancelledError:
                self._rest(self._settings.max_response_s)
                raise
            self._rest(self._gap_s)
            return registers

    async def rest(self) -> None:
        """No request for the longest time that an answer may take."""
        self._rest(self._settings.max_response_s)

    async def close(self) -> None:
        """See `Link`."""
        self._shut()

    @property
    def _gap_s(self) -> float:
        if self._settings.baud_rate > 19_200:
            return FAST_GAP_S
        return GAP_CHARACTERS * BITS_PER_CHARACTER / self._settings.baud_rate

    def _rest(self, quiet_s: float) -> None:
        self._quiet_until_s = self._clock.monotonic_s() + quiet_s

    async def _quiet(self) -> None:
        wait_s = self._quiet_until_s - self._clock.monotonic_s()
        if wait_s > 0.0:
            # the clock may have jumped back: nothing waits longer than an answer may take
            await self._clock.sleep(min(wait_s, self._settings.max_response_s))

    async def _send(self, descriptor: int, frame: bytes) -> None:
        sent = 0
        while sent < len(frame):
            try:
                sent += os.write(descriptor, frame[sent:])
            except BlockingIOError:
                await self._clock.sleep(self._gap_s)

    async def _reply(self, request: Request) -> bytes:
        while True:
            if self._line_error:
                raise OSError(self._line_error)
            reply = find_rtu_reply(request, bytes(self._received))
            if reply is not None:
                return reply
            self._came.clear()
            await self._came.wait()

    def _why(self, request: Request, error: Exception, timeout_s: float) -> str:
        if not isinstance(error, TimeoutError):
            return f"no valid answer: {error}"
        if not self._received:
            return f"no answer in {timeout_s:g} s"
        other = f", begins as of unit {self._received[0]}" if self._received[0] != request.unit else ""
        return f"no valid answer in {timeout_s:g} s: {len(self._received)} bytes that do not fit{other}"

    def _opened(self) -> int:
        if self._descriptor is not None and not self._line_error:
            return self._descriptor
        self._shut()
        now_s = self._clock.monotonic_s()
        if 0.0 < self._reopen_at_s - now_s <= REOPEN_AFTER_S:
            raise LineDown("is not open", subject=self.name)
        self._reopen_at_s = now_s + REOPEN_AFTER_S
        try:
            descriptor = os.open(self._settings.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LineDown(f"cannot be opened: {error.strerror}", subject=self.name) from error
        try:
            _configure(descriptor, self._settings)
        except (OSError, termios.error) as error:
            os.close(descriptor)
            raise LineDown(f"does not take these settings: {error}", subject=self.name) from error
        asyncio.get_running_loop().add_reader(descriptor, self._read_ready)
        self._descriptor, self._line_error = descriptor, ""
        return descriptor

    def _read_ready(self) -> None:
        if self._descriptor is None:
            return
        try:
            data = os.read(self._descriptor, MAX_RTU_BYTES)
            if not data:
                raise OSError("the device went away")
        except BlockingIOError:
            return
        except OSError as error:
            self._line_error = str(error)
            asyncio.get_running_loop().remove_reader(self._descriptor)
        else:
            self._received += data
            # a line that babbles costs no memory: an answer is at its end, if anywhere
            del self._received[: -2 * MAX_RTU_BYTES]
        self._came.set()

    def _shut(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        self._line_error = ""
        if descriptor is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)


def _configure(descriptor: int, settings: ModbusRtu) -> None:
    """Raw, for this process alone, at the rate and parity of the settings.

    Raises:
        OSError, termios.error: the device is no serial line, is taken, or does not know the settings.
    """
    speed = getattr(termios, f"B{settings.baud_rate}", None)
    if speed is None:
        raise OSError(f"{settings.baud_rate} baud is no standard rate")
    fcntl.ioctl(descriptor, termios.TIOCEXCL)
    parity = {"N": 0, "E": termios.PARENB, "O": termios.PARENB | termios.PARODD}[settings.parity]
    stop_bits = termios.CSTOPB if settings.stop_bits == 2 else 0
    flags = termios.CS8 | termios.CREAD | termios.CLOCAL | parity | stop_bits
    control_characters = termios.tcgetattr(descriptor)[6]
    control_characters[termios.VMIN], control_characters[termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, [0, 0, flags, 0, speed, speed, control_characters])
