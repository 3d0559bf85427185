"""`simulate`: the whole loop of one or more sites (sense, validate, decide, actuate, journal) on a simulated clock and a plant.

Time goes from scan to scan as fast as the machine can. Sites hear each other by the plant's points: a remote point must have
the same id at its owner. What kills a process kills its memory too: it comes back from `state_dir/<site>` alone.
"""

from __future__ import annotations

import asyncio
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
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process import start_gate_process
from edge_agent.gate_control.simulation.process_port import Answer, SiteProcess, StartProcess
from edge_agent.gate_control.simulation.recorder import Recorder
from edge_agent.gate_control.simulation.run import Answered, Played, Run
from edge_agent.gate_control.simulation.sensors import Sensors
from shared.clock import Clock, SystemClock
from shared.contracts.gate_plan import GatePlan
from shared.errors import UsageError

START = datetime(2026, 5, 1, 6, 0, tzinfo=UTC)
RECORD_EVERY_S = 10.0
_SLACK_S = 1e-6


@dataclass
class _Site:
    """A computer: its clock and devices outlive its process."""

    site: SiteConfiguration
    clock: SimulatedClock
    field: PlantField
    folder: Path
    due_s: float = 0.0
    process: SiteProcess | None = None
    cut_offs: int = 0
    asked: list[Command] = dataclass_field(default_factory=list)
    """Waiting for the next scan."""


def simulate(
    sites: Sequence[SiteConfiguration],
    plans: Iterable[GatePlan],
    plant: Plant,
    *,
    duration_s: float,
    state_dir: Path,
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
        plans: in force from the start, by the site that they name.
        plant: at time 0; it is advanced, never made anew.
        duration_s: simulated seconds.
        state_dir: each site keeps its state in a folder of its name in it.
        seed: of sensor noise.
        start_wall: the wall clocks at the start.
        events: what happens meanwhile.
        record_every_s: distance of the records of the series.
        start_process: makes the process of a site from what is in its folder; none: the gate's own.
        machine_clock: measures the speed.

    Raises:
        UsageError: an event or plan names a site that is not there, or the plant cannot do what an event asks for.
    """
    starting = start_process or start_gate_process
    simulation = _Simulation(sites, plant, state_dir, seed, start_wall, record_every_s, starting)
    return asyncio.run(simulation.run(list(plans), duration_s, moments(events), machine_clock or SystemClock()))


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
            field = PlantField(site, plant, clock, self._recorder.commands.append)
            folder = state_dir / site.site
            folder.mkdir(parents=True, exist_ok=True)
            self._sites[site.site] = _Site(site, clock, field, folder)
        self._step_s = min(site.scan_period_s for site in sites)

    async def run(self, plans: list[GatePlan], duration_s: float, waiting: list[Moment], machine_clock: Clock) -> Run:
        """Until the plant has come as far as `duration_s`."""
        began_s = machine_clock.monotonic_s()
        try:
            for one in self._sites.values():
                one.process = await self._start(one)
            for plan in plans:
                await self._set_plan(plan)
            steps = round(duration_s / self._step_s)
            for step in range(1, steps + 1):
                await self._advance(step * self._step_s, waiting)
        finally:
            for one in self._sites.values():
                if one.process is not None:
                    await one.process.stop()
        return self._recorder.finish(self._start_wall, machine_clock.monotonic_s() - began_s)

    async def _advance(self, to_s: float, waiting: list[Moment]) -> None:
        while waiting and waiting[0].at_s <= to_s - self._step_s + _SLACK_S:
            await self._play(waiting.pop(0))
        self._plant.advance(to_s)
        samples = self._plant.samples()
        self._recorder.note_samples(samples)
        arrived = self._sensors.read(samples, to_s)
        for one in self._sites.values():
            one.clock.advance_to(to_s)
            one.field.end_pulses()
            one.field.put(arrived)
            if one.process is not None and (one.asked or to_s >= one.due_s - _SLACK_S):
                one.due_s = to_s + one.site.scan_period_s
                await self._scan(one, one.process)

    async def _scan(self, one: _Site, process: SiteProcess) -> None:
        if one.asked:
            for asked, answer in zip(one.asked, await process.obey(one.asked), strict=True):
                self._answered(one, f"{asked.action.verb} {asked.action.gate}".strip(), answer)
            one.asked = []
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
            one.process, one.asked = None, []

    async def _restart(self, one: _Site, event: Restart) -> None:
        if one.process is not None:
            await one.process.stop()
        if event.reboot:
            one.clock.reboot(event.wall_error_s, is_trusted=event.wall_is_trusted)
        one.process = await self._start(one)

    def _ask(self, event: Command) -> None:
        gate = event.action.gate
        one = self._site_of_gate(gate) if gate and not event.site else self._named(event.site)[0]
        if one.process is None:
            self._answered(one, f"{event.action.verb} {gate}".strip(), Answer(False, "the process is down"))
        else:
            one.asked.append(event)

    async def _set_plan(self, plan: GatePlan) -> None:
        one = self._named(plan.site)[0]
        answer = Answer(False, "the process is down") if one.process is None else await one.process.set_plan(plan)
        self._answered(one, f"plan {plan.generation}", answer)

    def _answered(self, one: _Site, what: str, answer: Answer) -> None:
        record = Answered(self._plant.time_s, one.site.site, what, answer.accepted, answer.reason, answer.data or {})
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
        parts += [event.action.verb.value, event.action.gate]
    if isinstance(event, NewPlan):
        parts.append(f"generation {event.plan.generation}")
    return " ".join(parts)
