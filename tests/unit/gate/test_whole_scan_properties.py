"""The whole pure scan under everything at once: nonsense from devices, people, clocks that jump, deaths at any moment."""

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_agent.gate_control.decide.instructions import Instruction
from edge_agent.gate_control.decide.modes import Commissioning, Place, Role
from edge_agent.gate_control.decide.orders import Ending
from edge_agent.gate_control.decide.restart import durable_part
from edge_agent.gate_control.decide.starts import WINDOW_S
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.model.profiles import facts_of
from edge_agent.gate_control.model.values import MoveTo, Pulse, StopMotion
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import (
    DeliveryOrder,
    FlowObjective,
    GateDirective,
    GatePlan,
    Objective,
    PositionObjective,
    UpstreamLevelObjective,
)
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.fakes.gate_machine import GATES, SITE, STARTS_PER_HOUR, Deed, Machine
from tests.fakes.gate_site import START

WILD = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
KEYS = [*(point.id for point in SITE.points), *(f"{gate.id}.{fact}" for gate in SITE.gates() for fact in facts_of(gate))]

nonsense = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.floats(0.0, 4.0), st.floats(0.0, 100.0), st.sampled_from([0.0, 1.0])
)
garbled = st.one_of(*[st.just({})] * 5, st.dictionaries(st.sampled_from(KEYS), nonsense, max_size=4))
verbs: list[tuple[Any, dict[str, Any]]] = [
    (GateVerb.MOVE, {"opening_pct": 88.0}),
    (GateVerb.MOVE, {"opening_pct": 0.0}),
    (GateVerb.STOP, {}),
    (GateVerb.MODE, {"mode": "auto"}),
    (GateVerb.MODE, {"mode": "manual"}),
    (GateVerb.SERVICE, {"service": "out"}),
    (GateVerb.SERVICE, {"service": "in"}),
    (GateVerb.ACK, {}),
    (GateVerb.RESET_TRIP, {}),
    (SiteVerb.TAG, {}),
    (SiteVerb.OWNER_CLAIM, {}),
    (SiteVerb.OWNER_RELEASE, {}),
    (SiteVerb.ARM, {}),
]
commands = st.tuples(st.sampled_from([*verbs, *verbs[:2] * 4]), st.sampled_from(GATES), st.sampled_from(list(Place)))
steps = st.fixed_dictionaries(
    {
        "do": st.just("scan"),
        "step_s": st.one_of(*[st.floats(0.5, 2.0)] * 6, st.floats(5.0, 60.0), st.sampled_from([0.0, 300.0, 4_000.0, 90_000.0])),
        "garbled": garbled,
        "asked": st.one_of(*[st.just([])] * 3, st.lists(commands, min_size=1, max_size=2)),
        "level_m": st.one_of(*[st.none()] * 5, st.floats(0.7, 2.9)),
        "refused": st.sampled_from([False, False, False, True]),
    }
)
jumps = st.fixed_dictionaries(
    {"do": st.just("jump"), "by_s": st.sampled_from([-90_000.0, -3_600.0, 3_600.0, 1e7]), "trusted": st.booleans()}
)
deaths = st.fixed_dictionaries(
    {"do": st.just("die"), "down_s": st.floats(0.0, 100.0), "reboot": st.booleans(), "clock_is_lost": st.booleans()}
)
stories = st.lists(st.one_of(*[steps] * 12, jumps, deaths), min_size=10, max_size=40)
objectives = st.one_of(
    st.builds(PositionObjective, opening_pct=st.floats(0.0, 100.0)),
    st.builds(UpstreamLevelObjective, level_m=st.floats(0.0, 3.0)),
    st.builds(FlowObjective, flow_m3s=st.floats(0.0, 6.0)),
)


def make_plan(first: Objective, second: Objective, with_orders: bool) -> GatePlan:
    orders = [
        DeliveryOrder(
            order_id=f"o{index}", turnout="g3", start=START + timedelta(seconds=1_020 + 200 * index), flow_m3s=1.0, duration_s=100.0,
            if_missed="start_late",
        )
        for index in range(3)
    ]  # fmt: skip
    directives = {"g1": GateDirective(objective=first), "g2": GateDirective(objective=second)}
    return GatePlan(site="north", generation=1, valid_from=START, gates=directives, orders=tuple(orders) if with_orders else ())


