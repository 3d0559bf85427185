"""Which commands were carried out: each id once, over restarts too. An append-only file, rewritten now and then.

In memory at once, on disk before the act, but never waiting for a slow disk longer than the caller allows. A line that a power
cut tore is left out: its command was not carried out, for the act comes after the line.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from shared.clock import Clock
from shared.contracts.base import Contract, UtcTime
from shared.contracts.gate_command import CommandView
from shared.durable_file import read_optional, write_atomic
from shared.errors import MunbonError, Retryable

BOOK_FILE = "commands.jsonl"
MAX_ENTRIES = 2_000
KEEP_AFTER_EXPIRY = timedelta(days=2)
"""An id is kept so long after its command's expiry, should the clock be set back."""
MAX_LINES = 4 * MAX_ENTRIES
AGAIN_S = 5.0
OnDisk = Callable[[Callable[[], Any]], Awaitable[Any]]


class BookFull(Retryable):
    """Too many commands that have not expired yet."""

    code = "Busy"


class _Line(Contract):
    id: str
    digest: str
    expires_at: UtcTime
    answer: CommandView | None = None


@dataclass
class Entry:
    """One command that came in."""

    id: str
    digest: str
    """SHA-256 of what was asked: the same id for something else is a replay."""
    expires_at: datetime
    answer: asyncio.Future[CommandView] | None = None
    """None where the process ended before it was known."""


class CommandBook:
    """Ids and answers. Call from one event loop; `saving` runs what may hang on a disk."""

    def __init__(self, path: Path, saving: OnDisk) -> None:
        self._path = path
        self._saving = saving
        self._entries: dict[str, Entry] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._lines = 0
        self._whole = True
        """The next write replaces the file: it is new, or its end may be torn."""
        self.is_loaded = False
        """Until then it is not known which commands were carried out before this process began."""
        self.problem = ""
        """Why ids are not on the disk; empty while they are."""

    async def open(self, clock: Clock) -> None:
        """Take up what is on the disk, trying until it can be read. Until then nothing is written over it."""
        while not self.is_loaded:
            try:
                self._take_up(await self._saving(lambda: read_optional(self._path)), clock.wall())
            except (OSError, MunbonError) as error:
                self.problem = f"{self._path}: {error}"
                await clock.sleep(AGAIN_S)

    def _take_up(self, raw: bytes | None, now: datetime) -> None:
        for text in (raw or b"").split(b"\n"):
            line = _read(text)
            if line is None:
                continue
            entry = self._entries.setdefault(line.id, Entry(line.id, line.digest, line.expires_at))
            if line.answer is not None and entry.answer is None:
                entry.answer = _known(line.answer)
        self._forget_old(now)
        self.is_loaded, self.problem = True, ""

    def find(self, command_id: str) -> Entry | None:
        """The command of that id, if it ever came in."""
        return self._entries.get(command_id)

    def begin(self, command_id: str, digest: str, expires_at: datetime, now: datetime) -> Entry:
        """Note a new command, in memory.

        Raises:
            BookFull: too many are remembered already; old ones expire.
        """
        if len(self._entries) >= MAX_ENTRIES:
            self._forget_old(now)
        if len(self._entries) >= MAX_ENTRIES:
            raise BookFull(f"{MAX_ENTRIES} commands are remembered that have not expired", subject="gate", remedy="wait, and send fewer")
        entry = Entry(command_id, digest, expires_at, asyncio.get_running_loop().create_future())
        self._entries[command_id] = entry
        return entry

    async def save(self, entry: Entry, within_s: float) -> bool:
        """Whether the command is durable; the write goes on where it takes longer than `within_s`."""
        done, _ = await asyncio.wait({self._write_soon(entry)}, timeout=within_s)
        if not done and self.is_loaded:
            self.problem = f"{self._path}: the disk is slow"
        return bool(done) and not self.problem

    def finish(self, entry: Entry, answer: CommandView) -> None:
        """Keep the answer for repeats; it reaches the disk when it can."""
        if entry.answer is not None and not entry.answer.done():
            entry.answer.set_result(answer)
        self._write_soon(entry)

    async def settle(self, within_s: float) -> None:
        """Wait for what is being written, for a while: before the process ends."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=within_s)

    def _write_soon(self, entry: Entry) -> asyncio.Task[None]:
        write = asyncio.create_task(self._append(entry))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        return write

    async def _append(self, entry: Entry) -> None:
        """Write one line, or all of them where the file is new, torn or long."""
        if not self.is_loaded:
            return
        try:
            if self._whole or self._lines >= MAX_LINES:
                content = b"".join(_write(each) for each in self._entries.values())
                await self._saving(lambda: write_atomic(self._path, content, mode=0o640))
                self._whole, self._lines = False, len(self._entries)
            else:
                await self._saving(lambda: _append_line(self._path, _write(entry)))
                self._lines += 1
            self.problem = ""
        except (OSError, MunbonError) as error:
            self._whole = True
            self.problem = f"{self._path}: {error}"

    def _forget_old(self, now: datetime) -> None:
        oldest = now - KEEP_AFTER_EXPIRY
        self._entries = {key: entry for key, entry in self._entries.items() if entry.expires_at > oldest}


def _append_line(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError("the disk took only part of a line")
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _write(entry: Entry) -> bytes:
    answer = entry.answer.result() if entry.answer is not None and entry.answer.done() else None
    if answer is not None:
        answer = answer.model_copy(update={"data": {}})  # a code is for who asked for it, not for who reads the disk
    line = _Line(id=entry.id, digest=entry.digest, expires_at=entry.expires_at, answer=answer)
    return json.dumps(line.to_json(), separators=(",", ":")).encode() + b"\n"


def _read(text: bytes) -> _Line | None:
    try:
        return _Line.model_validate_json(text) if text.strip() else None
    except ValueError:
        return None


def _known(answer: CommandView) -> asyncio.Future[CommandView]:
    future = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future
