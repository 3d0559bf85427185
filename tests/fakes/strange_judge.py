"""A judge of runs on `StrangeCanal` who trusts neither the run nor `unsafe_events`: each finding is a sentence."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from edge_agent.gate_control.journal.database import JournalDatabase
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.simulation import ActuatorFault, ActuatorTrouble, Command, CommandRecord, Event, Restart, Run, Stop
from shared.contracts.gate_command import GateAction
from shared.contracts.gate_socket import JournalRecord
from tests.fakes.strange_canal import StrangeCanal

HOUR_S = 3600.0
SLACK_PCT = 0.5
AUTOMATIC = ("AUTO", "HOLD", "FALLBACK")


def judge(run: Run, canal: StrangeCanal, site: SiteConfiguration, events: Sequence[Event], records: Sequence[JournalRecord]) -> list[str]:
    """All that must never be."""
    given = _given(run, events)
    found = [*_told_what_was_done(run, canal, records), *_true_series(run, site), *_orders(records), *_two_scans(run, site, events, given)]
    for gate in site.gates():
        commands = [one for one in run.commands if one.gate == gate.id]
        found += _forbidden(commands, given, events)
        found += [f"{_name(one)} leads outside its limits" for one in commands if not _is_inside(one, gate.limits.opening_max_pct, site)]
        found += _budget(commands, gate.limits.starts_per_hour)
        changes = [change for change in run.modes if change.gate == gate.id]
        found += [
            f"{gate.id} is {change.mode} at {change.at_s:g}, and nobody gave it to auto"
            for change in changes
            if change.mode in AUTOMATIC and not _facts(given, gate.id, change.at_s)["auto"]
        ]
        if _facts(given, gate.id, run.duration_s)["tag"] and changes[-1].mode not in ("TAGGED_OUT", "OBSERVE"):
            found.append(f"{gate.id} has lost its tag")
    return found


def read_journal(path: Path) -> list[JournalRecord]:
    """All records on disk."""
    database = JournalDatabase(path)
    try:
        found: list[JournalRecord] = []
        while page := database.page(found[-1].cursor if found else 0, 1000).records:
            found += page
        return found
    finally:
        database.close()


def _given(run: Run, events: Sequence[Event]) -> list[tuple[float, Command]]:
    """Commands that were accepted, when: answers come in the order in which they were asked."""
    asked = sorted((event for event in events if isinstance(event, Command)), key=lambda event: event.at_s)
    answers = [answer for answer in run.answers if not answer.what.startswith("plan ")]
    return [(answer.at_s, event) for event, answer in zip(asked, answers, strict=True) if answer.accepted]


def _facts(given: Sequence[tuple[float, Command]], gate: str, at_s: float) -> Mapping[str, bool]:
    """What people said of a gate up to a time."""
    facts = {"tag": False, "out": False, "stopped": False, "auto": False}
    for when_s, command in given:
        action = command.action
        if when_s > at_s or action.gate not in ("", gate):
            continue
        params = action.params if isinstance(action, GateAction) else {}
        match action.verb.value:
            case "tag":
                facts |= {"tag": True, "auto": False}
            case "stop":
                facts |= {"stopped": True, "auto": False}
            case "service" if params["service"] == "out":
                facts |= {"out": True, "auto": False}
            case "mode":
                facts |= {"stopped": False, "auto": params["mode"] == "auto"}
            case "move":
                facts |= {"stopped": False, "auto": False}
    return facts


def _told_what_was_done(run: Run, canal: StrangeCanal, records: Sequence[JournalRecord]) -> Iterator[str]:
    """The plant's own notes, the run and the journal tell the same; the ends of pulses are the hardware's."""
    verbs = {"Position": "move", "Raise": "raise", "Lower": "lower"}
    written = [(gate, verbs[type(command).__name__]) for _, gate, command in canal.written if not isinstance(command, Stop)]
    told = [(one.gate, one.verb) for one in run.commands if one.verb != "stop" and "refuses the write" not in one.error]
    if written != told:
        yield f"the plant was written {len(written)} commands, the run tells {len(told)}"
    raised = Counter(alarm.key for alarm in run.alarms if alarm.change == "unacknowledged")
    noted = Counter(_alarm_key(record) for record in records if record.kind == "alarm_raised")
    if raised != noted:
        yield f"alarms of the run and of the journal differ: {(raised - noted) or (noted - raised)}"


def _alarm_key(record: JournalRecord) -> str:
    name = str(record.data["alarm"])
    return f"{record.gate}/{name}" if record.gate else name if "/" in name else f"site/{name}"


def _true_series(run: Run, site: SiteConfiguration) -> Iterator[str]:
    for point in site.points:
        series = run.series[point.id]
        if not all(before < after for before, after in pairwise(series.times_s)) or not all(map(math.isfinite, series.values)):
            yield f"the series of {point.id} does not rise in time, or holds no numbers"
        if len(series.values) < run.duration_s / 40.0:
            yield f"the series of {point.id} has {len(series.values)} values"


def _orders(records: Sequence[JournalRecord]) -> Iterator[str]:
    kinds = Counter((record.data["order"], record.data["event"].removesuffix("_late")) for record in records if record.kind == "order")
    for (order, kind), count in kinds.items():
        if count > 1 and kind in ("order_started", "order_ended"):
            yield f"order {order}: {kind} {count} times"
        if kind == "order_ended" and not kinds[order, "order_started"]:
            yield f"order {order} ended, and never began"


def _two_scans(run: Run, site: SiteConfiguration, events: Sequence[Event], given: Sequence[tuple[float, Command]]) -> Iterator[str]:
    """Scans of people's commands count too."""
    period_s = site.scan_period_s
    asked_s = {answer.at_s for answer in run.answers}
    for birth_s in [0.0, *(event.at_s for event in events if isinstance(event, Restart))]:
        scans_s = sorted(
            {(math.floor(birth_s / period_s + 1e-6) + number) * period_s for number in (1, 2)}
            | {at_s for at_s in asked_s if at_s > birth_s}
        )
        for gate in site.gates():
            first = next((one for one in run.commands if one.gate == gate.id and one.at_s > birth_s and one.verb != "stop"), None)
            if first is not None and first.at_s < scans_s[1] - 1e-6:
                yield f"{_name(first)} before two scans; the process began at {birth_s:g}"


