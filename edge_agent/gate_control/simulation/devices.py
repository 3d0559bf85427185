"""The devices of a site as real Modbus TCP servers over a plant, with the register maps of real actuators and faults by script."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Collection, Sequence
from typing import cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Device, Point
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from edge_agent.gate_control.simulation.device_faults import LATE_S, DeviceFault, PointFault, ScriptedFault, distort
from edge_agent.gate_control.simulation.device_maps import Cell, DeviceMap, GateView, map_of, pct_of, point_words
from edge_agent.gate_control.simulation.device_silence import silence_action, silence_timer_s
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, FaultyPlant, Plant, PlantCommand, Stop
from shared.clock import Clock

TICK_S = 0.1
UNKNOWN_AGE = 0xFFFF
TABLES = ("holding", "input")
DUMMY_REGISTER = 65_000


class _Shown:
    """One point as its device shows it."""

    def __init__(self, value: float) -> None:
        self.value, self.counter, self.sampled_at_s = value, 0, 0.0


class SimulatedDevices:
    """Serves every device of a site that has no remote point. The plant's time runs `speed` times as fast as the clock's.

    A write is heard by the plant at once, so a device may also be talked to between two ticks.
    """

    def __init__(
        self,
        site: SiteConfiguration,
        plant: Plant,
        clock: Clock,
        *,
        speed: float = 1.0,
        script: Sequence[ScriptedFault] = (),
        only: Collection[str] | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        self.plant = plant
        self.writes: list[tuple[str, PlantCommand]] = []
        """Commands that reached an actuator, by gate."""
        self._site, self._clock, self._speed = site, clock, speed
        self._random = random_source or random.Random(1)
        self._script = sorted(script, key=lambda fault: fault.at_s)
        remote = {point.device for point in site.points if point.remote}
        wanted = [device for device in site.devices if device.id not in remote and (only is None or device.id in only)]
        self._devices = {device.id: device for device in wanted if device.link.kind == "modbus_tcp"}
        self._points = {device: [point for point in site.points if point.device == device] for device in self._devices}
        self._maps: dict[str, list[tuple[str, DeviceMap]]] = {device: [] for device in self._devices}
        for gate in site.gates():
            if gate.actuator.device in self._maps:
                self._maps[gate.actuator.device].append((gate.id, map_of(gate, functools.partial(self._send, gate.id))))
        self._point_faults: dict[str, set[PointFault]] = {point.id: set() for point in site.points}
        self._device_faults: dict[str, set[DeviceFault]] = {device: set() for device in self._devices}
        self._shown: dict[str, _Shown] = {}
        self._values: dict[str, float] = {}
        self._directions: dict[str, tuple[float, int]] = {}
        self._pulse_ends_s: dict[str, float] = {}
        self._heard_s: dict[str, float] = {}
        """When a gate's actuator was last talked to; gone once it has acted by itself."""
        self._servers: list[_Server] = []
        self._ticker: asyncio.Task[None] | None = None
        self._began_s = 0.0

    async def start(self) -> None:
        """Listen where the site's devices are said to be; also again after `stop`.

        Raises:
            OSError: an address is taken.
        """
        if self._ticker is None:
            self._began_s = self._clock.monotonic_s() - self.plant.time_s / self._speed
            self._advance()
            self._ticker = asyncio.create_task(self._tick(), name="simulated devices")
        lines: dict[tuple[str, int], list[Device]] = {}
        for device in self._devices.values():
            if device.link.kind == "modbus_tcp":
                lines.setdefault((device.link.host, device.link.port), []).append(device)
        for address, devices in lines.items():
            server = _Server(self, [self._sim_device(device) for device in devices], address, {item.device_id: item.id for item in devices})
            if not await server.listen():
                raise OSError(f"{address[0]}:{address[1]} cannot be listened on")
            self._servers.append(server)

    async def stop(self, *, water: bool = True) -> None:
        """Stop listening; the water goes on flowing where `water` is false."""
        for server in self._servers:
            server.close()
        self._servers = []
        if water and self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None

    def set_fault(self, target: str, fault: PointFault | DeviceFault | ActuatorTrouble, *, on: bool = True) -> None:
        """Begin or end a fault of a point, device or gate.

        Raises:
            KeyError: there is no such target.
            TypeError: the plant has no actuator faults.
        """
        if isinstance(fault, ActuatorTrouble):
            if not isinstance(self.plant, FaultyPlant):
                raise TypeError("this plant's actuators cannot be given faults")
            self.plant.set_trouble(target, fault, on=on)
            return
        if isinstance(fault, PointFault):
            points = self._point_faults[target]
            points.add(fault) if on else points.discard(fault)
        else:
            devices = self._device_faults[target]
            devices.add(fault) if on else devices.discard(fault)

    def clear_faults(self, target: str) -> None:
        """End all faults of a point or device."""
        self._point_faults.get(target, set()).clear()
        self._device_faults.get(target, set()).clear()

    def faults_of(self, device: str) -> set[DeviceFault]:
        """Those that are on."""
        return self._device_faults[device]

    async def _tick(self) -> None:
        while True:
            self._mind_silence()
            self._advance()
            await self._clock.sleep(TICK_S)

    def _advance(self) -> None:
        until_s = (self._clock.monotonic_s() - self._began_s) * self._speed
        while self._script and self._script[0].at_s <= until_s:
            scripted = self._script.pop(0)
            self.set_fault(scripted.target, scripted.fault, on=scripted.on)
        for gate, ends_s in list(self._pulse_ends_s.items()):
            if until_s >= ends_s:
                # the hardware's one-shot, whatever the outputs say
                del self._pulse_ends_s[gate]
                self.plant.write(gate, Stop())
        self.plant.advance(until_s)
        for sample in self.plant.samples():
            self._values[sample.point] = sample.value
            self._show(sample.point, sample.value, sample.sampled_at_s)

    def _mind_silence(self) -> None:
        """Actuators' own timers run by the clock, not by the plant's faster time: it is we who talk to them.

        Once a tick, not with every access: it looks at all registers of all actuators, for timers of seconds.
        """
        now_s = self._clock.monotonic_s()
        for gate_id, heard_s in list(self._heard_s.items()):
            gate = self._site.gate(gate_id)
            assert gate is not None
            part = dict(self._maps[gate.actuator.device])[gate_id]
            held = part.image(self._view(gate_id))
            timer_s = silence_timer_s(gate, held)
            if timer_s is not None and now_s - heard_s > timer_s:
                del self._heard_s[gate_id]
                action = silence_action(gate, held)
                if action is not None:
                    self.plant.write(gate_id, action)

    def _show(self, point: str, value: float, sampled_at_s: float) -> None:
        shown = self._shown.setdefault(point, _Shown(value))
        faults = self._point_faults.get(point, set())
        if PointFault.STALE in faults:
            return
        shown.counter, shown.sampled_at_s = (shown.counter + 1) & 0xFFFF, sampled_at_s
        if PointFault.FROZEN not in faults:
            shown.value = value

    def _send(self, gate: str, command: PlantCommand) -> None:
        self.writes.append((gate, command))
        self.plant.write(gate, command)
        found = self._site.gate(gate)
        relays = found.actuator.relays if found is not None else None
        self._pulse_ends_s.pop(gate, None)
        if relays is not None and relays.hardware_pulse_limit_s is not None and not isinstance(command, Stop):
            self._pulse_ends_s[gate] = self.plant.time_s + relays.hardware_pulse_limit_s * self._speed

    def _view(self, gate_id: str) -> GateView:
        gate = self._site.gate(gate_id)
        assert gate is not None
        position = self._values.get(gate.actuator.position, 0.0)
        point = self._site.point(gate.actuator.position)
        opening_pct = pct_of(gate, position) if point is not None and point.unit == "count" else position
        facts = {fact: self._values.get(f"{gate_id}.{fact}", float(fact == "remote")) >= 0.5 for fact in ACTUATOR_FACTS}
        before_pct, direction = self._directions.get(gate_id, (opening_pct, 0))
        if opening_pct != before_pct:
            direction = 1 if opening_pct > before_pct else -1
        self._directions[gate_id] = (opening_pct, direction)
        return GateView(opening_pct, direction if facts["moving"] else 0, facts)

    def _sim_device(self, device: Device) -> SimDevice:
        async def on_access(
            function: int, start: int, address: int, count: int, registers: list[int], values: list[int] | list[bool] | None
        ) -> ExcCodes | None:
            return self._access(device.id, "input" if function == 4 else "holding", start, address, count, registers, values)

        cells = {cell for _, part in self._maps[device.id] for cell in part.cells()}
        cells |= {cell for point in self._points[device.id] for cell in self._point_cells(point)}
        blocks = {
            table: [SimData(register, datatype=DataType.REGISTERS) for found, register in sorted(cells) if found == table]
            or [SimData(DUMMY_REGISTER, datatype=DataType.REGISTERS)]
            for table in TABLES
        }
        bits = [SimData(0, datatype=DataType.BITS)]
        return SimDevice(id=device.device_id, simdata=(bits, bits, blocks["holding"], blocks["input"]), action=on_access)

    def _point_cells(self, point: Point) -> set[Cell]:
        registers = [point.register_address + index for index in range(point.type.register_count)]
        beside = [register for register in (point.counter_register, point.age_register) if register is not None]
        return {(point.table, register) for register in (*registers, *beside)}

    def _access(
        self,
        device: str,
        table: str,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        self._heard_s |= {gate: self._clock.monotonic_s() for gate, _ in self._maps[device]}
        self._advance()
        faults = self._device_faults[device]
        if DeviceFault.EXCEPTION in faults or (values is not None and DeviceFault.REFUSED in faults):
            return ExcCodes.DEVICE_FAILURE
        if values is not None:
            return self._take(device, address, [int(value) for value in values])
        for (found, register), value in self._image(device).items():
            if found == table and 0 <= register - start < len(registers):
                registers[register - start] = value
        if DeviceFault.GARBAGE in faults:
            for register in range(address, address + count):
                registers[register - start] = self._random.randrange(0x10000)
        return None

    def _take(self, device: str, address: int, values: list[int]) -> ExcCodes | None:
        for register, value in enumerate(values, start=address):
            answers = [part.take(register, value, self._view(gate)) for gate, part in self._maps[device]]
            if not answers or all(answers):
                return next(iter(answers), ExcCodes.ILLEGAL_ADDRESS)
        return None

    def _image(self, device: str) -> dict[Cell, int]:
        image: dict[Cell, int] = {}
        for point in self._points[device]:
            image |= self._point_image(point)
        for gate, part in self._maps[device]:
            image |= part.image(self._view(gate))  # an actuator's own registers win
        return image

    def _point_image(self, point: Point) -> dict[Cell, int]:
        shown = self._shown.get(point.id)
        faults = self._point_faults[point.id]
        value = float("nan") if shown is None or PointFault.NAN in faults else shown.value
        words = point_words(point, value, is_loop_broken=PointFault.LOOP_BROKEN in faults)
        image: dict[Cell, int] = {(point.table, point.register_address + index): word for index, word in enumerate(words)}
        if point.counter_register is not None:
            image[point.table, point.counter_register] = shown.counter if shown is not None else 0
        if point.age_register is not None:
            age_s = self.plant.time_s - shown.sampled_at_s if shown is not None else UNKNOWN_AGE
            image[point.table, point.age_register] = min(UNKNOWN_AGE, round(age_s / self._speed * 10.0))
        return image

    def answer(self, device: str, frame: bytes) -> bytes:
        """The frame as the device sends it, faults and all."""
        return distort(frame, self._device_faults[device], self._random)


class _Server(ModbusTcpServer):
    """One address; each connection's answers pass through the faults of the unit that gives them."""

    def __init__(self, owner: SimulatedDevices, devices: list[SimDevice], address: tuple[str, int], names: dict[int, str]) -> None:
        super().__init__(devices, address=address)
        self._owner, self._names = owner, names

    def callback_new_connection(self) -> ServerRequestHandler:
        """A connection that knows where to send what comes late."""
        handler = cast("ServerRequestHandler", super().callback_new_connection())  # type: ignore[no-untyped-call]
        handler.trace_packet = functools.partial(self._trace, handler)
        return handler

    def _trace(self, handler: ServerRequestHandler, is_sending: bool, data: bytes) -> bytes:
        device = self._names.get(data[6]) if len(data) > 6 else None
        if not is_sending or device is None:
            return data
        frame = self._owner.answer(device, data)
        if DeviceFault.LATE in self._owner.faults_of(device):
            asyncio.get_running_loop().call_later(LATE_S, _send_late, handler, frame)
            return b""
        return frame


def _send_late(handler: ServerRequestHandler, frame: bytes) -> None:
    transport = cast("asyncio.WriteTransport | None", handler.transport)  # None once the connection is gone
    if transport is not None and not transport.is_closing():
        transport.write(frame)
