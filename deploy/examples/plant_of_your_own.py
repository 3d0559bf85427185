"""A plant of your own, whole in one file: `python -m deploy.examples.plant_of_your_own` plays three hours of it.

The pool below the one gate of `one-gate/site.yaml` is a chain of small reservoirs that hand a wave on, and a last one whose level
is held: no equation of Munbon's own plants is in it. After half an hour the farm takes more water and tells nobody, after one hour
the gate says for two seconds that it is jammed, after two the process is killed and comes back a minute later.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation import (
    START,
    ActuatorFault,
    ActuatorTrouble,
    Kill,
    PlantCommand,
    Restart,
    Run,
    Sample,
    aim_pct,
    indicators,
    put_in_service,
    simulate,
    target_plan,
    unsafe_events,
)

SITE = Path(__file__).parent / "one-gate" / "site.yaml"
HOUR_S = 3600.0
STEP_S = 1.0
CELLS = 4
RESERVOIR_M = 13.2
INFLOW_M3S = 1.4
FARM_M3S = 0.4
THIRSTY_M3S = 0.6
LEVELS_EVERY_S = 5.0


class CascadePool:
    """A `Plant`: `time_s`, `advance`, `samples` and `write`. All below `write` is optional."""

    def __init__(self, site: SiteConfiguration) -> None:
        [self._gate] = site.gates()
        [self._pool] = site.pools_below(self._gate.id)
        self.time_s = 0.0
        self.spilled_m3 = {self._pool.id: 0.0}
        self._level_m = self._pool.invert_m + (self._pool.target_depth_m or 0.0)
        self._cells_m3s = [INFLOW_M3S] * CELLS
        self._position_pct = next(tenth / 10.0 for tenth in range(1000) if self._gate_flow_m3s(tenth / 10.0) >= INFLOW_M3S)
        self._aim_pct = self._position_pct
        self._troubles: set[ActuatorTrouble] = set()

    def advance(self, until_s: float) -> None:
        """Whole steps, never beyond `until_s`."""
        while self.time_s + STEP_S <= until_s + 1e-9:
            self._run_water()
            self._run_motor()
            self.time_s += STEP_S

    def samples(self) -> list[Sample]:
        """The position every second, levels more seldom; the actuator tells only that a fault of it is on, or off again."""
        found = [Sample(self._gate.actuator.position, self._position_pct, self.time_s)]
        found.append(Sample(f"{self._gate.id}.jammed", float(ActuatorTrouble.JAMMED in self._troubles), self.time_s))
        if self.time_s % LEVELS_EVERY_S == 0.0:
            found.append(Sample("reservoir.tail", RESERVOIR_M, self.time_s))
            found += [Sample(point, self._level_m, self.time_s) for point in (*self._pool.head_levels, *self._pool.tail_levels)]
        return found

    def write(self, gate: str, command: PlantCommand) -> None:
        """Where the motor is to run to; it then takes its time."""
        self._aim_pct = aim_pct(command, self._position_pct)

    def set_trouble(self, gate: str, trouble: ActuatorTrouble, *, on: bool) -> None:
        """Any trouble holds this gate where it is."""
        self._troubles.add(trouble) if on else self._troubles.discard(trouble)

    def move_by_hand(self, gate: str, opening_pct: float) -> None:
        """The handwheel."""
        self._aim_pct = opening_pct

    def flow_m3s(self, structure: str) -> float:
        """For the flows in the run."""
        return self._gate_flow_m3s(self._position_pct)

    def _gate_flow_m3s(self, opening_pct: float) -> float:
        """A jet under a sharp edge, drowned by the pool; its coefficient is not the one that the site believes in."""
        geometry = self._gate.geometry
        opening_m = opening_pct / 100.0 * geometry.height_m
        behind_m = max(self._level_m, geometry.sill_m + 0.6 * opening_m)
        return 0.57 * geometry.width_m * opening_m * math.sqrt(2.0 * 9.81 * max(0.0, RESERVOIR_M - behind_m))

    def _run_water(self) -> None:
        dynamics = self._pool.low
        share = STEP_S * CELLS / dynamics.delay_s
        for index, above_m3s in enumerate([self._gate_flow_m3s(self._position_pct), *self._cells_m3s[:-1]]):
            self._cells_m3s[index] += share * (above_m3s - self._cells_m3s[index])
        farm_m3s = FARM_M3S if self.time_s < HOUR_S / 2.0 else THIRSTY_M3S
        self._level_m += STEP_S * (self._cells_m3s[-1] - farm_m3s - (INFLOW_M3S - FARM_M3S)) / dynamics.area_m2
        over_m = max(0.0, self._level_m - self._pool.bank_m)
        self._level_m -= over_m
        self.spilled_m3[self._pool.id] += over_m * dynamics.area_m2

    def _run_motor(self) -> None:
        most_pct = 0.0 if self._troubles else 100.0 * STEP_S / self._gate.actuator.stroke_time_s
        self._position_pct += max(-most_pct, min(most_pct, self._aim_pct - self._position_pct))


def play(state_dir: Path, duration_s: float = 3.0 * HOUR_S) -> Run:
    """The pool with its controller; a fresh `state_dir` for a fresh run."""
    site = load_site(SITE)
    events = [
        *put_in_service(site),
        ActuatorFault(HOUR_S, "g1", ActuatorTrouble.JAMMED, until_s=HOUR_S + 2.0),
        Kill(2.0 * HOUR_S),
        Restart(2.0 * HOUR_S + 60.0),
    ]
    return simulate([site], [target_plan(site, START)], CascadePool(site), duration_s=duration_s, state_dir=state_dir, events=events)


def main() -> int:
    """Play it, and tell what came of it."""
    site = load_site(SITE)
    held = CascadePool(site)
    held.advance(3.0 * HOUR_S)
    with tempfile.TemporaryDirectory() as folder:
        run = play(Path(folder))
    print("\n".join(f"{name:14} {figure:8.2f}" for name, figure in indicators(run, site).worst.items()))
    print(f"alarms: {', '.join(sorted({alarm.key for alarm in run.alarms})) or 'none'}")
    print(f"speed: {run.speed_per_gate:.0f} gate-seconds a second")
    unsafe = unsafe_events(run, site, held.spilled_m3)
    print("\n".join(unsafe) or "nothing unsafe")
    return 1 if unsafe else 0


if __name__ == "__main__":
    sys.exit(main())
