"""The interlock file, written by a thread of its own so that neither control nor the journal can be held up by it, nor hold it up."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class LatestFile:
    """Keeps one file at the newest content that it was given; what comes while a write hangs replaces what waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: bytes | None = None
        self._changed = threading.Condition()
        self._error = ""
        threading.Thread(target=self._run, name="interlock file", daemon=True).start()

    @property
    def error(self) -> str:
        """Why the last write failed; empty when it did not."""
        return self._error

    def put(self, content: bytes) -> None:
        """Take `content` for the next write. Returns at once."""
        with self._changed:
            self._waiting = content
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None:
                    self._changed.wait()
                content, self._waiting = self._waiting, None
            try:
                self._write(content)
                self._error = ""
            except OSError as error:
                self._error = f"{self._path} cannot be written: {error.strerror}"

    def _write(self, content: bytes) -> None:
        # no fsync: the content holds within this boot only, and one a second would wear an SD card out
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        temporary.write_bytes(content)
        temporary.chmod(0o644)  # the agent is another user
        temporary.replace(self._path)
