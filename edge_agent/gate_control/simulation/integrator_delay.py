"""Integrator-delay canal: a tree of pools with gates between them, `A dh/dt = Qin(t - tau) - Qout`; fast, for unit and fault tests.

Per pool one level at its downstream end, one just below its inlet that stands higher while a rise is on its way
(`R (Qin(t) - Qin(t - tau))`, R the resonance peak or tau/A), and a delay line. What stands over the bank runs off and is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.pools import Pool, Structure
from edge_agent.gate_control.simulation.actuators import GateActuator
from edge_agent.gate_control.simulation.demands import DemandChange, Demands
from edge_agent.gate_control.simulation.gate_laws import gate_flow_m3s, opening_for_flow_m, overtopping_flow_m3s
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, PlantCommand, Sample

STEP_S = 1.0
HEAD_SETTLES_S = 20.0
"""Of the level below an inlet; it also keeps a drowned gate and its own wave from chasing each other."""
DRY_M = 0.02
"""An offtake, or the tail, gets less than it wants from water shallower than this."""
SPILL_LENGTH_M = 20.0
HEAD_ROOM_M = 0.3
"""A head sensor must be able to see so far below the level that it is expected at."""
FREE_FALL_M = -1000.0
"""Level behind a structure that feeds no pool."""


@dataclass(frozen=True)
class CanalSettings:
    """What a site's configuration leaves open.

    Args:
        state: between the pools' `low` (0) and `high` (1) dynamics.
        levels_m: of pools at the start; others begin at target depth, else in the middle of their range.
        flows_m3s: through structures and out of tails at the start (a pool without outlet by its own name); others follow
            from the pools below; ends of the canal take what `low` and `high` leave over.
        reservoirs_m: levels before structures that no pool feeds; others stand so that the start needs a third of the opening.
        heads_m: by pool, how far the level below its inlet stands over that of its far end: in a steep pool the water is a
            slope. Others: 0, or what brings it into the range of its sensor.
        cd_error: the plant's coefficients are this much above the configuration's, as a share.
    """

    state: float = 0.0
    levels_m: Mapping[str, float] = field(default_factory=dict)
    flows_m3s: Mapping[str, float] = field(default_factory=dict)
    reservoirs_m: Mapping[str, float] = field(default_factory=dict)
    heads_m: Mapping[str, float] = field(default_factory=dict)
    cd_error: float = 0.0


class _PoolWater:
    """State of one pool."""

    def __init__(self, pool: Pool, settings: CanalSettings) -> None:
        share = settings.state
        self.pool = pool
        self.area_m2 = (1.0 - share) * pool.low.area_m2 + share * pool.high.area_m2
        self.delay_s = (1.0 - share) * pool.low.delay_s + share * pool.high.delay_s
        self.flow_m3s = (1.0 - share) * pool.low.flow_m3s + share * pool.high.flow_m3s
        at_target_m = None if pool.target_depth_m is None else pool.invert_m + pool.target_depth_m
        middle_m = (pool.level_min_m + pool.level_max_m) / 2.0
        self.level_m = settings.levels_m.get(pool.id, middle_m if at_target_m is None else at_target_m)
        self.wave_s_per_m2 = pool.resonance_peak_s_per_m2 or self.delay_s / self.area_m2
        self._slope_m = settings.heads_m.get(pool.id, 0.0)
        self.head_m = self.level_m + self._slope_m
        self.spilled_m3 = 0.0
        self.inflow_m3s = 0.0
        self.tail_m3s = 0.0
        self._way: deque[float] = deque()

    def fill_way(self, inflow_m3s: float) -> None:
        """Steady flow along the pool."""
        self.inflow_m3s = inflow_m3s
        self._way = deque([inflow_m3s] * max(1, round(self.delay_s / STEP_S)))

    def step(self, inflow_m3s: float, outflow_m3s: float) -> None:
        """One step of water."""
        self.inflow_m3s = inflow_m3s
        self._way.append(inflow_m3s)
        arriving_m3s = self._way.popleft()
        spill_m3s = overtopping_flow_m3s(SPILL_LENGTH_M, self.level_m - self.pool.bank_m)
        spill_m3s = min(spill_m3s, max(0.0, self.level_m - self.pool.bank_m) * self.area_m2 / STEP_S)
        self.spilled_m3 += spill_m3s * STEP_S
        change_m = STEP_S / self.area_m2 * (arriving_m3s - outflow_m3s - spill_m3s)
        self.level_m = max(self.pool.invert_m, self.level_m + change_m)
        wanted_m = self.level_m + self._slope_m + self.wave_s_per_m2 * (inflow_m3s - arriving_m3s)
        self.head_m += (wanted_m - self.head_m) * STEP_S / HEAD_SETTLES_S


class Canal:
    """See the module; made by `canal_of`."""

    def __init__(
        self, pools: Sequence[Pool], structures: Sequence[Structure], settings: CanalSettings, changes: Sequence[DemandChange] = ()
    ) -> None:
        self._settings = settings
        self._time_s = self._actuated_s = 0.0
        self._sampled_at_s = -1.0
        self._pools = {pool.id: _PoolWater(pool, settings) for pool in pools}
        self._structures = {structure.id: structure for structure in structures}
        self._above = {name: self._pool_above(name) for name in self._structures}
        self._below = {name: [water for water in self._pools.values() if water.pool.inlet == name] for name in self._structures}
        self.demands = Demands({take.id: take.nominal_flow_m3s for pool in pools for take in pool.offtakes if not take.structure}, changes)
        self.actuators: dict[str, GateActuator] = {}
        self.flow_points: dict[str, str] = {}
        """Structure by flow point."""
        self.reservoirs_m: dict[str, float] = dict(settings.reservoirs_m)
        self._needs: dict[str, float] = {}
        for structure in structures:
            self._open(structure)
        for water in self._pools.values():
            water.fill_way(self._need_of_pool(water))
            water.tail_m3s = 0.0 if water.pool.outlet else self._end_flow(water)

    @property
    def time_s(self) -> float:
        """Seconds since the canal began."""
        return self._time_s

    @property
    def spilled_m3(self) -> dict[str, float]:
        """Over the banks so far, by pool."""
        return {name: water.spilled_m3 for name, water in self._pools.items()}

    @property
    def levels_m(self) -> dict[str, float]:
        """At the downstream end of each pool."""
        return {name: water.level_m for name, water in self._pools.items()}

    def advance(self, until_s: float) -> None:
        """Whole steps of the water up to `until_s`; the actuators, whose pulses may be shorter, to the very moment."""
        while self._time_s + STEP_S <= until_s + 1e-9:
            self._step()
        self._run_actuators(until_s)

    def samples(self) -> list[Sample]:
        """Levels, flows, positions and facts; nothing while time stands still."""
        if self._sampled_at_s == self._time_s:
            return []
        self._sampled_at_s = now_s = self._time_s
        found: list[Sample] = []
        for water in self._pools.values():
            found += [Sample(point, water.level_m, now_s) for point in water.pool.tail_levels]
            found += [Sample(point, water.head_m, now_s) for point in water.pool.head_levels]
        found += [Sample(point, self.flow_m3s(name), now_s) for point, name in self.flow_points.items()]
        for actuator in self.actuators.values():
            found += actuator.samples(now_s)
        return found

    def write(self, gate: str, command: PlantCommand) -> None:
        """Command a gate's actuator."""
        self.actuators[gate].command(command)

    def set_inflow(self, pool: str, flow_m3s: float) -> None:
        """What comes from outside into a pool that no structure feeds."""
        self._pools[pool].inflow_m3s = flow_m3s

    def set_trouble(self, gate: str, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Begin or end a fault of an actuator."""
        self.actuators[gate].set_trouble(trouble, on=on)

    def move_by_hand(self, gate: str, opening_pct: float) -> None:
        """Turn a handwheel."""
        self.actuators[gate].move_by_hand(opening_pct)

    def flow_m3s(self, structure_id: str) -> float:
        """Through all gates of a structure, now."""
        structure = self._structures[structure_id]
        upstream_m, downstream_m = self._head_level(structure_id), self._tail_level(structure_id)
        total_m3s = 0.0
        for gate in structure.gates:
            total_m3s += gate_flow_m3s(gate.geometry, self.actuators[gate.id].opening_m, upstream_m, downstream_m)
        return total_m3s * (1.0 + self._settings.cd_error)

    def _step(self) -> None:
        self.demands.advance(self._time_s)
        flows = {name: self.flow_m3s(name) for name in self._structures}
        for water in self._pools.values():
            pool = water.pool
            inflow_m3s = water.inflow_m3s if pool.inlet is None else self._inflow(pool.inlet, flows)
            wet = min(1.0, max(0.0, water.level_m - pool.invert_m) / DRY_M)
            outflow_m3s = wet * water.tail_m3s if pool.outlet is None else flows.get(pool.outlet, 0.0)
            for take in pool.offtakes:
                outflow_m3s += flows[take.structure] if take.structure else wet * self.demands.flows_m3s[take.id]
            water.step(inflow_m3s, outflow_m3s)
        self._time_s += STEP_S
        self._run_actuators(self._time_s)

    def _run_actuators(self, until_s: float) -> None:
        step_s = until_s - self._actuated_s
        if step_s > 1e-9:
            self._actuated_s = until_s
            for actuator in self.actuators.values():
                actuator.step(step_s)

    def _inflow(self, structure_id: str, flows: Mapping[str, float]) -> float:
        """A structure that feeds several pools shares its flow equally."""
        return flows[structure_id] / len(self._below[structure_id]) if structure_id in flows else 0.0

    def _pool_above(self, structure_id: str) -> _PoolWater | None:
        for water in self._pools.values():
            if water.pool.outlet == structure_id or any(take.structure == structure_id for take in water.pool.offtakes):
                return water
        return None

    def _head_level(self, structure_id: str) -> float:
        above = self._above[structure_id]
        return self.reservoirs_m[structure_id] if above is None else above.level_m

    def _tail_level(self, structure_id: str) -> float:
        below = self._below[structure_id]
        return max((water.head_m for water in below), default=FREE_FALL_M)

    def _open(self, structure: Structure) -> None:
        """Openings that pass what is needed at the start, all bays alike."""
        flow_m3s = self._need(structure.id) / (len(structure.gates) * (1.0 + self._settings.cd_error))
        downstream_m = self._tail_level(structure.id)
        for gate in structure.gates:
            if self._above[structure.id] is None and structure.id not in self.reservoirs_m:
                self.reservoirs_m[structure.id] = _reservoir_m(structure, flow_m3s, downstream_m)
            opening_m = opening_for_flow_m(gate.geometry, flow_m3s, self._head_level(structure.id), downstream_m)
            self.actuators[gate.id] = GateActuator(gate, 100.0 * opening_m / gate.geometry.height_m)

    def _need(self, structure_id: str) -> float:
        """Flow of a structure at the start."""
        if structure_id in self._settings.flows_m3s:
            return self._settings.flows_m3s[structure_id]
        if below := self._below[structure_id]:
            return sum(self._need_of_pool(water) for water in below)
        above = self._above[structure_id]
        if above is None or above.pool.outlet != structure_id:
            return next((take.nominal_flow_m3s for take in above.pool.offtakes if take.structure == structure_id), 0.0) if above else 0.0
        return self._end_flow(above)

    def _need_of_pool(self, water: _PoolWater) -> float:
        taken_m3s = sum(take.nominal_flow_m3s for take in water.pool.offtakes)
        if water.pool.outlet in self._structures:
            return taken_m3s + self._need(str(water.pool.outlet))
        return taken_m3s + self._end_flow(water)

    def _end_flow(self, water: _PoolWater) -> float:
        """What leaves the last pool beside its offtakes."""
        if water.pool.id in self._settings.flows_m3s:
            return self._settings.flows_m3s[water.pool.id]
        return max(0.0, water.flow_m3s - sum(take.nominal_flow_m3s for take in water.pool.offtakes))


def _reservoir_m(structure: Structure, flow_m3s: float, downstream_m: float) -> float:
    """The level from which a third of the opening passes the flow, and at least a little above what is behind."""
    geometry = structure.gates[0].geometry
    low_m = max(geometry.sill_m, downstream_m)
    high_m = low_m + 20.0
    for _ in range(50):
        middle_m = (low_m + high_m) / 2.0
        if gate_flow_m3s(geometry, geometry.height_m / 3.0, middle_m, downstream_m) < flow_m3s:
            low_m = middle_m
        else:
            high_m = middle_m
    return max(high_m, geometry.sill_m + 0.1, downstream_m + 0.2)


def canal_of(
    sites: SiteConfiguration | Iterable[SiteConfiguration], settings: CanalSettings | None = None, changes: Sequence[DemandChange] = ()
) -> Canal:
    """The canal of a site, or of several that each know a part of it: what they say of a pool is put together.

    Raises:
        KeyError: a demand of an unknown offtake.
    """
    chosen = [sites] if isinstance(sites, SiteConfiguration) else list(sites)
    structures = {structure.id: structure for site in reversed(chosen) for structure in site.structures}
    pools = merged_pools(chosen)
    wanted = settings or CanalSettings()
    wanted = replace(wanted, heads_m={**_slopes_m(chosen, pools, wanted), **wanted.heads_m})
    canal = Canal(list(pools.values()), list(structures.values()), wanted, changes)
    counted = {point.id for site in chosen for point in site.points if point.unit == "count"}
    for actuator in canal.actuators.values():
        actuator.is_counted = actuator.gate.actuator.position in counted
    canal.flow_points = _flow_points(structures, pools)
    return canal


def merged_pools(sites: Sequence[SiteConfiguration]) -> dict[str, Pool]:
    """Each pool once: ends, sensors and offtakes of all sites that name it, dynamics as the first says."""
    found: dict[str, Pool] = {}
    for pool in [pool for site in sites for pool in site.pools]:
        held = found.get(pool.id)
        if held is None:
            found[pool.id] = pool
            continue
        takes = {take.id: take for take in (*pool.offtakes, *held.offtakes)}
        update = {
            "inlet": held.inlet or pool.inlet,
            "outlet": held.outlet or pool.outlet,
            "head_levels": tuple(dict.fromkeys((*held.head_levels, *pool.head_levels))),
            "tail_levels": tuple(dict.fromkeys((*held.tail_levels, *pool.tail_levels))),
            "offtakes": tuple(takes.values()),
        }
        found[pool.id] = held.model_copy(update=update)
    return found


def _slopes_m(sites: Sequence[SiteConfiguration], pools: Mapping[str, Pool], settings: CanalSettings) -> dict[str, float]:
    """For pools whose head sensor could not see a level as low as the far end's: to the middle of its range."""
    points = {point.id: point for site in sites for point in site.points}
    found: dict[str, float] = {}
    for pool in pools.values():
        level_m = _PoolWater(pool, settings).level_m
        sensor = next((points[name] for name in pool.head_levels if name in points), None)
        if sensor is not None and sensor.valid_min >= level_m - HEAD_ROOM_M:
            found[pool.id] = (sensor.valid_min + sensor.valid_max) / 2.0 - level_m
    return found


def _flow_points(structures: Mapping[str, Structure], pools: Mapping[str, Pool]) -> dict[str, str]:
    """Structure by flow point: its own, and the neighbour's that a decoupler hears."""
    found = {point: name for name, structure in structures.items() for point in structure.flow_loop.flow_points}
    for name, structure in structures.items():
        below = [pool.outlet for pool in pools.values() if pool.inlet == name]
        above = [pool.inlet for pool in pools.values() if pool.outlet == name]
        for loop, neighbours in ((structure.downstream_loop, below), (structure.upstream_loop, above)):
            point = loop.decoupler_flow_point if loop is not None else None
            if point and neighbours and neighbours[0] in structures:
                found.setdefault(point, str(neighbours[0]))
    return found
