"""What today's code says to journalled scans: how many it decides alike, and where it parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.lookback.source import Chapter
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.redecide import redecide
from shared.errors import Permanent


@dataclass(frozen=True)
class Difference:
    """The first scan of a block in which today's code commands something else; later ones of the block follow from it."""

    at: datetime
    then: tuple[str, ...]
    today: tuple[str, ...]
    reasons: tuple[str, ...]
    """Today's, of the gates concerned."""
    by_same_code: bool


@dataclass
class Comparison:
    """Over many blocks."""

    blocks: int = 0
    scans: int = 0
    blocks_of_other_code: int = 0
    unreadable: list[str] = field(default_factory=list)
    """Blocks whose state this version does not know, and why."""
    differences: list[Difference] = field(default_factory=list)
    first_at: datetime | None = None
    last_at: datetime | None = None


def compare(chapters: Iterable[Chapter], other_site: SiteConfiguration | None = None) -> Comparison:
    """Decide blocks again, each from its own beginning, by their own configuration or by another."""
    found = Comparison()
    for chapter in chapters:
        compare_one(found, chapter, other_site)
    return found


def compare_one(found: Comparison, chapter: Chapter, other_site: SiteConfiguration | None = None) -> Difference | None:
    """One block more; gives the first difference in it."""
    is_same_code = chapter.stored.code_digest == code_digest()
    found.blocks += 1
    found.blocks_of_other_code += not is_same_code
    first: Difference | None = None
    try:
        for one in redecide(other_site or chapter.site, chapter.block):
            found.scans += 1
            found.first_at = found.first_at or one.now.wall
            found.last_at = one.now.wall
            if first is None and not one.is_same:
                reasons = one.scanned.decision.reasons
                gates = sorted({line.split()[0] for line in {*one.then} ^ {*one.today}})
                told = tuple(f"{gate}: {'; '.join(reasons.get(gate, ()))}" for gate in gates)
                first = Difference(one.now.wall, one.then, one.today, told, is_same_code and other_site is None)
    except ValueError as error:
        found.unreadable.append(f"block of {chapter.stored.began_at}: {error}")
    if first is not None:
        found.differences.append(first)
    return first


def explain(chapters: Iterable[Chapter], gate: str, at: datetime) -> Explanation:
    """Why a gate moved or did not in the last scan up to a time.

    Raises:
        Permanent: no scan up to then is kept, or the gate was not at the site.
    """
    found: Explanation | None = None
    last_command, last_command_at = "", None
    for chapter in chapters:
        settings = chapter.site.gate(gate)
        if settings is None:
            names = ", ".join(each.id for each in chapter.site.gates())
            raise Permanent(f"is not at site {chapter.site.site}; it has {names}", subject=f"gate {gate}")
        for one in redecide(chapter.site, chapter.block):
            if one.now.wall > at:
                break
            commands = tuple(line for line in one.then if line.split()[0] == gate)
            if commands:
                last_command, last_command_at = commands[-1], one.now.wall
            state = one.scanned.decision.state.gates[gate]
            readings = one.scanned.readings
            watched = (settings.actuator.position, *_pool_ends(chapter.site, gate))
            found = Explanation(
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
                commands=commands,
                last_command=last_command,
                last_command_at=last_command_at,
                alarms=tuple(sorted(key for key, alarm in one.scanned.decision.state.alarms.items() if alarm.phase.value != "normal")),
                by_same_code=chapter.stored.code_digest == code_digest(),
            )
    if found is None:
        raise Permanent(f"no scan up to {at.isoformat()} is kept", subject="journal")
    return found


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
    last_command: str
    """The last before or in it, of the blocks that were read."""
    last_command_at: datetime | None
    alarms: tuple[str, ...]
    by_same_code: bool


def _pool_ends(site: SiteConfiguration, gate: str) -> list[str]:
    structure = site.structure_of(gate)
    if structure is None:
        return []
    above = site.pool_above(structure.id)
    ends = [f"{above.id}/tail"] if above is not None else []
    return ends + [f"{pool.id}/{end}" for pool in site.pools_below(structure.id) for end in ("head", "tail")]
