"""Versions on disk: `versions/<v>`, the links `current` (what is started) and `proven` (what was seen scanning), and the record."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge_agent.gate_control.update.next_step import GateSeen, Record
from shared.durable_file import read_optional, sync_folder, write_atomic
from shared.errors import Retryable, UsageError

DEFAULT_ROOT = "/opt/munbon/gate"
CURRENT, PROVEN = "current", "proven"
PROGRAM = Path("bin") / "munbon-gate"
_WAY_BACK = ".current.back"
_RECORD, _LAST, _LOCK = "update.json", "last-update.json", "update.lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Places:
    """The folder that versions are installed in. One process at a time changes it: see `lock`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def installed(self) -> list[str]:
        """Versions that can be started."""
        folder = self.root / "versions"
        found = folder.iterdir() if folder.is_dir() else ()
        return sorted(each.name for each in found if os.access(each / PROGRAM, os.X_OK))

    def program(self, version: str) -> Path:
        """The version's `munbon-gate`."""
        return self.root / "versions" / version / PROGRAM

    def check(self, version: str) -> None:
        """Nothing where this version can be started.

        Raises:
            UsageError: it is no name of a version, or none that is installed.
        """
        if _NAME.fullmatch(version) is None:
            raise UsageError(f"{version!r} is no name of a version", subject="munbon-gate update")
        if version not in self.installed():
            known = ", ".join(self.installed()) or "none"
            raise UsageError(
                f"{self.program(version)} is not there", subject=f"version {version}", remedy=f"install it first; installed: {known}"
            )

    def named_by(self, link: str) -> str:
        """The version that a link names; empty where there is no such link."""
        try:
            return (self.root / link).readlink().name
        except OSError:
            return ""

    def point(self, link: str, version: str) -> None:
        """Let a link name a version, in one step also for a power cut. A repeat is safe.

        Raises:
            OSError: the disk does not take it; the link is as before.
        """
        try:
            temporary = self._make_link(f".{link}.new", version)
        except OSError:
            # a disk that filled meanwhile still takes a rename
            temporary = self.root / _WAY_BACK
            if link != CURRENT or self.named_by(_WAY_BACK) != version:
                raise
        temporary.replace(self.root / link)
        sync_folder(self.root)

    def keep_way_back(self, version: str) -> None:
        """Make the link to this version ready now: going back to it must not ask the disk for room.

        Raises:
            OSError: the disk does not take it.
        """
        self._make_link(_WAY_BACK, version)

    def _make_link(self, name: str, version: str) -> Path:
        made = self.root / name
        made.unlink(missing_ok=True)
        made.symlink_to(Path("versions") / version)
        return made

    def load(self) -> Record | None:
        """The record of a half-made update. One that cannot be read tells nothing, so the links are believed."""
        content = read_optional(self.root / _RECORD)
        if content is None:
            return None
        try:
            found = json.loads(content)
            gates = {name: GateSeen(**facts) for name, facts in found.pop("before_gates").items()}
            return Record(**found, before_gates=gates)
        except (ValueError, TypeError, KeyError, AttributeError):
            return Record(self.named_by(CURRENT), self.named_by(PROVEN))

    def save(self, record: Record) -> None:
        """Write the record.

        Raises:
            OSError: the disk does not take it.
        """
        write_atomic(self.root / _RECORD, json.dumps(dataclasses.asdict(record)).encode())

    def drop(self) -> None:
        """The update is over, one way or the other.

        Raises:
            OSError: the disk does not take it.
        """
        (self.root / _RECORD).unlink(missing_ok=True)
        (self.root / _WAY_BACK).unlink(missing_ok=True)
        sync_folder(self.root)

    def note(self, outcome: Mapping[str, Any]) -> None:
        """Keep how the last update ended, for people; where the disk does not take it nothing is lost but the note."""
        with contextlib.suppress(OSError):
            write_atomic(self.root / _LAST, json.dumps(outcome).encode())

    def last(self) -> Mapping[str, Any]:
        """How the last update ended; empty where there was none."""
        try:
            found = json.loads(read_optional(self.root / _LAST) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One update at a time; the kernel drops the lock with the process, however it ends.

        Raises:
            Retryable: another update is under way.
            UsageError: the folder cannot be written.
        """
        path = self.root / _LOCK
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"cannot be written: {error.strerror}", subject=str(path), remedy="run it as root") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Retryable("another update is under way", subject=str(self.root), remedy="wait until it has ended") from error
        finally:
            os.close(descriptor)
