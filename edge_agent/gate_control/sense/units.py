"""One Modbus unit on its line: reads with retries, writes once, left alone while it is silent."""

from __future__ import annotations

from edge_agent.gate_control.model.devices import Device
from edge_agent.gate_control.sense.circuit import Circuit, after_failure, may_ask
from edge_agent.gate_control.sense.link import Link
from edge_agent.gate_control.sense.silence import LineDown, NoAnswer, Refused
from edge_agent.gate_control.wire.messages import GATEWAY_CODES, Request, read_request, write_request
from shared.clock import Clock


class Unit:
    """Requests to one unit."""

    def __init__(self, device: Device, link: Link, clock: Clock) -> None:
        self.device = device
        self._link = link
        self._clock = clock
        self._circuit = Circuit()
        self._last_error = ""

    @property
    def name(self) -> str:
        """For people: `host:port unit 1`."""
        return f"{self._link.name} unit {self.device.device_id}"

    def is_silent(self) -> bool:
        """Whether it is being left alone."""
        return not may_ask(self._circuit, self._clock.monotonic_s())

    async def read(self, table: str, start: int, count: int) -> tuple[int, ...]:
        """Registers `start` to `start + count - 1`; asked again as often as the device's settings say.

        Raises:
            NoAnswer: none of the requests was answered, or the unit is left alone for now.
            Refused: it said no; asking again would not change that.
        """
        if self.is_silent():
            raise NoAnswer(f"is silent and left alone for now; last: {self._last_error}", subject=self.name)
        request = read_request(self.device.device_id, table, start, count)
        for tries_left in range(self.device.retries, -1, -1):
            try:
                return await self._exchange(request)
            except NoAnswer as error:
                if not tries_left or self.is_silent() or isinstance(error, LineDown):
                    raise
        raise AssertionError("unreachable")

    async def write(self, start: int, values: tuple[int, ...]) -> None:
        """Write holding registers, once; whether a lost answer means a lost write is for the caller to find out by reading.

        A silent unit is tried all the same: a command is rare, and must not wait.

        Raises:
            NoAnswer, Refused: as for `read`.
            ValueError: the registers cannot be written.
        """
        await self._exchange(write_request(self.device.device_id, start, values))

    def distrust(self, reason: str) -> None:
        """Count a failure that only the reader of several answers can see."""
        self._note_failure(reason)

    async def rest(self) -> None:
        """See `Link.rest`."""
        await self._link.rest()

    async def _exchange(self, request: Request) -> tuple[int, ...]:
        try:
            registers = await self._link.exchange(request, self.device.timeout_s)
        except LineDown as error:
            raise LineDown(error.message, subject=self.name) from error
        except NoAnswer as error:
            self._note_failure(error.message)
            raise NoAnswer(error.message, subject=self.name) from error
        except Refused as refusal:
            if refusal.code in GATEWAY_CODES:
                self._note_failure(refusal.message)
                raise NoAnswer(f"does not answer its gateway: {refusal.message}", subject=self.name) from refusal
            self._circuit = Circuit()
            what = "a write to" if request.values else "to read"
            last = request.start + request.count - 1
            raise Refused(
                f"refused {what} registers {request.start} to {last}: {refusal.message}", code=refusal.code, subject=self.name
            ) from refusal
        self._circuit = Circuit()
        return registers

    def _note_failure(self, reason: str) -> None:
        self._last_error = reason
        self._circuit = after_failure(self._circuit, self._clock.monotonic_s())
