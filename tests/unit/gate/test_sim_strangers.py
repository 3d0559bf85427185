"""Random bad hours on a canal that is nobody's of ours, with careless sensors, judged by a judge of its own.

Kills at unlucky moments, clocks that jump, faults of every kind, people who tag, stop and move, plans that come and go: whatever
comes together, nothing forbidden is commanded, nothing is forgotten, and the run tells what was done.
"""

from __future__ import annotations

import random
from dataclasses import fields
from pathlib import Path

import pytest

from edge_agent.gate_control.check.site_rules import check_site
from edge_agent.gate_control.check.yaml_site import parse_site
from edge_agent.gate_control.lookback.compare import compare
from edge_agent.gate_control.lookback.source import JournalSource
from edge_agent.gate_control.simulation import (
    ActuatorFault,
    ActuatorTrouble,
    ClockStep,
    Command,
    Event,
    Handwheel,
    Kill,
    LinkCut,
    NewPlan,
    Restart,
    Run,
    SensorFault,
    SensorTrouble,
    WriteFault,
    power_cut,
    put_in_service,
    simulate,
)
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.fakes.strange_canal import Careless, StrangeCanal
from tests.fakes.strange_judge import judge, read_journal
from tests.fakes.strange_site import FIRST_ORDER_S, GATES, SECOND_ORDER_S, strange_plan, strange_site

DURATION_S = 1000.0
UNLUCKY_S = (2.0, 6.0, FIRST_ORDER_S - 1.0, FIRST_ORDER_S + 0.0, FIRST_ORDER_S + 1.0, 320.0, SECOND_ORDER_S + 0.0, SECOND_ORDER_S + 0.5)
POINTS = ("p1.tail", "p2.tail", "p3.tail", "res.tail", "branch.flow", "mid.position", "h-1.position", "branch.position", "mid.moving")
SLOW_SEEDS = range(2, 24)


def careless(chance: random.Random) -> Careless:
    """How this plant tells what it knows."""
    return Careless(
        levels_every_s=chance.choice([1.0, 2.0, 7.0, 10.0]),
        positions_every_s=chance.choice([1.0, 1.0, 2.0]),
        late_s=chance.choice([0.0, 0.0, 3.0, 8.0]),
        bad=chance.choice([0.0, 0.02, 0.1]),
        no_number=chance.choice([0.0, 0.02]),
        twice=chance.choice([0.0, 0.1]),
        unknown=chance.choice([0.0, 0.1]),
        skipped=chance.choice([0.0, 0.05]),
        facts_on_change=chance.random() < 0.5,
        no_facts=chance.random() < 0.1,
        refused=chance.choice([0.0, 0.0, 0.1]),
    )


def at_will(chance: random.Random) -> float:
    """Some time, or a moment at which something else happens too."""
    return chance.choice([chance.choice(UNLUCKY_S), round(chance.uniform(1.0, DURATION_S - 60.0), 2), float(chance.randint(1, 900))])


def by_people(chance: random.Random, at_s: float) -> list[Event]:
    """A command, and now and then one more, at once or while the process dies."""
    gate = chance.choice(GATES)
    auto = GateAction(gate=gate, verb=GateVerb.MODE, params={"mode": "auto"})
    opening_pct, lasts_s = chance.choice([0.0, 60.0, 97.0, 100.0]), chance.choice([1.0, 5.0, 60.0, 300.0])
    actions: list[GateAction | SiteAction] = [
        GateAction(gate=gate, verb=GateVerb.MOVE, params={"opening_pct": opening_pct, "expires_after_s": lasts_s}),
        GateAction(gate=gate, verb=GateVerb.STOP),
        GateAction(gate=gate, verb=GateVerb.MODE, params={"mode": "manual"}),
        GateAction(gate=gate, verb=GateVerb.SERVICE, params={"service": "out"}),
        GateAction(verb=GateVerb.ACK),
        SiteAction(gate=gate, verb=SiteVerb.TAG, note="work"),
    ]
    more: list[Event] = [Command(at_s + chance.choice([0.0, 0.4, 1.0, 40.0]), auto)] if chance.random() < 0.5 else []
    if chance.random() < 0.3:
        dies_s = at_s + chance.choice([0.0, 0.5, 1.0, 2.0])
        more += [Kill(dies_s), Restart(dies_s + 3.0)]
    return [Command(at_s, chance.choice(actions)), *more]


