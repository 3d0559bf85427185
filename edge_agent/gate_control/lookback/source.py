"""Blocks of a journal's file, with the configuration that they were decided by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.gate_control.journal.database import StoredBlock
from edge_agent.gate_control.journal.packing import unpack
from edge_agent.gate_control.journal.reader import ScanReader
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.blocks import Block, BlockDamaged, read_block
from edge_agent.gate_control.replay.quantise import Steps
from shared.contracts.base import format_utc
from shared.errors import Permanent

EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Chapter:
    """One block and what it takes to decide it again."""

    id: int
    stored: StoredBlock
    site: SiteConfiguration
    block: Block


class JournalSource:
    """Reads only; the process that writes is not held up.

    Raises:
        UsageError: there is no journal there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = ScanReader(path)
        self.damaged: list[str] = []
        """Blocks that could not be read, and why; those beside them are."""

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def ids(self, since: datetime | None = None, until: datetime | None = None) -> list[int]:
        """Blocks with scans between two times, oldest first.

        Raises:
            Permanent: the file cannot be read.
        """
        return self._reader.block_ids(format_utc(since or EARLIEST), format_utc(until or LATEST))

    def chapters(self, ids: list[int]) -> Iterator[Chapter]:
        """These blocks, one at a time; those that were trimmed meanwhile are left out, and damaged ones noted in `damaged`.

        Raises:
            Permanent: the file cannot be read.
        """
        for block_id in ids:
            found = self._reader.block(block_id)
            if found is None:
                continue
            stored, text = found
            try:
                site = SiteConfiguration.model_validate_json(text)
                chapter = Chapter(block_id, stored, site, read_block(Steps(site), unpack(stored.content)))
            except (BlockDamaged, Permanent, ValueError) as error:
                self.damaged.append(f"block of {stored.began_at}: {error}")
                continue
            yield chapter

    def span(self, block_id: int) -> tuple[str, str] | None:
        """First and last time of a block; None where it was trimmed meanwhile."""
        found = self._reader.block(block_id)
        return (found[0].began_at, found[0].ended_at) if found is not None else None
