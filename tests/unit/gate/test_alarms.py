"""Alarms: their state table, damping, the first of a burst, shelving, and that none is lost."""

import itertools
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import alarm_docs
from edge_agent.gate_control.decide.alarm_names import AlarmName, name_of
from edge_agent.gate_control.decide.alarm_table import MEANINGS
from edge_agent.gate_control.decide.alarms import (
    CHATTER_COMINGS,
    CHATTER_WINDOW_S,
    TRANSITIONS,
    AlarmChange,
    AlarmEvent,
    AlarmRules,
    Alarms,
    AlarmState,
    Phase,
    Raised,
    acknowledge,
    move_to_boot,
    rules_of,
    shelve,
    standing,
    unshelve,
    update_alarms,
)
from edge_agent.gate_control.decide.mode_commands import Accepted, Refused
from edge_agent.gate_control.model.configuration import AlarmRule
from edge_agent.gate_control.model.values import Now

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HIGH, STUCK, DOOR = "p1/level_high", "g1/stuck", "north/door_open"
AT_ONCE = rules_of([AlarmRule(name=name, on_delay_s=0.0, off_delay_s=0.0) for name in ("level_high", "stuck", "door_open")])
DELAYED = rules_of([AlarmRule(name="level_high", priority="low", on_delay_s=10.0, off_delay_s=20.0)])


def at(time_s: float, *, trusted: bool = True) -> Now:
    return Now(time_s, NOON + timedelta(seconds=time_s), trusted)


class Panel:
    """An alarm panel that is scanned by hand."""

    def __init__(self, rules: AlarmRules = AT_ONCE) -> None:
        self.rules = rules
        self.state: Alarms = {}
        self.changes: list[AlarmChange] = []

    def scan(self, time_s: float, *keys: str, unknown: tuple[str, ...] = ()) -> None:
        raised = {key: Raised(f"{key} is there") for key in keys}
        self.state, changes = update_alarms(self.rules, self.state, raised, at(time_s), unknown=unknown)
        self.changes += changes

    def phase(self, key: str = HIGH) -> Phase:
        return self.state.get(key, AlarmState()).phase

    def ack(self, key: str = HIGH) -> None:
        self.state, _, answer = acknowledge(self.state, key, "malee")
        assert isinstance(answer, Accepted)

    def shelve(self, time_s: float, for_s: float, key: str = HIGH) -> None:
        self.state, _, answer = shelve(self.rules, self.state, key, for_s, "malee", at(time_s))
        assert isinstance(answer, Accepted)


# ---- the state table


def test_a_rule_for_one_gate_or_pool_goes_before_the_rule_for_all() -> None:
    rules = rules_of(
        [
            AlarmRule(name="level_high", priority="low"),
            AlarmRule(name="level_high", subject="p2", priority="urgent", on_delay_s=1.0),
            AlarmRule(name="sensor_stale.p2.tail", priority="high"),
            AlarmRule(name="sensor_stale", subject="p.2", priority="low"),
        ]
    )
    assert rules.priority("p.2/sensor_stale.l1") == "low"
    assert [rules.priority(key) for key in ("p1/level_high", "p2/level_high")] == ["low", "urgent"]
    assert rules.damping("p2/level_high").on_delay_s == 1.0
    assert rules.priority("g1/sensor_stale.p2.tail") == "high"


def test_an_alarm_comes_is_seen_goes_and_is_forgotten() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    panel.ack()
    assert panel.phase() is Phase.ACKNOWLEDGED
    panel.scan(1)
    assert panel.phase() is Phase.NORMAL
    panel.scan(100)
    assert panel.state == {}


def test_an_alarm_that_went_unseen_waits_to_be_seen() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.scan(1)
    panel.scan(1_000_000)
    assert panel.phase() is Phase.RETURNED
    panel.ack()
    assert panel.phase() is Phase.NORMAL


def test_an_alarm_that_comes_again_asks_again() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.scan(100)
    panel.scan(200, HIGH)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    assert [change.event for change in panel.changes] == [AlarmEvent.CAME, AlarmEvent.WENT, AlarmEvent.CAME]


