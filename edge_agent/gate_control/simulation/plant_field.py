"""One site's devices in a simulation: what its points say now, and commands on their way to the plant's actuators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from edge_agent.gate_control.model import values
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, Command, MoveTo, Pulse, StopMotion, WriteOutcome
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.plant import Lower, Plant, PlantCommand, Position, Raise, Sample, Stop
from edge_agent.gate_control.simulation.run import CommandRecord


class PlantField:
    """A `Field` of the loop. It outlives the process: what was sent to an actuator goes on without it."""

    def __init__(self, site: SiteConfiguration, plant: Plant, clock: SimulatedClock, record: Callable[[CommandRecord], None]) -> None:
        self._site = site.site
        self._plant = plant
        self._clock = clock
        self._record = record
        gates = list(site.gates())
        facts = [f"{gate.id}.{fact}" for gate in gates for fact in ACTUATOR_FACTS]
        self._wanted = {point.id for point in site.points} | set(facts)
        self._remote = {point.id for point in site.points if point.remote}
        self._arrived: dict[str, list[Sample]] = {item.point: [Sample(item.point, 0.0, 0.0)] for item in site.inputs}
        self._inputs = frozenset(self._arrived)
        self._pulses: dict[str, float] = {}
        self.is_cut_off = False
        """From its neighbours."""
        self.refusing: set[str] = set()
        """Gates whose commands do not get through."""
        self.modes: Mapping[str, str] = {}
        """As of the scan before; for the records."""

    def put(self, samples: Iterable[Sample]) -> None:
        """What the sensors gave since the last call; what nobody reads is let go."""
        for sample in samples:
            if sample.point in self._wanted:
                held = self._arrived.setdefault(sample.point, [])
                if sample.point in self._inputs or len(held) > 1000:
                    held.clear()
                held.append(sample)

    def forget(self) -> None:
        """The process is gone: nobody asks any more."""
        for point, held in self._arrived.items():
            if point not in self._inputs:
                held.clear()

    async def read(self, deadline_s: float) -> list[values.Sample]:
        """All that arrived since the last scan, late ones included."""
        now_s = self._clock.monotonic_s()
        found: list[values.Sample] = []
        for point, held in self._arrived.items():
            if self.is_cut_off and point in self._remote:
                held.clear()
                found.append(values.Sample(point, None, now_s, "the neighbour does not answer"))
                continue
            found += [self._local(sample, now_s) for sample in held]
            if point not in self._inputs:
                held.clear()
        return found

    async def act(
        self, commands: Sequence[Command], deadline_s: float, openings_pct: Mapping[str, float | None] | None = None
    ) -> list[WriteOutcome]:
        """Give the commands to the plant, and keep a record of each."""
        return [self._write(command) for command in commands]

    async def close(self) -> None:
        """Nothing is held open."""

    def end_pulses(self) -> None:
        """What the hardware's one-shot does: a pulse ends in its time, whoever lives."""
        for gate, until_s in list(self._pulses.items()):
            if self._plant.time_s >= until_s - 1e-9:
                del self._pulses[gate]
                self._plant.write(gate, Stop())

    def _local(self, sample: Sample, now_s: float) -> values.Sample:
        if sample.point in self._inputs:
            return values.Sample(sample.point, sample.value, now_s)
        at_s = self._clock.local_s(sample.sampled_at_s)
        if sample.quality == "silent":
            return values.Sample(sample.point, None, now_s, "no answer")
        if sample.quality != "good":
            return values.Sample(sample.point, None, at_s, f"the device says {sample.quality}")
        return values.Sample(sample.point, sample.value, at_s)

    def _write(self, command: Command) -> WriteOutcome:
        error = "the device refuses the write" if command.gate in self.refusing else ""
        wanted, verb, opening_pct = _plant_command(command)
        now_s = self._plant.time_s
        record = CommandRecord(now_s, self._site, command.gate, verb, opening_pct, command.reason, error, self.modes.get(command.gate, ""))
        if opening_pct is not None and not math.isfinite(opening_pct):
            record = replace(record, error="no number")
        elif not error:
            self._plant.write(command.gate, wanted)
            self._pulses.pop(command.gate, None)
            if isinstance(command, Pulse):
                self._pulses[command.gate] = now_s + command.run_s
        self._record(record)
        return WriteOutcome(command.gate, command, record.error)


def _plant_command(command: Command) -> tuple[PlantCommand, str, float | None]:
    match command:
        case MoveTo():
            return Position(command.opening_pct), "move", command.opening_pct
        case StopMotion():
            return Stop(), "stop", None
        case Pulse():
            return (Raise(), "raise", None) if command.direction > 0 else (Lower(), "lower", None)
