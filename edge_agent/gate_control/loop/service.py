"""The process of the gate: parts wired together, started in an order that lets control begin first, stopped within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from sdnotify import SystemdNotifier

from edge_agent.gate_control.actuate.site import SiteActuator
from edge_agent.gate_control.console.command_book import BOOK_FILE, CommandBook
from edge_agent.gate_control.console.desk import Desk
from edge_agent.gate_control.console.plans import PlanBook
from edge_agent.gate_control.console.server import ConsoleServer
from edge_agent.gate_control.journal.disk_thread import DiskThread
from edge_agent.gate_control.journal.interlock_file import LatestFile
from edge_agent.gate_control.journal.writer import Journal, Retention
from edge_agent.gate_control.loop.scan import ClockTrust, Field, GateLoop, Ports
from edge_agent.gate_control.model.site import SiteSettings
from edge_agent.gate_control.model.values import MoveTo, Sample
from edge_agent.gate_control.model.values_v1 import WriteOutcome
from edge_agent.gate_control.sense.registers import encode_registers
from edge_agent.gate_control.sense.site import SiteReader
from shared.clock import Clock, SystemClock
from shared.contracts.gate_socket import GateStatus, JournalKind, JournalPage, PlanView
from shared.errors import Retryable, UsageError
from shared.observability import configure_logging, get_logger

PLAN_REFRESH_S = 2.0
JOURNAL_READ_S = 4.0
FLUSH_AT_STOP_S = 2.0

log = get_logger("gate.service")


class ModbusField:
    """The real devices of a site."""

    def __init__(self, site: SiteSettings, clock: Clock) -> None:
        self._reader = SiteReader(site, clock)
        self._actuator = SiteActuator(site, self._reader.links, encode_registers)

    async def read(self, deadline_s: float) -> list[Sample]:
        """One sample of each point."""
        return await self._reader.read(deadline_s)

    async def act(self, commands: Sequence[MoveTo], deadline_s: float) -> list[WriteOutcome]:
        """What became of the commands."""
        return await self._actuator.act(commands, deadline_s)

    async def close(self) -> None:
        """Let go of the devices."""
        await self._reader.close()


class GateService:
    """One site's gate control, also the `Site` that the socket speaks for."""

    def __init__(self, site: SiteSettings, folder: Path, *, clock: Clock, field: Field, journal: Journal | None = None) -> None:
        """`folder` is where relative paths of the settings start; `journal` can be given for other ways to open its file."""
        state_dir = folder / site.state_dir
        with contextlib.suppress(OSError):
            state_dir.mkdir(parents=True, exist_ok=True)
        retention = Retention(site.journal_days, int(site.journal_max_mb * 1e6))
        self.journal = journal or Journal(state_dir / "gate.sqlite", clock, retention=retention)
        self._clock = clock
        self._interlock = LatestFile(folder / site.interlock_file)
        self._reads, self._saves, self._journal_reads = (DiskThread(name) for name in ("plan reads", "plan saves", "journal reads"))
        trust = ClockTrust(clock, (folder / site.interlock_file).with_name("clock-was-set"))
        self.plans = PlanBook(site, folder, on_disk=self._reads.run, saving=self._saves.run, now=trust.now, record=self._record_plan)
        ports = Ports(
            field=field,
            journal=self.journal,
            put_interlock=self._interlock.put,
            plan=self.plans.in_force,
            remote_generation=self.plans.remote_generation,
            site_alarms=self._site_alarms,
            notify=_notifier(),
        )
        self.loop = GateLoop(site, ports, clock, trust)
        self._book = CommandBook(state_dir / BOOK_FILE, self._saves.run)
        self.desk = Desk(
            site.site,
            [gate.id for gate in site.gates],
            folder / site.trust_root,
            self._book,
            reading=self._reads.run,
            now=trust.now,
            record=self.journal.append,
            release_plan=self.plans.release_local,
            new_code=lambda: f"{secrets.randbelow(1_000_000):06}",
        )
        self._server = ConsoleServer(folder / site.socket, self, roles=dict.fromkeys(site.socket_uids, "viewer"))
        self._written = asyncio.Event()
        self._listening = False
        self._socket_error = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Control until `stop`; then start no motion, write what waits, and end."""
        event_loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the event loop ended first
                event_loop.call_soon_threadsafe(self._wake_readers)

        self.journal.on_written(wake)
        self.journal.start()
        self.journal.append(JournalKind.STARTED, data={"pid": os.getpid()})
        await self._listen()
        beside = [
            asyncio.create_task(self._follow_plans(), name="plans"),
            asyncio.create_task(self._book.open(self._clock), name="commands"),
        ]
        try:
            await self.loop.run(stop)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._server.stop()
            await self._book.settle(FLUSH_AT_STOP_S)
            self.journal.append(JournalKind.STOPPED)
            if not self.journal.stop(FLUSH_AT_STOP_S):
                log.warning("journal could not be written before the end")

    def status(self) -> GateStatus:
        """The site as of the last scan."""
        return self.loop.status()

    async def set_plan(self, envelope: bytes) -> PlanView:
        """See `PlanBook.set`."""
        return await self.plans.set(envelope)

    async def set_local_plan(self, content: bytes, author: str) -> PlanView:
        """See `PlanBook.set_local`."""
        return await self.plans.set_local(content, author)

    def plan_view(self) -> PlanView:
        """See `PlanBook.view`."""
        return self.plans.view()

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage:
        """Durable records after a cursor; where there are none, waits for them up to `wait_s`.

        Raises:
            Retryable: the disk does not give them now.
        """
        if self.journal.last <= after and wait_s > 0.0:
            await self._wait_for_records(after, wait_s)
        try:
            async with asyncio.timeout(JOURNAL_READ_S):
                return await self._journal_reads.run(lambda: self.journal.read(after, limit))
        except TimeoutError as error:
            raise Retryable(f"was not read within {JOURNAL_READ_S:g} s: the disk is slow", subject="journal") from error

    async def _wait_for_records(self, after: int, wait_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self.journal.last <= after:
                    await self._written.wait()

    def _wake_readers(self) -> None:
        waiting, self._written = self._written, asyncio.Event()
        waiting.set()

    async def _listen(self) -> None:
        """Control goes on without the socket: that it cannot listen is an alarm, tried again."""
        try:
            await self._server.start()
            self._listening = True
        except OSError as error:
            self._socket_error = str(error)
            log.error("socket cannot listen", reason=self._socket_error)

    async def _follow_plans(self) -> None:
        """Load the saved plan, then look for a local one now and then; a slow disk holds up only this task."""
        await self.plans.load()
        while True:
            await self._clock.sleep(PLAN_REFRESH_S)
            try:
                if not self._listening:
                    await self._listen()
                await self.plans.refresh()
            except Exception:
                log.exception("plans cannot be refreshed")

    def _record_plan(self, kind: JournalKind, data: dict[str, Any]) -> None:
        self.journal.append(kind, data=data)

    def _site_alarms(self) -> dict[str, str]:
        alarms = dict(self.plans.problems)
        if self._book.problem:
            alarms["commands_not_saved"] = self._book.problem
        if not self._listening and self._socket_error:
            alarms["socket_not_listening"] = self._socket_error
        if self._interlock.error:
            alarms["interlock_not_written"] = self._interlock.error
        return alarms


def run_service(site: SiteSettings, folder: Path) -> int:
    """Run until SIGTERM or SIGINT; exit code 0.

    Raises:
        UsageError: a folder is missing, or another process controls this site.
    """
    configure_logging("munbon-gate", level=site.log_level)
    with _only_one(folder / site.socket):
        asyncio.run(_serve(site, folder))
    return 0


async def _serve(site: SiteSettings, folder: Path) -> None:
    clock = SystemClock()
    field = ModbusField(site, clock)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await GateService(site, folder, clock=clock, field=field).run(stop)
    finally:
        await field.close()


@contextlib.contextmanager
def _only_one(socket_path: Path) -> Iterator[None]:
    """Lock beside the socket, in a folder that needs no disk; the kernel drops it with the process, however it ends."""
    path = socket_path.with_suffix(".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"cannot be made: {error.strerror}", subject=str(path), remedy="make its folder writable for the gate") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError("another munbon-gate runs here", subject=str(path), remedy="stop it first: only one may actuate") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _notifier() -> Callable[[str], None]:
    if "NOTIFY_SOCKET" not in os.environ:
        return lambda _state: None  # not started by systemd
    return cast("Callable[[str], None]", SystemdNotifier().notify)
