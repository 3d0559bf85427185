"""What is amiss in this scan, by alarm key; `alarms` makes alarms of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edge_agent.gate_control.decide.alarm_names import AlarmName
from edge_agent.gate_control.decide.alarms import AlarmState, Raised
from edge_agent.gate_control.decide.drawdown import DrawdownVerdict
from edge_agent.gate_control.decide.gate import GateFacts
from edge_agent.gate_control.decide.limits import LevelLimits, own_limits
from edge_agent.gate_control.decide.modes import Commissioning
from edge_agent.gate_control.decide.orders import NoteKind, OrderNote
from edge_agent.gate_control.decide.state import Note
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.devices import Point
from edge_agent.gate_control.model.pools import Pool
from edge_agent.gate_control.model.profiles import jams_by_torque
from edge_agent.gate_control.model.values import Now, Quality, Reading

RETURN_SHARE = 0.01
"""A level alarm returns this share of the range inside the limit, so that noise does not make it chatter."""
TRIPS = frozenset({AlarmName.STUCK, AlarmName.WRONG_WAY, AlarmName.UNCOMMANDED, AlarmName.JAMMED})
ORDER_ALARMS = {
    NoteKind.MISSED: AlarmName.ORDER_MISSED,
    NoteKind.ESTIMATED: AlarmName.ORDER_ESTIMATED,
    NoteKind.SHORT: AlarmName.ORDER_SHORT,
}
STEERING_ALARMS = {"fallback": AlarmName.FALLBACK_ACTIVE, "level_too_old": AlarmName.SENSOR_STALE}
_TOLD_BY_ACTUATOR = (AlarmName.JAMMED, AlarmName.OVERTORQUE, AlarmName.ACTUATOR_INHIBITED, AlarmName.POSITION_FAULT)
_CAUSES = (
    ("frozen", AlarmName.SENSOR_FROZEN),
    ("current loop", AlarmName.SENSOR_OUT_OF_RANGE),
    ("lies outside", AlarmName.SENSOR_OUT_OF_RANGE),
    ("is no number", AlarmName.SENSOR_OUT_OF_RANGE),
    ("is believed", AlarmName.SENSOR_TOO_FAST),
)
"""By what validation says of a reading that it does not believe."""
Conditions = dict[str, Raised]


def gate_conditions(facts: GateFacts, readings: Mapping[str, Reading], *, is_budget_spent: bool) -> Conditions:
    """Of one gate."""
    gate, modes, status = facts.gate, facts.modes, facts.status
    found: dict[str, str] = {}
    if modes.trip in TRIPS:
        found[modes.trip] = f"tripped: {modes.trip}"
    if status.jammed:
        found[AlarmName.OVERTORQUE if jams_by_torque(gate.actuator) else AlarmName.JAMMED] = "the actuator says so"
    if facts.position_fault:
        found[AlarmName.POSITION_FAULT] = facts.position_fault
    if status.inhibited:
        found[AlarmName.ACTUATOR_INHIBITED] = "the actuator says that motion is inhibited"
    silence = _silence(facts)
    if silence:
        found[AlarmName.ACTUATOR_SILENT] = silence
    position, limits = facts.position.value, own_limits(gate)
    tolerance_pct = gate.motion.tolerance_pct
    if position is not None and not limits.low_pct - tolerance_pct <= position <= limits.high_pct + tolerance_pct:
        found[AlarmName.OUTSIDE_TRAVEL] = f"at {position:.1f} %, limits {limits.low_pct:g} to {limits.high_pct:g} %"
    if is_budget_spent:
        found[AlarmName.STARTS_SPENT] = f"{gate.limits.starts_per_hour} starts in the last hour"
    if modes.commissioning is not Commissioning.COMMISSIONED:
        found[AlarmName.NOT_COMMISSIONED] = f"the gate is {modes.commissioning}"
    if modes.stopped_by:
        found[AlarmName.STOPPED] = f"stopped by {modes.stopped_by}"
    found |= _interlock_conditions(facts, readings)
    return {f"{gate.id}/{name}": Raised(reason) for name, reason in found.items()}


def _silence(facts: GateFacts) -> str:
    if facts.state.write_error:
        return f"a command was not taken: {facts.state.write_error}"
    if facts.position.quality is Quality.BAD:
        return "; ".join(facts.position.reasons) or "position was never read"
    return "" if facts.status.is_known or facts.status.is_late else "its status does not answer"


def _interlock_conditions(facts: GateFacts, readings: Mapping[str, Reading]) -> dict[str, str]:
    found: dict[str, str] = {}
    for rule in facts.gate.interlocks:
        state = facts.state.interlocks.get(rule.name)
        if state is not None and state.tripped:
            found[f"{AlarmName.INTERLOCK_TRIPPED}.{rule.name}"] = f"{rule.side} {rule.trip:g} passed: {rule.action}"
        if all((reading := readings.get(point)) is None or reading.quality is Quality.BAD for point in rule.points):
            found[f"{AlarmName.INTERLOCK_BLIND}.{rule.name}"] = f"no valid sensor of {', '.join(rule.points)}"
    return found


def steering_conditions(gates: Sequence[str], alarms: Mapping[str, str]) -> Conditions:
    """What following a structure's objective ran into; a bad level itself is its sensor's alarm."""
    found: Conditions = {}
    for name, reason in alarms.items():
        if name == "feedback_frozen":
            continue
        alarm = STEERING_ALARMS.get(name, AlarmName.FLOW_NOT_CONTROLLED)
        found |= {f"{gate}/{alarm}": Raised(reason) for gate in gates}
    return found


def pool_conditions(
    pool: Pool, limits: LevelLimits, readings: Mapping[str, Reading], verdict: DrawdownVerdict, alarms: Mapping[str, AlarmState]
) -> Conditions:
    """Of one pool: its level, its sensors against each other, its drawdown."""
    found: Conditions = {}
    level = readings.get(f"{pool.id}/tail") or readings.get(f"{pool.id}/head")
    if level is not None and level.value is not None and level.quality is not Quality.BAD:
        margin_m = RETURN_SHARE * (limits.high_m - limits.low_m)
        high, low = f"{pool.id}/{AlarmName.LEVEL_HIGH}", f"{pool.id}/{AlarmName.LEVEL_LOW}"
        if level.value > limits.high_m - (margin_m if _is_there(alarms, high) else 0.0):
            found[high] = Raised(f"{level.value:.3f} m, limit {limits.high_m:g} m")
        if level.value < limits.low_m + (margin_m if _is_there(alarms, low) else 0.0):
            found[low] = Raised(f"{level.value:.3f} m, limit {limits.low_m:g} m")
    for end, points in (("head", pool.head_levels), ("tail", pool.tail_levels)):
        told = [reason for point in points if point in readings for reason in readings[point].reasons if "disagree" in reason]
        if told:
            found[f"{pool.id}/{AlarmName.SENSORS_DISAGREE}.{end}"] = Raised(told[0])
    if verdict.is_limited:
        found[f"{pool.id}/{AlarmName.DRAWDOWN_LIMITED}"] = Raised(verdict.reason)
    return found


def _is_there(alarms: Mapping[str, AlarmState], key: str) -> bool:
    return key in alarms and alarms[key].is_there


def site_conditions(site: SiteConfiguration, subjects: Mapping[str, str], readings: Mapping[str, Reading], now: Now) -> Conditions:
    """Of sensors, neighbours, cabinet and clock. `subjects`: the gate that a point's alarm is about; else it is the site's."""
    found: Conditions = {}
    positions = {gate.actuator.position for gate in site.gates()}
    for point in site.points:
        reading = readings.get(point.id)
        if reading is None or point.id in positions or point.remote:
            continue
        subject = subjects.get(point.id, "site")
        found |= {f"{subject}/{name}.{point.id}": raised for name, raised in _sensor_conditions(point, reading)}
    remote = sorted({point.remote for point in site.points if point.remote})
    for name in remote:
        heard = [readings[point.id] for point in site.points if point.remote == name and point.id in readings]
        if heard and all(reading.quality is Quality.BAD for reading in heard):
            found[f"site/{AlarmName.SITE_LOST}.{name}"] = Raised(f"{len(heard)} points of {name} are not known")
    for item in site.inputs:
        state = readings.get(item.point)
        if state is not None and state.quality is not Quality.BAD and state.value == item.alarm_when:
            found[f"site/{item.name}"] = Raised(f"{item.point} reads {item.alarm_when}")
    if not now.wall_is_trusted:
        found[f"site/{AlarmName.CLOCK_NOT_SET}"] = Raised("the clock was not set since the boot")
    return found


def _sensor_conditions(point: Point, reading: Reading) -> Iterator[tuple[str, Raised]]:
    text, cause = "; ".join(reading.reasons), _cause(reading)
    if cause is not None:
        yield cause, Raised(text)
    if reading.quality is Quality.BAD and cause is not AlarmName.SENSOR_FROZEN and reading.age_s > point.stale_after_s:
        yield AlarmName.SENSOR_STALE, Raised(text)
    elif reading.quality is Quality.DEGRADED:
        yield AlarmName.SENSOR_DEGRADED, Raised(text)


def unknown_conditions(
    site: SiteConfiguration, subjects: Mapping[str, str], facts: Mapping[str, GateFacts], readings: Mapping[str, Reading]
) -> frozenset[str]:
    """Keys whose condition nobody can judge now: without its sensor it is neither there nor gone, and the alarm stays as it is."""
    found: set[str] = set()
    for name, gate in facts.items():
        if gate.position.value is None or gate.position.quality is Quality.BAD:
            found.add(f"{name}/{AlarmName.OUTSIDE_TRAVEL}")
        if not (gate.status.is_known or gate.status.is_late):
            found |= {f"{name}/{alarm}" for alarm in _TOLD_BY_ACTUATOR}
    for pool in site.pools:
        found |= {f"{pool.id}/{name}" for name in _unjudged_of_pool(pool, readings)}
    for item in site.inputs:
        if not _is_believed(readings.get(item.point)):
            found.add(f"site/{item.name}")
    for point in site.points:
        reading = readings.get(point.id)
        # an answer that did not come says nothing of the values that came before
        if reading is None or (reading.is_doubted and _cause(reading) is None):
            subject = subjects.get(point.id, "site")
            found |= {f"{subject}/{name}.{point.id}" for name in (AlarmName.SENSOR_OUT_OF_RANGE, AlarmName.SENSOR_TOO_FAST)}
    return frozenset(found)


def _unjudged_of_pool(pool: Pool, readings: Mapping[str, Reading]) -> Iterator[str]:
    if not _is_believed(readings.get(f"{pool.id}/tail") or readings.get(f"{pool.id}/head")):
        yield from (AlarmName.LEVEL_HIGH, AlarmName.LEVEL_LOW, AlarmName.DRAWDOWN_LIMITED)
    for end, points in (("head", pool.head_levels), ("tail", pool.tail_levels)):
        if len(points) > 1 and sum(_is_believed(readings.get(point)) for point in points) < 2:
            yield f"{AlarmName.SENSORS_DISAGREE}.{end}"


def _is_believed(reading: Reading | None) -> bool:
    return reading is not None and reading.value is not None and reading.quality is not Quality.BAD


def _cause(reading: Reading) -> AlarmName | None:
    """What validation holds against a reading, as the alarm for it."""
    text = "; ".join(reading.reasons)
    return next((name for sign, name in _CAUSES if sign in text), None)


def order_conditions(notes: Sequence[OrderNote]) -> tuple[Conditions, tuple[Note, ...]]:
    """Alarms of orders, and what the journal is told of them."""
    raised = {f"site/{ORDER_ALARMS[note.kind]}.{note.order_id}": Raised(note.text) for note in notes if note.kind in ORDER_ALARMS}
    return raised, tuple(Note(f"order_{note.kind}", note.order_id, note.text) for note in notes)
