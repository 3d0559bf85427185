"""A canal that shares nothing with Munbon's own plants: cells with friction between them, its own gate laws, and careless sensors.

reservoir -[head: bays h-1 and h-2]-> p1 -[mid: an overshot gate that tells counts]-> p2 -> tail
                                      p1 -[branch: relays]-> p3 -> tail
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.gate_control.simulation import ActuatorTrouble, PlantCommand, Sample, aim_pct

GRAVITY = 9.81
STEP_S = 1.0
RESERVOIR_M = 12.5
COUNTS = ((0.0, 0.0), (1500.0, 0.3), (4000.0, 1.0))
"""Of gate `mid`: counts at metres."""
BAD_WORDS = ("bad", "uncertain", "silent")


@dataclass(frozen=True)
class Careless:
    """How the plant tells what it knows. Shares are of all samples."""

    levels_every_s: float = 1.0
    positions_every_s: float = 1.0
    late_s: float = 0.0
    """Samples come so late at most."""
    bad: float = 0.0
    no_number: float = 0.0
    twice: float = 0.0
    unknown: float = 0.0
    skipped: float = 0.0
    facts_on_change: bool = False
    no_facts: bool = False
    refused: float = 0.0
    """Of all writes."""
    wave_m: float = 0.004
    noise_m: float = 0.0015


class Motor:
    """One gate's motor and leaf."""

    def __init__(self, position_pct: float, stroke_time_s: float) -> None:
        self.position_pct = position_pct
        self.moving = False
        self.troubles: set[ActuatorTrouble] = set()
        self.hand_pct: float | None = None
        self._aim_pct = position_pct
        self._most_pct = 0.0
        self._pct_per_s = 100.0 / stroke_time_s

    def take(self, command: PlantCommand) -> None:
        """At LOCAL it listens to nobody."""
        if ActuatorTrouble.LOCAL in self.troubles:
            return
        self._aim_pct = aim_pct(command, self.position_pct)

    def halt(self) -> None:
        """The selector was turned."""
        self._aim_pct = self.position_pct

    def step(self, step_s: float) -> None:
        """A while; pulses may be shorter than a second."""
        before_pct, self._most_pct = self.position_pct, self._pct_per_s * step_s
        if self.hand_pct is not None:
            self.position_pct += self._way(self.hand_pct, self._most_pct)
            if abs(self.hand_pct - self.position_pct) < 1e-9:
                self.hand_pct, self._aim_pct = None, self.position_pct
        else:
            aim_pct = 0.0 if ActuatorTrouble.RUNAWAY in self.troubles else self._aim_pct
            way_pct = self._way(aim_pct, self._most_pct * (0.25 if ActuatorTrouble.SLOW in self.troubles else 1.0))
            if self.troubles & {ActuatorTrouble.STUCK, ActuatorTrouble.JAMMED}:
                way_pct = 0.0
            elif ActuatorTrouble.REVERSED in self.troubles:
                way_pct = -way_pct
            elif way_pct == 0.0 and ActuatorTrouble.CREEPING in self.troubles:
                way_pct = -0.1 * self._most_pct
                self._aim_pct = self.position_pct + way_pct
            self.position_pct += way_pct
        self.position_pct = min(100.0, max(0.0, self.position_pct))
        self.moving = abs(self.position_pct - before_pct) > 1e-9

    def _way(self, aim_pct: float, most_pct: float) -> float:
        return max(-most_pct, min(most_pct, aim_pct - self.position_pct))

    def facts(self) -> dict[str, bool]:
        """What a status register would say."""
        return {
            "remote": ActuatorTrouble.LOCAL not in self.troubles,
            "moving": self.moving,
            "closed_limit": self.position_pct <= 0.05,
            "open_limit": self.position_pct >= 99.95,
            "jammed": ActuatorTrouble.JAMMED in self.troubles,
            "by_hand": self.hand_pct is not None,
        }


