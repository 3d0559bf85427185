"""Integrator-delay canal: pools in a row with gates between them. `A dh/dt = Qin(t - tau) - Qout - demand`."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.gate_control.simulation.plant import Lower, PlantCommand, PlantSample, Position, Raise, Stop

GRAVITY_M_S2 = 9.81
STEP_S = 1.0


@dataclass(frozen=True)
class PoolSpec:
    """A pool upstream of one gate. Levels in m above the site's datum."""

    area_m2: float
    delay_s: float
    invert_m: float
    level_m: float
    demand_m3s: float = 0.0


@dataclass(frozen=True)
class GateSpec:
    """An undershot gate at the end of a pool; its sill is the pool's invert."""

    id: str
    width_m: float = 2.0
    height_m: float = 1.2
    discharge: float = 0.61
    stroke_time_s: float = 120.0
    opening_pct: float = 32.0


class Actuator:
    """Moves a gate at its stroke speed; can be stuck, local, or wired the wrong way round."""

    def __init__(self, spec: GateSpec) -> None:
        self.position_pct = spec.opening_pct
        self.desired_pct = spec.opening_pct
        self.is_stuck = False
        self.is_local = False
        self.is_reversed = False
        self.travel_pct = 0.0
        self.starts = 0
        self._pct_per_s = 100.0 / spec.stroke_time_s

    @property
    def moving(self) -> bool:
        """Whether the motor runs and the gate follows."""
        return not self.is_stuck and abs(self.desired_pct - self.position_pct) > 1e-6

    def command(self, desired_pct: float) -> None:
        """Take a new position; commands act only with the selector in remote."""
        if self.is_local:
            return
        desired_pct = max(0.0, min(100.0, desired_pct))
        if abs(desired_pct - self.position_pct) > 1e-6 and not self.moving:
            self.starts += 1
        self.desired_pct = desired_pct

    def step(self, step_s: float) -> None:
        """Move for `step_s`."""
        if not self.moving:
            return
        most_pct = self._pct_per_s * step_s
        move_pct = max(-most_pct, min(most_pct, self.desired_pct - self.position_pct))
        before_pct = self.position_pct
        self.position_pct = max(0.0, min(100.0, self.position_pct + (-move_pct if self.is_reversed else move_pct)))
        self.travel_pct += abs(self.position_pct - before_pct)


class IntegratorDelayCanal:
    """Pool i ends at gate i; the last gate discharges freely into the tail."""

    def __init__(self, gates: Sequence[GateSpec], pools: Sequence[PoolSpec], *, inflow_m3s: float, tail_level_m: float = -10.0) -> None:
        if len(gates) != len(pools):
            raise ValueError(f"{len(gates)} gates need as many pools, got {len(pools)}")
        self._specs = tuple(gates)
        self._pools = tuple(pools)
        self._time_s = 0.0
        self._tail_level_m = tail_level_m
        self.inflow_m3s = inflow_m3s
        self.levels_m = [pool.level_m for pool in pools]
        self.demands_m3s = {gate.id: pool.demand_m3s for gate, pool in zip(gates, pools, strict=True)}
        self.actuators = {gate.id: Actuator(gate) for gate in gates}
        flows = [inflow_m3s, *self._gate_flows()[:-1]]
        self._on_the_way = [deque([flow] * max(1, round(pool.delay_s / STEP_S))) for flow, pool in zip(flows, pools, strict=True)]
        self._sampled_at_s = -1.0

    @property
    def time_s(self) -> float:
        """Seconds since the canal began."""
        return self._time_s

    def advance(self, until_s: float) -> None:
        """Whole steps up to `until_s`."""
        while self._time_s + STEP_S <= until_s:
            self._step()

    def samples(self) -> list[PlantSample]:
        """Levels, positions, flows and motion; nothing while time stands still."""
        if self._sampled_at_s == self._time_s:
            return []
        self._sampled_at_s = self._time_s
        flows = self._gate_flows()
        found: list[PlantSample] = []
        for index, spec in enumerate(self._specs):
            actuator = self.actuators[spec.id]
            values = {
                "upstream_level": self.levels_m[index],
                "downstream_level": self._downstream_level_m(index),
                "position": actuator.position_pct,
                "flow": flows[index],
                "moving": float(actuator.moving),
            }
            found += [PlantSample(f"{spec.id}.{name}", value, self._time_s) for name, value in values.items()]
        return found

    def write(self, gate: str, command: PlantCommand) -> None:
        """Command a gate's actuator."""
        actuator = self.actuators[gate]
        match command:
            case Position(opening_pct):
                actuator.command(opening_pct)
            case Raise():
                actuator.command(100.0)
            case Lower():
                actuator.command(0.0)
            case Stop():
                actuator.command(actuator.position_pct)

    def _downstream_level_m(self, index: int) -> float:
        return self.levels_m[index + 1] if index + 1 < len(self._pools) else self._tail_level_m

    def _gate_flows(self) -> list[float]:
        flows: list[float] = []
        for index, spec in enumerate(self._specs):
            levels_m = self.levels_m[index], self._downstream_level_m(index)
            flows.append(gate_flow_m3s(spec, self.actuators[spec.id].position_pct, *levels_m, self._pools[index].invert_m))
        return flows

    def _step(self) -> None:
        flows = self._gate_flows()
        for index, (spec, pool) in enumerate(zip(self._specs, self._pools, strict=True)):
            self._on_the_way[index].append(self.inflow_m3s if index == 0 else flows[index - 1])
            arriving = self._on_the_way[index].popleft()
            change_m = STEP_S / pool.area_m2 * (arriving - flows[index] - self.demands_m3s[spec.id])
            self.levels_m[index] = max(pool.invert_m, self.levels_m[index] + change_m)
        for actuator in self.actuators.values():
            actuator.step(STEP_S)
        self._time_s += STEP_S


def gate_flow_m3s(spec: GateSpec, opening_pct: float, upstream_m: float, downstream_m: float, sill_m: float) -> float:
    """Orifice law, free or submerged; never more than a full opening of the water's own depth lets through."""
    head_m = upstream_m - sill_m
    opening_m = min(max(0.0, opening_pct) / 100.0 * spec.height_m, max(0.0, head_m))
    if head_m <= 0.0 or opening_m <= 0.0:
        return 0.0
    behind_m = downstream_m - sill_m
    driving_m = head_m - behind_m if behind_m > spec.discharge * opening_m else head_m
    return spec.discharge * spec.width_m * opening_m * math.sqrt(2.0 * GRAVITY_M_S2 * max(0.0, driving_m))