def test_what_is_normal_cannot_be_acknowledged() -> None:
    _, changes, answer = acknowledge({}, HIGH, "malee")
    assert isinstance(answer, Refused)
    assert (changes, answer.code) == ((), "NothingToDo")


def test_each_state_can_be_left_and_each_is_reached() -> None:
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) == set(TRANSITIONS.values())


# ---- shelving


def test_a_shelved_alarm_is_quiet_until_its_end_and_speaks_again_where_the_condition_is_there() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.shelve(1, 600)
    panel.scan(100)
    panel.scan(200, HIGH)
    assert panel.phase() is Phase.SHELVED
    assert len(panel.changes) == 1, "nothing is said meanwhile"
    panel.scan(601, HIGH)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    assert panel.changes[-1].event is AlarmEvent.UNSHELVED_ON


def test_a_shelved_alarm_whose_condition_is_gone_ends_as_normal() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.shelve(1, 600)
    panel.scan(2)
    panel.scan(601)
    assert panel.phase() is Phase.NORMAL


def test_a_person_takes_an_alarm_off_the_shelf_before_its_time() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.shelve(1, 600)
    panel.state, changes, _ = unshelve(panel.state, HIGH, "malee")
    assert (panel.phase(), changes[0].by) == (Phase.UNACKNOWLEDGED, "malee")
    _, _, answer = unshelve(panel.state, HIGH, "malee")
    assert isinstance(answer, Refused)


@pytest.mark.parametrize(
    ("key", "for_s", "code"),
    [("g1/wrong_way", 600.0, "NotAllowed"), ("g1/no_such", 600.0, "UnknownAlarm"), (HIGH, 10.0, "OutOfRange"), (HIGH, 1e7, "OutOfRange")],
)
def test_what_cannot_be_shelved_says_why(key: str, for_s: float, code: str) -> None:
    _, _, answer = shelve(AlarmRules(), {}, key, for_s, "malee", at(0))
    assert isinstance(answer, Refused)
    assert answer.code == code


# ---- damping


def test_a_condition_must_last_before_it_is_an_alarm_and_be_gone_before_it_returns() -> None:
    panel = Panel(DELAYED)
    panel.scan(0, HIGH)
    panel.scan(9.9, HIGH)
    assert panel.phase() is Phase.NORMAL
    panel.scan(10, HIGH)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    panel.scan(11)
    panel.scan(30.9)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    panel.scan(31)
    assert panel.phase() is Phase.RETURNED


def test_a_flicker_is_no_alarm_and_leaves_nothing_behind() -> None:
    panel = Panel(DELAYED)
    panel.scan(0, HIGH)
    panel.scan(1)
    panel.scan(200)
    assert (panel.state, panel.changes) == ({}, [])


def test_a_chattering_alarm_is_raised_once_held_and_counted() -> None:
    panel = Panel(DELAYED)
    for second in range(200):
        panel.scan(second, *([HIGH] if second % 4 < 2 else []))
    assert [change.event for change in panel.changes] == [AlarmEvent.CAME]
    held = panel.state[HIGH]
    assert (held.is_chattering, held.count) == (True, 50)
    panel.scan(257)
    assert panel.phase() is Phase.UNACKNOWLEDGED
    panel.scan(258)
    assert (panel.phase(), panel.state[HIGH].is_chattering) == (Phase.RETURNED, False)


def test_a_condition_that_chattered_and_then_stayed_is_an_ordinary_alarm() -> None:
    panel = Panel(DELAYED)
    for second in range(20):
        panel.scan(second, *([HIGH] if second % 4 < 2 else []))
    for second in range(20, 200):
        panel.scan(second, HIGH)
    assert (panel.phase(), panel.state[HIGH].is_chattering) == (Phase.UNACKNOWLEDGED, False)


def test_a_condition_that_cannot_be_judged_leaves_its_alarm_as_it_is() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.ack()
    panel.scan(1, unknown=(HIGH,))
    assert panel.phase() is Phase.ACKNOWLEDGED
    panel.scan(2)
    assert panel.phase() is Phase.NORMAL


# ---- which came first


