"""All that the agent keeps, behind one door."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from edge_agent.store.apps import AppTable, InventoryTable
from edge_agent.store.blobs import BlobFolder
from edge_agent.store.database import Database, open_database
from edge_agent.store.documents import DesiredSlot, NonceTable, RefusalTable
from edge_agent.store.errors import from_os
from edge_agent.store.outbox import MAX_BYTES, Outbox
from shared.clock import Clock
from shared.contracts.event import EventType
from shared.errors import UsageError

_REVISION, _PAUSED, _REBUILD = "status_revision", "paused", "rebuild_due"
_REVISIONS_RESERVED = 1_000
"""Revisions are reserved ahead, so that a status costs no write, and none is used twice after a power cut."""


class StateStore:
    """The state of one agent. Opened by one process at a time."""

    def __init__(
        self, folder: Path, database: Database, node: str, clock: Clock, new_id: Callable[[], str], agent_version: str, max_bytes: int
    ) -> None:
        self.folder = folder
        self._database = database
        self.outbox = Outbox(database, node, clock, new_id, max_bytes=max_bytes)
        self.apps = AppTable(database)
        self.inventory = InventoryTable(database)
        self.desired = DesiredSlot(database)
        self.refusals = RefusalTable(database, agent_version)
        self.nonces = NonceTable(database)
        self.blobs = BlobFolder(folder / "blobs")
        self._revision = int(database.get_meta(_REVISION, "0"))
        self._reserved = self._revision

    @classmethod
    def open(
        cls, folder: Path, node: str, clock: Clock, new_id: Callable[[], str], *, agent_version: str = "", max_outbox_bytes: int = MAX_BYTES
    ) -> StateStore:
        """The state of a folder. One that is damaged is put aside and begun anew: `needs_rebuild` is then set, and reported.

        Raises:
            UsageError: a newer agent wrote it.
            DiskFull, StoreUnavailable: the disk does not take it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise from_os(error, str(folder)) from error
        database, problem = open_database(folder)
        try:
            store = cls(folder, database, node, clock, new_id, agent_version, max_outbox_bytes)
            store.blobs.prepare()
            if problem:
                with store.transaction():
                    database.set_meta(_REBUILD, problem[:500])
                    store.outbox.add(EventType.STATE_REBUILT, {"reason": problem[:500]})
                store.blobs.verify_all()
        except BaseException:
            database.close()
            raise
        return store

    def transaction(self) -> AbstractContextManager[object]:
        """Several changes, all or none. See `Database.transaction`."""
        return self._database.transaction()

    @property
    def is_corrupt(self) -> bool:
        """Whether the file was found damaged while in use; opening it again begins anew."""
        return self._database.is_corrupt

    @property
    def needs_rebuild(self) -> str:
        """Why inventories have to be rebuilt from the cluster; empty where they need not."""
        return self._database.get_meta(_REBUILD)

    def finish_rebuild(self) -> None:
        """Inventories were rebuilt."""
        self._database.set_meta(_REBUILD, "")

    @property
    def is_paused(self) -> bool:
        """Whether a person on this node paused the agent."""
        return self._database.get_meta(_PAUSED) == "yes"

    def set_paused(self, paused: bool) -> None:
        """Keep a pause over restarts."""
        self._database.set_meta(_PAUSED, "yes" if paused else "")

    def next_revision(self) -> int:
        """A status revision that was never used before, also not before a power cut.

        Raises:
            DiskFull, StoreUnavailable: none can be reserved now.
        """
        if self._revision >= self._reserved:
            self._database.set_meta(_REVISION, str(self._revision + _REVISIONS_RESERVED))
            self._reserved = self._revision + _REVISIONS_RESERVED
        self._revision += 1
        return self._revision

    def cursor(self, name: str) -> tuple[str, int]:
        """Where a journal was read to: its id and the last record."""
        journal_id, _, last = self._database.get_meta(f"cursor_{name}").rpartition(":")
        return journal_id, int(last or 0)

    def set_cursor(self, name: str, journal_id: str, last: int) -> None:
        """Keep how far a journal was read, in the transaction that keeps what was read."""
        self._database.set_meta(f"cursor_{name}", f"{journal_id}:{last}")

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class FolderLock:
    """Held while an agent runs, so that there is one for each folder; a dead process holds none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "agent.lock"
        self._descriptor = -1

    def acquire(self) -> None:
        """Take it.

        Raises:
            UsageError: another agent runs on this folder.
            StoreUnavailable: the folder cannot be used.
        """
        if self._descriptor >= 0:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise UsageError("another agent runs on this folder", subject=str(self._path.parent), remedy="stop it first") from error
        except OSError as error:
            raise from_os(error, str(self._path)) from error

    def release(self) -> None:
        """Give it back."""
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1
