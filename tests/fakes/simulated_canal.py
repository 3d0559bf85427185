"""The upper pools of ASCE canal 1 with their gates as one site, run through the whole loop; short enough for a story each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce import CANAL_1, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site, target_plan
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import Event, put_in_service
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.indicators import unsafe_events
from edge_agent.gate_control.simulation.integrator_delay import Canal, canal_of
from edge_agent.gate_control.simulation.run import Run
from shared.contracts.gate_plan import GatePlan

MARGIN_DEG = 50.0
THIRSTY = (DemandChange(600.0, "t3", 0.2),)
"""The farm at pool 3 takes twice as much, so that gates have something to do."""


def small_site(pools: int = 3, **options: Any) -> SiteConfiguration:
    """Gates `g1` to `g<n>`, each with the far end of its pool to hold."""
    chosen = {"scan_period_s": 2.0, "noise_m": 0.0005, **options}
    return asce_site(
        first_pools(CANAL_1, pools),
        SiteOptions(tune=lambda pool, period_s: tune_loop(pool, MARGIN_DEG, control_period_s=period_s), **chosen),
    )


def run_site(
    site: SiteConfiguration,
    folder: Path,
    *events: Event,
    duration_s: float = 3600.0,
    changes: Sequence[DemandChange] = THIRSTY,
    plans: Sequence[GatePlan] | None = None,
    plant: Canal | None = None,
    seed: int = 1,
) -> Run:
    """Armed and in auto from the start, with every pool's target as the plan."""
    return simulate(
        [site],
        [target_plan(site, START)] if plans is None else plans,
        plant or canal_of(site, changes=changes),
        duration_s=duration_s,
        state_dir=folder,
        seed=seed,
        events=(*put_in_service(site), *events),
    )


def held_spill_m3(site: SiteConfiguration, duration_s: float, changes: Sequence[DemandChange] = THIRSTY) -> Mapping[str, float]:
    """What the canal spills when nobody moves a gate."""
    canal = canal_of(site, changes=changes)
    canal.advance(duration_s)
    return canal.spilled_m3


def assert_safe(run: Run, site: SiteConfiguration, changes: Sequence[DemandChange] = THIRSTY) -> None:
    """No unsafe event, as the whole project means it."""
    assert unsafe_events(run, site, held_spill_m3(site, run.duration_s, changes)) == ()


def commands_of(run: Run, gate: str, from_s: float = 0.0, to_s: float = float("inf")) -> list[tuple[float, float | None]]:
    """Time and opening of what a gate was told."""
    return [(record.at_s, record.opening_pct) for record in run.commands if record.gate == gate and from_s <= record.at_s <= to_s]


def alarms_of(run: Run, from_s: float = 0.0, to_s: float = float("inf")) -> dict[str, float]:
    """When each alarm was first raised in a time."""
    found: dict[str, float] = {}
    for alarm in run.alarms:
        if alarm.change == "unacknowledged" and from_s <= alarm.at_s <= to_s:
            found.setdefault(alarm.key, alarm.at_s)
    return found
