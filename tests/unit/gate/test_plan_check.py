from datetime import timedelta

import pytest

from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_plan import (
    DeliveryOrder,
    DownstreamLevelObjective,
    FlowObjective,
    GateLimits,
    GatePlan,
    PositionObjective,
    ScheduleEntry,
    UpstreamLevelObjective,
)
from tests.fakes.gate import START, make_plan, now_at

SITE = example_site()
NOW = now_at(0.0)
ORDER = DeliveryOrder(order_id="o1", turnout="g1", start=START, flow_m3s=0.5, duration_s=600)

REFUSED = [
    (make_plan(site="south"), "plan is for site south, this is site north"),
    (make_plan(gate="g9"), "gate g9 is not at this site; it has g1"),
    (make_plan(UpstreamLevelObjective(level_m=2.9)), "gate g1: level_m 2.9 lies outside the limits 1.5 to 2.5"),
    (make_plan(PositionObjective(opening_pct=96.0)), "gate g1: opening_pct 96 lies outside the limits 5 to 95"),
    (make_plan(limits=GateLimits(opening_max_pct=99.0)), "opening_max_pct 99 is above the gate's own limit 95"),
    (make_plan(limits=GateLimits(opening_min_pct=0.0)), "opening_min_pct 0 is below the gate's own limit 5"),
    (make_plan(limits=GateLimits(level_max_m=3.5)), "level_max_m 3.5 is above the limit 2.5 of pool p1"),
    (make_plan(limits=GateLimits(level_min_m=0.5)), "level_min_m 0.5 is below the limit 1.5 of pool p1"),
    (
        make_plan(limits=GateLimits(opening_min_pct=60.0, opening_max_pct=50.0)),
        "opening limits 60 to 50 leave less room than the deadband 0.5",
    ),
    (make_plan(limits=GateLimits(level_max_m=2.0)), "level_m 2.1 lies outside the limits 1.5 to 2"),
    (make_plan(FlowObjective(flow_m3s=9.0)), "flow_m3s 9 lies outside the limits 0 to 8"),
    (make_plan(DownstreamLevelObjective(level_m=2.0)), "needs a loop and a pool for downstream_level, which the structure does not have"),
    (make_plan(valid_from=START + timedelta(hours=1)), "in the future: put later objectives into the schedule"),
    (
        make_plan(schedule=[ScheduleEntry(at=START, objective=PositionObjective(opening_pct=2.0))]),
        "schedule at 2026-05-01T06:00:00+00:00: opening_pct 2 lies outside the limits 5 to 95",
    ),
    (
        make_plan(schedule=[ScheduleEntry(at=START, objective=PositionObjective(opening_pct=20.0))] * 2),
        "two schedule entries have the same time",
    ),
    (make_plan().model_copy(update={"orders": (ORDER, ORDER)}), "order o1 stands twice"),
    (make_plan().model_copy(update={"orders": (ORDER.model_copy(update={"flow_m3s": 20.0}),)}), "order o1"),
]


@pytest.mark.parametrize(("plan", "reason"), REFUSED)
def test_a_bad_plan_is_refused_with_gate_figure_and_limit(plan: GatePlan, reason: str) -> None:
    assert any(reason in problem for problem in check_plan(plan, SITE, NOW))


def test_every_mistake_is_named_at_once() -> None:
    plan = make_plan(UpstreamLevelObjective(level_m=9.0), limits=GateLimits(opening_max_pct=99.0, opening_min_pct=1.0))
    assert len(check_plan(plan, SITE, NOW)) == 3


def test_a_plan_within_the_limits_passes() -> None:
    schedule = [ScheduleEntry(at=START + timedelta(days=1), objective=PositionObjective(opening_pct=50.0))]
    plan = make_plan(schedule=schedule, limits=GateLimits(opening_min_pct=10.0, opening_max_pct=80.0, level_max_m=2.5))
    assert check_plan(plan, SITE, NOW) == ()


def test_without_a_clock_the_start_of_a_plan_cannot_be_judged() -> None:
    assert check_plan(make_plan(valid_from=START + timedelta(days=300)), SITE, now_at(0.0, trusted=False)) == ()
