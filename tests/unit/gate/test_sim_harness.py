"""The harness by itself, with a process that is no gate control at all: it counts what it reads, and moves as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import MoveTo, Sample
from edge_agent.gate_control.simulation.asce import CANAL_1, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.events import (
    ActuatorFault,
    ClockStep,
    Command,
    Event,
    Handwheel,
    Kill,
    LinkCut,
    NewPlan,
    Restart,
    SensorFault,
    SensorTrouble,
    WriteFault,
    power_cut,
)
from edge_agent.gate_control.simulation.harness import START, simulate
from edge_agent.gate_control.simulation.integrator_delay import canal_of
from edge_agent.gate_control.simulation.plant import ActuatorTrouble, Plant
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process_port import Answer
from edge_agent.gate_control.simulation.run import Run
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateDirective, GatePlan, PositionObjective
from shared.errors import UsageError

STOP_G1 = GateAction(gate="g1", verb=GateVerb.STOP)


class Scribe:
    """A process that writes down what it saw in its folder, and holds `g1` where its plan says."""

    def __init__(self, site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> None:
        self.site, self.field, self.clock, self.folder = site, field, clock, folder
        self.plan: GatePlan | None = None
        self.samples: list[Sample] = []
        self.scans: list[tuple[float, str, float]] = []
        self.ended = ""
        lives = folder / "lives"
        lives.write_text(str(int(lives.read_text()) + 1 if lives.exists() else 1))

    async def scan(self) -> None:
        self.samples += await self.field.read(0.6)
        self.scans.append((self.clock.monotonic_s(), self.clock.boot_id(), (self.clock.wall() - START).total_seconds()))
        directive = self.plan.gates.get("g1") if self.plan else None
        if directive is not None and isinstance(directive.objective, PositionObjective):
            await self.field.act([MoveTo("g1", directive.objective.opening_pct, "as planned")], 0.3)

    async def obey(self, commands: Sequence[Command]) -> list[Answer]:
        await self.scan()
        return [Answer(command.role >= 2, "noted", {"by": command.author}) for command in commands]

    async def set_plan(self, plan: GatePlan) -> Answer:
        self.plan = plan
        return Answer(True)

    def alarms(self) -> Mapping[str, tuple[str, str, str]]:
        return {"g1/watched": ("unacknowledged", "low", "always")} if len(self.scans) < 5 else {}

    def modes(self) -> Mapping[str, str]:
        return {"g1": "AUTO" if self.plan else "HOLD"}

    async def kill(self) -> None:
        self.ended = "killed"

    async def stop(self) -> None:
        self.ended = "stopped"


def site(name: str = "canal", *, remote: bool = False) -> SiteConfiguration:
    canal = first_pools(CANAL_1, 2)
    options = SiteOptions(tune=lambda pool, period_s: tune_loop(pool, 50.0, control_period_s=period_s), site=name)
    made = asce_site(canal, options)
    if not remote:
        return made
    points = tuple(point.model_copy(update={"remote": "canal"}) if point.id == "p2.tail" else point for point in made.points)
    return made.model_copy(update={"points": points})


def run(
    tmp_path: Path, *events: Event, plans: tuple[GatePlan, ...] = (), duration_s: float = 60.0, plant: Plant | None = None, **options: Any
) -> tuple[Run, list[Scribe]]:
    lives: list[Scribe] = []
    sites = options.pop("sites", [site()])

    async def start(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> Scribe:
        lives.append(Scribe(site, field, clock, folder))
        return lives[-1]

    plant = plant or canal_of(sites)
    found = simulate(
        sites, plans, plant, duration_s=duration_s, state_dir=tmp_path, events=events, start_process=start, record_every_s=1.0, **options
    )
    return found, lives


def plan(opening_pct: float, generation: int = 1) -> GatePlan:
    directive = GateDirective(objective=PositionObjective(opening_pct=opening_pct))
    return GatePlan(site="canal", generation=generation, valid_from=START, gates={"g1": directive})


def readings(life: Scribe, point: str) -> list[Sample]:
    return [sample for sample in life.samples if sample.point == point]


def test_a_scan_a_second_and_the_whole_story_in_the_run(tmp_path: Path) -> None:
    found, (life,) = run(tmp_path, plans=(plan(30.0),))
    assert found.scans == len(life.scans) == 60
    assert found.duration_s == 60.0
    assert found.series["g1.position"].at(60.0) == pytest.approx(30.0)
    assert found.series["flow:g1"].at(60.0) > found.series["flow:g1"].at(1.0)
    assert (found.starts["g1"], found.starts["g2"]) == (1, 0)
    assert found.travel_m["g1"] == pytest.approx((30.0 - found.series["g1.position"].at(1.0)) / 100.0, abs=0.01)
    assert found.commands[0].verb == "move"
    assert found.commands[0].mode == ""
    assert found.commands[-1].mode == "AUTO"
    assert [alarm.change for alarm in found.alarms] == ["unacknowledged", "normal"]
    assert found.alarm_times_s("watched") == (1.0,)
    assert found.mode_at("g1", 30.0) == "AUTO"
    assert found.spilled_m3["p1"] == 0.0
    assert found.speed_per_gate == pytest.approx(2 * found.speed)
    assert life.ended == "stopped"


def test_a_killed_process_leaves_its_gate_moving_and_comes_back_from_its_folder(tmp_path: Path) -> None:
    found, (first, second) = run(tmp_path, NewPlan(5.0, plan(60.0)), Kill(7.0), Restart(40.0))
    assert first.ended == "killed"
    assert len(first.scans) == 7
    assert found.series["g1.position"].at(60.0) > 50.0
    assert second.plan is None
    assert (tmp_path / "canal" / "lives").read_text() == "2"
    assert second.scans[0][:2] == (41.0, "boot-canal-1")


def test_after_a_power_cut_the_clocks_are_new(tmp_path: Path) -> None:
    _, (_, second) = run(tmp_path, *power_cut(10.0, 20.0))
    monotonic_s, boot_id, wall_s = second.scans[0]
    assert (monotonic_s, boot_id) == (1.0, "boot-canal-2")
    assert wall_s == pytest.approx(31.0 - 20.0)
    assert not second.clock.is_synchronised()
    assert readings(second, "p1.tail")[0].sampled_at_s == pytest.approx(1.0)


def test_the_wall_clock_steps_and_nothing_else(tmp_path: Path) -> None:
    _, (life,) = run(tmp_path, ClockStep(10.0, -3600.0, wall_is_trusted=False))
    assert [wall_s for _, _, wall_s in life.scans[9:11]] == pytest.approx([10.0, 11.0 - 3600.0])
    assert [monotonic_s for monotonic_s, _, _ in life.scans[9:11]] == [10.0, 11.0]


@pytest.mark.parametrize(
    ("trouble", "value", "during", "after"),
    [
        (SensorTrouble.SILENT, 0.0, [None], 1),
        (SensorTrouble.STALE, 0.0, [None], 11),
        (SensorTrouble.FIXED, 7.0, [7.0], 1),
    ],
)
def test_a_sensor_goes_wrong_and_comes_back(tmp_path: Path, trouble: SensorTrouble, value: float, during: list[Any], after: int) -> None:
    _, (life,) = run(tmp_path, SensorFault(20.0, "p1.tail", trouble, until_s=30.0, value=value))
    found = readings(life, "p1.tail")
    wrong = [sample.value for sample in found if (sample.value is None or sample.value == 7.0)]
    assert wrong == during * 10
    back = [sample for sample in found if sample.value is not None and sample.value != 7.0 and sample.sampled_at_s > 20.0]
    assert len(back) == 30 - 1 + after
    assert [sample.sampled_at_s for sample in back] == sorted(sample.sampled_at_s for sample in back)


def test_a_late_sensor_says_how_old_its_values_are(tmp_path: Path) -> None:
    _, (life,) = run(tmp_path, SensorFault(10.0, "p1.tail", SensorTrouble.LATE, value=15.0))
    found = readings(life, "p1.tail")
    assert all(sample.value is None for sample in found[10:25])
    assert [sample.sampled_at_s for sample in found[25:30]] == [11.0, 12.0, 13.0, 14.0, 15.0]


def test_a_frozen_sensor_says_the_same_as_if_it_were_new(tmp_path: Path) -> None:
    faults = [SensorFault(10.0, "g1.position", SensorTrouble.FROZEN), SensorFault(10.0, "p2.tail", SensorTrouble.NAN)]
    _, (life,) = run(tmp_path, NewPlan(5.0, plan(60.0)), *faults)
    found = readings(life, "g1.position")[10:]
    assert len({sample.value for sample in found}) == 1
    assert found[-1].sampled_at_s == 60.0
    assert readings(life, "p2.tail")[-1].value != readings(life, "p2.tail")[-1].value


def test_noise_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    fault = SensorFault(0.0, "p1.tail", SensorTrouble.NOISE, value=0.01)
    values = [
        [sample.value for sample in readings(run(tmp_path / str(number), fault, seed=seed)[1][0], "p1.tail")]
        for number, seed in enumerate((1, 1, 2))
    ]
    assert values[0] == values[1] != values[2]
    assert len(set(values[0])) > 5


def test_a_cut_link_silences_remote_points_alone(tmp_path: Path) -> None:
    sites = [site(), site("south", remote=True)]
    _, lives = run(tmp_path, LinkCut(10.0, until_s=20.0, site="south"), sites=sites)
    north, south = sorted(lives, key=lambda life: life.site.site)
    assert all(sample.value is not None for sample in north.samples)
    silent = {sample.point for sample in south.samples if sample.value is None}
    assert silent == {"p2.tail"}
    assert len([sample for sample in south.samples if sample.value is None]) == 10


def test_actuators_go_wrong_and_writes_are_refused(tmp_path: Path) -> None:
    stuck = ActuatorFault(0.0, "g1", ActuatorTrouble.STUCK, until_s=30.0)
    found, _ = run(tmp_path, stuck, plans=(plan(30.0),))
    assert found.series["g1.position"].at(30.0) == found.series["g1.position"].at(1.0)
    assert found.series["g1.position"].at(60.0) == pytest.approx(30.0)
    refused, _ = run(tmp_path, WriteFault(0.0, "g1", until_s=20.0), plans=(plan(30.0),))
    assert {record.error for record in refused.commands if record.at_s <= 20.0} == {"the device refuses the write"}
    assert refused.commands[-1].error == ""
    turned, _ = run(tmp_path, Handwheel(10.0, "g2", 40.0))
    assert turned.series["g2.position"].at(60.0) == pytest.approx(40.0)


def test_commands_and_plans_are_answered_also_by_a_dead_process(tmp_path: Path) -> None:
    found, _ = run(tmp_path, Command(5.0, STOP_G1), Kill(10.0), Command(11.0, STOP_G1), NewPlan(12.0, plan(50.0)))
    assert [(answer.what, answer.accepted) for answer in found.answers] == [("stop g1", True), ("stop g1", False), ("plan 1", False)]
    assert found.answers[0].data == {"by": "operator"}
    assert [played.text for played in found.played] == ["Command stop g1", "Kill", "Command stop g1", "NewPlan generation 1"]


def test_an_event_that_cannot_happen_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="site nowhere"):
        run(tmp_path, Kill(5.0, "nowhere"))
    with pytest.raises(UsageError, match="gate g9"):
        run(tmp_path, WriteFault(5.0, "g9"))
    with pytest.raises(UsageError, match="knows no faults"):
        run(tmp_path, Handwheel(5.0, "g1", 1.0), plant=Bare())


class Bare:
    """The least that is a plant."""

    time_s = 0.0

    def advance(self, until_s: float) -> None:
        self.time_s = until_s

    def samples(self) -> list[Any]:
        return []

    def write(self, gate: str, command: object) -> None:
        raise KeyError(gate)


def test_who_sleeps_on_the_simulated_clock_is_woken_in_time(tmp_path: Path) -> None:
    import asyncio

    async def story() -> list[float]:
        clock, woken = SimulatedClock(START), list[float]()

        async def sleeper(delay_s: float) -> None:
            await clock.sleep(delay_s)
            woken.append(clock.monotonic_s())

        tasks = [asyncio.create_task(sleeper(delay_s)) for delay_s in (5.0, 2.0, 0.0)]
        for time_s in range(1, 7):
            clock.advance_to(float(time_s))
            await clock.sleep(0.0)
            await clock.sleep(0.0)
        await asyncio.gather(*tasks)
        assert clock.wall() - START == timedelta(seconds=6)
        return woken

    assert asyncio.run(story()) == [1.0, 3.0, 6.0]
