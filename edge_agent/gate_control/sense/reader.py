"""All points of a site, device by device: lines side by side, the units of a line one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.values import Sample
from edge_agent.gate_control.sense.link import Link, link_key, open_link
from edge_agent.gate_control.sense.points import DeviceReads, Registers, fact_value, plan_reads, point_value
from edge_agent.gate_control.sense.silence import NoAnswer, Refused
from edge_agent.gate_control.sense.units import Unit
from edge_agent.gate_control.wire.messages import ILLEGAL_ADDRESS
from shared.clock import Clock
from shared.observability import get_logger

log = get_logger("gate.sense")

UNKNOWN_AGE = 0xFFFF
TENTH_S = 0.1
SAME_SAMPLE_S = 0.25


class PointReader:
    """Samples of every point and every fact of a site.

    A line that takes longer than a scan goes on reading beside it: its samples come with a later scan, with the time at
    which they were read. So a slow line makes its own points old, and holds nothing up.
    """

    def __init__(self, site: SiteConfiguration, clock: Clock) -> None:
        self._clock = clock
        self._links: dict[tuple[str, ...], Link] = {}
        self.units: dict[str, Unit] = {}
        """By device id: what writes go through, in the same queue as the reads of their line."""
        for device in site.devices:
            key = link_key(device)
            link = self._links.setdefault(key, open_link(device, clock))
            self.units[device.id] = Unit(device, link, clock)
        self._reads: dict[tuple[str, ...], list[DeviceReads]] = {}
        for reads in plan_reads(site):
            self._reads.setdefault(link_key(reads.device), []).append(reads)
        self._split: set[str] = set()
        self._sampled: dict[str, tuple[int | None, float]] = {}
        self._rounds: dict[tuple[str, ...], asyncio.Task[None]] = {}
        self._samples: list[Sample] = []

    async def read(self, deadline_s: float) -> list[Sample]:
        """What was read since the last call, in the order of reading; waits up to `deadline_s` for all lines. Never raises for a device."""
        for key, reads in self._reads.items():
            running = self._rounds.get(key)
            if running is not None and running.done():
                _note_end(running)
            if running is None or running.done():
                self._rounds[key] = asyncio.create_task(self._read_line(reads), name=f"read {'/'.join(key)}")
        if self._rounds:
            await asyncio.wait(self._rounds.values(), timeout=deadline_s)
        return self.arrived()

    def arrived(self) -> list[Sample]:
        """What was read since the last call; asks for nothing."""
        samples, self._samples = self._samples, []
        return samples

    async def close(self) -> None:
        """End what is being read and close all lines."""
        for task in self._rounds.values():
            task.cancel()
        await asyncio.gather(*self._rounds.values(), return_exceptions=True)
        for link in self._links.values():
            await link.close()

    async def _read_line(self, reads: list[DeviceReads]) -> None:
        for device_reads in list(reads):
            samples = await self._read_unit(device_reads)  # apart: `+=` would take the list as it was before waiting
            self._samples += samples
        reads.append(reads.pop(0))  # another one is first next time: none starves on a line that is too slow for all

    async def _read_unit(self, reads: DeviceReads) -> list[Sample]:
        unit = self.units[reads.device.id]
        registers: dict[tuple[str, int], int] = {}
        errors: list[str] = []
        answered_at_s: float | None = None
        for block in reads.single if reads.device.id in self._split else reads.blocks:
            try:
                values = await unit.read(block.table, block.start, block.count)
            except Refused as refusal:
                errors.append(str(refusal))
                if refusal.code == ILLEGAL_ADDRESS:
                    self._split.add(reads.device.id)
            except NoAnswer as error:
                return self._silent(reads, str(error))  # the rest would only cost time, and the answers may be shifted
            else:
                if answered_at_s is None:
                    answered_at_s = self._clock.monotonic_s()
                registers.update({(block.table, block.start + index): value for index, value in enumerate(values)})
        problem = _echo_problem(reads, registers)
        if problem:
            unit.distrust(problem)
            await unit.rest()
            return self._silent(reads, f"{unit.name}: {problem}")
        now_s = self._clock.monotonic_s() if answered_at_s is None else answered_at_s
        return self._found(reads, registers, now_s, "; ".join(errors))

    def _found(self, reads: DeviceReads, registers: Registers, now_s: float, error: str) -> list[Sample]:
        samples: list[Sample] = []
        for point in reads.points:
            value = point_value(point, registers)
            if value is None:
                samples.append(Sample(point.id, None, now_s, error or "was not read"))
            else:
                samples.append(self._aged(point, value, registers, now_s))
        for name, bits in reads.facts.items():
            value = fact_value(bits, registers)
            samples.append(Sample(name, value, now_s, "" if value is not None else error or "was not read"))
        return samples

    def _aged(self, point: Point, value: float, registers: Registers, now_s: float) -> Sample:
        """Sampled when its counter last changed, or as long ago as the device itself says; with neither, now.

        The same sample keeps its time however often it is read: a stated age in tenths of a second would let it wander.
        """
        if point.counter_register is None and point.age_register is None:
            return Sample(point.id, value, now_s)
        sampled_at_s = now_s
        if point.age_register is not None:
            age = registers.get((point.table, point.age_register), UNKNOWN_AGE)
            if age == UNKNOWN_AGE:
                return Sample(point.id, None, now_s, "its age is not known")
            sampled_at_s -= age * TENTH_S
        counter = None if point.counter_register is None else registers.get((point.table, point.counter_register))
        held = self._sampled.get(point.id)
        is_same = held is not None and (held[0] == counter if counter is not None else abs(sampled_at_s - held[1]) <= SAME_SAMPLE_S)
        if held is None or not is_same:
            self._sampled[point.id] = (counter, sampled_at_s)
        elif sampled_at_s < held[1] - SAME_SAMPLE_S:
            self._sampled[point.id] = (counter, sampled_at_s)  # older than it seemed
        return Sample(point.id, value, self._sampled[point.id][1])

    def _silent(self, reads: DeviceReads, error: str) -> list[Sample]:
        now_s = self._clock.monotonic_s()
        names: Sequence[str] = [*(point.id for point in reads.points), *reads.facts]
        return [Sample(name, None, now_s, error) for name in names]


def _note_end(line: asyncio.Task[None]) -> None:
    """A line whose reading broke off by a mistake of ours must not take the others along, nor go unnoticed."""
    if not line.cancelled() and (error := line.exception()) is not None:
        log.error("a line could not be read", line=line.get_name(), reason=repr(error))


def _echo_problem(reads: DeviceReads, registers: Registers) -> str:
    """Why the answers of this round cannot be its own: the echo register was read last, and holds something else."""
    register, expected = reads.device.echo_register, reads.device.echo_value
    if register is None or expected is None:
        return ""
    found = registers.get(("holding", register))
    if found is None:
        return f"echo register {register} was not read"
    return "" if found == expected else f"echo register {register} holds {found}, not {expected}: answers of other requests"
