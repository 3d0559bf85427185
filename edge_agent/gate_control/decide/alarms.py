"""Alarms and what becomes of them: raised, acknowledged, returned, shelved; damped, and the first of a burst marked. Pure.

States after ISA-18.2; none is left but by an event of TRANSITIONS. Times are seconds since boot. An alarm that a person
has not seen is never dropped: an unacknowledged one stays, returned or not, until it is acknowledged or shelved.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edge_agent.gate_control.decide.alarm_names import PRIORITIES, Priority, name_of
from edge_agent.gate_control.decide.alarm_table import MEANINGS
from edge_agent.gate_control.decide.mode_commands import Accepted, Answer, Refused
from edge_agent.gate_control.model.configuration import AlarmRule
from edge_agent.gate_control.model.replacing import replace
from edge_agent.gate_control.model.values import Now
from shared.contracts.base import format_utc

CHATTER_COMINGS = 5
CHATTER_WINDOW_S = 60.0
"""A condition that comes this often in this time chatters (ISA-18.2 calls three in a minute chattering; delays take the rest)."""
CHATTER_QUIET_S = 60.0
"""A chattering alarm is held until its condition stood still this long."""
BURST_S = 60.0
"""Alarms that follow one another within this time make a burst; the first of it is marked."""
MIN_SHELVED_S = 60.0
MAX_SHELVED_S = 7 * 86_400.0


class Phase(StrEnum):
    """States of an alarm."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned"
    """Gone by itself, and nobody has seen it yet."""
    SHELVED = "shelved"
    """Kept quiet by a person until an end time."""


class AlarmEvent(StrEnum):
    """What moves an alarm from state to state."""

    CAME = "came"
    WENT = "went"
    ACKNOWLEDGED = "acknowledged"
    SHELVED = "shelved"
    UNSHELVED_ON = "unshelved_on"
    """Off the shelf, and the condition is there."""
    UNSHELVED_OFF = "unshelved_off"


TRANSITIONS: Mapping[tuple[Phase, AlarmEvent], Phase] = {
    (Phase.NORMAL, AlarmEvent.CAME): Phase.UNACKNOWLEDGED,
    (Phase.NORMAL, AlarmEvent.SHELVED): Phase.SHELVED,
    (Phase.UNACKNOWLEDGED, AlarmEvent.WENT): Phase.RETURNED,
    (Phase.UNACKNOWLEDGED, AlarmEvent.ACKNOWLEDGED): Phase.ACKNOWLEDGED,
    (Phase.UNACKNOWLEDGED, AlarmEvent.SHELVED): Phase.SHELVED,
    (Phase.ACKNOWLEDGED, AlarmEvent.WENT): Phase.NORMAL,
    (Phase.ACKNOWLEDGED, AlarmEvent.SHELVED): Phase.SHELVED,
    (Phase.RETURNED, AlarmEvent.CAME): Phase.UNACKNOWLEDGED,
    (Phase.RETURNED, AlarmEvent.ACKNOWLEDGED): Phase.NORMAL,
    (Phase.RETURNED, AlarmEvent.SHELVED): Phase.SHELVED,
    (Phase.SHELVED, AlarmEvent.UNSHELVED_ON): Phase.UNACKNOWLEDGED,
    (Phase.SHELVED, AlarmEvent.UNSHELVED_OFF): Phase.NORMAL,
}
"""The whole state table; an event that is not here for a state changes nothing."""


@dataclass(frozen=True)
class Raised:
    """A condition that is there in this scan."""

    reason: str
    priority: Priority | None = None
    """None: the vocabulary's, or what `site.yaml` says, which always wins."""


@dataclass(frozen=True)
class AlarmState:
    """One alarm."""

    phase: Phase = Phase.NORMAL
    reason: str = ""
    priority: Priority = "medium"
    is_there: bool = False
    """The bare condition, undamped."""
    is_on: bool = False
    """The condition after its delays."""
    changed_at_s: float = 0.0
    """When the bare condition last came or went."""
    came_at_s: float | None = None
    """When the bare condition of the present or last occurrence came; the order of a burst goes by it."""
    raised_at: str = ""
    """Wall time as text; empty when the clock was not set."""
    comings_s: tuple[float, ...] = ()
    """Of the bare condition, within the chatter window."""
    is_chattering: bool = False
    count: int = 0
    """How often the condition came since the alarm was last normal."""
    is_first: bool = False
    """The first of its burst: the others may be its consequences."""
    acknowledged_by: str = ""
    shelved_until_s: float | None = None
    shelved_by: str = ""