class CellPool:
    """Four cells; the flow between two follows their slope, and takes its time to do so."""

    def __init__(self, length_m: float, width_m: float, invert_m: float, bank_m: float, level_m: float, cells: int = 4) -> None:
        self.bank_m, self.spilled_m3 = bank_m, 0.0
        self._cell_m, self._width_m = length_m / cells, width_m
        self._beds_m = [invert_m + 1e-4 * self._cell_m * (cells - 1 - index) for index in range(cells)]
        self.levels_m = [level_m + 0.02 * (cells - 1 - index) for index in range(cells)]
        self._flows_m3s = [0.0] * (cells - 1)

    def wet(self, wanted_m3s: float) -> float:
        """Who takes water from a puddle gets less."""
        return wanted_m3s * min(1.0, max(0.0, (self.levels_m[-1] - self._beds_m[-1] - 0.05) / 0.1))

    def step(self, inflow_m3s: float, outflow_m3s: float) -> None:
        """One second."""
        area_m2 = self._cell_m * self._width_m
        for index in range(len(self._flows_m3s)):
            self._flows_m3s[index] = self._flow(index, area_m2)
        ways = [inflow_m3s, *self._flows_m3s, outflow_m3s]
        for index, bed_m in enumerate(self._beds_m):
            level_m = self.levels_m[index] + (ways[index] - ways[index + 1]) * STEP_S / area_m2
            over_m = max(0.0, level_m - self.bank_m)
            self.spilled_m3 += over_m * area_m2
            self.levels_m[index] = max(bed_m + 0.001, level_m - over_m)

    def _flow(self, index: int, area_m2: float) -> float:
        depth_m = max(0.01, sum(self.levels_m[index : index + 2]) / 2.0 - sum(self._beds_m[index : index + 2]) / 2.0)
        drop_m = self.levels_m[index] - self.levels_m[index + 1]
        steady_m3s = math.copysign(self._width_m * depth_m ** (5.0 / 3.0) / 0.022 * math.sqrt(abs(drop_m) / self._cell_m), drop_m)
        inertia_s = 0.5 * self._cell_m / math.sqrt(GRAVITY * depth_m)
        flow_m3s = self._flows_m3s[index] + (steady_m3s - self._flows_m3s[index]) * min(1.0, STEP_S / inertia_s)
        most_m3s = max(0.0, self.levels_m[index] - self._beds_m[index] - 0.01) * area_m2 / STEP_S
        return max(-most_m3s, min(most_m3s, flow_m3s))


