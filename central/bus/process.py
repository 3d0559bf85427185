"""nats-server as an operating system process: found, checked, started in its own process group, signalled, waited for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sysconfig
from pathlib import Path

from shared.clock import Clock
from shared.errors import Permanent, UsageError

MIN_VERSION = (2, 15)
_CHECK_LIMIT_S = 30.0
_POLL_S = 0.2
_DIGEST = re.compile(r"\((sha256:[0-9a-f]{64})\)")
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def find_binary() -> Path:
    """The nats-server beside this Python, else the one on the PATH.

    Raises:
        UsageError: there is none.
    """
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    if beside.is_file():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise UsageError("nats-server is not here", subject="bus", remedy="install munbon[central], or give --nats-url of a running one")
    return Path(found)


async def check_version(binary: Path) -> None:
    """Refuse a server that lacks what the configuration asks for.

    Raises:
        UsageError: it is older than 2.15, or does not run here.
    """
    _, text = await _run(binary, "--version")
    found = _VERSION.search(text)
    if found is None or (int(found[1]), int(found[2])) < MIN_VERSION:
        wanted = ".".join(str(part) for part in MIN_VERSION)
        raise UsageError(f"is {text.strip() or 'not runnable'}, at least {wanted} is needed", subject=str(binary))


async def check_config(binary: Path, config: Path) -> str:
    """The server's own verdict on a configuration; gives the digest that it will show in its monitoring once loaded.

    Raises:
        Permanent: it refuses the configuration.
    """
    code, text = await _run(binary, "-t", "-c", str(config))
    if code != 0:
        raise Permanent(f"nats-server refuses the configuration: {text.strip()}", subject=str(config))
    found = _DIGEST.search(text)
    return found[1] if found else ""


async def _run(binary: Path, *arguments: str) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            str(binary), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise UsageError(f"cannot be started: {error.strerror}", subject=str(binary)) from error
    try:
        async with asyncio.timeout(_CHECK_LIMIT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 1, f"no answer within {_CHECK_LIMIT_S:g} s"
    return process.returncode or 0, output.decode(errors="replace")


class ServerProcess:
    """A nats-server that runs: our child, or one that an earlier central started."""

    def __init__(self, pid: int, clock: Clock, child: asyncio.subprocess.Process | None = None) -> None:
        self.pid = pid
        self._clock = clock
        self._child = child

    @classmethod
    async def spawn(cls, binary: Path, config: Path, output: Path, clock: Clock) -> ServerProcess:
        """Start it in a process group of its own, so that Ctrl-C and a death of central leave it alone.

        Raises:
            UsageError: it cannot be started.
        """
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = await asyncio.create_subprocess_exec(
                str(binary),
                "-c",
                str(config),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        except OSError as error:
            raise UsageError(f"cannot be started: {error.strerror}", subject=str(binary)) from error
        finally:
            os.close(descriptor)
        return cls(child.pid, clock, child)

    @classmethod
    def find(cls, pid_file: Path, config: Path, clock: Clock) -> ServerProcess | None:
        """The live process that `pid_file` names and that was started with `config`; None where there is none."""
        try:
            pid = int(pid_file.read_text().strip())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return cls(pid, clock) if os.fsencode(config) in command else None

    @property
    def is_adopted(self) -> bool:
        """Whether an earlier central started it."""
        return self._child is None

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        if self._child is not None:
            return self._child.returncode is None
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, IndexError):
            return False
        return state != "Z"

    async def wait(self) -> int | None:
        """Wait for its end; gives its exit code where this process is its parent."""
        if self._child is not None:
            return await self._child.wait()
        while self.is_alive:
            await self._clock.sleep(_POLL_S)
        return None

    def reload(self) -> None:
        """Have it read its configuration again."""
        self._signal(signal.SIGHUP)

    async def stop(self, limit_s: float) -> None:
        """End it: politely, and after `limit_s` by force."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.wait()
                return
        self._signal(signal.SIGKILL)
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
