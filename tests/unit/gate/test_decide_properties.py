"""Whatever the devices say, and whenever: no command outside the limits, none where software has no say, and no crash."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.v1.plan import check_plan
from edge_agent.gate_control.decide.v1.site import decide, record_outcomes
from edge_agent.gate_control.model.values import MoveTo, Now, PointHistory, Quality, Reading, Sample, Selector
from edge_agent.gate_control.model.values_v1 import GateReadings, SiteState, WriteOutcome
from edge_agent.gate_control.validate_v1 import validate_samples
from shared.contracts.gate_plan import (
    DownstreamLevelObjective,
    FlowObjective,
    GateLimits,
    GatePlan,
    PositionObjective,
    UpstreamLevelObjective,
)
from tests.fakes.gate import make_plan, now_at, site_settings

SITE = site_settings()
LIMITS = SITE.gates[0].limits

raw = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 4), st.floats(0, 100))
scans = st.lists(
    st.fixed_dictionaries(
        {
            "level": raw,
            "position": raw,
            "status": st.one_of(st.none(), st.floats(allow_nan=True), st.integers(0, 0xFFFF).map(float), st.just(32.0)),
            "step_s": st.floats(-100, 1000),
            "write_fails": st.booleans(),
        }
    ),
    max_size=40,
)
calm_scans = st.lists(
    st.fixed_dictionaries(
        {
            "level": st.one_of(st.floats(1.0, 3.0), st.just(2.0)),
            "position": st.one_of(st.floats(30, 33), st.floats(30, 40), st.just(32.0), st.floats(0, 100)),
            "status": st.sampled_from([32.0, 32.0, 32.0, 33.0, 0.0, 32.0 + 2048]),
            "step_s": st.floats(0.5, 60),
            "write_fails": st.booleans(),
        }
    ),
    min_size=5,
    max_size=40,
)
percents = st.floats(-10, 110).map(lambda value: min(100.0, max(0.0, value)))
objectives = st.one_of(
    st.builds(PositionObjective, opening_pct=percents),
    st.builds(UpstreamLevelObjective, level_m=st.floats(0, 4)),
    st.builds(DownstreamLevelObjective, level_m=st.floats(0, 4)),
    st.builds(FlowObjective, flow_m3s=st.floats(0, 10)),
)
limits = st.builds(GateLimits, opening_min_pct=st.none() | percents, opening_max_pct=st.none() | percents)
plans = st.builds(lambda objective, narrowed: make_plan(objective, limits=narrowed), objectives, limits)


def run_scans(plan: GatePlan | None, script: list[dict[str, float | None]]) -> list[tuple[MoveTo, GateReadings]]:
    state, histories, time_s = SiteState(), dict[str, PointHistory](), 1000.0
    commanded: list[tuple[MoveTo, GateReadings]] = []
    for scan in script:
        time_s += float(scan["step_s"] or 0.0)
        samples = [
            Sample("g1.upstream_level", scan["level"], time_s),
            Sample("g1.position", scan["position"], time_s),
            Sample("g1.status", scan["status"], time_s),
        ]
        now = now_at(max(0.0, time_s))
        histories, readings = validate_samples(SITE, histories, samples, now)
        decision = decide(state, readings, plan, SITE, now)
        commanded += [(command, readings["g1"]) for command in decision.commands]
        error = "refused" if scan["write_fails"] else ""
        state = record_outcomes(
            decision.state, [WriteOutcome(command.gate, command.opening_pct, error) for command in decision.commands], now
        )
    return commanded


@settings(max_examples=300)
@given(plan=st.none() | plans, script=st.one_of(scans, calm_scans))
def test_no_command_ever_lies_outside_the_owners_limits(plan: GatePlan | None, script: list[dict[str, float | None]]) -> None:
    for command, readings in run_scans(plan, script):
        assert LIMITS.opening_min_pct <= command.opening_pct <= LIMITS.opening_max_pct
        assert readings.selector is Selector.REMOTE
        assert not readings.jammed
        assert readings.position.is_fresh


@settings(max_examples=200)
@given(plan=plans, script=calm_scans)
def test_a_plan_that_passed_the_check_binds_the_controller_to_its_own_limits(plan: GatePlan, script: list[dict[str, float | None]]) -> None:
    if check_plan(plan, SITE, now_at(0.0)):
        return
    own = plan.gates["g1"].limits
    for command, _ in run_scans(plan, script):
        if not command.reason.startswith("interlock"):
            assert command.opening_pct >= (own.opening_min_pct or 0.0)
            assert command.opening_pct <= (100.0 if own.opening_max_pct is None else own.opening_max_pct)


def test_the_scripts_do_make_gates_move() -> None:
    moved = []

    @settings(max_examples=100, database=None, derandomize=True)
    @given(plan=plans, script=calm_scans)
    def count(plan: GatePlan, script: list[dict[str, float | None]]) -> None:
        moved.append(len(run_scans(plan, script)))

    count()
    assert sum(moved) > 20


@given(script=scans)
def test_the_first_scan_never_moves_anything(script: list[dict[str, float | None]]) -> None:
    assert run_scans(make_plan(PositionObjective(opening_pct=80.0)), script[:1]) == []


@given(position=st.floats(allow_nan=True, allow_infinity=True), level=st.floats(allow_nan=True, allow_infinity=True))
def test_decide_withstands_readings_that_no_validation_would_let_through(position: float, level: float) -> None:
    def reading(value: float) -> Reading:
        return Reading(value, 0.0, Quality.GOOD, "x", (), True)

    readings = {"g1": GateReadings(reading(position), {"upstream_level": reading(level)}, Selector.REMOTE)}
    state = SiteState()
    for second in range(4):
        now = now_at(1000.0 + 20 * second)
        decision = decide(state, readings, make_plan(), SITE, now)
        state = decision.state
        for command in decision.commands:
            assert math.isfinite(command.opening_pct)
            assert LIMITS.opening_min_pct <= command.opening_pct <= LIMITS.opening_max_pct


def test_the_same_inputs_decide_the_same() -> None:
    script: list[dict[str, float | None]] = [
        {"level": 2.0 + 0.01 * index, "position": 32.0, "status": 32.0, "step_s": 5.0, "write_fails": 0.0} for index in range(30)
    ]
    assert [command for command, _ in run_scans(make_plan(), script)] == [command for command, _ in run_scans(make_plan(), script)]


def test_a_wall_clock_that_jumps_moves_nothing_by_itself() -> None:
    state, histories = SiteState(), dict[str, PointHistory]()
    for index, wall_s in enumerate([0.0, 1.0, 2.0, -1e6, 1e6, 3.0]):
        at_s = 1000.0 + index
        samples = [Sample("g1.upstream_level", 2.1, at_s), Sample("g1.position", 32.0, at_s), Sample("g1.status", 32.0, at_s)]
        now = Now(at_s, now_at(wall_s).wall, True)
        histories, readings = validate_samples(SITE, histories, samples, now)
        decision = decide(state, readings, make_plan(), SITE, now)
        state = decision.state
        assert decision.commands == ()
