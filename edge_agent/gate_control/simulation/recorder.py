"""Keeps what a simulation leaves behind, while it goes on."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from edge_agent.gate_control.decide.hydraulics import pct_of_count, resolution_pct
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from edge_agent.gate_control.simulation.plant import GOOD, FlowingPlant, Plant, Sample, SpillingPlant
from edge_agent.gate_control.simulation.run import AlarmRecord, Answered, CommandRecord, ModeRecord, Played, Run, Series

FLOWS = "flow:"
STILL_S = 3.0
"""A gate that was seen at the same place for so long stands."""
COUNTS_TO_MOVE = 1.5
"""A position that flickers between two counts is no start."""


@dataclass
class _Travel:
    """What a gate's positions say of its motor."""

    gate: Gate
    is_counted: bool
    step_pct: float
    """Of one count."""
    position_pct: float | None = None
    seen_pct: float | None = None
    """Where it was last seen to move to."""
    seen_at_s: float = -math.inf
    moved_at_s: float = -math.inf
    direction: int = 0
    """0: it stands."""
    starts: int = 0
    travel_m: float = 0.0

    def note(self, sample: Sample) -> None:
        """A position that is newer than the last."""
        if sample.sampled_at_s <= self.seen_at_s:
            return
        self.seen_at_s = sample.sampled_at_s
        self.position_pct = position_pct = pct_of_count(self.gate, sample.value) if self.is_counted else sample.value
        if self.seen_pct is None:
            self.seen_pct = position_pct
        moved_pct = position_pct - self.seen_pct
        direction = 1 if moved_pct > 0.0 else -1
        if abs(moved_pct) > (0.0 if direction == self.direction else COUNTS_TO_MOVE * self.step_pct):
            self.starts += direction != self.direction
            self.direction = direction
            self.travel_m += abs(moved_pct) / 100.0 * self.gate.geometry.height_m
            self.seen_pct, self.moved_at_s = position_pct, sample.sampled_at_s
        elif sample.sampled_at_s - self.moved_at_s >= STILL_S:
            self.direction = 0


class Recorder:
    """One simulation."""

    def __init__(self, sites: Iterable[SiteConfiguration], plant: Plant, record_every_s: float) -> None:
        chosen = list(sites)
        self._plant = plant
        self._record_every_s = record_every_s
        self._due_s: dict[str, float] = {}
        points = {point.id: point for site in chosen for point in site.points}
        self._travels: dict[str, _Travel] = {}
        for gate in [gate for site in chosen for gate in site.gates()]:
            point = points.get(gate.actuator.position)
            step_pct = resolution_pct(gate, point) if point is not None else 0.0
            self._travels[gate.actuator.position] = _Travel(gate, point is not None and point.unit == "count", step_pct)
        self._travel_of = {travel.gate.id: travel for travel in self._travels.values()}
        self._structures = [structure.id for site in chosen for structure in site.structures]
        self._facts = {f"{gate}.{fact}" for gate in self._travel_of for fact in ACTUATOR_FACTS}
        self._times_s: dict[str, array[float]] = {}
        self._values: dict[str, array[float]] = {}
        self._alarms_seen: dict[str, dict[str, str]] = {}
        self._modes_seen: dict[str, str] = {}
        self.commands: list[CommandRecord] = []
        self.alarms: list[AlarmRecord] = []
        self.modes: list[ModeRecord] = []
        self.answers: list[Answered] = []
        self.played: list[Played] = []
        self.scans = 0
        self._now_s = 0.0

    def note_command(self, command: CommandRecord) -> None:
        """With where its gate stood."""
        self.commands.append(replace(command, position_pct=self._travel_of[command.gate].position_pct))

    def note_samples(self, samples: Iterable[Sample], now_s: float) -> None:
        """True values; every one for travel, one in a while for the series. What is no good number is nobody's true value."""
        self._now_s = now_s
        due_s = self._due_s
        for sample in samples:
            point = sample.point
            travel = self._travels.get(point)
            is_due = sample.sampled_at_s >= due_s.get(point, -math.inf)
            if (travel is None and not is_due) or sample.quality != GOOD or not math.isfinite(sample.value):
                continue
            if travel is not None:
                travel.note(sample)
            if is_due and point not in self._facts:
                self._append(point, sample.sampled_at_s, sample.value)
        if isinstance(self._plant, FlowingPlant) and now_s >= due_s.get(FLOWS, -math.inf):
            due_s[FLOWS] = now_s + self._record_every_s - 1e-9
            for name in self._structures:
                self._append(f"{FLOWS}{name}", now_s, self._plant.flow_m3s(name))

    def note_alarms(self, site: str, alarms: Mapping[str, tuple[str, str, str]]) -> None:
        """All alarms that are not normal: phase, priority and reason by key."""
        before, now_s = self._alarms_seen.setdefault(site, {}), self._now_s
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
                self.modes.append(ModeRecord(self._now_s, site, gate, mode))

    def finish(self, start_wall: datetime, duration_s: float, wall_s: float) -> Run:
        """The whole run."""
        return Run(
            start_wall=start_wall,
            duration_s=duration_s,
            wall_s=wall_s,
            gates=tuple(self._travel_of),
            scans=self.scans,
            series={name: Series(tuple(self._times_s[name]), tuple(found)) for name, found in self._values.items()},
            commands=tuple(self.commands),
            alarms=tuple(self.alarms),
            modes=tuple(self.modes),
            answers=tuple(self.answers),
            played=tuple(self.played),
            starts={gate: travel.starts for gate, travel in self._travel_of.items()},
            travel_m={gate: travel.travel_m for gate, travel in self._travel_of.items()},
            spilled_m3=dict(self._plant.spilled_m3) if isinstance(self._plant, SpillingPlant) else {},
        )

    def _append(self, name: str, at_s: float, value: float) -> None:
        self._due_s[name] = at_s + self._record_every_s - 1e-9
        self._times_s.setdefault(name, array("d")).append(at_s)
        self._values.setdefault(name, array("d")).append(value)
