"""Who may move a gate: facts that stay apart, commands by people, and what survives what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.gate_control.decide.mode_commands import (
    CLEARANCE_S,
    Accepted,
    Answer,
    ModeCommand,
    ModeVerb,
    Refused,
    apply_command,
)
from edge_agent.gate_control.decide.modes import (
    Commissioning,
    Control,
    GateModes,
    Health,
    ManualMotion,
    Place,
    Role,
    Source,
    after_restart,
    arrive,
    expire,
    observe,
    permit,
    trip,
)
from edge_agent.gate_control.model.values import Now, Selector

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
SOMCHAI = Source(Place.CONSOLE, "somchai")
MALEE = Source(Place.CONSOLE, "malee")
OFFICE = Source(Place.CENTRAL, "office")
RUNNING = GateModes(selector=Selector.REMOTE, control=Control.AUTO, commissioning=Commissioning.COMMISSIONED)
HELD = replace(RUNNING, control=Control.MANUAL)
MOVE = ModeCommand(ModeVerb.MOVE, opening_pct=40.0, valid_s=300.0)


def at(time_s: float, *, trusted: bool = True) -> Now:
    return Now(time_s, NOON + timedelta(seconds=time_s), trusted)


def say(
    modes: GateModes, command: ModeCommand | ModeVerb, source: Source = SOMCHAI, role: Role = Role.MAINTAINER, time_s: float = 0.0
) -> tuple[GateModes, Answer]:
    return apply_command(modes, command if isinstance(command, ModeCommand) else ModeCommand(command), role, source, at(time_s))


def done(
    modes: GateModes, command: ModeCommand | ModeVerb, source: Source = SOMCHAI, role: Role = Role.MAINTAINER, time_s: float = 0.0
) -> GateModes:
    changed, answer = say(modes, command, source, role, time_s)
    assert isinstance(answer, Accepted), answer
    return changed


def refusal(
    modes: GateModes, command: ModeCommand | ModeVerb, source: Source = SOMCHAI, role: Role = Role.MAINTAINER, time_s: float = 0.0
) -> str:
    changed, answer = say(modes, command, source, role, time_s)
    assert isinstance(answer, Refused), answer
    assert changed == modes
    return answer.code


# ---- what the facts allow


def test_a_new_gate_observes_until_a_person_arms_it_at_the_site_and_then_holds() -> None:
    assert permit(GateModes()).mode == "OBSERVE"
    assert refusal(GateModes(), ModeVerb.AUTO) == "NotCommissioned"
    assert refusal(GateModes(), ModeVerb.ARM, OFFICE) == "AtSiteOnly"
    armed = done(GateModes(), ModeVerb.ARM)
    assert permit(armed).mode == "MANUAL"
    assert permit(done(armed, ModeVerb.AUTO)).may_control


FORBIDDING = [
    (replace(RUNNING, in_service=False), "OUT_OF_SERVICE"),
    (replace(RUNNING, selector=Selector.LOCAL), "LOCAL"),
    (replace(RUNNING, commissioning=Commissioning.UNARMED), "OBSERVE"),
    (replace(RUNNING, stopped_by="malee"), "STOPPED"),
    (done(RUNNING, ModeVerb.TAG), "TAGGED_OUT"),
    (trip(RUNNING, "wrong_way"), "FAULT"),
]


@pytest.mark.parametrize(("modes", "name"), FORBIDDING)
def test_each_of_these_forbids_every_command_protection_included(modes: GateModes, name: str) -> None:
    allowed = permit(replace(modes, motion=ManualMotion(40.0, 100.0, "malee")))
    assert (allowed.mode, allowed.may_protect, allowed.may_control, allowed.motion) == (name, False, False, None)
    assert allowed.reason


def test_a_stuck_gate_is_still_asked_by_protection_and_by_nobody_else() -> None:
    allowed = permit(trip(RUNNING, "stuck"))
    assert (allowed.may_protect, allowed.may_control, allowed.motion) == (True, False, None)
    assert refusal(trip(HELD, "stuck"), MOVE) == "Tripped"


def test_an_unwired_selector_counts_as_remote() -> None:
    assert permit(replace(RUNNING, selector=Selector.UNWIRED)).may_control


def test_a_gate_whose_position_is_not_known_is_neither_controlled_nor_moved_by_hand() -> None:
    blind = observe(RUNNING, Selector.REMOTE, Health.FAILED)
    assert (permit(blind).mode, permit(blind).may_control) == ("FAULT", False)
    assert refusal(blind, MOVE) == "Unhealthy"


def test_a_selector_turned_to_local_and_back_leaves_auto_as_it_was_and_ends_a_manual_motion() -> None:
    local = observe(RUNNING, Selector.LOCAL, Health.GOOD)
    assert refusal(local, MOVE) == "Local"
    assert permit(observe(local, Selector.REMOTE, Health.GOOD)).may_control
    moving = done(HELD, MOVE)
    back = observe(observe(moving, Selector.LOCAL, Health.GOOD), Selector.REMOTE, Health.GOOD)
    assert permit(back).motion is None


# ---- manual motion


def test_a_manual_motion_runs_out_and_the_gate_holds_until_a_person_gives_it_to_auto() -> None:
    moving = done(RUNNING, MOVE, time_s=10.0)
    assert permit(expire(moving, at(309.9))).motion == ManualMotion(40.0, 310.0, "somchai")
    over = expire(moving, at(310.0))
    assert (permit(over).mode, permit(over).motion, permit(over).may_control) == ("MANUAL", None, False)
    assert permit(done(over, ModeVerb.AUTO)).may_control


def test_a_motion_that_arrived_is_over_and_stays_in_manual() -> None:
    assert permit(arrive(done(RUNNING, MOVE))).mode == "MANUAL"
    assert permit(arrive(done(RUNNING, MOVE))).motion is None


def test_an_opening_or_a_time_out_of_range_is_refused() -> None:
    for opening_pct, valid_s in ((101.0, 60.0), (-1.0, 60.0), (float("nan"), 60.0), (40.0, 0.0), (40.0, 1e9), (40.0, float("nan"))):
        assert refusal(RUNNING, ModeCommand(ModeVerb.MOVE, opening_pct=opening_pct, valid_s=valid_s)) == "OutOfRange"


def test_a_stop_holds_protection_too_until_a_person_says_how_it_goes_on() -> None:
    stopped = done(RUNNING, ModeVerb.STOP)
    assert not permit(stopped).may_protect
    assert permit(done(stopped, ModeVerb.MANUAL)).may_protect
    assert permit(done(stopped, MOVE)).motion is not None
    assert permit(done(stopped, ModeVerb.AUTO)).may_control


def test_a_gate_back_in_service_is_in_manual() -> None:
    out = done(RUNNING, ModeVerb.SERVICE_OUT)
    assert refusal(out, MOVE) == "OutOfService"
    assert permit(done(out, ModeVerb.SERVICE_IN)).mode == "MANUAL"


# ---- trips


def test_a_trip_keeps_its_first_cause_and_is_reset_by_an_operator_alone() -> None:
    tripped = trip(trip(RUNNING, "stuck"), "jammed")
    assert tripped.trip == "stuck"
    assert refusal(tripped, ModeVerb.RESET_TRIP, role=Role.VIEWER) == "NotAllowed"
    assert permit(done(tripped, ModeVerb.RESET_TRIP, OFFICE, Role.OPERATOR)).may_control
    assert refusal(RUNNING, ModeVerb.RESET_TRIP) == "NothingToDo"


# ---- tags


def test_a_tag_comes_off_by_two_steps_at_the_site_and_the_gate_is_then_in_manual() -> None:
    tagged = done(RUNNING, ModeCommand(ModeVerb.TAG, note="cable out"))
    assert permit(tagged).reason == "tagged out by somchai since 2026-05-01T12:00:00Z (cable out)"
    first = done(tagged, ModeCommand(ModeVerb.TAG_CLEAR, code="7352"))
    assert permit(first).mode == "TAGGED_OUT"
    assert permit(done(first, ModeCommand(ModeVerb.TAG_CONFIRM, code="7352"))).mode == "MANUAL"


def test_neither_step_counts_alone_late_from_afar_by_another_person_or_with_a_wrong_code() -> None:
    tagged = done(RUNNING, ModeVerb.TAG)
    clear, confirm = ModeCommand(ModeVerb.TAG_CLEAR, code="7352"), ModeCommand(ModeVerb.TAG_CONFIRM, code="7352")
    assert refusal(tagged, confirm) == "NoFirstStep"
    assert refusal(tagged, clear, OFFICE) == "AtSiteOnly"
    assert refusal(tagged, clear, role=Role.OPERATOR) == "NotAllowed"
    assert refusal(tagged, ModeVerb.TAG_CLEAR) == "OutOfRange"
    first = done(tagged, clear)
    assert refusal(first, confirm, MALEE) == "NotAllowed"
    assert refusal(first, confirm, time_s=CLEARANCE_S) == "NoFirstStep"
    after_wrong, answer = say(first, ModeCommand(ModeVerb.TAG_CONFIRM, code="0000"))
    assert isinstance(answer, Refused)
    assert refusal(after_wrong, confirm) == "NoFirstStep"


def test_each_person_hangs_their_own_tag_and_the_last_one_off_frees_the_gate() -> None:
    tagged = done(done(RUNNING, ModeVerb.TAG), ModeVerb.TAG, MALEE)
    assert refusal(tagged, ModeVerb.TAG, MALEE) == "NothingToDo"
    assert refusal(tagged, ModeCommand(ModeVerb.TAG_CLEAR, code="1")) == "WhichTag"
    for holder, mode in (("malee", "TAGGED_OUT"), ("somchai", "MANUAL")):
        tagged = done(tagged, ModeCommand(ModeVerb.TAG_CLEAR, holder=holder, code="1"))
        tagged = done(tagged, ModeCommand(ModeVerb.TAG_CONFIRM, code="1"))
        assert permit(tagged).mode == mode


def test_nothing_that_moves_the_gate_is_taken_while_it_is_tagged_out() -> None:
    tagged = done(RUNNING, ModeVerb.TAG)
    for command in (ModeVerb.AUTO, ModeVerb.MANUAL, MOVE, ModeVerb.RESET_TRIP, ModeVerb.COMMISSION, ModeVerb.ARM):
        assert refusal(tagged, command) == "TaggedOut"


def test_without_a_clock_a_tag_says_so() -> None:
    tagged, _ = apply_command(RUNNING, ModeCommand(ModeVerb.TAG), Role.OPERATOR, SOMCHAI, at(5.0, trusted=False))
    assert "clock not set" in permit(tagged).reason


# ---- whose commands count


def test_what_is_done_at_the_console_outranks_central_until_it_is_released_there() -> None:
    local = done(RUNNING, ModeVerb.MANUAL)
    assert refusal(local, ModeVerb.AUTO, OFFICE) == "NotOwner"
    assert refusal(local, ModeVerb.OWNER_RELEASE, OFFICE) == "AtSiteOnly"
    released = done(local, ModeVerb.OWNER_RELEASE)
    assert permit(done(released, ModeVerb.AUTO, OFFICE)).may_control
    assert refusal(released, ModeVerb.OWNER_RELEASE) == "NothingToDo"


def test_a_stop_is_taken_from_central_even_then() -> None:
    claimed = done(RUNNING, ModeVerb.OWNER_CLAIM)
    assert permit(done(claimed, ModeVerb.STOP, OFFICE)).mode == "STOPPED"


def test_a_refused_command_at_the_console_takes_no_ownership() -> None:
    assert refusal(trip(HELD, "stuck"), MOVE) == "Tripped"


def test_while_it_is_commissioned_a_gate_is_moved_from_the_console_alone() -> None:
    new = done(GateModes(), ModeVerb.COMMISSION)
    assert refusal(new, MOVE, OFFICE) == "NotCommissioned"
    assert permit(done(new, MOVE)).motion is not None
    assert not permit(new).may_control


# ---- restarts


def test_a_restart_keeps_every_fact_and_starts_no_motion() -> None:
    tagged = done(done(trip(done(RUNNING, ModeVerb.OWNER_CLAIM), "stuck"), ModeVerb.TAG), ModeCommand(ModeVerb.TAG_CLEAR, code="1"))
    again = after_restart(tagged)
    assert again == replace(tagged, clearance=None)
    assert permit(after_restart(done(RUNNING, MOVE))).motion is None
    assert permit(after_restart(RUNNING)).may_control


sources = st.sampled_from([SOMCHAI, MALEE, OFFICE])
commands = st.builds(
    ModeCommand,
    st.sampled_from(ModeVerb),
    opening_pct=st.floats(-10, 110),
    valid_s=st.floats(0, 1_000),
    code=st.sampled_from(["", "1", "2"]),
    holder=st.sampled_from(["", "somchai", "malee"]),
)
acts = st.tuples(commands, st.sampled_from(Role), sources, st.floats(0, 200))
happenings = st.sampled_from(["restart", "expire", "stuck", "wrong_way", "local", "remote", "failed"])
starts = st.sampled_from([GateModes(), RUNNING, HELD, replace(RUNNING, owner=Place.CONSOLE), done(RUNNING, ModeVerb.TAG)])


def happen(modes: GateModes, what: str, now: Now) -> GateModes:
    match what:
        case "restart":
            return after_restart(modes)
        case "expire":
            return expire(modes, now)
        case "local" | "remote":
            return observe(modes, Selector(what), Health.GOOD)
        case "failed":
            return observe(modes, modes.selector, Health.FAILED)
        case _:
            return trip(modes, what)


def check_step(before: GateModes, after: GateModes, act: tuple[ModeCommand, Role, Source, float]) -> None:
    command, role, source, _ = act
    if after.control is Control.AUTO and before.control is Control.MANUAL:
        assert command.verb is ModeVerb.AUTO
        assert role >= Role.OPERATOR
    if len(after.tags) < len(before.tags):
        assert command.verb is ModeVerb.TAG_CONFIRM
        assert before.clearance is not None
        assert (source.place, before.clearance.asked_by, before.clearance.code) == (Place.CONSOLE, source.name, command.code)
        assert role is Role.MAINTAINER
    if source.place is Place.CENTRAL and before.owner is Place.CONSOLE and command.verb is not ModeVerb.STOP:
        assert after == before
    if role is Role.VIEWER:
        assert after == before


@given(start=starts, script=st.lists(acts | happenings, max_size=30))
def test_whatever_is_said_and_happens_no_rule_of_who_may_is_broken(
    start: GateModes, script: list[tuple[ModeCommand, Role, Source, float] | str]
) -> None:
    modes, now_s = start, 0.0
    for step in script:
        before = modes
        if isinstance(step, str):
            modes = happen(modes, step, at(now_s))
            assert (modes.control, modes.tags, modes.owner) == (before.control, before.tags, before.owner)
        else:
            now_s += step[3]
            modes, _ = apply_command(modes, step[0], step[1], step[2], at(now_s))
            check_step(before, modes, step)
        allowed = permit(modes)
        if modes.tags or not modes.in_service or modes.selector is Selector.LOCAL or modes.stopped_by:
            assert (allowed.may_protect, allowed.may_control, allowed.motion) == (False, False, None)
        if allowed.may_control:
            assert modes.control is Control.AUTO
            assert not modes.trip
        assert permit(expire(modes, at(1e9))).motion is None