plans = st.builds(make_plan, objectives, objectives, st.booleans())


def instruction(number: int, asked: tuple[tuple[Any, dict[str, Any]], str, Place]) -> Instruction:
    (verb, params), gate, place = asked
    if isinstance(verb, SiteVerb):
        return Instruction(f"i{number}", SiteAction(gate=gate, verb=verb), "ana", Role.MAINTAINER, Place.CONSOLE)
    return Instruction(f"i{number}", GateAction(gate=gate, verb=verb, params=params), "ana", Role.MAINTAINER, place)


def play(machine: Machine, story: Sequence[dict[str, Any]]) -> Machine:
    for number, one in enumerate(story):
        if one["do"] == "jump":
            machine.wall_error_s, machine.is_trusted = machine.wall_error_s + one["by_s"], one["trusted"]
        elif one["do"] == "die":
            machine.die(down_s=one["down_s"], reboot=one["reboot"], clock_is_lost=one["clock_is_lost"])
        else:
            if one["level_m"] is not None:
                machine.levels["l1"] = one["level_m"]
            machine.step(one["step_s"], one["garbled"], [instruction(number, asked) for asked in one["asked"]], refused=one["refused"])
    return machine


def forbids(deed: Deed) -> str:
    """Why no command that starts a motion may go to this gate; empty where it may."""
    modes = deed.scanned.decision.state.modes[deed.command.gate]
    if modes.tags:
        return "tagged out"
    if modes.stopped_by:
        return "stopped"
    if not modes.in_service:
        return "out of service"
    if modes.commissioning is Commissioning.UNARMED:
        return "not armed"
    if deed.samples.get(f"{deed.command.gate}.remote") == 0.0:
        return "LOCAL"
    return ""


@WILD
@given(plan=st.none() | plans, story=stories)
def test_no_command_leaves_the_limits_or_goes_where_software_has_no_say(plan: GatePlan | None, story: list[dict[str, Any]]) -> None:
    for deed in play(Machine(plan), story).deeds:
        if isinstance(deed.command, StopMotion):
            assert forbids(deed) != "LOCAL"
            continue
        assert not forbids(deed), (forbids(deed), deed.command)
        gate = SITE.gate(deed.command.gate)
        assert gate is not None
        low_pct, high_pct = gate.limits.opening_min_pct, gate.limits.opening_max_pct
        if isinstance(deed.command, MoveTo):
            assert low_pct <= deed.command.opening_pct <= high_pct
        else:
            assert_pulse_stays_inside(deed.command, deed.scanned.decision.state, low_pct, high_pct)


def assert_pulse_stays_inside(pulse: Pulse, state: SiteState, low_pct: float, high_pct: float) -> None:
    seen_pct = state.gates[pulse.gate].position_pct
    assert seen_pct is not None
    assert math.isfinite(pulse.run_s)
    assert pulse.run_s > 0.0
    end_pct = seen_pct + pulse.direction * pulse.run_s / 60.0 * 100.0
    assert end_pct <= max(high_pct, seen_pct) + 1e-6
    assert end_pct >= min(low_pct, seen_pct) - 1e-6


@settings(WILD, max_examples=10)
@given(plan=plans, story=stories)
def test_the_controllers_starts_stay_within_the_budget_over_every_restart(plan: GatePlan, story: list[dict[str, Any]]) -> None:
    # a wall clock that is wrong and trusted over a reboot can age anything; all else may happen
    story = [one for one in story if one["do"] != "jump"]
    machine = play(Machine(plan), story)
    busy(machine, plan)
    for gate in GATES:
        started = [deed.at_s for deed in machine.deeds if is_start(deed, gate)]
        for at_s in started:
            assert sum(1 for other_s in started if 0.0 <= at_s - other_s < WINDOW_S) <= STARTS_PER_HOUR


def is_start(deed: Deed, gate: str) -> bool:
    if deed.command.gate != gate or not deed.taken or deed.motion is None:
        return False
    return deed.motion.by == "controller"


def busy(machine: Machine, plan: GatePlan) -> None:
    """A controller that is asked for another opening each half minute, in a process that dies now and then."""
    for index in range(24):
        directives = {
            name: GateDirective(objective=PositionObjective(opening_pct=20.0 + 10.0 * (index % 4))) for name in ("g1", "g2", "g3")
        }
        machine.plan = plan.model_copy(update={"gates": directives, "orders": ()})
        for _ in range(4):
            machine.step(8.0)
        if index % 5 == 4:
            machine.die(down_s=1.0)


