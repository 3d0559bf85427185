"""A site on real Modbus TCP: one unit a gate with the register map of a Rotork IQ, levels beside it, and faults on demand."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import struct
from enum import StrEnum

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.gate_control.simulation.canal import IntegratorDelayCanal
from edge_agent.gate_control.simulation.plant import Lower, Position, Raise, Stop
from shared.clock import Clock

STATUS, POSITION, COMMAND, DESIRED_POSITION = 0, 3, 5, 6
UPSTREAM_MM, DOWNSTREAM_MM, COUNTER, UPSTREAM_FLOAT, DOWNSTREAM_FLOAT = 10, 11, 12, 14, 16
REGISTER_COUNT = 32
BIT_MOVING, BIT_CLOSED, BIT_OPEN, BIT_REMOTE, BIT_LOCAL, BIT_JAMMED = 0, 1, 2, 5, 7, 11
TICK_S = 0.25


class Fault(StrEnum):
    """What can be wrong with a gate."""

    FROZEN = "frozen"
    """The level stands still, its counter counts on."""
    STALE = "stale"
    """Level and counter stand still: a gateway that repeats an old value."""
    NAN = "nan"
    """The level is no number (0xFFFF in the integer register)."""
    SILENT = "silent"
    """Requests are not answered."""
    EXCEPTION = "exception"
    """Requests are answered by exception code 4."""
    GARBAGE = "garbage"
    """Every register holds a random number."""
    STUCK = "stuck"
    JAMMED = "jammed"
    """Stuck, and the actuator says so."""
    LOCAL = "local"
    REVERSED = "reversed"
    REFUSED = "refused"
    """Writes are refused by exception code 4."""


class SimulatedSite:
    """Serves a canal. Its time runs `speed` times as fast as the clock's."""

    def __init__(
        self,
        canal: IntegratorDelayCanal,
        clock: Clock,
        *,
        speed: float = 1.0,
        host: str = "127.0.0.1",
        port: int = 0,
        noise_m: float = 0.0,
        random_source: random.Random | None = None,
    ) -> None:
        self.canal = canal
        self.writes: list[tuple[str, float]] = []
        """Desired positions as they came, by gate."""
        self._clock = clock
        self._speed = speed
        self._address = (host, port)
        self._noise_m = noise_m
        self._random = random_source or random.Random(1)
        self._gates = tuple(canal.actuators)
        self._faults: dict[str, set[Fault]] = {gate: set() for gate in self._gates}
        self._answering = {gate: asyncio.Event() for gate in self._gates}
        self._held: dict[str, tuple[float, float, int]] = {}
        self._values: dict[str, float] = {}
        self._counters = dict.fromkeys(self._gates, 0)
        self._server: ModbusTcpServer | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._began_s = 0.0

    @property
    def port(self) -> int:
        """Where it listens, once started."""
        return self._address[1]

    async def start(self) -> None:
        """Listen, also again after `stop` on the same port.

        Raises:
            OSError: the port is taken.
        """
        devices = [self._device(index + 1, gate) for index, gate in enumerate(self._gates)]
        for event in self._answering.values():
            event.set()
        self._server = ModbusTcpServer(devices, address=self._address)
        if not await self._server.listen():
            raise OSError(f"port {self._address[1]} cannot be listened on")
        sockets = getattr(self._server.transport, "sockets", ())
        bound: tuple[str, int] = next(iter(sockets)).getsockname()
        self._address = (self._address[0], bound[1])
        if self._ticker is None:
            self._began_s = self._clock.monotonic_s()
            self._ticker = asyncio.create_task(self._tick(), name="simulated site")

    async def stop(self, *, water: bool = True) -> None:
        """Stop listening; the water goes on flowing where `water` is false."""
        for event in self._answering.values():
            event.set()
        if self._server is not None:
            self._server.close()
            self._server = None
        if water and self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None

    def set_fault(self, gate: str, fault: Fault, *, on: bool = True) -> None:
        """Begin or end a fault.

        Raises:
            KeyError: no such gate.
        """
        faults = self._faults[gate]
        faults.add(fault) if on else faults.discard(fault)
        actuator = self.canal.actuators[gate]
        actuator.is_stuck = bool(faults & {Fault.STUCK, Fault.JAMMED})
        actuator.is_local = Fault.LOCAL in faults
        actuator.is_reversed = Fault.REVERSED in faults
        if Fault.SILENT in faults:
            self._answering[gate].clear()
        else:
            self._answering[gate].set()

    def clear_faults(self, gate: str) -> None:
        """End all faults of a gate."""
        for fault in tuple(self._faults[gate]):
            self.set_fault(gate, fault, on=False)

    async def _tick(self) -> None:
        while True:
            self._advance()
            await self._clock.sleep(TICK_S)

    def _advance(self) -> None:
        self.canal.advance((self._clock.monotonic_s() - self._began_s) * self._speed)
        fresh = self.canal.samples()
        for sample in fresh:
            noise_m = self._random.gauss(0.0, self._noise_m) if self._noise_m and sample.point.endswith("_level") else 0.0
            self._values[sample.point] = sample.value + noise_m
        if fresh:
            for gate in self._gates:
                self._counters[gate] = (self._counters[gate] + 1) & 0xFFFF

    def _device(self, device_id: int, gate: str) -> SimDevice:
        async def on_access(
            _function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
        ) -> ExcCodes | None:
            return await self._access(gate, start, address, count, registers, values)

        return SimDevice(id=device_id, simdata=[SimData(0, count=REGISTER_COUNT, datatype=DataType.REGISTERS)], action=on_access)

    async def _access(
        self, gate: str, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
    ) -> ExcCodes | None:
        await self._answering[gate].wait()
        self._advance()
        faults = self._faults[gate]
        if Fault.EXCEPTION in faults or (values is not None and Fault.REFUSED in faults):
            return ExcCodes.DEVICE_FAILURE
        if values is not None:
            return self._take(gate, address, [int(value) for value in values])
        for register, value in self._image(gate).items():
            registers[register - start] = value
        if Fault.GARBAGE in faults:
            for register in range(address, address + count):
                registers[register - start] = self._random.randrange(0x10000)
        return None

    def _take(self, gate: str, address: int, values: list[int]) -> ExcCodes | None:
        for register, value in enumerate(values, start=address):
            if register == DESIRED_POSITION:
                if value > 1000:
                    return ExcCodes.ILLEGAL_VALUE
                self.writes.append((gate, value / 10.0))
                self.canal.write(gate, Position(value / 10.0))
            elif register == COMMAND:
                self.canal.write(gate, Raise() if value == 2 else Lower() if value == 1 else Stop())
            else:
                return ExcCodes.ILLEGAL_ADDRESS
        return None

    def _image(self, gate: str) -> dict[int, int]:
        """Registers as the devices of a gate show them now."""
        faults, actuator = self._faults[gate], self.canal.actuators[gate]
        levels = (self._values.get(f"{gate}.upstream_level", 0.0), self._values.get(f"{gate}.downstream_level", 0.0))
        now = (*levels, self._counters[gate])
        if not faults & {Fault.FROZEN, Fault.STALE}:
            self._held[gate] = now
        upstream_m, downstream_m, counter = self._held.setdefault(gate, now)
        if Fault.STALE not in faults:
            counter = self._counters[gate]
        if Fault.NAN in faults:
            upstream_m = downstream_m = math.nan
        bits = (
            actuator.moving << BIT_MOVING
            | (actuator.position_pct <= 0.05) << BIT_CLOSED
            | (actuator.position_pct >= 99.95) << BIT_OPEN
            | (not actuator.is_local) << BIT_REMOTE
            | actuator.is_local << BIT_LOCAL
            | (Fault.JAMMED in faults) << BIT_JAMMED
        )
        image = {
            STATUS: bits,
            POSITION: round(actuator.position_pct * 10.0),
            DESIRED_POSITION: round(actuator.desired_pct * 10.0),
            UPSTREAM_MM: _millimetres(upstream_m),
            DOWNSTREAM_MM: _millimetres(downstream_m),
            COUNTER: counter,
        }
        image[UPSTREAM_FLOAT], image[UPSTREAM_FLOAT + 1] = _float_words(upstream_m)
        image[DOWNSTREAM_FLOAT], image[DOWNSTREAM_FLOAT + 1] = _float_words(downstream_m)
        return image


def _millimetres(level_m: float) -> int:
    return 0xFFFF if math.isnan(level_m) else max(0, min(0xFFFE, round(level_m * 1000.0)))


def _float_words(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return int(high), int(low)
