"""The order of authority, rule by rule, on one gate of the simulated canal: each test is red when its rule is taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge_agent.gate_control.decide.modes import Tag
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import ACTUATOR_FACTS, MoveTo, StopMotion
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import GateLimits, PositionObjective
from tests.fakes.gate import CanalBench, make_bench, make_plan, with_value


def move(opening_pct: float) -> GateAction:
    return GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": opening_pct, "expires_after_s": 600.0})


def site_with(bench: CanalBench, *, limits: dict[str, Any] | None = None, drawdown: dict[str, Any] | None = None) -> SiteConfiguration:
    """The bench's site with other limits of its gate, or a drawdown limit of its pool."""
    content = bench.site.model_dump(mode="json", by_alias=True)
    content["structures"][0]["gates"][0]["limits"] |= limits or {}
    content["pools"][0] |= {"drawdown": drawdown} if drawdown else {}
    return SiteConfiguration.model_validate(content)


def show_level(bench: CanalBench, level_m: float) -> None:
    """The sensor shows it from now on, as if it had been asked for the first time."""
    bench.distort = lambda sample: with_value(sample, "g1-level", level_m)
    bench.memory = replace(bench.memory, histories={name: one for name, one in bench.memory.histories.items() if name != "g1-level"})


def kinds(bench: CanalBench) -> list[type]:
    return [type(command) for _, command in bench.commands]


def calm(**options: Any) -> CanalBench:
    """Come to where its plan wants it."""
    bench = make_bench(make_plan(PositionObjective(opening_pct=32.0), **options))
    bench.run(20)
    bench.commands.clear()
    return bench


def moving(to_pct: float = 60.0) -> CanalBench:
    """On its way, by a person's word."""
    bench = calm()
    assert bench.ask(move(to_pct)).accepted
    bench.run(5)
    assert kinds(bench) == [MoveTo]
    assert bench.gate().motion is not None
    return bench


# interlock


def test_an_interlock_that_forbids_opening_ends_the_opening_in_hand() -> None:
    bench = moving()
    show_level(bench, 1.1)
    bench.run(2)
    assert kinds(bench) == [MoveTo, StopMotion]
    assert "low_low" in bench.commands[-1][1].reason
    bench.run(60)
    assert kinds(bench) == [MoveTo, StopMotion]


def test_an_interlock_drives_no_further_than_the_owner_allows() -> None:
    bench = calm()
    bench.site = site_with(bench, limits={"opening_max_pct": 70.0})
    show_level(bench, 2.8)
    bench.run(60)
    assert [one.opening_pct for _, one in bench.commands if isinstance(one, MoveTo)] == [70.0]


def test_an_interlock_is_not_bound_by_the_plans_limits() -> None:
    bench = calm(limits=GateLimits(opening_max_pct=40.0))
    show_level(bench, 2.8)
    bench.run(2)
    assert bench.moves()[-1][1] == 95.0


# the actuator's own word


@pytest.mark.parametrize(("fact", "mode"), [("by_hand", "LOCAL"), ("jammed", "FAULT"), ("inhibited", "FAULT")])
def test_what_the_actuator_says_of_itself_keeps_even_protection_from_moving_it(fact: str, mode: str) -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=60.0)))

    def say(bench: CanalBench) -> None:
        bench.distort = lambda sample: with_value(with_value(sample, f"g1.{fact}", 1.0), "g1-level", 2.8)

    say(bench)
    for _ in range(30):
        bench.scan()
        # a jam that lasts trips it; before that it is silent all the same
        assert bench.commands == []
    assert bench.gate().mode == mode


@pytest.mark.parametrize("fact", ACTUATOR_FACTS)
def test_where_one_word_of_the_actuator_is_missing_nothing_is_commanded(fact: str) -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=60.0)))
    bench.distort = lambda sample: with_value(with_value(sample, f"g1.{fact}", None), "g1-level", 2.8)
    bench.run(30)
    assert bench.commands == []


def test_a_position_that_went_bad_in_control_moves_nothing_until_it_was_seen_twice_again() -> None:
    bench = calm()
    bench.distort = lambda sample: with_value(sample, "g1-position", None)
    bench.plan = make_plan(PositionObjective(opening_pct=60.0), generation=2)
    bench.run(60)
    assert bench.moves() == []
    bench.distort = lambda sample: sample
    bench.scan()
    assert bench.moves() == []
    bench.run(20)
    assert bench.moves()


@pytest.mark.parametrize("fact", ACTUATOR_FACTS)
def test_a_word_that_goes_missing_in_control_holds_even_a_flood_back(fact: str) -> None:
    bench = calm()
    show_level(bench, 2.8)
    shown = bench.distort
    bench.distort = lambda sample: with_value(shown(sample), f"g1.{fact}", None)
    bench.run(30)
    assert bench.commands == []


def test_who_works_at_a_tagged_gate_moves_it_and_nothing_of_it_is_a_fault() -> None:
    bench = calm()
    bench.memory = replace(bench.memory, state=replace(bench.memory.state, modes={"g1": replace(bench.modes(), tags=(Tag("ana", "now"),))}))
    bench.run(30)
    for second in range(60):
        bench.distort = lambda sample, at_pct=32.0 + second: with_value(sample, "g1-position", at_pct)  # type: ignore[misc]
        bench.scan()
    assert bench.modes().trip == ""
    assert not bench.has_alarm("g1/uncommanded")
    assert bench.commands == []