@WILD
@given(plan=plans, story=stories, reboot=st.booleans(), clock_is_lost=st.booleans())
def test_whatever_the_moment_of_its_death_a_process_comes_back_to_the_same_discrete_state(
    plan: GatePlan, story: list[dict[str, Any]], reboot: bool, clock_is_lost: bool
) -> None:
    machine = play(Machine(plan), story)
    machine.step()
    before = machine.memory.state
    machine.die(reboot=reboot, clock_is_lost=clock_is_lost)
    after = machine.memory.state
    for gate in GATES:
        assert said(after, gate) == said(before, gate)
        assert after.modes[gate].motion is None
        assert after.gates[gate].motion is None
    assert durable_part(after)[2:] == durable_part(before)[2:]
    for name, account in before.orders.accounts.items():
        found = after.orders.accounts[name]
        assert (found.started_wall_s, found.ending) == (account.started_wall_s, account.ending)
    count = len(machine.deeds)
    machine.step()
    assert len(machine.deeds) == count, "it moved in its first scan"


def said(state: SiteState, gate: str) -> tuple[object, ...]:
    modes = state.modes[gate]
    return modes.control, modes.in_service, modes.owner, modes.commissioning, modes.trip, modes.tags, modes.stopped_by


@WILD
@given(plan=plans, story=stories)
def test_an_order_begins_once_and_ends_once_whatever_clocks_and_processes_do(plan: GatePlan, story: list[dict[str, Any]]) -> None:
    machine, begun, ended = Machine(plan), dict[str, float](), dict[str, object]()
    for one in [*story, *({"do": "die", "down_s": 1.0, "reboot": False, "clock_is_lost": False},) * 2]:
        play(machine, [one])
        for name, account in machine.memory.state.orders.accounts.items():
            if account.started_wall_s is not None:
                assert begun.setdefault(name, account.started_wall_s) == account.started_wall_s
            if account.ending is not None:
                assert ended.setdefault(name, account.ending) == account.ending
            else:
                assert name not in ended


@WILD
@given(plan=plans, story=stories)
def test_with_its_state_lost_a_process_moves_nothing_until_it_is_armed(plan: GatePlan, story: list[dict[str, Any]]) -> None:
    machine = play(Machine(plan), story)
    machine.die(disk_is_lost=True)
    count = len(machine.deeds)
    play(
        machine,
        [
            one | {"asked": [asked for asked in one.get("asked", ()) if asked[0][0] is not SiteVerb.ARM]}
            for one in story
            if one["do"] != "die"
        ],
    )
    assert machine.deeds[count:] == []


def test_an_order_goes_on_and_ends_in_time_while_no_plan_can_be_read() -> None:
    """A process that is up before its plan, or a plan file that somebody spoiled, withdraws nobody's water."""
    ended: list[dict[str, float | None]] = []
    for is_plan_back in (True, False):
        machine = Machine(make_plan(PositionObjective(opening_pct=60.0), PositionObjective(opening_pct=20.0), True))
        plan = machine.plan
        while "o0" not in machine.memory.state.orders.accounts:
            machine.step()
        machine.plan = None
        for _ in range(40):
            machine.step()
        assert machine.memory.state.orders.accounts["o0"].is_running
        machine.plan = plan if is_plan_back else None
        for _ in range(120):
            machine.step()
        account = machine.memory.state.orders.accounts["o0"]
        assert account.ending is Ending.TIME
        ended.append({"ran_s": account.ran_s, "volume_m3": account.volume_m3})
    assert ended[0] == ended[1]


def test_the_stories_do_move_gates_of_every_kind() -> None:
    machine = Machine(make_plan(PositionObjective(opening_pct=60.0), PositionObjective(opening_pct=20.0), True))
    for _ in range(400):
        machine.step()
    kinds = {(deed.command.gate, type(deed.command).__name__) for deed in machine.deeds}
    assert {("g1", "MoveTo"), ("g2", "Pulse"), ("g3a", "MoveTo")} <= kinds, kinds
    accounts = machine.memory.state.orders.accounts
    assert accounts["o0"].ending is not None
