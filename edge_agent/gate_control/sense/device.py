"""One Modbus TCP device: a connection that heals itself beside the scan, and never holds it up."""

from __future__ import annotations

import asyncio
import contextlib

from pymodbus.client.tcp import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from edge_agent.gate_control.model.site import ModbusDevice
from shared.clock import Clock
from shared.errors import Retryable

RECONNECT_MAX_S = 2.0
RECONNECT_FIRST_S = 0.1
FAILURES_UNTIL_RECONNECT = 3
"""Unanswered requests in a row after which the connection is thrown away."""


class DeviceSilent(Retryable):
    """The device did not answer, or answered nonsense."""


class DeviceLink:
    """Requests to one device, one at a time, each bounded in time and never repeated."""

    def __init__(self, device: ModbusDevice, clock: Clock) -> None:
        self._device = device
        self._clock = clock
        self._client: AsyncModbusTcpClient | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0

    @property
    def name(self) -> str:
        """For people: `host:port unit 1`."""
        return f"{self._device.host}:{self._device.port} unit {self._device.device_id}"

    async def read(self, table: str, start: int, count: int) -> list[int]:
        """Registers `start` to `start + count - 1`.

        Raises:
            DeviceSilent: no connection, no answer in time, an exception code, or an answer of the wrong length.
        """
        client = self._connected()
        request = client.read_input_registers if table == "input" else client.read_holding_registers
        try:
            async with asyncio.timeout(self._device.timeout_s):
                answer = await request(start, count=count, device_id=self._device.device_id)
        except (TimeoutError, ModbusException, OSError) as error:
            raise self._failed(error) from error
        self._failures = 0
        if answer.isError():
            raise DeviceSilent(f"refused registers {start} to {start + count - 1}: {_exception_code(answer)}", subject=self.name)
        registers = list(answer.registers)
        if len(registers) != count:
            raise DeviceSilent(f"gave {len(registers)} registers, asked for {count}", subject=self.name)
        return registers

    async def write(self, start: int, registers: list[int]) -> None:
        """Write holding registers, once; whether a lost answer means a lost write is for the caller to find out by reading.

        Raises:
            DeviceSilent: as for `read`.
        """
        client = self._connected()
        try:
            async with asyncio.timeout(self._device.timeout_s):
                if len(registers) == 1:
                    answer = await client.write_register(start, registers[0], device_id=self._device.device_id)
                else:
                    answer = await client.write_registers(start, registers, device_id=self._device.device_id)
        except (TimeoutError, ModbusException, OSError) as error:
            raise self._failed(error) from error
        self._failures = 0
        if answer.isError():
            raise DeviceSilent(f"refused a write to register {start}: {_exception_code(answer)}", subject=self.name)

    async def close(self) -> None:
        """Give the connection up; no task is left behind."""
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
        self._drop()

    def _connected(self) -> AsyncModbusTcpClient:
        client = self._client
        if client is not None and client.connected:
            return client
        if self._connecting is None or self._connecting.done():
            self._drop()
            self._connecting = asyncio.create_task(self._connect(), name=f"connect {self.name}")
        raise DeviceSilent("is not connected", subject=self.name)

    async def _connect(self) -> None:
        """Try until it holds. The library's own reconnect is off: its delay grows to minutes, and a dead link stays its."""
        delay_s = RECONNECT_FIRST_S
        while True:
            client = AsyncModbusTcpClient(
                self._device.host, port=self._device.port, timeout=self._device.timeout_s, retries=0, reconnect_delay=0
            )
            if await client.connect():
                self._client, self._failures = client, 0
                return
            client.close()
            await self._clock.sleep(delay_s)
            delay_s = min(2 * delay_s, RECONNECT_MAX_S)

    def _failed(self, error: Exception) -> DeviceSilent:
        self._failures += 1
        if self._failures >= FAILURES_UNTIL_RECONNECT:
            self._drop()
        what = f"no answer in {self._device.timeout_s:g} s" if isinstance(error, TimeoutError) else f"no valid answer: {error}"
        return DeviceSilent(what, subject=self.name)

    def _drop(self) -> None:
        client, self._client = self._client, None
        self._failures = 0
        if client is not None:
            client.close()


def _exception_code(answer: object) -> str:
    return f"exception code {getattr(answer, 'exception_code', '?')}"