# limits


def test_a_plan_cannot_widen_what_the_owner_allows() -> None:
    """One that asks for it is refused; one that got past that is bound all the same."""
    wide = GateLimits(opening_min_pct=0.0, opening_max_pct=100.0)
    for opening_pct, limit_pct in ((0.0, 5.0), (100.0, 95.0)):
        bench = calm()
        bench.plan = make_plan(PositionObjective(opening_pct=opening_pct), generation=2, limits=wide)
        bench.run(400)
        assert bench.position_pct() == pytest.approx(limit_pct, abs=0.6)
        assert all(5.0 <= pct <= 95.0 for _, pct in bench.moves())


def test_a_gate_below_its_limits_is_not_opened_where_an_interlock_forbids_opening() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=32.0)))
    level_m = 1.1
    bench.distort = lambda sample: with_value(with_value(sample, "g1-level", level_m), "g1-position", 2.0)
    bench.run(15)
    assert bench.gate().mode == "AUTO"
    assert bench.moves() == []
    level_m = 1.9
    bench.memory = replace(bench.memory, histories={})
    bench.run(5)
    assert bench.moves()[0][1] >= 5.0


def test_a_plan_that_narrows_the_limits_ends_the_move_that_goes_beyond_them() -> None:
    bench = moving()
    bench.plan = make_plan(PositionObjective(opening_pct=32.0), limits=GateLimits(opening_max_pct=45.0), generation=2)
    bench.scan()
    assert kinds(bench) == [MoveTo, StopMotion]
    bench.run(60)
    assert bench.position_pct() <= 45.0 + 0.3


def test_the_largest_flow_limits_the_opening() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=80.0)))
    bench.site = site_with(bench, limits={"flow_max_m3s": 4.0})
    bench.run(300)
    flow_m3s = bench.memory.state.flows_m3s["g1"]
    assert flow_m3s is not None
    assert 3.0 < flow_m3s < 4.1
    assert bench.position_pct() < 60.0


def test_the_rate_limits_how_far_the_controller_goes_in_a_minute() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=80.0)))
    bench.site = site_with(bench, limits={"rate_pct_per_min": 4.0, "max_step_pct": 10.0})
    bench.run(600)
    (first_s, first_pct), (last_s, last_pct) = bench.moves()[0], bench.moves()[-1]
    assert last_pct - first_pct <= 4.0 / 60.0 * (last_s - first_s) + 10.0
    assert last_pct > first_pct + 20.0


# drawdown


def test_a_pool_that_falls_as_fast_as_it_may_ends_an_opening_and_begins_none() -> None:
    bench = moving()
    bench.site = site_with(bench, drawdown={"per_hour_m": 0.05})
    bench.scan()
    level_m = bench.levels_m[-1]
    show_level(bench, level_m - 0.1)
    bench.run(2)
    assert kinds(bench) == [MoveTo, StopMotion]
    assert "drawdown" in bench.commands[-1][1].reason
    assert bench.ask(move(60.0)).accepted
    bench.run(30)
    assert kinds(bench) == [MoveTo, StopMotion]
    assert any("drawdown" in reason for reason in bench.gate().reasons)
    assert bench.ask(move(20.0)).accepted
    bench.run(10)
    assert kinds(bench) == [MoveTo, StopMotion, MoveTo], "closing lets the pool rise"


# budget, rest, minimum run


def test_a_move_shorter_than_the_least_run_is_not_worth_a_start() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=32.0)))
    bench.run(120)
    bench.site = site_with(bench, limits={"min_run_s": 5.0, "deadband_pct": 4.1})
    at_pct = bench.position_pct()
    bench.commands.clear()
    bench.plan = make_plan(PositionObjective(opening_pct=round(at_pct + 4.15, 1)), generation=2)
    bench.run(60)
    # 4.15 % of 120 s are just under five seconds
    assert bench.commands == []
    bench.plan = make_plan(PositionObjective(opening_pct=round(at_pct + 6.0, 1)), generation=3)
    bench.run(5)
    assert kinds(bench) == [MoveTo]


def test_after_its_starts_of_the_hour_the_controller_waits_and_a_person_and_a_flood_do_not() -> None:
    bench = make_bench(make_plan(PositionObjective(opening_pct=32.0)))
    bench.site = site_with(bench, limits={"starts_per_hour": 2, "max_step_pct": 5.0})
    bench.plan = make_plan(PositionObjective(opening_pct=80.0), generation=2)
    bench.run(300)
    assert len(bench.moves()) == 2
    assert bench.has_alarm("g1/starts_spent")
    assert bench.ask(move(50.0)).accepted
    bench.run(40)
    assert bench.position_pct() == pytest.approx(50.0, abs=0.3)
    show_level(bench, 2.8)
    bench.run(90)
    assert bench.position_pct() == pytest.approx(95.0, abs=0.3)