@dataclass(frozen=True)
class AlarmChange:
    """One line for the journal."""

    key: str
    event: AlarmEvent
    phase: Phase
    """The new one."""
    reason: str
    priority: Priority
    is_first: bool = False
    by: str = ""


@dataclass(frozen=True)
class Damping:
    """Priority and delays of one alarm."""

    priority: Priority | None
    on_delay_s: float
    off_delay_s: float


@dataclass(frozen=True)
class AlarmRules:
    """The site's own rules, by name with or without detail; those for one subject by `<subject>/<name>`."""

    by_name: Mapping[str, AlarmRule] = field(default_factory=dict)

    def damping(self, key: str) -> Damping:
        """The subject's own rule for `<name>.<detail>`, else for `<name>`, else those for all, else the vocabulary's figures."""
        subject, _, full = key.partition("/")
        name = full.partition(".")[0]
        places = (key, f"{subject}/{name}", full, name) if self.by_name else ()
        rule = next((self.by_name[place] for place in places if place in self.by_name), None)
        if rule is not None:
            return Damping(rule.priority, rule.on_delay_s, rule.off_delay_s)
        known = name_of(key)
        meaning = MEANINGS[known] if known is not None else None
        return Damping(None, meaning.on_delay_s, meaning.off_delay_s) if meaning is not None else Damping(None, 5.0, 5.0)

    def priority(self, key: str, raised: Priority | None = None) -> Priority:
        """What `site.yaml` says, else who raised it, else the vocabulary."""
        name = name_of(key)
        return self.damping(key).priority or raised or (MEANINGS[name].priority if name is not None else "medium")


def rules_of(rules: Iterable[AlarmRule]) -> AlarmRules:
    """The rules of `site.yaml`."""
    return AlarmRules({rule.name if rule.subject is None else f"{rule.subject}/{rule.name}": rule for rule in rules})


Alarms = Mapping[str, AlarmState]


def update_alarms(
    rules: AlarmRules, state: Alarms, raised: Mapping[str, Raised], now: Now, *, unknown: Collection[str] = ()
) -> tuple[Alarms, tuple[AlarmChange, ...]]:
    """All alarms after a scan, and what changed.

    Rule: a condition becomes an alarm after its on-delay and returns after its off-delay. One that comes five times
    in a minute chatters: the alarm is raised and held, and its comings counted, until the condition stood still for a
    minute. A shelf that is over gives the alarm back, unacknowledged where the condition is there.

    Args:
        rules: the site's own.
        state: by key, as given back last time.
        raised: conditions that are there now, by key `<gate, pool or site>/<name>[.<detail>]`.
        now: of this scan.
        unknown: keys whose condition cannot be judged in this scan (after a start, with a bad sensor): they stay as they are.
    """
    now_s = now.monotonic_s
    alarms: dict[str, AlarmState] = {}
    changes: list[AlarmChange] = []
    for key in sorted({*state, *raised}):
        before = state.get(key, AlarmState(changed_at_s=now_s))
        is_there = before.is_there if key in unknown else key in raised
        alarm = _see(before, is_there, now_s)
        if key in raised:
            item = raised[key]
            alarm = replace(alarm, reason=item.reason, priority=rules.priority(key, item.priority))
        alarm = _damp(alarm, rules.damping(key), now_s)
        alarm, event = _step(before, alarm, now)
        if event is not None:
            changes.append(_change(key, alarm, event))
        if not _is_over(alarm, now_s):
            alarms[key] = alarm
    return _mark_first(alarms, changes)


def acknowledge(state: Alarms, key: str, by: str) -> tuple[Alarms, tuple[AlarmChange, ...], Answer]:
    """A person has seen the alarm."""
    alarm = state.get(key, AlarmState())
    phase = TRANSITIONS.get((alarm.phase, AlarmEvent.ACKNOWLEDGED))
    if phase is None:
        return state, (), Refused("NothingToDo", f"alarm {key} is {alarm.phase}: there is nothing to acknowledge")
    alarm = replace(alarm, phase=phase, acknowledged_by=by if phase is Phase.ACKNOWLEDGED else "")
    return {**state, key: alarm}, (_change(key, alarm, AlarmEvent.ACKNOWLEDGED, by),), Accepted(f"{key} acknowledged")


