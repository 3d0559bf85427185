"""What today's code says to journalled scans: how many it decides alike, and where it parts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.lookback.source import Chapter
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.redecide import redecide


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
