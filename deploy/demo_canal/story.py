"""The day, as data: canal, site, plan, disturbances and events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.asce import CANAL_1, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site, target_plan
from edge_agent.gate_control.simulation.demands import DemandChange
from edge_agent.gate_control.simulation.events import (
    ActuatorFault,
    ClockStep,
    Command,
    Event,
    SensorFault,
    SensorTrouble,
    power_cut,
    put_in_service,
)
from edge_agent.gate_control.simulation.plant import ActuatorTrouble
from edge_agent.gate_control.simulation.swmm import SwmmSettings
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GatePlan

HOUR_S = 3_600.0
DAY_S = 24 * HOUR_S
START = datetime(2026, 5, 1, 0, 0, tzinfo=UTC)
CANAL = first_pools(CANAL_1, 4)
MARGIN_DEG = 60.0
TAIL_M3S = 0.4
NOISE_M = 0.001
POWER_CUT_S = 20 * 60.0


@dataclass(frozen=True)
class Chapter:
    """One thing that goes wrong, and its words."""

    at_s: float
    told: str


CHAPTERS = (
    Chapter(3 * HOUR_S, "the farm at pool 3 takes twice as much, and tells nobody"),
    Chapter(7 * HOUR_S, "the level of pool 2 arrives 5 minutes late, for two hours"),
    Chapter(11 * HOUR_S, "the farm at pool 4 takes half as much, and gate 3 is stuck for 90 minutes"),
    Chapter(18 * HOUR_S, "mains and battery fail for 20 minutes; the computer wakes up with a wrong clock"),
)
UNANNOUNCED, LATE, STUCK, DARK = (chapter.at_s for chapter in CHAPTERS)


def site() -> SiteConfiguration:
    """Four gates of one site, tuned for a margin of 60 degrees."""
    options = SiteOptions(
        tune=lambda pool, period_s: tune_loop(pool, MARGIN_DEG, control_period_s=period_s),
        site="canal",
        noise_m=NOISE_M,
        scan_period_s=5.0,
    )
    return asce_site(CANAL, options)


def plan(canal_site: SiteConfiguration) -> GatePlan:
    """Every pool at its target depth."""
    return target_plan(canal_site, START)


def water() -> SwmmSettings:
    """Offtakes of 0.1 m3/s and 0.4 m3/s at the tail."""
    return SwmmSettings(tail_m3s=TAIL_M3S, duration_s=DAY_S + HOUR_S)


def demands() -> Sequence[DemandChange]:
    """What the farms do."""
    return (DemandChange(UNANNOUNCED, "t3", 0.2), DemandChange(STUCK, "t4", 0.05))


def events(canal_site: SiteConfiguration) -> tuple[Event, ...]:
    """What happens to the site. The stuck gate is freed, and then an operator gives it back to control."""
    freed_s = STUCK + 1.5 * HOUR_S
    return (
        *put_in_service(canal_site),
        SensorFault(LATE, "p2.tail", SensorTrouble.LATE, until_s=LATE + 2 * HOUR_S, value=300.0),
        ActuatorFault(STUCK, "g3", ActuatorTrouble.STUCK, until_s=freed_s),
        Command(freed_s + 300.0, GateAction(gate="g3", verb=GateVerb.RESET_TRIP)),
        *power_cut(DARK, POWER_CUT_S),
        ClockStep(DARK + POWER_CUT_S + 600.0, POWER_CUT_S),
    )


def disturbances(canal_site: SiteConfiguration) -> tuple[Event, ...]:
    """Those that stay when nobody controls anything."""
    return tuple(event for event in events(canal_site) if isinstance(event, ActuatorFault))