def test_the_first_of_a_burst_is_marked_and_its_consequences_are_not() -> None:
    panel = Panel()
    panel.scan(0, STUCK)
    panel.scan(30, STUCK, HIGH)
    panel.scan(80, STUCK, HIGH, DOOR)
    assert [key for key, alarm in panel.state.items() if alarm.is_first] == [STUCK]
    assert [change.is_first for change in panel.changes] == [True, False, False]


def test_an_alarm_with_nothing_just_before_it_is_the_first_of_its_own_burst() -> None:
    panel = Panel()
    panel.scan(0, STUCK)
    panel.scan(61, STUCK, HIGH)
    assert panel.state[HIGH].is_first
    assert panel.state[STUCK].is_first


def test_the_mark_goes_to_what_began_first_though_its_delay_was_longer() -> None:
    panel = Panel(rules_of([AlarmRule(name="level_high", on_delay_s=10.0), AlarmRule(name="stuck", on_delay_s=0.0)]))
    panel.scan(0, HIGH)
    panel.scan(1, HIGH, STUCK)
    assert panel.state[STUCK].is_first
    panel.scan(10, HIGH, STUCK)
    assert (panel.state[HIGH].is_first, panel.state[STUCK].is_first) == (True, False)


def test_of_two_in_the_same_scan_the_more_urgent_leads() -> None:
    panel = Panel(AlarmRules())
    panel.scan(0, "g1/wrong_way", "g1/jammed")
    assert [key for key, alarm in panel.state.items() if alarm.is_first] == ["g1/wrong_way"]


# ---- priorities and the table


def test_the_sites_rule_wins_over_who_raised_it_and_that_over_the_vocabulary() -> None:
    assert AlarmRules().priority("g1/stuck") == "high"
    assert AlarmRules().priority("g1/stuck", "urgent") == "urgent"
    assert rules_of([AlarmRule(name="stuck", priority="low")]).priority("g1/stuck", "urgent") == "low"


def test_a_rule_may_name_one_detail_alone() -> None:
    rules = rules_of([AlarmRule(name="sensor_stale.g1.level", priority="urgent")])
    assert rules.priority("g1/sensor_stale.g1.level") == "urgent"
    assert rules.priority("g1/sensor_stale.g1.flow") == "high"


def test_a_persons_table_shows_the_urgent_and_the_unseen_first() -> None:
    panel = Panel(AlarmRules())
    for time_s in (0, 10, 20):
        panel.scan(time_s, "g1/jammed", "g1/stuck", DOOR, "g2/wrong_way")
    panel.ack("g1/jammed")
    assert [key for key, _ in standing(panel.state)] == ["g2/wrong_way", "g1/stuck", "g1/jammed", DOOR]


def test_each_alarm_says_cause_consequence_and_action_and_few_are_urgent() -> None:
    assert set(MEANINGS) == set(AlarmName)
    for name, meaning in MEANINGS.items():
        assert all(text.endswith(".") for text in (meaning.cause, meaning.consequence, meaning.action)), name
        assert name_of(f"x/{name}.detail") is name
    assert sum(meaning.priority == "urgent" for meaning in MEANINGS.values()) <= 0.15 * len(MEANINGS)
    assert name_of("stuck") is None


def test_the_page_with_the_table_is_up_to_date() -> None:
    assert alarm_docs.TARGET.read_text(encoding="utf-8") == alarm_docs.render(), "run: python -m deploy.alarm_docs"


# ---- reboots


def test_a_reboot_keeps_the_end_of_a_shelf_and_without_a_clock_ends_it() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.shelve(0, 600)
    known, _ = update_alarms(AT_ONCE, move_to_boot(panel.state, 100.0, 50.0, 5.0), {HIGH: Raised("x")}, at(5.0))
    assert known[HIGH].shelved_until_s == 455.0
    unknown, _ = update_alarms(AT_ONCE, move_to_boot(panel.state, 100.0, None, 5.0), {HIGH: Raised("x")}, at(5.0, trusted=False))
    assert unknown[HIGH].phase is Phase.UNACKNOWLEDGED


