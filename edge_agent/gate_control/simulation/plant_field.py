"""One site's devices in a simulation: what its points say now, and commands on their way to the plant's actuators."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from edge_agent.gate_control.actuate.field import REFRESH_SHARE
from edge_agent.gate_control.model import values
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import Command, MoveTo, Pulse, StopMotion, WriteOutcome
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.plant import GOOD, SILENT, Lower, Plant, PlantCommand, Position, Raise, Sample, Stop
from edge_agent.gate_control.simulation.run import CommandRecord

NEVER_S = float("inf")
ENDED_AGAIN_S = 1.0
"""After so long the end of a pulse that the plant did not take is given once more."""


@dataclass
class _Pulse:
    """A relay that is held on. Times of the plant."""

    began_s: float
    until_s: float
    limit_s: float
    """Of the hardware's one-shot, which the process triggers anew again and again."""

    def forsaken(self, now_s: float) -> float:
        """When it ends though nobody triggers it any more."""
        refresh_s = REFRESH_SHARE * self.limit_s
        triggers = min(math.floor((now_s - self.began_s) / refresh_s), math.ceil((self.until_s - self.began_s) / refresh_s) - 1)
        return self.began_s + max(0, triggers) * refresh_s + self.limit_s


class PlantField:
    """A `Field` of the loop. It outlives the process: what was sent to an actuator goes on without it."""

    def __init__(self, site: SiteConfiguration, plant: Plant, clock: SimulatedClock, record: Callable[[CommandRecord], None]) -> None:
        self._site = site.site
        self._plant = plant
        self._clock = clock
        self._record = record
        self._gates = {gate.id: gate for gate in site.gates()}
        self._facts = {f"{gate.id}.{fact}": _untold(gate.id, fact) for gate in self._gates.values() for fact in facts_of(gate)}
        self._points = {point.id for point in site.points}
        self._remote = {point.id for point in site.points if point.remote}
        self._arrived: dict[str, list[Sample]] = {item.point: [Sample(item.point, 0.0, 0.0)] for item in site.inputs}
        self._inputs = frozenset(self._arrived)
        self._pulses: dict[str, _Pulse] = {}
        self.is_cut_off = False
        """From its neighbours."""
        self.refusing: set[str] = set()
        """Gates whose commands do not get through."""
        self.modes: Mapping[str, str] = {}
        """As of the scan before; for the records."""

    def put(self, samples: Iterable[Sample]) -> None:
        """What the sensors gave since the last call; what nobody reads is let go."""
        for sample in samples:
            if sample.point in self._points:
                held = self._arrived.setdefault(sample.point, [])
                if sample.point in self._inputs or len(held) > 1000:
                    held.clear()
                held.append(sample)
            elif sample.point in self._facts:
                self._put_fact(sample)

    def _put_fact(self, sample: Sample) -> None:
        """A fact stands in its register until the actuator puts another there; one that does not answer says nothing of it."""
        held = self._facts[sample.point]
        if sample.quality != GOOD:
            self._facts[sample.point] = replace(held, quality=sample.quality)
        elif not sample.sampled_at_s < held.sampled_at_s:
            self._facts[sample.point] = sample

    def forget(self) -> None:
        """The process is gone: nobody asks any more."""
        for point, held in self._arrived.items():
            if point not in self._inputs:
                held.clear()

    async def read(self, deadline_s: float) -> list[values.Sample]:
        """All that arrived since the last call, late ones included, and the facts of the actuators as they are now."""
        now_s = self._clock.monotonic_s()
        return [*self.arrived(), *(_told(fact, now_s, now_s) for fact in self._facts.values())]

    def arrived(self) -> list[values.Sample]:
        """What came since the last call, without asking the actuators."""
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

    @property
    def pulse_ends_s(self) -> float:
        """When the next pulse is over."""
        return min((pulse.until_s for pulse in self._pulses.values()), default=NEVER_S)

    def end_pulses(self) -> None:
        """End what is over: by the process, or by the hardware's one-shot without it."""
        now_s = self._clock.plant_s
        for gate, pulse in list(self._pulses.items()):
            if now_s < pulse.until_s - 1e-9:
                continue
            del self._pulses[gate]
            if self._give(gate, Stop()):
                self._pulses[gate] = replace(pulse, until_s=now_s + ENDED_AGAIN_S)

    def forsake_pulses(self) -> None:
        """The process died: the hardware ends each pulse, its own limit after the process last triggered it."""
        for pulse in self._pulses.values():
            pulse.until_s = pulse.forsaken(self._clock.plant_s)

    def _local(self, sample: Sample, now_s: float) -> values.Sample:
        return _told(sample, now_s if sample.point in self._inputs else self._clock.local_s(sample.sampled_at_s), now_s)

    def _write(self, command: Command) -> WriteOutcome:
        wanted, verb, opening_pct = _plant_command(command)
        error = self._refusal(command) or self._give(command.gate, wanted)
        now_s, run_s = self._clock.plant_s, command.run_s if isinstance(command, Pulse) else None
        if not error:
            self._pulses.pop(command.gate, None)
            if run_s is not None:
                limit_s = self._pulse_limit_s(command.gate) or run_s
                self._pulses[command.gate] = _Pulse(now_s, now_s + run_s, limit_s)
        elif command.gate in self._pulses:
            # a command that does not get through ends the keeping up of the pulse before, as the real writer does
            self._pulses[command.gate].until_s = self._pulses[command.gate].forsaken(now_s)
        mode = self.modes.get(command.gate, "")
        self._record(CommandRecord(now_s, self._site, command.gate, verb, opening_pct, command.reason, error, mode, run_s))
        return WriteOutcome(command.gate, command, error)

    def _refusal(self, command: Command) -> str:
        if command.gate in self.refusing:
            return "the device refuses the write"
        if isinstance(command, MoveTo) and not math.isfinite(command.opening_pct):
            return "no number"
        if isinstance(command, Pulse) and self._pulse_limit_s(command.gate) is None:
            return "relays without a hardware pulse limit are not switched: a dead process could hold the motor on"
        return ""

    def _pulse_limit_s(self, gate: str) -> float | None:
        relays = self._gates[gate].actuator.relays
        return relays.hardware_pulse_limit_s if relays is not None else None

    def _give(self, gate: str, wanted: PlantCommand) -> str:
        """Why the plant did not take it; empty when it did."""
        try:
            self._plant.write(gate, wanted)
        except Exception as error:  # noqa: BLE001 - a plant of others: what it does not take is a device that refuses, told in the run
            return f"the plant does not take it: {type(error).__name__}: {error}"
        return ""


def _untold(gate: str, fact: str) -> Sample:
    """What counts until a plant says otherwise."""
    return Sample(f"{gate}.{fact}", 1.0 if fact == "remote" else 0.0, -math.inf)


def _told(sample: Sample, at_s: float, now_s: float) -> values.Sample:
    if sample.quality == SILENT:
        return values.Sample(sample.point, None, now_s, "no answer")
    if sample.quality != GOOD:
        return values.Sample(sample.point, None, at_s, f"the device says {sample.quality}")
    return values.Sample(sample.point, sample.value, at_s)


def _plant_command(command: Command) -> tuple[PlantCommand, str, float | None]:
    match command:
        case MoveTo():
            return Position(command.opening_pct), "move", command.opening_pct
        case StopMotion():
            return Stop(), "stop", None
        case Pulse():
            return (Raise(), "raise", None) if command.direction > 0 else (Lower(), "lower", None)
