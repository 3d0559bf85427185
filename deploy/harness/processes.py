"""A child process of ours: own process group, log file, gone with its parent even when that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from shared.clock import Clock, SystemClock
from shared.errors import MunbonError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
POLL_S = 0.05


class ProcessFailed(MunbonError):
    """A child ended, or did not get ready; the message carries the end of its log."""


class WaitedTooLong(MunbonError):
    """A condition did not come true in time."""


def program(name: str) -> list[str]:
    """Command line of one of our scripts, from the environment that runs this."""
    return [str(Path(sys.executable).parent / name)]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_until(condition: Callable[[], object], *, timeout_s: float, what: str, clock: Clock | None = None) -> None:
    """Wait until `condition()` is true.

    Raises:
        WaitedTooLong: it was not within `timeout_s`.
    """
    timer = clock or SystemClock()
    until_s = timer.monotonic_s() + timeout_s
    while not condition():
        if timer.monotonic_s() >= until_s:
            raise WaitedTooLong(f"not within {timeout_s:.0f} s", subject=what)
        await timer.sleep(POLL_S)


class Child:
    """One program as a child. `start` after `stop` or `kill` starts it anew, its log goes on in the same file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        with_input: bool = False,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._environment = environment if environment is not None else {}
        self._with_input = with_input
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        """Of the last run; negative for a signal."""
        return None if self._process is None else self._process.returncode

    async def start(self) -> None:
        """Start it.

        Raises:
            ProcessFailed: it runs already, or the program is missing.
        """
        if self.is_running:
            raise ProcessFailed("runs already", subject=self.name)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        parent = os.getpid()
        with self.log.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.PIPE if self._with_input else asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=lambda: _die_with(parent),
                    env={**os.environ, **self._environment},
                )
            except FileNotFoundError as error:
                raise ProcessFailed(f"{self.command[0]} is missing", subject=self.name, remedy="install the project first") from error

    async def stop(self, *, timeout_s: float = 15.0) -> int | None:
        """SIGTERM, and SIGKILL for the whole group after `timeout_s`; gives the exit code. A repeat is safe."""
        return await self._end(signal.SIGTERM, timeout_s)

    async def kill(self) -> int | None:
        """SIGKILL for the program alone: what it had started itself lives on, as after a crash."""
        return await self._end(signal.SIGKILL, 15.0)

    async def kill_group(self) -> None:
        """SIGKILL for it and all that it had started in its group."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def send_line(self, line: str) -> None:
        """Write a line to its standard input.

        Raises:
            ProcessFailed: it does not run, or was made without input.
        """
        if self._process is None or self._process.stdin is None or not self.is_running:
            raise ProcessFailed("takes no input", subject=self.name)
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    async def restart(self) -> None:
        """Stop it cleanly and start it anew."""
        await self.stop()
        await self.start()

    async def wait(self) -> int:
        """Wait for its end; gives the exit code."""
        if self._process is None:
            raise ProcessFailed("was not started", subject=self.name)
        return await self._process.wait()

    def read_log(self, *, all_runs: bool = False) -> str:
        """What it wrote: in this run, or in all of them."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(0 if all_runs else self._log_start)
            return file.read().decode("utf-8", "replace")

    async def wait_until(self, condition: Callable[[], object], *, timeout_s: float = 30.0, what: str = "") -> None:
        """Wait until `condition()` is true while the program runs.

        Raises:
            ProcessFailed: it ended, or the time is over; with the end of its log.
        """
        try:
            await wait_until(lambda: not self.is_running or condition(), timeout_s=timeout_s, what=what or self.name)
        except WaitedTooLong as error:
            raise ProcessFailed(
                f"{what or 'ready'}: not within {timeout_s:.0f} s; log ends:\n{self.log_tail()}", subject=self.name
            ) from error
        if not self.is_running:
            raise ProcessFailed(f"ended with {self.exit_code}; log ends:\n{self.log_tail()}", subject=self.name)

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of this run."""
        return "\n".join(self.read_log().splitlines()[-lines:])

    async def _end(self, number: signal.Signals, timeout_s: float) -> int | None:
        if self._process is None or self._process.returncode is not None:
            return self.exit_code
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._process.wait()
        except TimeoutError:
            await self.kill_group()
            return self.exit_code


async def run_program(
    command: Sequence[str], *, timeout_s: float = 60.0, environment: Mapping[str, str] | None = None, stdin: bytes = b""
) -> tuple[int, str, str]:
    """Run a program to its end: exit code, standard output, standard error.

    Raises:
        ProcessFailed: it is missing, or did not end within `timeout_s`.
    """
    parent = os.getpid()
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: _die_with(parent),
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise ProcessFailed(f"{command[0]} is missing", remedy="install the project first") from error
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate(stdin)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        if isinstance(error, TimeoutError):
            raise ProcessFailed(f"did not end within {timeout_s:.0f} s", subject=" ".join(command)) from error
        raise
    return int(process.returncode or 0), output.decode("utf-8", "replace"), errors.decode("utf-8", "replace")


def _die_with(parent: int) -> None:
    """In the child, before exec: be killed when the parent dies; close the gap in which it had died already."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
