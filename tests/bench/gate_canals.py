"""Canals, disturbances and variants that gate control is judged on; the inputs of the benches, so that others can repeat them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce import CANAL_1, CANAL_2, AsceCanal
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site, target_plan
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import Event, SensorFault, SensorTrouble, put_in_service
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.indicators import Indicators, indicators, unsafe_events
from edge_agent.gate_control.simulation.integrator_delay import CanalSettings, canal_of
from edge_agent.gate_control.simulation.plant import Plant, SpillingPlant
from edge_agent.gate_control.simulation.run import Run
from edge_agent.gate_control.simulation.swmm import SwmmCanal, SwmmSettings
from edge_agent.gate_control.simulation.swmm_input import FLAT, STEEP

HOUR_S = 3600.0
CANALS = (CANAL_1, CANAL_2)
MARGIN_DEG = {"asce-1": 50.0, "asce-2": 52.0}
"""Of every loop, in every variant; `check` lets nothing below 45 pass."""
SCAN_S = 10.0
"""The level loops act each 60 s (canal 1) or 300 s (canal 2)."""
DEADBAND_M = {"asce-1": 0.002, "asce-2": 0.005}
"""About 1 % to 4 % of what the gates carry, on either canal; on canal 1 no less can be set."""
CHANGE_S = 2 * HOUR_S
LAST_S = 12 * HOUR_S
LATE_S = 300.0
CHANGES = {
    # +0.5, +0.3 and -0.2 m3/s: +22 % of the inflow, in three pools at once
    "asce-2": (DemandChange(CHANGE_S, "t2", 0.8), DemandChange(CHANGE_S, "t4", 0.6), DemandChange(CHANGE_S, "t7", 0.0)),
    # half as much again at the longest pool
    "asce-1": (DemandChange(CHANGE_S, "t5", 0.15),),
}

AS_CONFIGURED = "as configured"
CD_LOW = "Cd 18 % low"
NOISE = "3 mm noise"
LATE = "data 5 min late"


@dataclass(frozen=True)
class Variant:
    """How the controller's world differs from the plant."""

    name: str
    cd: float = 0.61
    """That the controller believes in; the plant's is 0.61."""
    noise_m: float = 0.0
    late_s: float = 0.0
    """Age of every level; the gains are made for it, as `lag_s`."""

    def options(self, canal: AsceCanal) -> SiteOptions:
        """The site on a canal."""
        return SiteOptions(
            tune=lambda pool, period_s: tune_loop(pool, MARGIN_DEG[canal.name], control_period_s=period_s, lag_s=self.late_s),
            cd=self.cd,
            noise_m=self.noise_m,
            scan_period_s=SCAN_S,
            deadband_m=DEADBAND_M[canal.name],
        )


VARIANTS = (Variant(AS_CONFIGURED), Variant(CD_LOW, cd=0.50), Variant(NOISE, noise_m=0.003), Variant(LATE, late_s=LATE_S))

MAE, IAE, STE, IAQ, STARTS, TRAVEL = "MAE %", "IAE %", "StE %", "IAQ m3/s", "starts/day", "travel m/day"
_CANAL_1 = {MAE: 17.7, IAE: 3.1, STE: 0.9, IAQ: 0.4}
GOALS: Mapping[tuple[str, str], Mapping[str, float]] = {
    ("asce-1", AS_CONFIGURED): _CANAL_1,
    # there are no rows of canal 1 with a wrong Cd or noise: held to that without
    ("asce-1", CD_LOW): _CANAL_1,
    ("asce-1", NOISE): _CANAL_1,
    # late: nothing but the largest error was told
    ("asce-1", LATE): {MAE: 22.4},
    ("asce-2", AS_CONFIGURED): {MAE: 4.3, IAE: 2.0, STE: 0.6, IAQ: 1.2, STARTS: 19, TRAVEL: 0.11},
    ("asce-2", CD_LOW): {MAE: 3.5, IAE: 1.5, STE: 0.3, IAQ: 0.9, STARTS: 19, TRAVEL: 0.12},
    ("asce-2", NOISE): {MAE: 4.1, IAE: 2.0, STE: 0.6, IAQ: 1.1, STARTS: 18, TRAVEL: 0.11},
    ("asce-2", LATE): {MAE: 4.3, IAE: 1.9, STE: 0.5, IAQ: 1.1, STARTS: 20, TRAVEL: 0.12},
}
"""PI with filter and decoupler on SWMM, with like changes, the largest over pools and gates."""
WORSE_SHARE = 0.1
"""MAE and IAE must be better; the other columns may be worse by no more than that."""


def misses(canal: str, variant: str, worst: Mapping[str, float]) -> tuple[str, ...]:
    """Columns that do not come up to the row that they are held against, each as `StE % 1.2 > 0.99`."""
    found: list[str] = []
    for column, row in GOALS[canal, variant].items():
        most = row if column in (MAE, IAE) else row * (1.0 + WORSE_SHARE)
        if worst[column] > most or (worst[column] == most and column in (MAE, IAE)):
            found.append(f"{column} {worst[column]:.3g} > {most:.3g}")
    return tuple(found)


@dataclass(frozen=True)
class Judged:
    """One run."""

    run: Run
    found: Indicators
    unsafe: tuple[str, ...]


@contextmanager
def plant_of(kind: Literal["swmm", "id"], canal: AsceCanal, site: SiteConfiguration, changes: Sequence[DemandChange]) -> Iterator[Plant]:
    """A canal with its disturbances."""
    if kind == "id":
        # the plant's gates keep the textbook's coefficient, whatever the controller believes
        believed = next(iter(site.gates())).geometry.cd
        yield canal_of(site, CanalSettings(cd_error=0.61 / believed - 1.0), changes)
        return
    with SwmmCanal(canal, site, SwmmSettings(spacing=FLAT if canal.name == "asce-2" else STEEP), changes) as plant:
        yield plant


def judge(kind: Literal["swmm", "id"], canal: AsceCanal, variant: Variant, duration_s: float = LAST_S) -> Judged:
    """Twelve hours of a canal with eight gates under control, and what it would have spilled without."""
    site = asce_site(canal, variant.options(canal))
    changes = CHANGES[canal.name]
    events: list[Event] = list(put_in_service(site))
    if variant.late_s:
        points = [pool.tail_levels[0] for pool in site.pools if pool.inlet is not None]
        events += [SensorFault(60.0, point, SensorTrouble.LATE, value=variant.late_s) for point in points]
    with plant_of(kind, canal, site, changes) as plant:
        plant.advance(duration_s)
        held_m3 = dict(plant.spilled_m3) if isinstance(plant, SpillingPlant) else {}
    with plant_of(kind, canal, site, changes) as plant, tempfile.TemporaryDirectory(prefix="munbon-bench-") as folder:
        run = simulate([site], [target_plan(site, START)], plant, duration_s=duration_s, state_dir=Path(folder), events=events)
    return Judged(run, indicators(run, site), unsafe_events(run, site, held_m3))
