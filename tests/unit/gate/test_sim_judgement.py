"""Indicators, unsafe events and the picture of a run, on runs made by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.tuning import tune_loop
from edge_agent.gate_control.simulation.asce import CANAL_1, first_pools
from edge_agent.gate_control.simulation.asce_sites import SiteOptions, asce_site
from edge_agent.gate_control.simulation.indicators import indicators, integrated_changes, level_indicators, unsafe_events
from edge_agent.gate_control.simulation.run import AlarmRecord, CommandRecord, Played, Run, Series
from edge_agent.gate_control.simulation.svg import draw_run

SITE = asce_site(first_pools(CANAL_1, 2), SiteOptions(tune=lambda pool, period_s: tune_loop(pool, 50.0, control_period_s=period_s)))
INVERT_M = next(pool.invert_m for pool in SITE.pools if pool.id == "p1")
DAY_S = 86_400.0


def series(*values: float, every_s: float = 3600.0) -> Series:
    return Series(tuple(every_s * number for number in range(len(values))), tuple(values))


def made_run() -> Run:
    hours = 25
    levels = [INVERT_M + 0.9 + (0.09 if hour == 6 else 0.0) for hour in range(hours)]
    return Run(
        start_wall=datetime(2026, 5, 1, 6, tzinfo=UTC), duration_s=DAY_S, wall_s=10.0, gates=("g1", "g2"), scans=100,
        series={
            "p1.tail": series(*levels),
            "g1.position": series(*[20.0 + (hour % 2) for hour in range(hours)]),
            "flow:g1": series(*[0.8 + 0.1 * (hour == 6) for hour in range(hours)]),
        },
        commands=(), alarms=(), modes=(), answers=(), played=(), starts={"g1": 4, "g2": 0}, travel_m={"g1": 0.3, "g2": 0.0},
        spilled_m3={"p1": 0.0, "p2": 0.0},
    )  # fmt: skip


def test_a_level_that_is_held_but_for_an_hour() -> None:
    found = indicators(made_run(), SITE)
    pool = found.pools["p1"]
    assert pool.mae_pct == pytest.approx(10.0)
    assert pool.iae_pct == pytest.approx(10.0 / 25)
    assert pool.ste_pct == pytest.approx(0.0, abs=1e-9)
    assert found.gates["g1"].iaq_m3s == pytest.approx(0.2)
    assert (found.gates["g1"].starts_per_day, found.gates["g1"].travel_m_per_day) == (4.0, 0.3)
    assert found.worst["MAE %"] == pool.mae_pct
    assert indicators(made_run(), SITE, from_s=DAY_S / 2).pools["p1"].mae_pct == pytest.approx(0.0, abs=1e-9)


@given(st.lists(st.floats(0.0, 10.0), min_size=2, max_size=30))
def test_flow_that_only_ever_rises_costs_nothing(values: list[float]) -> None:
    assert integrated_changes(series(*sorted(values))) == pytest.approx(0.0, abs=1e-9)
    assert integrated_changes(series(*values)) >= -1e-9


@given(st.floats(0.1, 3.0), st.floats(-0.5, 0.5))
def test_a_steady_error_is_the_same_in_all_three_columns(depth_m: float, error: float) -> None:
    found = level_indicators(series(*[5.0 + depth_m * (1.0 + error)] * 4), 5.0, depth_m)
    assert (found.mae_pct, found.iae_pct, found.ste_pct) == pytest.approx([100.0 * abs(error)] * 3, abs=1e-6)


def test_nothing_recorded_is_no_indicator() -> None:
    with pytest.raises(ValueError, match="no level"):
        level_indicators(Series(), 0.0, 1.0)
    with pytest.raises(ValueError, match="nothing was recorded"):
        Series().at(1.0)


def command(verb: str = "move", opening_pct: float | None = 30.0, *, gate: str = "g1", mode: str = "AUTO") -> CommandRecord:
    return CommandRecord(3600.0, "canal", gate, verb, opening_pct, "because", mode=mode)


def test_a_safe_run_has_no_unsafe_event() -> None:
    run = replace(made_run(), commands=(command(), command("stop", None, mode="TAGGED_OUT")))
    assert unsafe_events(run, SITE, {}) == ()


def test_water_that_holding_would_have_kept_is_an_unsafe_event() -> None:
    run = replace(made_run(), spilled_m3={"p1": 500.0})
    assert unsafe_events(run, SITE, {"p1": 600.0}) == ()
    assert unsafe_events(run, SITE, {"p1": 10.0}) == ("pool p1 spilled 500 m3, with all gates held 10 m3",)


def test_a_command_over_a_limit_or_under_a_tagout_is_an_unsafe_event() -> None:
    run = replace(made_run(), commands=(command(opening_pct=99.0), command(mode="TAGGED_OUT")))
    outside, tagged = unsafe_events(run, SITE, {})
    assert "to 99.0 %, outside 0 to 95 %" in outside
    assert "under a tagout" in tagged


def test_the_way_back_inside_the_limits_is_no_breach_and_further_out_is_one() -> None:
    run = replace(made_run(), commands=(replace(command(opening_pct=98.0), position_pct=99.0),))
    assert unsafe_events(run, SITE, {}) == ()
    run = replace(made_run(), commands=(replace(command(opening_pct=99.5), position_pct=99.0),))
    assert "to 99.5 %" in unsafe_events(run, SITE, {})[0]


def pulses(*starts: tuple[str, float]) -> tuple[CommandRecord, ...]:
    """A tenth of the travel each, from where the gate stands."""
    run_s = 0.1 * SITE.structures[0].gates[0].actuator.stroke_time_s
    return tuple(replace(command(verb, None), run_s=run_s, position_pct=from_pct) for verb, from_pct in starts)


def test_a_pulse_is_judged_by_where_it_leads() -> None:
    assert unsafe_events(replace(made_run(), commands=pulses(("raise", 80.0), ("lower", 12.0))), SITE, {}) == ()
    up, down = unsafe_events(replace(made_run(), commands=pulses(("raise", 90.0), ("lower", 5.0))), SITE, {})
    assert "told to raise to 100.0 %" in up
    assert "told to lower to -5.0 %" in down


def test_the_picture_shows_pools_gates_alarms_and_events() -> None:
    alarms = (
        AlarmRecord(7200.0, "canal", "g1/stuck", "unacknowledged", "high", "does not move"),
        AlarmRecord(9000.0, "canal", "g1/stuck", "returned", "high"),
        AlarmRecord(9000.0, "canal", "p1/level_high", "unacknowledged", "urgent"),
    )
    run = replace(made_run(), alarms=alarms, played=(Played(7200.0, "ActuatorFault <g1>"),))
    picture = ET.fromstring(draw_run(run, [SITE], title="A day", note="by hand"))
    words = " ".join(element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text"))
    for expected in ("A day", "by hand", "p1", "g1/stuck", "p1/level_high", "08:00  ActuatorFault <g1>", "m³/s"):
        assert expected in words
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}polyline"))) == 3


def test_the_picture_stays_small_and_keeps_the_peaks() -> None:
    many = tuple(INVERT_M + 0.9 + (0.5 if number == 43_210 else 0.0) for number in range(86_400))
    run = replace(made_run(), series={"p1.tail": Series(tuple(float(number) for number in range(86_400)), many)})
    text = draw_run(run, [SITE], title="long")
    assert len(text) < 60_000
    assert ">40<" in text
    assert "No alarm" in text