def shelve(rules: AlarmRules, state: Alarms, key: str, for_s: float, by: str, now: Now) -> tuple[Alarms, tuple[AlarmChange, ...], Answer]:
    """Keep the alarm quiet for a while; urgent ones cannot be. Shelved again, the new end counts."""
    if name_of(key) is None:
        return state, (), Refused("UnknownAlarm", f"there is no alarm {key}; expected <gate, pool or site>/<name>, see gate-alarms.md")
    alarm = state.get(key, AlarmState(priority=rules.priority(key), changed_at_s=now.monotonic_s))
    if not MIN_SHELVED_S <= for_s <= MAX_SHELVED_S:
        return state, (), Refused("OutOfRange", f"an alarm is shelved for {MIN_SHELVED_S:.0f} to {MAX_SHELVED_S:.0f} s, not {for_s:g} s")
    if alarm.priority == "urgent":
        return state, (), Refused("NotAllowed", f"alarm {key} is urgent: it cannot be shelved")
    alarm = replace(alarm, phase=Phase.SHELVED, shelved_until_s=now.monotonic_s + for_s, shelved_by=by, acknowledged_by="")
    return {**state, key: alarm}, (_change(key, alarm, AlarmEvent.SHELVED, by),), Accepted(f"{key} shelved for {for_s:.0f} s")


def unshelve(state: Alarms, key: str, by: str) -> tuple[Alarms, tuple[AlarmChange, ...], Answer]:
    """Let a shelved alarm speak again."""
    alarm = state.get(key, AlarmState())
    if alarm.phase is not Phase.SHELVED:
        return state, (), Refused("NothingToDo", f"alarm {key} is not shelved")
    alarm, event = _unshelved(alarm)
    return {**state, key: alarm}, (_change(key, alarm, event, by),), Accepted(f"{key} speaks again")


def standing(state: Alarms) -> tuple[tuple[str, AlarmState], ...]:
    """Alarms for a person's table: not normal; urgent before low, unacknowledged before the others, then by coming."""
    phases = (Phase.UNACKNOWLEDGED, Phase.RETURNED, Phase.ACKNOWLEDGED, Phase.SHELVED)
    found = [(key, alarm) for key, alarm in state.items() if alarm.phase is not Phase.NORMAL]
    return tuple(sorted(found, key=lambda it: (-_rank(it[1]), phases.index(it[1].phase), it[1].came_at_s or 0.0, it[0])))


def move_to_boot(state: Alarms, saved_at_s: float, elapsed_s: float | None, now_s: float) -> Alarms:
    """All alarms on the clock of a new boot; with `elapsed_s` None (no clock can tell) every shelf is over: doubt speaks up."""
    shift_s = now_s - saved_at_s - max(0.0, elapsed_s or 0.0)
    return {key: _moved(alarm, shift_s, now_s if elapsed_s is None else None) for key, alarm in state.items()}


def _see(alarm: AlarmState, is_there: bool, now_s: float) -> AlarmState:
    """The bare condition of this scan."""
    recent_s = tuple(at_s for at_s in alarm.comings_s if now_s - at_s < CHATTER_WINDOW_S)
    if is_there == alarm.is_there:
        return replace(alarm, comings_s=recent_s)
    if not is_there:
        return replace(alarm, is_there=False, changed_at_s=now_s, comings_s=recent_s)
    return replace(
        alarm,
        is_there=True,
        changed_at_s=now_s,
        came_at_s=alarm.came_at_s if alarm.is_on else now_s,
        comings_s=(*recent_s, now_s)[-CHATTER_COMINGS:],
        count=alarm.count + 1,
    )


def _damp(alarm: AlarmState, damping: Damping, now_s: float) -> AlarmState:
    steady_s = now_s - alarm.changed_at_s
    chatters = len(alarm.comings_s) >= CHATTER_COMINGS or (alarm.is_chattering and steady_s < CHATTER_QUIET_S)
    if chatters:
        return replace(alarm, is_chattering=True, is_on=True)
    if alarm.is_chattering:
        return replace(alarm, is_chattering=False, is_on=alarm.is_there)
    delay_s = damping.on_delay_s if alarm.is_there else damping.off_delay_s
    return replace(alarm, is_on=alarm.is_there) if steady_s >= delay_s else alarm


