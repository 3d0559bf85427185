"""`simulate`: the whole loop of one or more sites (sense, validate, decide, actuate, journal) on a simulated clock and a plant.

Time goes from scan to scan as fast as the machine can. Sites hear each other by the plant's points: a remote point must have
the same id at its owner. What kills a process kills its memory too: it comes back from `state_dir/<site>` alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.events import (
    ActuatorFault,
    ClockStep,
    Command,
    Event,
    Handwheel,
    Kill,
    LinkCut,
    Moment,
    NewPlan,
    Restart,
    SensorFault,
    WriteFault,
    moments,
)
from edge_agent.gate_control.simulation.plant import FaultyPlant, Plant
from edge_agent.gate_control.simulation.plant_field import NEVER_S, PlantField
from edge_agent.gate_control.simulation.process import start_gate_process
from edge_agent.gate_control.simulation.process_port import Answer, SiteProcess, StartProcess
from edge_agent.gate_control.simulation.recorder import Recorder
from edge_agent.gate_control.simulation.run import Answered, Played, Run
from edge_agent.gate_control.simulation.sensors import Sensors
from edge_agent.gate_control.simulation.story import check_story
from shared.clock import Clock, SystemClock
from shared.contracts.gate_plan import GatePlan
from shared.errors import UsageError

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
RECORD_EVERY_S = 10.0
ANSWERED_WITHIN_S = 1.0
"""What people ask wakes the loop: they are answered by the next scan, at the latest after so long, whatever the scan period."""
_SLACK_S = 1e-6


@dataclass
class _Site:
    """A computer: its clock and devices outlive its process."""

    site: SiteConfiguration
    clock: SimulatedClock
    field: PlantField
    folder: Path
    due_s: float
    """The next scan of the grid."""
    process: SiteProcess | None = None
    cut_offs: int = 0
    asked: list[Command] = dataclass_field(default_factory=list)
    """Waiting for the next scan."""
    answers_by_s: float = NEVER_S
    """People are answered by a scan of their own, where the grid's is too far."""


def simulate(
    sites: Sequence[SiteConfiguration],
    plans: Iterable[GatePlan],
    plant: Plant,
    *,
    duration_s: float,
    state_dir: Path | str,
    seed: int = 1,
    start_wall: datetime = START,
    events: Iterable[Event] = (),
    record_every_s: float = RECORD_EVERY_S,
    start_process: StartProcess | None = None,
    machine_clock: Clock | None = None,
) -> Run:
    """Run sites on a plant for `duration_s` of its time; to be called outside of an event loop.

    Args:
        sites: as `site.yaml` says; a scan of each every `scan_period_s`.
        plans: brought at the start, to the site that they name; whether they were accepted stands in `Run.answers`.
        plant: at time 0; it is advanced, never made anew.
        duration_s: simulated seconds.
        state_dir: each site keeps its state in a folder of its name in it, and goes on from what it finds there: a fresh folder for
            a fresh run.
        seed: of sensor noise.
        start_wall: the wall clocks at the start, with a time zone.
        events: what happens meanwhile, in any order; at the same time as given.
        record_every_s: distance of the records of the series.
        start_process: makes the process of a site from what is in its folder; none: the gate's own.
        machine_clock: measures the speed.

    Raises:
        UsageError: what is asked for cannot be played: an event names what is not there, the plant lacks what an event needs,
            or it is called inside an event loop.
    """
    chosen, planned, told = list(sites), list(plans), list(events)
    _check_place()
    check_story(chosen, planned, plant, told, duration_s, start_wall)
    starting = start_process or start_gate_process
    simulation = _Simulation(chosen, plant, Path(state_dir), seed, start_wall, record_every_s, starting)
    return asyncio.run(simulation.run(planned, duration_s, moments(told), machine_clock or SystemClock()))


def _check_place() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError("runs an event loop of its own", subject="simulate", remedy="from inside one: await asyncio.to_thread(simulate, ...)")


