"""Whether a simulation can be played at all: said before it begins, not after an hour of it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import ACTUATOR_FACTS
from edge_agent.gate_control.simulation.events import ActuatorFault, Command, Event, Handwheel, NewPlan, SensorFault
from edge_agent.gate_control.simulation.plant import FaultyPlant, Plant
from shared.contracts.gate_plan import GatePlan
from shared.errors import UsageError

PLANT_MEMBERS = ("time_s", "advance", "samples", "write")
AT_ZERO_S = 1e-6


def check_story(
    sites: Sequence[SiteConfiguration],
    plans: Iterable[GatePlan],
    plant: Plant,
    events: Iterable[Event],
    duration_s: float,
    start_wall: datetime,
) -> None:
    """Nothing, when all of it can be played.

    Raises:
        UsageError: names the first thing that cannot, and what to do.
    """
    _check_frame(sites, plant, duration_s, start_wall)
    names = {site.site for site in sites}
    for plan in plans:
        _known(f"site {plan.site}", plan.site in names, names, f"plan {plan.generation} is for it")
    for event in events:
        _check_event(event, sites, plant)


def _check_frame(sites: Sequence[SiteConfiguration], plant: Plant, duration_s: float, start_wall: datetime) -> None:
    if not sites:
        raise UsageError("has no site", subject="the simulation", remedy="give it at least one, load_site(Path('site.yaml'))")
    twice = [name for name, count in Counter(site.site for site in sites).items() if count > 1]
    if twice:
        raise UsageError("is simulated twice", subject=f"site {twice[0]}", remedy="give each a name of its own: its state lies under it")
    if not (math.isfinite(duration_s) and duration_s > 0.0):
        raise UsageError("is no time to simulate", subject=f"duration_s {duration_s:g}", remedy="give seconds above 0")
    if start_wall.tzinfo is None:
        raise UsageError("has no time zone", subject=f"start_wall {start_wall}", remedy="say which: datetime(..., tzinfo=UTC)")
    missing = [name for name in PLANT_MEMBERS if not hasattr(plant, name)]
    if missing:
        raise UsageError(
            f"lacks {', '.join(missing)}",
            subject=f"plant {type(plant).__name__}",
            remedy="see docs/reference/plants.md for what a plant is",
        )
    if abs(plant.time_s) > AT_ZERO_S:
        raise UsageError(
            f"stands at {plant.time_s:g} s",
            subject=f"plant {type(plant).__name__}",
            remedy="a simulation begins at its time 0: make it anew",
        )


def _check_event(event: Event, sites: Sequence[SiteConfiguration], plant: Plant) -> None:
    kind = type(event).__name__
    until_s = getattr(event, "until_s", math.inf)
    if not (math.isfinite(event.at_s) and event.at_s >= 0.0):
        raise UsageError(
            "lies before the start", subject=f"{kind} at {event.at_s:g} s", remedy="times count from the start of the simulation"
        )
    if not until_s > event.at_s:
        raise UsageError(f"ends at {until_s:g} s", subject=f"{kind} at {event.at_s:g} s", remedy="until_s lies behind at_s")
    names = {site.site for site in sites}
    gates = {gate.id for site in sites for gate in site.gates()}
    site = event.plan.site if isinstance(event, NewPlan) else getattr(event, "site", "")
    gate = event.action.gate if isinstance(event, Command) else getattr(event, "gate", "")
    if site:
        _known(f"site {site}", site in names, names, f"{kind} at {event.at_s:g} s names it")
    elif isinstance(event, Command) and not gate and len(names) > 1:
        raise UsageError(
            "names neither gate nor site", subject=f"{kind} at {event.at_s:g} s", remedy=f"site is one of {', '.join(sorted(names))}"
        )
    if gate:
        _known(f"gate {gate}", gate in gates, gates, f"{kind} at {event.at_s:g} s names it")
    if isinstance(event, SensorFault):
        points = {point.id for one in sites for point in one.points}
        facts = {f"{name}.{fact}" for name in gates for fact in ACTUATOR_FACTS}
        _known(f"point {event.point}", event.point in points | facts, points, f"{kind} at {event.at_s:g} s names it")
    if isinstance(event, ActuatorFault | Handwheel) and not isinstance(plant, FaultyPlant):
        raise UsageError(
            "knows no faults",
            subject=f"plant {type(plant).__name__}",
            remedy=f"give it set_trouble and move_by_hand, or leave out the {kind}",
        )


def _known(subject: str, is_known: bool, names: Iterable[str], where: str) -> None:
    if not is_known:
        raise UsageError(f"is not simulated ({where})", subject=subject, remedy=f"name one of {', '.join(sorted(names))}")
