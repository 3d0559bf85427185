"""Every scan into blocks, and full blocks to the journal. Never waits: packing and writing are the journal's thread's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from edge_agent.gate_control.journal.code_digest import code_digest
from edge_agent.gate_control.journal.database import StoredBlock
from edge_agent.gate_control.journal.packing import pack
from edge_agent.gate_control.journal.writer import MakeBlock
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.replay.blocks import BlockWriter, ScanInputs
from edge_agent.gate_control.replay.quantise import Steps
from shared.contracts.base import format_utc

BLOCK_S = 120.0
"""Length of a block. What a power cut takes is at most this; records of commands, alarms and modes are written at once beside it."""


class Blocks(Protocol):
    """Where full blocks go."""

    def append_block(self, make: MakeBlock) -> None: ...


class ScanRecorder:
    """Takes the inputs of each scan, quantised."""

    def __init__(self, site: SiteConfiguration, journal: Blocks, boot_id: str, *, block_s: float = BLOCK_S) -> None:
        self.steps = Steps(site)
        self._site = site.model_dump_json(by_alias=True)
        self._digest = hashlib.sha256(self._site.encode()).hexdigest()
        self._journal = journal
        self._boot_id = boot_id
        self._block_s = block_s
        self._block: BlockWriter | None = None
        self._full: list[MakeBlock] = []
        self._base: Callable[[], Mapping[str, Any]] = dict
        self._began_s = 0.0
        self._began_at: datetime | None = None
        self._ended_at: datetime | None = None

    def is_block_due(self, now_s: float) -> bool:
        """Whether the next scan begins a block, for which `begin` is to be called first."""
        return self._block is None or not 0.0 <= now_s - self._began_s < self._block_s

    def begin(self, base: Callable[[], Mapping[str, Any]], now_s: float) -> None:
        """Put the block in hand aside, and begin one. `base` gives the state before the next scan, later and in another thread."""
        self._put_aside()
        self._block, self._base, self._began_s, self._began_at = BlockWriter(self.steps, {}), base, now_s, None

    def add(self, scan: ScanInputs) -> None:
        """One scan into the block in hand."""
        if self._block is None:
            return
        self._block.add(scan)
        self._began_at = self._began_at or scan.now.wall
        self._ended_at = scan.now.wall

    def hand_over(self) -> None:
        """What was put aside, to the journal. Packing it takes the processor for a while: the commands of a scan go out before."""
        while self._full:
            self._journal.append_block(self._full.pop(0))

    def close(self) -> None:
        """Hand everything over, the block in hand too, as at the end of the process."""
        self._put_aside()
        self.hand_over()

    def _put_aside(self) -> None:
        block, began_at, ended_at = self._block, self._began_at, self._ended_at
        self._block = None
        if block is None or began_at is None or ended_at is None or not len(block):
            return
        full, count, base = block, len(block), self._base
        boot_id, digest, site = self._boot_id, self._digest, self._site
        first, last = min(began_at, ended_at), max(began_at, ended_at)

        def make() -> tuple[StoredBlock, str]:
            packed = pack(full.text(base()))
            stored = StoredBlock(format_utc(first), format_utc(last), boot_id, count, code_digest(), digest, packed)
            return stored, site

        self._full.append(make)