class _Simulation:
    def __init__(
        self,
        sites: Sequence[SiteConfiguration],
        plant: Plant,
        state_dir: Path,
        seed: int,
        start_wall: datetime,
        record_every_s: float,
        start_process: StartProcess,
    ) -> None:
        self._plant = plant
        self._start_wall = start_wall
        self._start_process = start_process
        self._recorder = Recorder(sites, plant, record_every_s)
        # an owner's settings of a point count, not those of a site that only hears it
        points = {point.id: point for site in sites for point in site.points}
        points |= {point.id: point for site in sites for point in site.points if not point.remote}
        self._sensors = Sensors(points, seed)
        self._sites: dict[str, _Site] = {}
        for site in sites:
            clock = SimulatedClock(start_wall, site.site)
            field = PlantField(site, plant, clock, self._recorder.note_command)
            folder = state_dir / site.site
            folder.mkdir(parents=True, exist_ok=True)
            self._sites[site.site] = _Site(site, clock, field, folder, site.scan_period_s)
        self._now_s = 0.0

    async def run(self, plans: list[GatePlan], duration_s: float, waiting: list[Moment], machine_clock: Clock) -> Run:
        """Until `duration_s`."""
        began_s = machine_clock.monotonic_s()
        try:
            for one in self._sites.values():
                one.process = await self._start(one)
            for plan in plans:
                await self._set_plan(plan)
            while self._now_s < duration_s - _SLACK_S:
                await self._play_due(waiting)
                await self._advance(self._next_s(duration_s, waiting))
            for one in self._sites.values():
                self._give_up(one, "the simulation ended before it was answered")
        finally:
            for one in self._sites.values():
                if one.process is not None:
                    await one.process.stop()
        return self._recorder.finish(self._start_wall, duration_s, machine_clock.monotonic_s() - began_s)

    async def _play_due(self, waiting: list[Moment]) -> None:
        while waiting and waiting[0].at_s <= self._now_s + _SLACK_S:
            await self._play(waiting.pop(0))

    def _next_s(self, end_s: float, waiting: list[Moment]) -> float:
        """When something happens next: a scan, an event, the end of a pulse."""
        next_s = min(end_s, waiting[0].at_s) if waiting else end_s
        for one in self._sites.values():
            next_s = min(next_s, one.due_s, one.answers_by_s, one.field.pulse_ends_s)
        return max(next_s, self._now_s)

    async def _advance(self, to_s: float) -> None:
        self._now_s = to_s
        self._plant.advance(to_s)
        samples = self._plant.samples()
        self._recorder.note_samples(samples, to_s)
        arrived = self._sensors.read(samples, to_s)
        for one in self._sites.values():
            one.clock.advance_to(to_s)
            one.field.end_pulses()
            one.field.put(arrived)
            is_due = to_s >= one.due_s - _SLACK_S
            if is_due:
                one.due_s = one.site.scan_period_s * (math.floor(to_s / one.site.scan_period_s + _SLACK_S) + 1)
            if one.process is not None and (is_due or to_s >= one.answers_by_s - _SLACK_S):
                await self._scan(one, one.process)

    async def _scan(self, one: _Site, process: SiteProcess) -> None:
        if one.asked:
            asked, one.asked, one.answers_by_s = one.asked, [], NEVER_S
            for command, answer in zip(asked, await process.obey(asked), strict=True):
                self._answered(one, _describe_action(command), answer)
        else:
            await process.scan()
        self._recorder.scans += 1
        one.field.modes = process.modes()
        self._recorder.note_modes(one.site.site, one.field.modes)
        self._recorder.note_alarms(one.site.site, process.alarms())

    async def _play(self, moment: Moment) -> None:
        event = moment.event
        self._recorder.played.append(Played(moment.at_s, f"{'' if moment.begins else 'end of '}{_describe(event)}"))
        match event:
            case Kill():
                for one in self._named(event.site):
                    await self._kill(one)
            case Restart():
                for one in self._named(event.site):
                    await self._restart(one, event)
            case ClockStep():
                for one in self._named(event.site):
                    one.clock.step(event.step_s, is_trusted=event.wall_is_trusted)
            case LinkCut():
                for one in self._named(event.site):
                    one.cut_offs += 1 if moment.begins else -1
                    one.field.is_cut_off = one.cut_offs > 0
            case Command():
                self._ask(event)
            case NewPlan():
                await self._set_plan(event.plan)
            case SensorFault():
                self._sensors.begin(event) if moment.begins else self._sensors.end(event)
            case WriteFault():
                refusing = self._site_of_gate(event.gate).field.refusing
                refusing.add(event.gate) if moment.begins else refusing.discard(event.gate)
            case ActuatorFault():
                self._faulty_plant().set_trouble(event.gate, event.trouble, on=moment.begins)
            case Handwheel():
                self._faulty_plant().move_by_hand(event.gate, event.opening_pct)

    async def _start(self, one: _Site) -> SiteProcess:
        one.field.forget()
        one.field.modes = {}
        return await self._start_process(one.site, one.field, one.clock, one.folder)

    async def _kill(self, one: _Site) -> None:
        if one.process is not None:
            await one.process.kill()
            one.process = None
            one.field.forsake_pulses()
            self._give_up(one, "the process died before it answered")

    async def _restart(self, one: _Site, event: Restart) -> None:
        if one.process is not None:
            await one.process.stop()
            self._give_up(one, "the process ended before it answered")
        if event.reboot:
            one.clock.reboot(event.wall_error_s, is_trusted=event.wall_is_trusted)
        one.process = await self._start(one)

    def _ask(self, event: Command) -> None:
        gate = event.action.gate
        one = self._site_of_gate(gate) if gate and not event.site else self._named(event.site)[0]
        if one.process is None:
            self._answered(one, _describe_action(event), Answer(False, "the process is down"))
        else:
            one.asked.append(event)
            one.answers_by_s = min(one.answers_by_s, self._now_s + ANSWERED_WITHIN_S)

    def _give_up(self, one: _Site, why: str) -> None:
        """Nobody will answer what was asked."""
        for asked in one.asked:
            self._answered(one, _describe_action(asked), Answer(False, why))
        one.asked, one.answers_by_s = [], NEVER_S

    async def _set_plan(self, plan: GatePlan) -> None:
        one = self._named(plan.site)[0]
        answer = Answer(False, "the process is down") if one.process is None else await one.process.set_plan(plan)
        self._answered(one, f"plan {plan.generation}", answer)

    def _answered(self, one: _Site, what: str, answer: Answer) -> None:
        record = Answered(self._now_s, one.site.site, what, answer.accepted, answer.reason, answer.data or {})
        self._recorder.answers.append(record)

    def _named(self, name: str) -> list[_Site]:
        if not name:
            return list(self._sites.values())
        if name not in self._sites:
            raise UsageError("is not simulated", subject=f"site {name}", remedy=f"name one of {', '.join(self._sites)}")
        return [self._sites[name]]

    def _site_of_gate(self, gate: str) -> _Site:
        for one in self._sites.values():
            if one.site.gate(gate) is not None:
                return one
        raise UsageError("is at no simulated site", subject=f"gate {gate}", remedy="check the event's gate")

    def _faulty_plant(self) -> FaultyPlant:
        if not isinstance(self._plant, FaultyPlant):
            raise UsageError("knows no faults", subject="this plant", remedy="give it set_trouble and move_by_hand, or leave out the event")
        return self._plant


def _describe(event: Event) -> str:
    parts = [type(event).__name__]
    told = [getattr(event, name, "") for name in ("site", "gate", "point", "trouble", "step_s", "value")]
    parts += [f"{value:g}" if isinstance(value, float) else str(value) for value in told if value]
    if isinstance(event, Command):
        parts.append(_describe_action(event))
    if isinstance(event, NewPlan):
        parts.append(f"generation {event.plan.generation}")
    return " ".join(parts)


def _describe_action(event: Command) -> str:
    """`move g1 (opening_pct 30, expires_after_s 60)`."""
    action = event.action
    params = getattr(action, "params", {})
    told = ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in params.items())
    return f"{action.verb} {action.gate}".strip() + (f" ({told})" if told else "")
