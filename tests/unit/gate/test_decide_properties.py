"""Whatever the devices say, and whenever: no command outside the limits, none where software has no say, and no crash."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Place, Role, Tag
from edge_agent.gate_control.decide.plan import check_plan
from edge_agent.gate_control.decide.restart import durable_part, restore, saved_state
from edge_agent.gate_control.decide.site import decide
from edge_agent.gate_control.decide.starts import WINDOW_S
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.decide.status import actuator_status
from edge_agent.gate_control.model.values import (
    ACTUATOR_FACTS,
    Command,
    MoveTo,
    Now,
    Quality,
    Reading,
    Sample,
    Selector,
    StopMotion,
    WriteOutcome,
)
from edge_agent.gate_control.replay.step import Given, Memory, Scanned, after_writing, scan
from edge_agent.gate_control.simulation.example import example_site
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import (
    DownstreamLevelObjective,
    FlowObjective,
    GateLimits,
    GatePlan,
    PositionObjective,
    UpstreamLevelObjective,
)
from tests.fakes.gate import RUNNING, make_bench, make_plan, now_at

SITE = example_site()
[GATE] = SITE.gates()
LIMITS = GATE.limits
Script = list[dict[str, Any]]
QUIET = dict.fromkeys(ACTUATOR_FACTS, 0.0) | {"remote": 1.0}

raw = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 4), st.floats(0, 100))
facts = st.fixed_dictionaries(dict.fromkeys(ACTUATOR_FACTS, st.one_of(st.none(), st.floats(allow_nan=True), st.sampled_from([0.0, 1.0]))))
seldom = st.sampled_from(
    [QUIET] * 6 + [QUIET | {"moving": 1.0}, QUIET | {"remote": 0.0}, QUIET | {"jammed": 1.0}, QUIET | {"by_hand": 1.0}]
)
asked = st.sampled_from(["", "", "", "", "auto", "manual", "move", "stop", "tag", "service_out", "reset"])
scans = st.lists(
    st.fixed_dictionaries(
        {"level": raw, "position": raw, "facts": facts, "step_s": st.floats(-100, 1000), "fails": st.booleans(), "asked": asked}
    ),
    max_size=40,
)
calm_scans = st.lists(
    st.fixed_dictionaries(
        {
            "level": st.one_of(st.floats(1.0, 3.0), st.just(2.0)),
            "position": st.one_of(st.floats(30, 33), st.floats(30, 40), st.just(32.0), st.floats(0, 100)),
            "facts": seldom,
            "step_s": st.floats(0.5, 60),
            "fails": st.booleans(),
            "asked": asked,
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


@dataclass
class Runs:
    """A script of scans, with what was commanded in each and what the gate was by then."""

    memory: Memory = field(default_factory=lambda: Memory(SiteState(modes={"g1": RUNNING})))
    time_s: float = 1000.0
    commanded: list[tuple[float, Command, Scanned]] = field(default_factory=list)

    def play(self, plan: GatePlan | None, script: Script) -> "Runs":
        for one in script:
            self.time_s += float(one["step_s"])
            now = now_at(max(0.0, self.time_s))
            samples = [Sample("g1-level", one["level"], now.monotonic_s), Sample("g1-position", one["position"], now.monotonic_s)]
            samples += [Sample(f"g1.{name}", value, now.monotonic_s) for name, value in one["facts"].items()]
            if one["asked"] == "tag":
                self.tag()
            scanned = scan(SITE, self.memory, Given(now, samples, plan, instructions(one["asked"])))
            self.commanded += [(now.monotonic_s, command, scanned) for command in scanned.decision.commands]
            error = "refused" if one["fails"] else ""
            outcomes = [WriteOutcome(command.gate, command, error) for command in scanned.decision.commands]
            self.memory = after_writing(scanned.memory, outcomes, now)
        return self

    def tag(self) -> None:
        modes = replace(self.memory.state.modes["g1"], tags=(Tag("ana", "now"),), control=Control.MANUAL, motion=None)
        self.memory = replace(self.memory, state=replace(self.memory.state, modes={"g1": modes}))


def instructions(word: str) -> list[Instruction]:
    verbs: Mapping[str, tuple[GateVerb, dict[str, Any]]] = {
        "auto": (GateVerb.MODE, {"mode": "auto"}),
        "manual": (GateVerb.MODE, {"mode": "manual"}),
        "move": (GateVerb.MOVE, {"opening_pct": 99.0}),
        "stop": (GateVerb.STOP, {}),
        "service_out": (GateVerb.SERVICE, {"service": "out"}),
        "reset": (GateVerb.RESET_TRIP, {}),
    }
    if word not in verbs:
        return []
    verb, params = verbs[word]
    return [Instruction("i", GateAction(gate="g1", verb=verb, params=params), "ana", Role.MAINTAINER, Place.CONSOLE)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=st.none() | plans, script=st.one_of(scans, calm_scans))
def test_no_move_ever_lies_outside_the_owners_limits_or_goes_to_a_gate_that_software_has_no_say_over(
    plan: GatePlan | None, script: Script
) -> None:
    for _, command, scanned in Runs().play(plan, script).commanded:
        status, modes = actuator_status(GATE, scanned.readings), scanned.decision.state.modes["g1"]
        assert status.is_known
        assert status.selector is Selector.REMOTE
        if isinstance(command, MoveTo):
            assert LIMITS.opening_min_pct <= command.opening_pct <= LIMITS.opening_max_pct
            assert not modes.tags
            assert not modes.stopped_by
            assert modes.in_service
            assert modes.commissioning is Commissioning.COMMISSIONED
            assert not any((status.jammed, status.by_hand, status.inhibited))


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans, script=calm_scans)
def test_under_a_tagout_nothing_follows_but_the_stop_of_the_move_in_hand(plan: GatePlan, script: Script) -> None:
    runs = Runs().play(plan, script)
    runs.tag()
    seen = len(runs.commanded)
    runs.play(plan, [one | {"asked": "auto", "level": 2.8} for one in script])
    after = [command for _, command, _ in runs.commanded[seen:]]
    assert len(after) <= 1
    assert all(isinstance(command, StopMotion) for command in after)


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans, script=calm_scans)
def test_a_plan_that_passed_the_check_binds_controller_and_people_to_its_own_limits(plan: GatePlan, script: Script) -> None:
    if check_plan(plan, SITE, now_at(0.0)):
        return
    own = plan.gates["g1"].limits
    for _, command, _ in Runs().play(plan, script).commanded:
        if isinstance(command, MoveTo) and not command.reason.startswith("interlock"):
            assert command.opening_pct >= (own.opening_min_pct or 0.0)
            assert command.opening_pct <= (100.0 if own.opening_max_pct is None else own.opening_max_pct)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(targets=st.lists(st.floats(10.0, 90.0), min_size=30, max_size=40), waits_s=st.lists(st.integers(1, 400), min_size=40, max_size=40))
def test_the_controllers_starts_stay_within_the_budget_of_any_hour(targets: list[float], waits_s: list[int]) -> None:
    bench = make_bench()
    [structure] = bench.site.structures
    tight = structure.gates[0].model_copy(update={"limits": LIMITS.model_copy(update={"starts_per_hour": 4})})
    bench.site = bench.site.model_copy(update={"structures": (structure.model_copy(update={"gates": (tight,)}),)})
    for target, wait_s in zip(targets, waits_s, strict=False):
        bench.plan = make_plan(PositionObjective(opening_pct=target))
        # a long wait is a few scans far apart: the canal stands still meanwhile, the clock does not
        for _ in range(3):
            bench.time_s += wait_s / 3.0
            bench.scan()
    # a flood opens whatever the budget says
    own = [at_s for at_s, one in bench.commands if isinstance(one, MoveTo) and "interlock" not in one.reason]
    assert own
    for at_s in own:
        assert sum(1 for other_s in own if 0.0 <= at_s - other_s < WINDOW_S) <= 4


def test_the_scripts_do_make_gates_move() -> None:
    moved = []

    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    @given(plan=plans, script=calm_scans)
    def count(plan: GatePlan, script: Script) -> None:
        moved.append(len(Runs().play(plan, script).commanded))

    count()
    assert sum(moved) > 20


@settings(deadline=None)
@given(script=scans)
def test_the_first_scan_never_moves_anything(script: Script) -> None:
    assert Runs().play(make_plan(PositionObjective(opening_pct=80.0)), script[:1]).commanded == []


@settings(deadline=None)
@given(position=st.floats(allow_nan=True, allow_infinity=True), level=st.floats(allow_nan=True, allow_infinity=True))
def test_decide_withstands_readings_that_no_validation_would_let_through(position: float, level: float) -> None:
    def reading(value: float) -> Reading:
        return Reading(value, 0.0, Quality.GOOD, "x", (), True)

    values = {"g1-position": position, "g1-level": level, "p1/tail": level} | {f"g1.{name}": value for name, value in QUIET.items()}
    readings = {name: reading(value) for name, value in values.items()}
    for objective in (UpstreamLevelObjective(level_m=2.0), FlowObjective(flow_m3s=2.0), PositionObjective(opening_pct=50.0)):
        state = SiteState(modes={"g1": RUNNING})
        for second in range(4):
            decision = decide(state, readings, make_plan(objective), SITE, now_at(1000.0 + 20 * second))
            state = decision.state
            for command in decision.commands:
                if isinstance(command, MoveTo):
                    assert math.isfinite(command.opening_pct)
                    assert LIMITS.opening_min_pct <= command.opening_pct <= LIMITS.opening_max_pct


def test_the_same_inputs_decide_the_same() -> None:
    script: Script = [
        {"level": 2.0 + 0.01 * index, "position": 32.0, "facts": QUIET, "step_s": 5.0, "fails": False, "asked": ""} for index in range(30)
    ]
    assert Runs().play(make_plan(), script).memory == Runs().play(make_plan(), script).memory


def test_a_wall_clock_that_jumps_moves_nothing_by_itself() -> None:
    memory = Memory(SiteState(modes={"g1": RUNNING}))
    for index, wall_s in enumerate([0.0, 1.0, 2.0, -1e6, 1e6, 3.0]):
        at_s = 1000.0 + index
        samples = [Sample("g1-level", 2.1, at_s), Sample("g1-position", 32.0, at_s)]
        samples += [Sample(f"g1.{name}", value, at_s) for name, value in QUIET.items()]
        scanned = scan(SITE, memory, Given(Now(at_s, now_at(wall_s).wall, True), samples, make_plan()))
        memory = scanned.memory
        assert scanned.decision.commands == ()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deaths=st.lists(st.tuples(st.integers(5, 590), st.booleans()), max_size=6), opening_pct=st.floats(20.0, 60.0))
def test_restarts_at_any_interleaving_end_in_the_same_discrete_state_and_level(deaths: list[tuple[int, bool]], opening_pct: float) -> None:
    plan = make_plan(UpstreamLevelObjective(level_m=2.05))
    straight, broken = make_bench(plan), make_bench(plan)
    straight.canal.demands.flows_m3s["g1-field"] = broken.canal.demands.flows_m3s["g1-field"] = 0.2
    straight.run(900)
    for second in range(900):
        for at_s, reboot in deaths:
            if at_s == second:
                broken.kill(reboot=reboot)
        broken.scan()
    assert broken.gate().mode == straight.gate().mode
    assert broken.modes() == straight.modes()
    assert broken.gate().interlocks == straight.gate().interlocks
    assert abs(broken.levels_m[-1] - straight.levels_m[-1]) < 0.03


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plan=plans, script=calm_scans, reboot=st.booleans())
def test_what_people_said_survives_every_restart(plan: GatePlan, script: Script, reboot: bool) -> None:
    state = Runs().play(plan, script).memory.state
    saved = saved_state(state, "boot", now_at(50_000.0))
    begun = restore(saved, ["g1"], "another" if reboot else "boot", now_at(50_100.0))
    before, after = state.modes["g1"], begun.modes["g1"]
    assert (after.tags, after.trip, after.stopped_by, after.in_service, after.control) == (
        before.tags, before.trip, before.stopped_by, before.in_service, before.control,
    )  # fmt: skip
    assert after.motion is None
    assert begun.gates["g1"].motion is None
    assert durable_part(begun)[3] == durable_part(state)[3]


def test_nothing_saved_means_unarmed() -> None:
    assert restore(None, ["g1"], "boot", now_at(1.0)).modes["g1"] == GateModes()
