"""All gates of a site, read side by side within one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from edge_agent.gate_control.model.site import GateSettings, SensorPoint, SiteSettings
from edge_agent.gate_control.model.values import Sample
from edge_agent.gate_control.sense.device import DeviceLink, DeviceSilent
from edge_agent.gate_control.sense.registers import Block, decode_registers, plan_blocks, sensor_points
from shared.clock import Clock

Registers = dict[tuple[str, int], int]


class SiteReader:
    """Samples of every point of a site. Gates on one device share its link, so that requests do not mix."""

    def __init__(self, site: SiteSettings, clock: Clock) -> None:
        self._site = site
        self._clock = clock
        by_address = {(gate.modbus.host, gate.modbus.port, gate.modbus.device_id): DeviceLink(gate.modbus, clock) for gate in site.gates}
        self.links: Mapping[str, DeviceLink] = {
            gate.id: by_address[gate.modbus.host, gate.modbus.port, gate.modbus.device_id] for gate in site.gates
        }
        self._blocks = {gate.id: plan_blocks(gate) for gate in site.gates}
        self._counters: dict[str, tuple[int, float]] = {}

    async def read(self, deadline_s: float) -> list[Sample]:
        """One sample a point. A gate that is not read within `deadline_s` gets samples without value."""
        tasks = {gate.id: asyncio.create_task(self._read_gate(gate)) for gate in self._site.gates}
        try:
            await asyncio.wait(tasks.values(), timeout=deadline_s)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        samples: list[Sample] = []
        for gate in self._site.gates:
            task = tasks[gate.id]
            if task.cancelled():
                samples += self._silent(gate, f"not read within {deadline_s:g} s")
            else:
                samples += task.result()
        return samples

    async def close(self) -> None:
        """Close all links."""
        for link in set(self.links.values()):
            await link.close()

    async def _read_gate(self, gate: GateSettings) -> list[Sample]:
        registers: Registers = {}
        errors: dict[Block, str] = {}
        for block in self._blocks[gate.id]:
            try:
                values = await self.links[gate.id].read(block.table, block.start, block.count)
            except DeviceSilent as error:
                errors[block] = str(error)
                # the rest of a device that says nothing would only cost the deadline
                if "exception code" not in error.message:
                    return self._silent(gate, str(error))
            else:
                registers.update({(block.table, block.start + index): value for index, value in enumerate(values)})
        return self._samples(gate, registers, "; ".join(errors.values()))

    def _samples(self, gate: GateSettings, registers: Registers, error: str) -> list[Sample]:
        now_s = self._clock.monotonic_s()
        samples: list[Sample] = []
        for name, point in sensor_points(gate).items():
            key = f"{gate.id}.{name}"
            words = [registers.get((point.table, point.register_address + index)) for index in range(point.type.register_count)]
            known = [word for word in words if word is not None]
            if len(known) < len(words):
                samples.append(Sample(key, None, now_s, error or "no answer"))
            else:
                samples.append(Sample(key, decode_registers(point, known), self._sampled_at_s(key, point, registers, now_s)))
        status = gate.points.status
        if status is not None:
            word = registers.get((status.table, status.register_address))
            samples.append(Sample(f"{gate.id}.status", None if word is None else float(word), now_s, error if word is None else ""))
        return samples

    def _sampled_at_s(self, key: str, point: SensorPoint, registers: Registers, now_s: float) -> float:
        """The time when the point's counter last changed; without a counter, now."""
        if point.counter_register is None:
            return now_s
        counter = registers.get((point.table, point.counter_register), -1)
        held = self._counters.get(key)
        if held is None or held[0] != counter:
            self._counters[key] = (counter, now_s)
        return self._counters[key][1]

    def _silent(self, gate: GateSettings, error: str) -> list[Sample]:
        now_s = self._clock.monotonic_s()
        names = [*sensor_points(gate), *(["status"] if gate.points.status is not None else [])]
        return [Sample(f"{gate.id}.{name}", None, now_s, error) for name in names]
