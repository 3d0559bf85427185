"""Canals, disturbances and variants that gate control is judged on; the inputs of the benches, so that others can repeat them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
MARGIN_DEG = 46.0
"""One degree over the least that `check` lets pass."""
LATE_MARGIN_DEG = 60.0
"""Of a site whose data come late: the age that a loop bears is what its margin has over 30 degrees."""
CHANGE_S = 2 * HOUR_S
LAST_S = 12 * HOUR_S
LATE_S = 300.0
CHANGES = {
    # +26 % of the inflow, in three pools at once
    "asce-2": (DemandChange(CHANGE_S, "t2", 0.8), DemandChange(CHANGE_S, "t4", 0.6), DemandChange(CHANGE_S, "t7", 0.0)),
    # half as much again at the longest pool
    "asce-1": (DemandChange(CHANGE_S, "t5", 0.15),),
}


@dataclass(frozen=True)
class Variant:
    """How the controller's world differs from the plant."""

    name: str
    site: SiteOptions = field(default_factory=lambda: options())
    late_s: float = 0.0


def options(cd: float = 0.61, noise_m: float = 0.0, margin_deg: float = MARGIN_DEG) -> SiteOptions:
    """Scans of 10 s: the level loops act each 60 s or 300 s."""
    return SiteOptions(
        tune=lambda pool, period_s: tune_loop(pool, margin_deg, control_period_s=period_s), cd=cd, noise_m=noise_m, scan_period_s=10.0
    )


VARIANTS = (
    Variant("as configured"),
    Variant("Cd 18 % low", options(cd=0.50)),
    Variant("3 mm noise", options(noise_m=0.003)),
    Variant("data 5 min late", options(margin_deg=LATE_MARGIN_DEG), late_s=LATE_S),
)


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
    site = asce_site(canal, variant.site)
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


CANALS = (CANAL_1, CANAL_2)
