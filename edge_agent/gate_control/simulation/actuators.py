"""An actuator with its gate: travels at its own speed, and can be stuck, jammed, local, slow, creeping or reversed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from edge_agent.gate_control.model.gates import Gate
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, PlantCommand, Sample, aim_pct

ARRIVED_PCT = 1e-6
LIMIT_PCT = 0.05
SLOW_SHARE = 0.25
CREEP_SHARE = 0.1


class GateActuator:
    """One gate's motor. Position in percent of travel, 0 = least flow."""

    def __init__(self, gate: Gate, opening_pct: float) -> None:
        self.gate = gate
        self.position_pct = opening_pct
        self.desired_pct = opening_pct
        self.troubles: set[ActuatorTrouble] = set()
        self.is_moved_by_hand = False
        self.is_counted = False
        """Its position is told in counts, not in percent."""
        self.starts = 0
        self.travel_m = 0.0
        self._pct_per_s = 100.0 / gate.actuator.stroke_time_s
        self._is_running = False

    @property
    def is_local(self) -> bool:
        """Whether commands are ignored."""
        return ActuatorTrouble.LOCAL in self.troubles

    @property
    def is_held(self) -> bool:
        """Whether the gate does not follow its motor."""
        return bool(self.troubles & {ActuatorTrouble.STUCK, ActuatorTrouble.JAMMED})

    @property
    def moving(self) -> bool:
        """Whether the gate is seen to move."""
        return self.is_moved_by_hand or (not self.is_held and abs(self.desired_pct - self.position_pct) > ARRIVED_PCT)

    @property
    def opening_m(self) -> float:
        """Opening of an undershot gate, lowering of the crest of an overshot one."""
        return self.position_pct / 100.0 * self.gate.geometry.height_m

    def command(self, command: PlantCommand) -> None:
        """Take a command; at LOCAL it has no effect."""
        if self.is_local:
            return
        self.desired_pct = max(0.0, min(100.0, aim_pct(command, self.position_pct)))
        self.is_moved_by_hand = False

    def move_by_hand(self, opening_pct: float) -> None:
        """The handwheel: at LOCAL and with a stuck motor too."""
        self.is_moved_by_hand = True
        self.desired_pct = max(0.0, min(100.0, opening_pct))

    def set_trouble(self, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Begin or end a fault. Switching to LOCAL stops the motor."""
        self.troubles.add(trouble) if on else self.troubles.discard(trouble)
        if trouble is ActuatorTrouble.LOCAL and on:
            self.desired_pct = self.position_pct

    def step(self, step_s: float) -> None:
        """Travel for `step_s`."""
        if ActuatorTrouble.RUNAWAY in self.troubles:
            self.desired_pct = 0.0
        wanted_pct = self.desired_pct - self.position_pct
        is_running = abs(wanted_pct) > ARRIVED_PCT
        if is_running and not self._is_running and not self.is_moved_by_hand:
            self.starts += 1
        self._is_running = is_running
        before_pct = self.position_pct
        if is_running and (self.is_moved_by_hand or not self.is_held):
            self._travel(wanted_pct, step_s)
        elif ActuatorTrouble.CREEPING in self.troubles:
            self.position_pct = max(0.0, self.position_pct - CREEP_SHARE * self._pct_per_s * step_s)
            self.desired_pct = self.position_pct
        self.travel_m += abs(self.position_pct - before_pct) / 100.0 * self.gate.geometry.height_m
        if abs(self.desired_pct - self.position_pct) <= ARRIVED_PCT:
            self.is_moved_by_hand = False

    def _travel(self, wanted_pct: float, step_s: float) -> None:
        most_pct = self._pct_per_s * step_s * (SLOW_SHARE if ActuatorTrouble.SLOW in self.troubles else 1.0)
        move_pct = max(-most_pct, min(most_pct, wanted_pct))
        if ActuatorTrouble.REVERSED in self.troubles and not self.is_moved_by_hand:
            move_pct = -move_pct
        self.position_pct = max(0.0, min(100.0, self.position_pct + move_pct))

    def facts(self) -> tuple[bool, ...]:
        """In the order of `ACTUATOR_FACTS`."""
        return (
            not self.is_local,
            self.moving,
            self.position_pct <= LIMIT_PCT,
            self.position_pct >= 100.0 - LIMIT_PCT,
            ActuatorTrouble.JAMMED in self.troubles,
            self.is_moved_by_hand,
            False,
        )

    def samples(self, time_s: float) -> Iterator[Sample]:
        """Position under the id of its point, then the facts."""
        position = count_of(self.gate, self.opening_m) if self.is_counted else self.position_pct
        yield Sample(self.gate.actuator.position, position, time_s)
        for fact, is_so in zip(ACTUATOR_FACTS, self.facts(), strict=True):
            yield Sample(f"{self.gate.id}.{fact}", float(is_so), time_s)


def count_of(gate: Gate, opening_m: float) -> float:
    """The actuator's count at an opening: its table, interpolated; without one, percent of the height."""
    table = gate.actuator.table
    if not table:
        return opening_m / gate.geometry.height_m * 100.0
    for low, high in itertools.pairwise(table):
        if opening_m <= high.opening_m:
            share = (opening_m - low.opening_m) / (high.opening_m - low.opening_m)
            return low.count + share * (high.count - low.count)
    return table[-1].count
