"""The site's state on disk: written by a thread of its own, so that control never waits; the newest state always replaces what waits.

The file is a line of JSON and a line with its SHA-256: an SD card forgets, and a tag whose name lost a letter would be no tag.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from edge_agent.gate_control.decide.restart import SavedState
from shared.durable_file import read_optional, write_atomic
from shared.errors import MunbonError, Permanent
from shared.observability import get_logger

STATE_FILE = "gate-state.json"
RETRY_S = 2.0
RESERVES_BYTES = (128 * 1024, 64 * 1024, 16 * 1024)
"""Room kept for the state, as much as there is: who hangs a tag on a gate relies on it, however full the disk."""

log = get_logger("gate.state")


class StateFile:
    """Keeps one file, synced, at the newest state that it was given."""

    def __init__(self, path: Path, before: Callable[[], object] = lambda: None) -> None:
        """`before` is called in the writer's thread ahead of each write: for what must be on the disk before the state is."""
        self._path = path
        self._reserve = path.with_name(f".{path.name}.reserve")
        self._before = before
        self._waiting: SavedState | None = None
        self._given, self._written = 0, 0
        """How many states came, and the newest of them that is on the disk."""
        self._stopping = False
        self._changed = threading.Condition()
        self._error = ""
        self._thread = threading.Thread(target=self._run, name="state file", daemon=True)
        self._thread.start()

    @property
    def error(self) -> str:
        """Why the last write failed; empty when it did not."""
        return self._error

    def load(self) -> SavedState | None:
        """The saved state; None where there is none.

        Raises:
            Permanent: the file cannot be read, or holds something else; it is kept beside under another name.
        """
        try:
            raw = read_optional(self._path)
            # made for this once: the process that controls would hold it for nothing
            return TypeAdapter(SavedState).validate_json(_checked(raw)) if raw is not None else None
        except (ValidationError, ValueError) as error:
            self._put_aside()
            raise Permanent("is damaged, or of another version", subject=str(self._path)) from error
        except OSError as error:
            raise Permanent(f"cannot be read: {error.strerror}", subject=str(self._path)) from error

    def put(self, saved: SavedState) -> None:
        """Take a state for the next write. Returns at once."""
        with self._changed:
            self._waiting = saved
            self._given += 1
            self._changed.notify_all()

    def settle(self, within_s: float) -> bool:
        """Whether all that was given by now is on the disk, waiting for it so long; to be called away from the event loop."""
        with self._changed:
            wanted = self._given
            return self._changed.wait_for(lambda: self._written >= wanted, within_s)

    def stop(self, within_s: float) -> bool:
        """Write what waits and end; False when the disk did not take it in time."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._stopping:
                    self._changed.wait()
                saved, self._waiting, number = self._waiting, None, self._given
            if saved is None:
                return
            written = self._write(saved)
            with self._changed:
                if written:
                    self._written = number
                    self._changed.notify_all()
                elif self._stopping:
                    return
                else:
                    self._put_back(saved)
                    self._changed.wait(RETRY_S)

    def _put_back(self, saved: SavedState) -> None:
        """To be tried again, unless a newer one came meanwhile."""
        if self._waiting is None:
            self._waiting = saved

    def _write(self, saved: SavedState) -> bool:
        try:
            self._before()
            content = to_json(saved, inf_nan_mode="null")
            self._write_in_reserve(content + b"\n" + hashlib.sha256(content).hexdigest().encode() + b"\n")
        except (OSError, MunbonError) as error:
            if not self._error:
                log.error("state cannot be written", path=str(self._path), reason=str(error))
            self._error = f"{self._path} cannot be written: {error}"
            return False
        self._error = ""
        return True

    def _write_in_reserve(self, content: bytes) -> None:
        """Also on a disk that others filled: room that was kept for it is given back for the moment of the write, then taken again."""
        try:
            write_atomic(self._path, content, mode=0o640)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._reserve.exists():
                raise
            self._reserve.unlink(missing_ok=True)
            write_atomic(self._path, content, mode=0o640)
        self._keep_reserve()

    def _keep_reserve(self) -> None:
        if self._reserve.exists():
            return
        for size_bytes in RESERVES_BYTES:
            try:
                with self._reserve.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, size_bytes)
            except OSError:
                self._reserve.unlink(missing_ok=True)
            else:
                return

    def _put_aside(self) -> None:
        try:
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
        except OSError as error:
            log.warning("damaged state cannot be put aside", path=str(self._path), reason=str(error))


def _checked(raw: bytes) -> bytes:
    """The content, where it is what its digest says.

    Raises:
        ValueError: it is something else.
    """
    content, _, digest = raw.removesuffix(b"\n").rpartition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        raise ValueError("the digest does not fit")
    return content