KEYS = (HIGH, STUCK, DOOR)
operations = st.one_of(
    st.tuples(st.just("scan"), st.frozensets(st.sampled_from(KEYS)), st.floats(0.1, 40)),
    st.tuples(st.sampled_from(["ack", "shelve", "unshelve"]), st.frozensets(st.sampled_from(KEYS), max_size=1), st.floats(60, 300)),
    st.tuples(st.just("reboot"), st.just(frozenset[str]()), st.floats(0, 100)),
)


def operate(rules: AlarmRules, state: Alarms, what: str, keys: frozenset[str], figure: float, now_s: float) -> Alarms:
    for key in keys:
        if what == "ack":
            state, _, _ = acknowledge(state, key, "malee")
        elif what == "shelve":
            state, _, _ = shelve(rules, state, key, figure, "malee", at(now_s))
        elif what == "unshelve":
            state, _, _ = unshelve(state, key, "malee")
    return state


@given(script=st.lists(operations, max_size=60), rules=st.sampled_from([AT_ONCE, DELAYED, AlarmRules()]))
def test_no_alarm_is_lost_and_none_leaves_the_state_table(script: list[tuple[str, frozenset[str], float]], rules: AlarmRules) -> None:
    state: Alarms = {}
    now_s = 0.0
    for what, keys, figure in script:
        before = state
        if what == "scan":
            now_s += figure
            state, _ = update_alarms(rules, state, {key: Raised("there") for key in keys}, at(now_s))
        elif what == "reboot":
            state, now_s = move_to_boot(state, now_s, figure, 1.0), 1.0
        else:
            state = operate(rules, state, what, keys, figure, now_s)
        for key in KEYS:
            old, new = before.get(key, AlarmState()), state.get(key, AlarmState())
            allowed = {to for (phase, _), to in TRANSITIONS.items() if phase is old.phase} | {old.phase}
            assert new.phase in allowed
            if old.phase in (Phase.UNACKNOWLEDGED, Phase.RETURNED) and what in ("scan", "reboot"):
                assert new.phase in (Phase.UNACKNOWLEDGED, Phase.RETURNED), "not seen, and not gone"
            if new.is_on and new.phase is not Phase.SHELVED:
                assert new.phase in (Phase.UNACKNOWLEDGED, Phase.ACKNOWLEDGED)


@given(lasts_s=st.floats(0.1, 30), scans_s=st.floats(0.1, 3))
def test_an_alarm_is_raised_exactly_when_its_condition_outlasts_the_delay(lasts_s: float, scans_s: float) -> None:
    panel = Panel(DELAYED)
    times_s = [scans_s * count for count in range(int(60 / scans_s) + 2)]
    for time_s in times_s:
        panel.scan(time_s, *([HIGH] if time_s <= lasts_s else []))
    seen_s = max(time_s for time_s in times_s if time_s <= lasts_s)
    assert bool(panel.changes) == (seen_s >= 10.0)


@given(flips=st.lists(st.floats(0.5, 30), max_size=120), rules=st.sampled_from([AT_ONCE, DELAYED]))
def test_however_a_condition_flickers_a_person_is_not_called_more_often_than_chatter_allows(flips: list[float], rules: AlarmRules) -> None:
    panel, now_s, calls = Panel(rules), 0.0, list[float]()
    for wait_s, is_there in zip(flips, itertools.cycle([True, False]), strict=False):
        now_s += wait_s
        known = len(panel.changes)
        panel.scan(now_s, *([HIGH] if is_there else []))
        calls += [now_s for change in panel.changes[known:] if change.event is AlarmEvent.CAME]
    for begin_s in calls:
        assert sum(begin_s <= call_s < begin_s + CHATTER_WINDOW_S for call_s in calls) <= CHATTER_COMINGS


def test_the_state_of_an_alarm_is_written_down_and_read_back_as_it_was() -> None:
    panel = Panel()
    panel.scan(0, HIGH)
    panel.shelve(1, 600)
    written = json.loads(json.dumps(asdict(panel.state[HIGH])))
    again = AlarmState(**{**written, "phase": Phase(written["phase"]), "comings_s": tuple(written["comings_s"])})
    assert again == panel.state[HIGH]
    assert again.raised_at == "2026-05-01T12:00:00Z"