def by_fate(chance: random.Random, at_s: float) -> list[Event]:
    """What nobody asked for."""
    gate, until_s = chance.choice(GATES), at_s + chance.choice([1.0, 5.0, 60.0, 300.0])
    dead_s = chance.choice([0.5, 1.0, 3.0, 45.0])
    sensor = SensorFault(at_s, chance.choice(POINTS), chance.choice(list(SensorTrouble)), until_s, chance.choice([0.5, 5.0, 60.0]))
    told: list[list[Event]] = [
        [Kill(at_s), Restart(at_s + dead_s)],
        [*power_cut(at_s, dead_s)],
        [ClockStep(at_s, chance.choice([-3600.0, -5.0, 300.0, 86_400.0]), wall_is_trusted=chance.random() < 0.7)],
        [LinkCut(at_s, until_s)],
        [sensor],
        [ActuatorFault(at_s, gate, chance.choice(list(ActuatorTrouble)), until_s)],
        [WriteFault(at_s, gate, until_s)],
        [Handwheel(at_s, gate, chance.choice([0.0, 40.0, 99.0]))],
        [NewPlan(at_s, strange_plan(chance.randint(1, 4), p1_m=chance.choice([11.2, 11.4, 12.5])))],
    ]
    return chance.choice(told)


def play(seed: int, folder: Path) -> tuple[Run, list[str]]:
    """One bad quarter of an hour, and what the judge says of it."""
    chance = random.Random(seed)
    site = strange_site(
        chance.choice([1.0, 1.0, 2.0, 5.0, 10.0]), starts_per_hour=chance.choice([1, 3, 12]), sharing=chance.choice(["equal", "lead_lag"])
    )
    events: list[Event] = [*put_in_service(site, chance.choice([0.0, 3.0, 5.5]))]
    for _ in range(chance.randint(1, 7)):
        events += chance.choice([by_people, by_fate, by_fate])(chance, at_will(chance))
    demands = [(float(chance.randint(30, 500)), chance.choice(["t1", "t2", "tail"]), chance.uniform(0.0, 1.5)) for _ in range(2)]
    canal = StrangeCanal(seed, careless(chance), demands)
    run = simulate([site], [strange_plan()], canal, duration_s=DURATION_S, state_dir=folder, seed=seed, events=events)
    journal = folder / "strange" / "gate.sqlite"
    found = judge(run, canal, site, events, read_journal(journal))
    source = JournalSource(journal)
    try:
        found += [f"decided anew otherwise: {one}" for one in compare(source.chapters(source.ids())).differences]
    finally:
        source.close()
    return run, found


def test_the_strange_site_is_one_that_check_lets_pass() -> None:
    site, lines = parse_site(strange_site().model_dump_json(by_alias=True, exclude_none=True), source="strange")
    assert check_site(site, lines) == ()


@pytest.mark.parametrize("starts_per_hour", [1, 2])
def test_the_end_of_a_delivery_is_carried_out_whatever_is_left_of_the_budget(starts_per_hour: int, tmp_path: Path) -> None:
    site, canal = strange_site(starts_per_hour=starts_per_hour), StrangeCanal()
    run = simulate([site], [strange_plan()], canal, duration_s=600.0, state_dir=tmp_path, events=put_in_service(site))
    opened = [one for one in run.commands if one.gate == "branch" and one.verb == "raise"]
    assert len(opened) == starts_per_hour
    assert max(canal.branch_m3s) > 0.1
    closing = next(one for one in run.commands if one.gate == "branch" and one.verb == "lower")
    assert closing.at_s <= FIRST_ORDER_S + 200.0 + 2.0
    assert canal.branch_m3s[-1] < 0.02  # less than the deadband lets through


def test_a_bad_hour_on_a_strange_canal_and_the_same_one_again(tmp_path: Path) -> None:
    first, found = play(1, tmp_path / "first")
    again, _ = play(1, tmp_path / "again")
    assert found == []
    assert first.commands
    differing = [one.name for one in fields(Run) if one.name != "wall_s" and getattr(first, one.name) != getattr(again, one.name)]
    assert differing == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW_SEEDS)
def test_whatever_comes_together_nothing_forbidden_is_done_and_nothing_is_forgotten(seed: int, tmp_path: Path) -> None:
    _, found = play(seed, tmp_path)
    assert found == []