def _step(before: AlarmState, alarm: AlarmState, now: Now) -> tuple[AlarmState, AlarmEvent | None]:
    """The alarm in its new state, and the event that brought it there."""
    if alarm.is_on and not before.is_on:
        alarm = replace(alarm, raised_at=format_utc(now.wall) if now.wall_is_trusted else "", acknowledged_by="")
    if alarm.phase is Phase.SHELVED:
        is_over = alarm.shelved_until_s is None or now.monotonic_s >= alarm.shelved_until_s
        return _unshelved(alarm) if is_over else (alarm, None)
    if alarm.is_on == before.is_on:
        return alarm, None
    event = AlarmEvent.CAME if alarm.is_on else AlarmEvent.WENT
    phase = TRANSITIONS.get((alarm.phase, event))
    if phase is None:
        return alarm, None
    return replace(alarm, phase=phase), event


def _unshelved(alarm: AlarmState) -> tuple[AlarmState, AlarmEvent]:
    event = AlarmEvent.UNSHELVED_ON if alarm.is_on else AlarmEvent.UNSHELVED_OFF
    return replace(alarm, phase=TRANSITIONS[alarm.phase, event], shelved_until_s=None, shelved_by=""), event


def _is_over(alarm: AlarmState, now_s: float) -> bool:
    """Nothing of it is needed any more."""
    is_calm = alarm.phase is Phase.NORMAL and not (alarm.is_there or alarm.is_on or alarm.comings_s)
    return is_calm and (alarm.came_at_s is None or now_s - alarm.came_at_s > BURST_S)


def _mark_first(alarms: dict[str, AlarmState], changes: list[AlarmChange]) -> tuple[Alarms, tuple[AlarmChange, ...]]:
    """The mark is given when an alarm comes, and lost to one that began earlier but had the longer delay; never given later."""
    came = {change.key for change in changes if change.event is AlarmEvent.CAME}
    for key in came:
        alarms[key] = replace(alarms[key], is_first=True)
    open_ones = [(key, alarm) for key, alarm in alarms.items() if alarm.phase is not Phase.NORMAL and alarm.came_at_s is not None]
    for key, alarm in open_ones:
        if alarm.is_first and any(_leads(other, alarm, other_key, key) for other_key, other in open_ones):
            alarms[key] = replace(alarm, is_first=False)
    for key, alarm in alarms.items():
        if alarm.phase is Phase.NORMAL and not alarm.comings_s:
            alarms[key] = replace(alarm, is_first=False, count=int(alarm.is_there))
    return alarms, tuple(replace(item, is_first=item.key in alarms and alarms[item.key].is_first) for item in changes)


def _leads(other: AlarmState, alarm: AlarmState, other_key: str, key: str) -> bool:
    """Whether `other` came before, in the same burst; of those that came in the same scan the higher priority leads."""
    if other_key == key:
        return False
    ahead_s = (alarm.came_at_s or 0.0) - (other.came_at_s or 0.0)
    if ahead_s == 0.0:
        return (-_rank(other), other_key) < (-_rank(alarm), key)
    return 0.0 < ahead_s <= BURST_S


def _rank(alarm: AlarmState) -> int:
    return PRIORITIES.index(alarm.priority)


def _change(key: str, alarm: AlarmState, event: AlarmEvent, by: str = "") -> AlarmChange:
    return AlarmChange(key, event, alarm.phase, alarm.reason, alarm.priority, alarm.is_first, by)


def _moved(alarm: AlarmState, shift_s: float, shelf_over_s: float | None) -> AlarmState:
    shelved_until_s = alarm.shelved_until_s
    if shelved_until_s is not None:
        shelved_until_s = shelf_over_s if shelf_over_s is not None else shelved_until_s + shift_s
    return replace(
        alarm,
        changed_at_s=alarm.changed_at_s + shift_s,
        came_at_s=None if alarm.came_at_s is None else alarm.came_at_s + shift_s,
        comings_s=tuple(at_s + shift_s for at_s in alarm.comings_s),
        shelved_until_s=shelved_until_s,
    )