class StrangeCanal:
    """A `Plant` with all that is optional. `demands`: (time, taker, m3/s), takers `t1`, `t2` and `tail`."""

    def __init__(self, seed: int = 1, careless: Careless | None = None, demands: Sequence[tuple[float, str, float]] = ()) -> None:
        self.time_s = 0.0
        self.written: list[tuple[float, str, PlantCommand]] = []
        """What came through, and what was refused."""
        self.positions_pct: list[dict[str, float]] = []
        """Second by second, true."""
        self.branch_m3s: list[float] = []
        self.motors = {"h-1": Motor(34.0, 120.0), "h-2": Motor(34.0, 120.0), "mid": Motor(52.5, 180.0), "branch": Motor(0.0, 90.0)}
        self.pools = {
            "p1": CellPool(2000.0, 6.0, 10.0, 12.0, 11.3),
            "p2": CellPool(1500.0, 5.0, 8.6, 10.4, 9.8),
            "p3": CellPool(1000.0, 3.0, 9.2, 10.5, 10.0),
        }
        self._careless = careless or Careless()
        self._random = random.Random(seed)
        self._takes_m3s = {"t1": 0.3, "t2": 1.2, "tail": 0.8}
        self._demands = sorted(demands)
        self._due_s: dict[str, float] = {}
        self._on_the_way: list[tuple[float, Sample]] = []
        self._facts: dict[str, bool] = {}
        self._told_at_s = -1.0
        self._run_to_s = 0.0

    @property
    def spilled_m3(self) -> dict[str, float]:
        """Over the banks so far."""
        return {name: pool.spilled_m3 for name, pool in self.pools.items()}

    def flow_m3s(self, structure: str) -> float:
        """Through a structure, now."""
        p1_m, p2_m, p3_m = (pool.levels_m for pool in self.pools.values())
        openings_m = {name: motor.position_pct / 100.0 for name, motor in self.motors.items()}
        if structure == "head":
            return sum(_under(1.5, openings_m[bay], 10.1, RESERVOIR_M, p1_m[0]) for bay in ("h-1", "h-2"))
        if structure == "mid":
            return _over(4.0, 11.4 - openings_m["mid"], p1_m[-1], p2_m[0])
        return _under(1.0, 0.8 * openings_m["branch"], 10.3, p1_m[-1], p3_m[0])

    def advance(self, until_s: float) -> None:
        """Whole seconds of water; the motors to the very moment, for pulses may be shorter."""
        while self.time_s + STEP_S <= until_s + 1e-9:
            while self._demands and self._demands[0][0] <= self.time_s:
                _, taker, flow_m3s = self._demands.pop(0)
                self._takes_m3s[taker] = flow_m3s
            head, mid, branch = (self.flow_m3s(name) for name in ("head", "mid", "branch"))
            p1, p2, p3 = self.pools.values()
            p1.step(head, mid + branch + p1.wet(self._takes_m3s["t1"]))
            p2.step(mid, p2.wet(self._takes_m3s["t2"] + self._takes_m3s["tail"]))
            p3.step(branch, 1.2 * max(0.0, p3.levels_m[-1] - 9.75) ** 1.5)
            self.time_s += STEP_S
            self._run_motors(self.time_s)
            self.positions_pct.append({name: motor.position_pct for name, motor in self.motors.items()})
            self.branch_m3s.append(branch)
        self._run_motors(until_s)

    def _run_motors(self, until_s: float) -> None:
        step_s = until_s - self._run_to_s
        if step_s > 1e-9:
            self._run_to_s = until_s
            for motor in self.motors.values():
                motor.step(step_s)

    def samples(self) -> list[Sample]:
        """What is new, what was late, and now and then what nobody asked for."""
        found: list[Sample] = []
        if self._told_at_s != self.time_s:
            self._told_at_s = self.time_s
            self._measure()
            found += [] if self._careless.no_facts else self._new_facts()
            if self._random.random() < self._careless.unknown:
                found += [
                    Sample("nobody.knows", 4.2, self.time_s),
                    Sample("mid.colour", 1.0, self.time_s),
                    Sample("", math.nan, self.time_s),
                ]
        found += [sample for due_s, sample in self._on_the_way if due_s <= self.time_s]
        self._on_the_way = [(due_s, sample) for due_s, sample in self._on_the_way if due_s > self.time_s]
        return found

    def write(self, gate: str, command: PlantCommand) -> None:
        """Now and then it will not."""
        self.written.append((self.time_s, gate, command))
        if self._random.random() < self._careless.refused:
            raise self._random.choice([OSError("line noise"), RuntimeError("the controller is busy"), ValueError("odd")])
        self.motors[gate].take(command)

    def set_trouble(self, gate: str, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Any of them."""
        motor = self.motors[gate]
        motor.troubles.add(trouble) if on else motor.troubles.discard(trouble)
        if trouble is ActuatorTrouble.LOCAL and on:
            motor.halt()

    def move_by_hand(self, gate: str, opening_pct: float) -> None:
        """The handwheel."""
        self.motors[gate].hand_pct = opening_pct

    def _measure(self) -> None:
        careless, wave_m = self._careless, self._careless.wave_m
        for name, pool in self.pools.items():
            wind_m = wave_m * math.sin(2.0 * math.pi * self.time_s / 4.3) + self._random.gauss(0.0, careless.noise_m)
            self._put(f"{name}.tail", pool.levels_m[-1] + wind_m, careless.levels_every_s, 0.001)
            self._put(
                f"{name}.head", pool.levels_m[0] + wave_m * math.sin(2.0 * math.pi * self.time_s / 3.1), careless.levels_every_s, 0.001
            )
        self._put("res.tail", RESERVOIR_M, careless.levels_every_s, 0.001)
        self._put("branch.flow", 1.01 * self.flow_m3s("branch") + self._random.gauss(0.0, 0.002), careless.levels_every_s, 0.001)
        for name, motor in self.motors.items():
            is_counted = name == "mid"
            told = _count_of(motor.position_pct / 100.0) if is_counted else motor.position_pct
            self._put(f"{name}.position", told, careless.positions_every_s, 1.0 if is_counted else 0.1)

    def _put(self, point: str, value: float, every_s: float, resolution: float) -> None:
        careless, rolled = self._careless, self._random.random()
        if self.time_s < self._due_s.get(point, 0.0) - 1e-9:
            return
        self._due_s[point] = self.time_s + every_s
        if self._random.random() < careless.skipped:
            return
        sample = Sample(point, round(value / resolution) * resolution, self.time_s)
        if rolled < careless.bad:
            sample = Sample(point, value, self.time_s, self._random.choice(BAD_WORDS))
        elif rolled < careless.bad + careless.no_number:
            sample = Sample(point, self._random.choice([math.nan, math.inf, -math.inf]), self.time_s)
        self._on_the_way.append((self.time_s + self._random.uniform(0.0, careless.late_s), sample))
        if self._random.random() < careless.twice:
            self._on_the_way.append((self.time_s + 1.0, sample))

    def _new_facts(self) -> list[Sample]:
        now = self.motors["mid"].facts()
        told = [name for name, is_so in now.items() if not self._careless.facts_on_change or self._facts.get(name) != is_so]
        self._facts = now
        return [Sample(f"mid.{name}", float(now[name]), self.time_s) for name in told]


def _under(width_m: float, opening_m: float, sill_m: float, above_m: float, below_m: float) -> float:
    """A jet under an edge, drowned where the water behind stands over it."""
    head_m, tail_m = above_m - sill_m, below_m - sill_m
    opening_m = min(opening_m, max(0.0, head_m))
    free_m3s = 0.60 * width_m * opening_m * math.sqrt(2.0 * GRAVITY * max(0.0, head_m - 0.3 * opening_m))
    if tail_m <= 0.6 * opening_m:
        return free_m3s
    return min(free_m3s, 0.60 * width_m * opening_m * math.sqrt(2.0 * GRAVITY * max(0.0, head_m - tail_m)))


def _over(width_m: float, crest_m: float, above_m: float, below_m: float) -> float:
    """A weir, and less where it is drowned."""
    head_m, tail_m = max(0.0, above_m - crest_m), max(0.0, below_m - crest_m)
    if head_m == 0.0:
        return 0.0
    return float(1.84 * width_m * head_m**1.5 * (1.0 - min(1.0, tail_m / head_m) ** 1.6) ** 0.38)


def _count_of(opening_m: float) -> float:
    (low, low_m), (high, high_m) = COUNTS[:2] if opening_m <= COUNTS[1][1] else COUNTS[1:]
    return low + (high - low) * (opening_m - low_m) / (high_m - low_m)
