"""Keeps what a simulation leaves behind, while it goes on."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from datetime import datetime

from edge_agent.gate_control.decide.hydraulics import pct_of_count
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from edge_agent.gate_control.simulation.plant import FlowingPlant, Plant, Sample, SpillingPlant
from edge_agent.gate_control.simulation.run import AlarmRecord, Answered, CommandRecord, ModeRecord, Played, Run, Series

STILL_PCT = 1e-9


class Recorder:
    """One simulation."""

    def __init__(self, sites: Iterable[SiteConfiguration], plant: Plant, record_every_s: float) -> None:
        chosen = list(sites)
        self._plant = plant
        self._record_every_s = record_every_s
        self._due_s = 0.0
        self._gates: dict[str, Gate] = {gate.id: gate for site in chosen for gate in site.gates()}
        counted = {point.id for site in chosen for point in site.points if point.unit == "count"}
        self._gate_of = {gate.actuator.position: (gate, gate.actuator.position in counted) for gate in self._gates.values()}
        self._structures = [structure.id for site in chosen for structure in site.structures]
        self._facts = {f".{fact}" for fact in ACTUATOR_FACTS}
        self._times_s: dict[str, array[float]] = {}
        self._values: dict[str, array[float]] = {}
        self._positions_pct: dict[str, float] = {}
        self._is_moving = dict.fromkeys(self._gates, False)
        self._starts = dict.fromkeys(self._gates, 0)
        self._travel_m = dict.fromkeys(self._gates, 0.0)
        self._alarms_seen: dict[str, dict[str, str]] = {}
        self._modes_seen: dict[str, str] = {}
        self.commands: list[CommandRecord] = []
        self.alarms: list[AlarmRecord] = []
        self.modes: list[ModeRecord] = []
        self.answers: list[Answered] = []
        self.played: list[Played] = []
        self.scans = 0

    def note_samples(self, samples: Iterable[Sample]) -> None:
        """True values; every one for travel, one in a while for the series."""
        now_s = self._plant.time_s
        is_due = now_s >= self._due_s - 1e-9
        for sample in samples:
            if sample.point in self._gate_of:
                self._note_position(sample)
            if is_due and sample.point[sample.point.rfind(".") :] not in self._facts:
                self._append(sample.point, sample.sampled_at_s, sample.value)
        if is_due:
            self._due_s = now_s + self._record_every_s
            if isinstance(self._plant, FlowingPlant):
                for name in self._structures:
                    self._append(f"flow:{name}", now_s, self._plant.flow_m3s(name))

    def note_alarms(self, site: str, alarms: Mapping[str, tuple[str, str, str]]) -> None:
        """All alarms that are not normal: phase, priority and reason by key."""
        before, now_s = self._alarms_seen.setdefault(site, {}), self._plant.time_s
        for key, (phase, priority, reason) in alarms.items():
            if before.get(key) != phase:
                self.alarms.append(AlarmRecord(now_s, site, key, phase, priority, reason))
        for key in [key for key in before if key not in alarms]:
            self.alarms.append(AlarmRecord(now_s, site, key, "normal"))
        self._alarms_seen[site] = {key: phase for key, (phase, _, _) in alarms.items()}

    def note_modes(self, site: str, modes: Mapping[str, str]) -> None:
        """The mode of each gate that people see."""
        for gate, mode in modes.items():
            if self._modes_seen.get(gate) != mode:
                self._modes_seen[gate] = mode
                self.modes.append(ModeRecord(self._plant.time_s, site, gate, mode))

    def finish(self, start_wall: datetime, wall_s: float) -> Run:
        """The whole run."""
        return Run(
            start_wall=start_wall,
            duration_s=self._plant.time_s,
            wall_s=wall_s,
            gates=tuple(self._gates),
            scans=self.scans,
            series={name: Series(tuple(self._times_s[name]), tuple(found)) for name, found in self._values.items()},
            commands=tuple(self.commands),
            alarms=tuple(self.alarms),
            modes=tuple(self.modes),
            answers=tuple(self.answers),
            played=tuple(self.played),
            starts=dict(self._starts),
            travel_m=dict(self._travel_m),
            spilled_m3=dict(self._plant.spilled_m3) if isinstance(self._plant, SpillingPlant) else {},
        )

    def _append(self, name: str, at_s: float, value: float) -> None:
        self._times_s.setdefault(name, array("d")).append(at_s)
        self._values.setdefault(name, array("d")).append(value)

    def _note_position(self, sample: Sample) -> None:
        gate, is_counted = self._gate_of[sample.point]
        position_pct = pct_of_count(gate, sample.value) if is_counted else sample.value
        moved_pct = abs(position_pct - self._positions_pct.get(gate.id, position_pct))
        self._positions_pct[gate.id] = position_pct
        self._travel_m[gate.id] += moved_pct / 100.0 * gate.geometry.height_m
        is_moving = moved_pct > STILL_PCT
        if is_moving and not self._is_moving[gate.id]:
            self._starts[gate.id] += 1
        self._is_moving[gate.id] = is_moving
