"""What people ask, on any facts whatever: refused changes nothing, a tagged gate never moves, central never takes a tag off."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.alarms import Alarms, AlarmState, Phase, Raised, rules_of, update_alarms
from edge_agent.gate_control.decide.command_check import CLOCK_TOLERANCE_S, WITHOUT_CLOCK, check_command
from edge_agent.gate_control.decide.instructions import ALARM_VERBS, Instruction, Outcome, change_alarms, change_modes
from edge_agent.gate_control.decide.modes import Commissioning, Control, GateModes, Health, Place, Role, Tag
from edge_agent.gate_control.model.values import Now, Selector
from shared.contracts.gate_command import PARAMS, GateAction, GateCommand, GateVerb
from shared.contracts.gate_socket import SiteAction, SiteVerb
from tests.unit.shared.test_gate_command import GOOD_PARAMS, make_command

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
NOW = Now(1_000.0, NOON, True)
MODE_VERBS = [verb for verb in GateVerb if verb not in ALARM_VERBS and verb is not GateVerb.PLAN_RELEASE]

modes = st.builds(
    GateModes,
    selector=st.sampled_from(Selector),
    control=st.sampled_from(Control),
    in_service=st.booleans(),
    health=st.sampled_from(Health),
    owner=st.sampled_from(Place),
    commissioning=st.sampled_from(Commissioning),
    trip=st.sampled_from(["", "stuck"]),
    tags=st.sampled_from([(), (Tag("som", "2026-05-01T11:00:00Z"),)]),
    stopped_by=st.sampled_from(["", "malee"]),
)
remote_actions = st.sampled_from(MODE_VERBS).map(lambda verb: GateAction(gate="g1", verb=verb, params=GOOD_PARAMS.get(verb, {})))
site_actions = st.builds(SiteAction, gate=st.just("g1"), verb=st.sampled_from(SiteVerb), code=st.sampled_from(["", "271828"]))
instructions = st.builds(
    Instruction,
    id=st.just("i"),
    action=st.one_of(remote_actions, site_actions),
    author=st.sampled_from(["som", "malee"]),
    role=st.sampled_from(Role),
    place=st.sampled_from(Place),
    code=st.just("271828"),
)


@given(before=modes, asked=st.lists(instructions, max_size=6))
def test_any_instructions_on_any_facts(before: GateModes, asked: list[Instruction]) -> None:
    facts = {"g1": before, "g2": GateModes()}
    for instruction in asked:
        after, outcome = change_modes(facts, instruction, NOW)
        assert after["g2"] == facts["g2"]
        if not outcome.accepted:
            assert outcome.code
            assert outcome.reason
            assert outcome.code == "WrongCode" or after == facts
        if facts["g1"].tags:
            assert after["g1"].motion is None or after["g1"].motion == facts["g1"].motion
        if instruction.place is Place.CENTRAL:
            assert set(after["g1"].tags) == set(facts["g1"].tags)
        if instruction.role is Role.VIEWER:
            assert after == facts
        facts = after


def test_an_instruction_for_the_site_is_accepted_when_one_gate_accepts_it() -> None:
    running = GateModes(commissioning=Commissioning.COMMISSIONED, control=Control.AUTO)
    stop = Instruction("i", GateAction(verb=GateVerb.STOP), "office", Role.MAINTAINER, Place.CENTRAL)
    after, outcome = change_modes({"g1": running, "g2": replace(running, owner=Place.CONSOLE)}, stop, NOW)
    assert outcome.accepted
    assert all(modes.stopped_by == "office" for modes in after.values())
    assert [reason.split(":")[0] for reason in outcome.reasons] == ["gate g1", "gate g2"]


def test_a_gate_that_is_not_here_is_refused() -> None:
    stop = Instruction("i", GateAction(gate="g7", verb=GateVerb.STOP), "office", Role.MAINTAINER, Place.CENTRAL)
    assert change_modes({"g1": GateModes()}, stop, NOW)[1].code == "UnknownGate"


@given(
    verb=st.sampled_from(GateVerb),
    issued_s=st.floats(-1e7, 1e7),
    lifetime_s=st.floats(1.0, 3_600.0),
    trusted=st.booleans(),
    site=st.sampled_from(["north", "south"]),
)
def test_a_command_is_for_now_or_refused(verb: GateVerb, issued_s: float, lifetime_s: float, trusted: bool, site: str) -> None:
    issued = NOON + timedelta(seconds=issued_s)
    command: GateCommand = make_command(verb, site=site, issued_at=issued, expires_at=issued + timedelta(seconds=lifetime_s))
    refusal = check_command(command, "north", ["g1"], Now(0.0, NOON, trusted))
    if site != "north":
        assert refusal is not None
        assert refusal.code == "WrongSite"
    elif issued_s + lifetime_s < -CLOCK_TOLERANCE_S - 1.0 or issued_s > CLOCK_TOLERANCE_S + 1.0:
        trusted_word = "Expired" if issued_s < 0.0 else "IssuedInFuture"
        if trusted:
            assert refusal is not None
            assert refusal.code == trusted_word
        else:
            assert (refusal is None) == (verb in WITHOUT_CLOCK)
            assert refusal is None or refusal.code == "ClockNotSet"
    elif -lifetime_s < issued_s <= 0.0:
        assert refusal is None


def test_each_verb_has_its_parameters_and_its_way() -> None:
    assert set(PARAMS) == set(GateVerb)
    with pytest.raises(ValueError, match="opening_pct"):
        GateAction(gate="g1", verb=GateVerb.MOVE)


@pytest.mark.parametrize("verb", [*sorted(ALARM_VERBS), GateVerb.PLAN_RELEASE])
def test_what_is_about_alarms_or_plans_is_no_command_to_a_gate(verb: GateVerb) -> None:
    asked = Instruction("i", GateAction(verb=verb, params=GOOD_PARAMS.get(verb, {})), "som", Role.MAINTAINER, Place.CONSOLE)
    with pytest.raises(ValueError, match="no command to one gate"):
        change_modes({"g1": GateModes()}, asked, NOW)


# ------------------------------------------------------------------------------------------------------------- alarms


def standing_alarms() -> Alarms:
    raised = {key: Raised("3.1 m") for key in ("g1/level_high.main", "g1/stuck", "g2/stuck", "site/door_open")}
    alarms: Alarms = {}
    for second in (0.0, 30.0):
        alarms, _ = update_alarms(rules_of(()), alarms, raised, Now(1_000.0 + second, NOON, True))
    return alarms


def ask(alarms: Alarms, verb: GateVerb, gate: str = "", role: Role = Role.OPERATOR, **params: object) -> tuple[Alarms, Outcome]:
    asked = Instruction("i", GateAction(gate=gate, verb=verb, params=params), "som", role, Place.CENTRAL)
    alarms, changes, outcome = change_alarms(alarms, rules_of(()), asked, Now(1_031.0, NOON, True))
    assert bool(changes) == outcome.accepted
    return alarms, outcome


def phases(alarms: Alarms) -> dict[str, str]:
    return {key: alarm.phase.value for key, alarm in alarms.items()}


def test_ack_means_one_alarm_those_of_a_gate_or_all() -> None:
    alarms = standing_alarms()
    one, _ = ask(alarms, GateVerb.ACK, "g1", alarm="stuck")
    assert [key for key, phase in phases(one).items() if phase == "acknowledged"] == ["g1/stuck"]
    of_gate, outcome = ask(alarms, GateVerb.ACK, "g1")
    assert [key for key, phase in phases(of_gate).items() if phase == "acknowledged"] == ["g1/level_high.main", "g1/stuck"]
    assert outcome.reasons == ("g1/level_high.main acknowledged", "g1/stuck acknowledged")
    every, _ = ask(alarms, GateVerb.ACK)
    assert set(phases(every).values()) == {"acknowledged"}
    assert ask(every, GateVerb.ACK)[1].code == "NothingToDo"
    assert phases(ask(alarms, GateVerb.ACK, alarm="door_open")[0])["site/door_open"] == "acknowledged"
    assert phases(ask(alarms, GateVerb.ACK, alarm="g2/stuck")[0])["g2/stuck"] == "acknowledged"


def test_an_alarm_is_shelved_for_a_while_and_taken_off_the_shelf() -> None:
    alarms, outcome = ask(standing_alarms(), GateVerb.SHELVE, "g1", alarm="level_high.main", for_s=600)
    assert outcome.accepted
    assert alarms["g1/level_high.main"].shelved_until_s == 1_631.0
    assert phases(ask(alarms, GateVerb.UNSHELVE, "g1", alarm="level_high.main")[0])["g1/level_high.main"] == "unacknowledged"
    assert ask(standing_alarms(), GateVerb.SHELVE, "g1", alarm="no_such_alarm")[1].code == "UnknownAlarm"
    assert ask(standing_alarms(), GateVerb.UNSHELVE, "g1", alarm="stuck")[1].code == "NothingToDo"


def test_a_viewer_acknowledges_nothing() -> None:
    alarms = standing_alarms()
    after, outcome = ask(alarms, GateVerb.ACK, role=Role.VIEWER)
    assert (after, outcome.code) == (alarms, "NotAllowed")


def test_an_instruction_about_modes_is_none_about_alarms() -> None:
    alarms = {"site/": AlarmState(phase=Phase.UNACKNOWLEDGED)}
    with pytest.raises(ValueError, match="not about alarms"):
        change_alarms(alarms, rules_of(()), Instruction("i", GateAction(verb=GateVerb.STOP), "som", Role.OPERATOR, Place.CENTRAL), NOW)
