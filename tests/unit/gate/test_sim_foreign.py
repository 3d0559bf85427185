"""Plants of others: sparse, late, noisy, refusing. The harness takes them as they are, and its run stays true."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command as GateCommand
from edge_agent.gate_control.model.values import MoveTo, Pulse
from edge_agent.gate_control.model.values import Sample as Heard
from edge_agent.gate_control.simulation import (
    START,
    ActuatorFault,
    ActuatorTrouble,
    ClockStep,
    Command,
    Event,
    Kill,
    NewPlan,
    Restart,
    Run,
    Sample,
    SensorFault,
    SensorTrouble,
    Stop,
    put_in_service,
    simulate,
)
from edge_agent.gate_control.simulation.clocks import SimulatedClock
from edge_agent.gate_control.simulation.plant_field import PlantField
from edge_agent.gate_control.simulation.process_port import Answer
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateDirective, GatePlan, PositionObjective
from shared.errors import UsageError
from tests.fakes.foreign_plant import Tank
from tests.fakes.simulated_canal import small_site

SECONDLY = small_site(1, scan_period_s=1.0, noise_m=0.0)
STOP_G1 = GateAction(gate="g1", verb=GateVerb.STOP)
MOVE_G1 = GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 30.0, "expires_after_s": 60.0})


def relay_site(limit_s: float = 8.0) -> SiteConfiguration:
    """Its one gate is moved by relays, with a one-shot of `limit_s`."""
    document = small_site(1, scan_period_s=10.0, interlocks=False).model_dump(mode="json", by_alias=True)
    output = {"device": "plc", "register": 7, "table": "holding", "type": "bit", "bit": 0}
    relays = {"raise_output": output, "lower_output": {**output, "bit": 1}, "hardware_pulse_limit_s": limit_s}
    actuator = document["structures"][0]["gates"][0]["actuator"]
    actuator |= {"profile": "relays", "relays": relays, "desired_position": None, "status": None}
    return SiteConfiguration.model_validate(document)


def everything(tank: Tank) -> Iterator[Sample]:
    """Every second what a good plant tells."""
    if tank.time_s == round(tank.time_s):
        yield tank.position()
        yield from (Sample(point, tank.level_m, tank.time_s) for point in ("p1.tail", "p1.head", "reservoir"))


@dataclass
class Puppet:
    """A process that gives the commands it was made with, and writes down what it hears."""

    site: SiteConfiguration
    field: PlantField
    clock: SimulatedClock
    orders: dict[float, GateCommand] = made_by(default_factory=dict)
    scans_s: list[float] = made_by(default_factory=list)
    heard: list[tuple[float, Heard]] = made_by(default_factory=list)
    errors: list[str] = made_by(default_factory=list)

    async def scan(self) -> None:
        now_s = self.clock.monotonic_s()
        self.scans_s.append(round(now_s, 6))
        self.heard += [(round(now_s, 6), one) for one in await self.field.read(0.6)]
        due = [self.orders.pop(at_s) for at_s in list(self.orders) if at_s <= now_s]
        self.errors += [outcome.error for outcome in await self.field.act(due, 0.3)]

    async def obey(self, commands: Sequence[Command]) -> list[Answer]:
        await self.scan()
        return [Answer(True) for _ in commands]

    async def set_plan(self, plan: GatePlan) -> Answer:
        return Answer(True)

    def alarms(self) -> Mapping[str, tuple[str, str, str]]:
        return {}

    def modes(self) -> Mapping[str, str]:
        return {}

    async def kill(self) -> None:
        return

    async def stop(self) -> None:
        return


def puppets(
    tmp_path: Path,
    plant: Tank,
    *events: Event,
    sites: Sequence[SiteConfiguration],
    orders: dict[float, GateCommand] | None = None,
    **options: Any,
) -> tuple[Run, list[Puppet]]:
    """A run of processes that only do as they are told."""
    lives: list[Puppet] = []

    async def start(site: SiteConfiguration, field: PlantField, clock: SimulatedClock, folder: Path) -> Puppet:
        lives.append(Puppet(site, field, clock, orders if orders is not None else {}))
        return lives[-1]

    options.setdefault("duration_s", 60.0)
    return simulate(sites, [], plant, state_dir=tmp_path, events=events, start_process=start, **options), lives


def position_plan(opening_pct: float) -> GatePlan:
    directive = GateDirective(objective=PositionObjective(opening_pct=opening_pct))
    return GatePlan(site="canal", generation=1, valid_from=START, gates={"g1": directive})


def test_a_plant_that_refuses_a_write_is_a_device_that_refuses(tmp_path: Path) -> None:
    site, tank = small_site(1), Tank(everything, refuse=lambda tank: tank.time_s < 30.0)
    run = simulate([site], [position_plan(25.0)], tank, duration_s=120.0, state_dir=tmp_path, events=put_in_service(site))
    assert run.commands[0].error == "the plant does not take it: OSError: the line is noisy"
    assert tank.position_pct == pytest.approx(25.0, abs=0.5)
    assert [record.error for record in run.commands][-1] == ""


def test_an_actuator_that_tells_its_facts_once_or_never_is_moved_all_the_same(tmp_path: Path) -> None:
    """A status register holds what was put there; one that the plant leaves out says that all is well."""
    site = small_site(1)

    def told_once(tank: Tank) -> Iterator[Sample]:
        yield from everything(tank)
        if tank.time_s == 1.0:
            yield Sample("g1.remote", 1.0, 1.0)

    def told_local(tank: Tank) -> Iterator[Sample]:
        yield from everything(tank)
        if tank.time_s == 1.0:
            yield Sample("g1.remote", 0.0, 1.0)

    for number, (tell, mode) in enumerate([(everything, "AUTO"), (told_once, "AUTO"), (told_local, "LOCAL")]):
        run = simulate(
            [site], [position_plan(25.0)], Tank(tell), duration_s=60.0, state_dir=tmp_path / str(number), events=put_in_service(site)
        )
        assert run.mode_at("g1", 60.0) == mode
        assert bool(run.commands) is (mode == "AUTO")


def test_the_series_of_a_sparse_and_disorderly_plant_are_whole_and_rise(tmp_path: Path) -> None:
    def tell(tank: Tank) -> Iterator[Sample]:
        second = round(tank.time_s)
        if tank.time_s != second:
            return
        if second % 7 == 5:  # never at a whole ten
            yield Sample("p1.tail", float(second), tank.time_s)
            yield Sample("p1.tail", -1.0, tank.time_s - 3.0)
        yield Sample("p1.head", math.nan if second % 2 else 1.0, tank.time_s)
        yield Sample("reservoir", 99.0, tank.time_s, "bad")
        yield Sample("nobody.knows", 4.2, tank.time_s)
        yield Sample("g1.position", math.inf if second == 20 else tank.position_pct, tank.time_s)

    run, _ = puppets(tmp_path, Tank(tell), sites=[SECONDLY], orders={5.0: MoveTo("g1", 40.0, "try")})
    assert run.series["p1.tail"].values == (5.0, 19.0, 33.0, 47.0)
    assert set(run.series["p1.head"].values) == {1.0}
    assert "reservoir" not in run.series
    assert "nobody.knows" in run.series
    assert run.travel_m["g1"] == pytest.approx(0.2 * small_site(1).structures[0].gates[0].geometry.height_m, rel=0.02)
    assert run.starts["g1"] == 1


def test_a_slow_gate_seen_seldom_and_in_steps_has_started_once(tmp_path: Path) -> None:
    def tell(tank: Tank) -> Iterator[Sample]:
        if round(tank.time_s) == tank.time_s and round(tank.time_s) % 4 == 0:
            flicker = 0.1 * (round(tank.time_s) % 8 == 0 and tank.position_pct < 21.0)
            yield Sample("g1.position", round(tank.position_pct) + flicker, tank.time_s)

    run, _ = puppets(tmp_path, Tank(tell), sites=[small_site(1)], orders={12.0: MoveTo("g1", 50.0, "try")}, duration_s=90.0)
    assert run.starts["g1"] == 1


def test_each_site_is_scanned_in_its_own_period_and_the_run_is_as_long_as_asked(tmp_path: Path) -> None:
    sites = [small_site(1, scan_period_s=period_s, site=name) for period_s, name in ((1.0, "one"), (0.7, "two"), (10.0, "three"))]
    run, lives = puppets(tmp_path, Tank(everything), sites=sites, duration_s=25.3)
    assert run.duration_s == 25.3
    one, two, three = (life.scans_s for life in lives)
    assert one == [float(number) for number in range(1, 26)]
    assert two == pytest.approx([0.7 * number for number in range(1, 37)])
    assert three == [10.0, 20.0]


def test_people_are_answered_within_a_second_whatever_the_scan_period(tmp_path: Path) -> None:
    run, (life,) = puppets(
        tmp_path, Tank(everything), Command(12.3, STOP_G1), Command(12.3, MOVE_G1), sites=[small_site(1, scan_period_s=10.0)]
    )
    assert [answer.at_s for answer in run.answers] == pytest.approx([13.3, 13.3])
    assert [answer.what for answer in run.answers] == ["stop g1", "move g1 (opening_pct 30, expires_after_s 60)"]
    assert life.scans_s == pytest.approx([10.0, 13.3, 20.0, 30.0, 40.0, 50.0, 60.0])


def test_what_a_dying_process_was_asked_is_answered_for_it(tmp_path: Path) -> None:
    events: list[Event] = [Command(12.0, STOP_G1), Kill(12.5), Restart(20.0), Command(40.0, STOP_G1), Restart(40.5), Command(59.5, STOP_G1)]
    run, _ = puppets(tmp_path, Tank(everything), *events, sites=[small_site(1, scan_period_s=10.0)])
    assert [(answer.at_s, answer.accepted, answer.reason) for answer in run.answers] == [
        (12.5, False, "the process died before it answered"),
        (40.5, False, "the process ended before it answered"),
        (60.0, True, ""),
    ]


def test_a_pulse_lasts_as_long_as_it_was_meant_to_also_between_two_scans(tmp_path: Path) -> None:
    tank = Tank(everything)
    run, _ = puppets(tmp_path, tank, sites=[relay_site()], orders={10.0: Pulse("g1", 1, 3.4, "try")})
    assert tank.position_pct == pytest.approx(23.4, abs=0.15)
    assert (run.commands[0].verb, run.commands[0].run_s, run.commands[0].opening_pct) == ("raise", 3.4, None)


@pytest.mark.parametrize(
    ("killed_at_s", "ends_at_s"),
    [(11.0, 18.0), (15.0, 22.0), (29.0, 34.0)],
    ids=["before it was triggered anew", "after the second trigger", "near its end"],
)
def test_the_hardware_ends_the_pulse_of_a_dead_process(tmp_path: Path, killed_at_s: float, ends_at_s: float) -> None:
    """The one-shot of 8 s is triggered anew each 4 s; who dies triggers no more."""
    tank = Tank(everything)
    puppets(tmp_path, tank, Kill(killed_at_s), sites=[relay_site()], orders={10.0: Pulse("g1", 1, 20.0, "try")})
    assert [at_s for at_s, command in tank.written if isinstance(command, Stop)] == pytest.approx([ends_at_s])


def test_a_plant_that_does_not_take_the_end_of_a_pulse_is_told_again(tmp_path: Path) -> None:
    tank = Tank(everything, refuse=lambda tank: 12.0 < tank.time_s < 15.0)
    puppets(tmp_path, tank, sites=[relay_site()], orders={10.0: Pulse("g1", 1, 3.0, "try")})
    assert [at_s for at_s, command in tank.written if isinstance(command, Stop)] == pytest.approx([15.0])


def test_relays_without_a_hardware_limit_are_not_switched(tmp_path: Path) -> None:
    site = relay_site()
    gate = site.structures[0].gates[0]
    relays = gate.actuator.relays.model_copy(update={"hardware_pulse_limit_s": None}) if gate.actuator.relays else None
    gate = gate.model_copy(update={"actuator": gate.actuator.model_copy(update={"relays": relays})})
    site = site.model_copy(update={"structures": (site.structures[0].model_copy(update={"gates": (gate,)}),)})
    tank = Tank(everything)
    _, (life,) = puppets(tmp_path, tank, sites=[site], orders={10.0: Pulse("g1", 1, 3.0, "try")})
    assert "hardware pulse limit" in life.errors[0]
    assert not tank.written


def test_a_faulty_sensor_of_a_sparse_plant_is_asked_in_every_scan(tmp_path: Path) -> None:
    """It tells a level once in 30 s; the fault lasts from 31 to 50 s."""

    def tell(tank: Tank) -> Iterator[Sample]:
        if tank.time_s in (30.0, 60.0):
            yield Sample("p1.tail", 1.0, tank.time_s)

    def heard(trouble: SensorTrouble) -> list[float | None]:
        fault = SensorFault(31.0, "p1.tail", trouble, until_s=50.0, value=7.0)
        _, (life,) = puppets(tmp_path, Tank(tell), fault, sites=[SECONDLY])
        return [one.value for _, one in life.heard if one.point == "p1.tail"]

    assert heard(SensorTrouble.SILENT) == [1.0, *[None] * 19, 1.0]
    assert heard(SensorTrouble.STALE) == [1.0, *[None] * 19, 1.0]
    assert heard(SensorTrouble.FIXED) == [1.0, *[7.0] * 19, 1.0]


def test_a_late_value_comes_when_its_time_has_come(tmp_path: Path) -> None:
    def tell(tank: Tank) -> Iterator[Sample]:
        if tank.time_s in (10.0, 40.0):
            yield Sample("p1.tail", 1.0, tank.time_s)

    fault = SensorFault(5.0, "p1.tail", SensorTrouble.LATE, value=7.0)
    _, (life,) = puppets(tmp_path, Tank(tell), fault, sites=[SECONDLY])
    came = [(at_s, one.sampled_at_s) for at_s, one in life.heard if one.point == "p1.tail" and one.value is not None]
    assert came == [(17.0, 10.0), (47.0, 40.0)]


class Advanced(Tank):
    """Somebody used it before."""

    def __init__(self) -> None:
        super().__init__(everything)
        self.time_s = 100.0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"sites": []}, "the simulation: has no site"),
        ({"sites": [small_site(1), small_site(1)]}, "site canal: is simulated twice"),
        ({"plant": Advanced()}, "plant Advanced: stands at 100 s"),
        ({"plant": object()}, "plant object: lacks time_s, advance, samples, write"),
        ({"duration_s": math.nan}, "duration_s nan: is no time"),
        ({"start_wall": datetime(2026, 5, 1)}, "has no time zone"),
        ({"plans": [position_plan(1.0).model_copy(update={"site": "there"})]}, "site there: is not simulated"),
        ({"events": [Kill(5.0, "there")]}, "site there: is not simulated"),
        ({"events": [ClockStep(-1.0, 5.0)]}, "ClockStep at -1 s: lies before the start"),
        ({"events": [Kill(math.nan)]}, "Kill at nan s: lies before the start"),
        ({"events": [SensorFault(5.0, "p9.tail", SensorTrouble.NAN)]}, "point p9.tail: is not simulated"),
        ({"events": [SensorFault(5.0, "p1.tail", SensorTrouble.NAN, until_s=4.0)]}, "ends at 4 s"),
        ({"events": [ActuatorFault(5.0, "g9", ActuatorTrouble.STUCK)]}, "gate g9: is not simulated"),
        ({"events": [ActuatorFault(5.0, "g1", ActuatorTrouble.STUCK)]}, "plant Tank: knows no faults"),
        ({"events": [NewPlan(5.0, position_plan(1.0).model_copy(update={"site": "there"}))]}, "site there: is not simulated"),
        (
            {"sites": [small_site(1), small_site(1, site="other")], "events": [Command(5.0, GateAction(verb=GateVerb.STOP))]},
            "names neither gate nor site",
        ),
    ],
)
def test_what_cannot_be_played_is_said_before_it_begins(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"sites": [small_site(1)], "plans": [], "plant": Tank(everything), "duration_s": 60.0, "events": [], **changed}
    sites, plans, plant = given.pop("sites"), given.pop("plans"), given.pop("plant")
    with pytest.raises(UsageError, match=said) as refused:
        simulate(sites, plans, plant, state_dir=tmp_path, **given)
    assert refused.value.remedy
    assert not list(tmp_path.iterdir())


def test_inside_an_event_loop_it_says_how_to_be_called(tmp_path: Path) -> None:
    async def story() -> Run:
        with pytest.raises(UsageError, match="an event loop of its own"):
            simulate([SECONDLY], [], Tank(everything), duration_s=5.0, state_dir=tmp_path)
        return await asyncio.to_thread(simulate, [SECONDLY], [], Tank(everything), duration_s=5.0, state_dir=str(tmp_path))

    assert asyncio.run(story()).scans == 5


def test_the_facts_of_an_actuator_are_given_faults_like_any_point(tmp_path: Path) -> None:
    site = small_site(1)
    fault = SensorFault(20.0, "g1.remote", SensorTrouble.FIXED, until_s=40.0, value=0.0)
    run = simulate(
        [site], [position_plan(25.0)], Tank(everything), duration_s=60.0, state_dir=tmp_path, events=[*put_in_service(site), fault]
    )
    assert run.mode_at("g1", 30.0) == "LOCAL"
