"""The worked example of a plant of somebody else's: it runs as it stands, and what it promises is so."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.examples import plant_of_your_own as example
from edge_agent.gate_control.check.yaml_site import load_site
from edge_agent.gate_control.console.cli import run_command
from edge_agent.gate_control.simulation import indicators, unsafe_events
from edge_agent.gate_control.simulation.plant import FaultyPlant, FlowingPlant, SpillingPlant


def never(*_arguments: object) -> int:
    raise AssertionError("check must not run the gate")


def test_its_site_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", str(example.SITE)], never) == 0
    assert ": good" in capsys.readouterr().out


def test_the_farm_gets_its_water_and_the_pool_keeps_its_level(tmp_path: Path) -> None:
    """The farm's half hour has passed, and so has the moment in which the gate says that it is jammed."""
    site, duration_s = load_site(example.SITE), 1.2 * example.HOUR_S
    run = example.play(tmp_path, duration_s)
    assert all(answer.accepted for answer in run.answers)
    assert run.mode_at("g1", duration_s) == "AUTO"
    [jammed_at_s] = run.alarm_times_s("jammed")
    assert jammed_at_s == pytest.approx(example.HOUR_S, abs=3.0)
    assert run.series["flow:g1"].at(duration_s) > example.INFLOW_M3S + 0.1
    assert run.travel_m["g1"] > 0.0
    assert indicators(run, site).worst["MAE %"] < 10.0
    assert unsafe_events(run, site, {}) == ()


def test_it_has_every_member_that_a_plant_can_have() -> None:
    plant = example.CascadePool(load_site(example.SITE))
    assert isinstance(plant, FaultyPlant)
    assert isinstance(plant, FlowingPlant)
    assert isinstance(plant, SpillingPlant)