def _forbidden(commands: Sequence[CommandRecord], given: Sequence[tuple[float, Command]], events: Sequence[Event]) -> Iterator[str]:
    local = [
        event for event in events if isinstance(event, ActuatorFault) and event.trouble is ActuatorTrouble.LOCAL and event.gate == "mid"
    ]
    for one in commands:
        facts = _facts(given, one.gate, one.at_s)
        if one.verb != "stop" and (facts["tag"] or facts["out"] or facts["stopped"]):
            yield f"{_name(one)} though {', '.join(name for name, is_so in facts.items() if is_so)}"
        if one.gate == "mid" and any(event.at_s + 12.0 < one.at_s < event.until_s for event in local):
            yield f"{_name(one)} in LOCAL"


def _is_inside(one: CommandRecord, high_pct: float, site: SiteConfiguration) -> bool:
    gate = site.gate(one.gate)
    aim_pct = one.opening_pct
    if gate is not None and one.run_s is not None and one.position_pct is not None:
        aim_pct = one.position_pct + (1.0 if one.verb == "raise" else -1.0) * 100.0 * one.run_s / gate.actuator.stroke_time_s
    where_pct = one.position_pct if one.position_pct is not None else 0.0
    return aim_pct is None or min(0.0, where_pct) - SLACK_PCT <= aim_pct <= max(high_pct, where_pct) + SLACK_PCT


def _budget(commands: Sequence[CommandRecord], starts_per_hour: int) -> Iterator[str]:
    """Of the controller alone; one that no device took was none."""
    own_s = [one.at_s for one in commands if one.verb != "stop" and not one.error and _is_controllers(one)]
    for at_s in own_s:
        count = sum(1 for other_s in own_s if at_s <= other_s < at_s + HOUR_S)
        if count > starts_per_hour:
            yield f"{commands[0].gate}: {count} starts of the controller in the hour from {at_s:g}, {starts_per_hour} are allowed"
            return


def _is_controllers(one: CommandRecord) -> bool:
    by_others = ("moved by", "the delivery is over")
    return "interlock" not in one.reason and not one.reason.startswith(by_others) and one.mode not in ("MANUAL", "COMMISSIONING")


def _name(one: CommandRecord) -> str:
    return f"{one.gate} was told to {one.verb} at {one.at_s:g} ({one.reason})"
