"""Why a gate moved or did not: one scan decided again, what was asked and commanded before it, and where nothing is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.lookback.source import Chapter
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.happenings import Happened, read_happened
from edge_agent.gate_control.replay.redecide import Redecided, redecide
from shared.contracts.gate_command import GateVerb
from shared.errors import Permanent, UsageError

_ABOUT_ALARMS = frozenset({GateVerb.ACK, GateVerb.SHELVE, GateVerb.UNSHELVE})


@dataclass(frozen=True)
class Before:
    """The newest of its kind up to the scan, of the blocks that were read."""

    text: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Explanation:
    """One gate in one scan."""

    gate: str
    at: datetime
    mode: str
    target: str
    opening_pct: float | None
    reasons: tuple[str, ...]
    readings: tuple[tuple[str, float | None, str, float, tuple[str, ...]], ...]
    """Name, value, quality, age in s, reasons."""
    commands: tuple[str, ...]
    """Given in this very scan."""
    asked: tuple[str, ...]
    """By people, carried out or refused in this very scan."""
    alarms: tuple[str, ...]
    by_same_code: bool
    scan_period_s: float
    last_command: Before = field(default_factory=Before)
    last_asked: Before = field(default_factory=Before)


def explain(newest_first: Iterable[Chapter], gate: str, at: datetime) -> Explanation | None:
    """Why a gate moved or did not in the last scan up to a time; None where none is kept.

    Raises:
        UsageError: the gate was not at the site.
        Permanent: the block is of a version that this one cannot decide again.
    """
    for chapter in newest_first:
        _check_gate(chapter.site, gate)
        found = _last_scan(chapter, gate, at)
        if found is not None:
            return found
    return None


def _last_scan(chapter: Chapter, gate: str, at: datetime) -> Explanation | None:
    last: tuple[Redecided, Happened] | None = None
    try:
        for inputs, one in zip(chapter.block.scans, redecide(chapter.site, chapter.block), strict=True):
            if one.now.wall > at:
                break
            last = one, read_happened(inputs.happened)
    except ValueError as error:
        raise Permanent(f"this version cannot decide it again: {error}", subject=f"block of {chapter.stored.began_at}") from error
    return _explain_scan(chapter, *last, gate) if last is not None else None


def with_past(found: Explanation, newest_first: Iterable[Chapter]) -> Explanation:
    """The same with the last command and the last wish of a person before it, or in it. Nothing is decided again for that."""
    command, asked = Before(), Before()
    for chapter in newest_first:
        for now_wall, happened in reversed(list(_happenings(chapter, found.at))):
            commands = _commands(happened, found.gate)
            command = Before(commands[-1], now_wall) if commands and not command.text else command
            if not asked.text and _asked(happened, found.gate):
                asked = Before(_answered(chapter, now_wall, found.gate), now_wall)
        if command.text and asked.text:
            break
    return replace(found, last_command=command, last_asked=asked)


def _answered(chapter: Chapter, at: datetime, gate: str) -> str:
    """What was asked last in a scan, and what the gate said to it: that is known once the scan is decided again."""
    try:
        for inputs, one in zip(chapter.block.scans, redecide(chapter.site, chapter.block), strict=True):
            if one.now.wall == at:
                return _wishes(one, read_happened(inputs.happened), gate)[-1]
    except ValueError:
        pass  # of a version that this one cannot decide again: then what was asked is told without its answer
    asked = [happened for now_wall, happened in _happenings(chapter, at) if now_wall == at]
    return _wish(_asked(asked[-1], gate)[-1], None)


def _happenings(chapter: Chapter, until: datetime) -> Iterator[tuple[datetime, Happened]]:
    for inputs in chapter.block.scans:
        if inputs.happened and inputs.now.wall <= until:
            yield inputs.now.wall, read_happened(inputs.happened)


def _explain_scan(chapter: Chapter, one: Redecided, happened: Happened, gate: str) -> Explanation:
    settings, decision = chapter.site.gate(gate), one.scanned.decision
    state, readings = decision.state.gates[gate], one.scanned.readings
    watched = (settings.actuator.position if settings is not None else "", *_pool_ends(chapter.site, gate))
    return Explanation(
        gate=gate,
        at=one.now.wall,
        mode=state.mode,
        target=state.target,
        opening_pct=state.position_pct,
        reasons=state.reasons,
        readings=tuple(
            (name, reading.value, reading.quality.value, round(reading.age_s, 1), reading.reasons)
            for name in watched
            if (reading := readings.get(name)) is not None
        ),
        commands=_commands(happened, gate),
        asked=_wishes(one, happened, gate),
        alarms=tuple(sorted(key for key, alarm in decision.state.alarms.items() if alarm.phase.value != "normal")),
        by_same_code=chapter.stored.code_digest == code_digest(),
        scan_period_s=chapter.site.scan_period_s,
    )


def _commands(happened: Happened, gate: str) -> tuple[str, ...]:
    return tuple(line for line in happened.decided or () if line.split()[0] == gate)


def _asked(happened: Happened, gate: str) -> list[Instruction]:
    return [one for one in happened.instructions if one.action.gate in ("", gate) and one.action.verb not in _ABOUT_ALARMS]


def _wishes(one: Redecided, happened: Happened, gate: str) -> tuple[str, ...]:
    answers = dict(zip((each.id for each in happened.instructions), one.scanned.answers, strict=True))
    return tuple(_wish(each, answers[each.id]) for each in _asked(happened, gate))


def _wish(one: Instruction, answer: Outcome | None) -> str:
    params = getattr(one.action, "params", {})
    figures = " ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in params.values())
    note = f": {one.note}" if one.note else ""
    refused = f", refused ({answer.code}): {answer.reason}" if answer is not None and not answer.accepted else ""
    return f"{' '.join((str(one.action.verb), figures)).strip()} by {one.author} from {one.place.value}{note}{refused}"


def _check_gate(site: SiteConfiguration, gate: str) -> None:
    if site.gate(gate) is None:
        names = ", ".join(each.id for each in site.gates())
        raise UsageError(f"is not at site {site.site}; it has {names}", subject=f"gate {gate}")


def _pool_ends(site: SiteConfiguration, gate: str) -> list[str]:
    structure = site.structure_of(gate)
    if structure is None:
        return []
    above = site.pool_above(structure.id)
    ends = [f"{above.id}/tail"] if above is not None else []
    return ends + [f"{pool.id}/{end}" for pool in site.pools_below(structure.id) for end in ("head", "tail")]
