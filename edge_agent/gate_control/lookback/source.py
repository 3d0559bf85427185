"""Blocks of a journal's file, with the configuration that they were decided by."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.gate_control.journal.database import JournalDatabase, StoredBlock
from edge_agent.gate_control.journal.packing import unpack
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.blocks import Block, BlockDamaged, read_block
from edge_agent.gate_control.replay.quantise import Steps
from shared.contracts.base import format_utc
from shared.errors import Permanent, UsageError

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
        if not path.exists():
            raise UsageError("there is no journal here", subject=str(path), remedy="name the site's file with --config, or give --journal")
        try:
            self._database = JournalDatabase(path, for_reading=True)
        except sqlite3.Error as error:
            raise UsageError(f"is not a journal: {error}", subject=str(path), remedy="give the right file with --journal") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def ids(self, since: datetime | None = None, until: datetime | None = None) -> list[int]:
        """Blocks with scans between two times, oldest first.

        Raises:
            Permanent: the file cannot be read.
        """
        try:
            return self._database.block_ids(format_utc(since or EARLIEST), format_utc(until or LATEST))
        except sqlite3.Error as error:
            raise Permanent(f"cannot be read: {error}", subject=str(self._path)) from error

    def chapters(self, ids: list[int]) -> Iterator[Chapter]:
        """These blocks, one at a time; those that were trimmed meanwhile are left out.

        Raises:
            Permanent: a block or its configuration is damaged, or of a version that this one cannot read.
        """
        for block_id in ids:
            try:
                stored = self._database.block(block_id)
                if stored is None:
                    continue
                site = SiteConfiguration.model_validate_json(self._database.site(stored.site_digest) or "")
                yield Chapter(block_id, stored, site, read_block(Steps(site), unpack(stored.content)))
            except sqlite3.Error as error:
                raise Permanent(f"cannot be read: {error}", subject=str(self._path)) from error
            except (BlockDamaged, ValueError) as error:
                raise Permanent(f"block {block_id}: {error}", subject=str(self._path)) from error
