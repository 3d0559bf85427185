"""`munbon` in a terminal: a pty of a size, what appears on it, and keys."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from deploy.harness.processes import program

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PATIENCE_S = 60.0


class Terminal:
    """One command in it."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        self.process = process
        self._master = master
        self._raw = bytearray()
        self._news = asyncio.Event()
        asyncio.get_running_loop().add_reader(master, self._read)

    @property
    def raw(self) -> str:
        """All that was written, with its control sequences."""
        return self._raw.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """All lines that ever appeared, without control sequences."""
        return [line.rstrip() for line in _CONTROL.sub("", self.raw).replace("\r", "\n").split("\n") if line.strip()]

    async def until(self, text: str) -> None:
        """Wait until a text appeared."""
        async with asyncio.timeout(_PATIENCE_S):
            while not any(text in line for line in self.lines):
                self._news.clear()
                await self._news.wait()

    def press(self, keys: str) -> None:
        """Press keys; Ctrl-C is `\\x03`."""
        os.write(self._master, keys.encode())

    async def ended(self) -> int:
        """Exit code, when it ended by itself."""
        async with asyncio.timeout(_PATIENCE_S):
            code = await self.process.wait()
        self._read()
        return code

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed: EIO
            while chunk := os.read(self._master, 65_536):
                self._raw += chunk
        self._news.set()
        if self.process.returncode is not None:
            asyncio.get_running_loop().remove_reader(self._master)


@asynccontextmanager
async def in_terminal(*words: str, environment: Mapping[str, str], columns: int = 80, lines: int = 24) -> AsyncIterator[Terminal]:
    """`munbon` with these words in a terminal of this size; it is ended with the block."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (lines, columns))
    os.set_blocking(master, False)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith("MUNBON_") and name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    try:
        process = await asyncio.create_subprocess_exec(
            *program("munbon"),
            *words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**own, "TERM": "xterm-256color", **environment},
        )
    finally:
        os.close(slave)
    terminal = Terminal(process, master)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
