"""The process of the gate: parts wired together, started in an order that lets control begin first, stopped within seconds."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import os
import secrets
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from sdnotify import SystemdNotifier

from edge_agent.gate_control.actuate.comms_lost import CommsLostReport
from edge_agent.gate_control.check.finding import Finding
from edge_agent.gate_control.console.command_book import BOOK_FILE, CommandBook
from edge_agent.gate_control.console.desk import Desk
from edge_agent.gate_control.console.plans import PlanBook
from edge_agent.gate_control.console.server import ConsoleServer
from edge_agent.gate_control.decide.alarm_names import AlarmName
from edge_agent.gate_control.decide.alarms import Raised
from edge_agent.gate_control.decide.modes import Commissioning, GateModes
from edge_agent.gate_control.decide.restart import SavedState, restore, with_late
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.journal.database import JOURNAL_FILE
from edge_agent.gate_control.journal.disk_thread import DiskThread
from edge_agent.gate_control.journal.interlock_file import LatestFile
from edge_agent.gate_control.journal.scan_recorder import ScanRecorder
from edge_agent.gate_control.journal.state_file import STATE_FILE, StateFile
from edge_agent.gate_control.journal.writer import Journal, Retention
from edge_agent.gate_control.loop.clock_trust import ClockTrust
from edge_agent.gate_control.loop.lean import freeze
from edge_agent.gate_control.loop.modbus_field import ModbusField, report_data
from edge_agent.gate_control.loop.recording import Recording
from edge_agent.gate_control.loop.scan import Field, GateLoop, Ports
from edge_agent.gate_control.modbus_map.publisher import MapPublisher
from edge_agent.gate_control.model.configuration import SiteConfiguration
from shared.clock import Clock, SystemClock
from shared.contracts.gate_socket import GateStatus, JournalKind, JournalPage, PlanView
from shared.errors import MunbonError, Retryable, UsageError
from shared.observability import configure_logging, get_logger

PLAN_REFRESH_S = 2.0
JOURNAL_READ_S = 4.0
FLUSH_AT_STOP_S = 2.0
JOURNAL_FIRST_S = 0.5
"""So long a state waits for the records that came before it; then it is written all the same."""
BEAT_S = 0.5
STATE_WAIT_S = 3.0
"""Longer no command waits for a disk that hangs."""
SECURE_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 60.0)
"""The last of them again and again."""
SECURE_ALARM_S = 5.0
"""Tries before that long a pause raise no alarm: a device may still be starting."""

log = get_logger("gate.service")


class GateService:
    """One site's gate control, also the `Site` that the socket speaks for."""

    def __init__(
        self,
        site: SiteConfiguration,
        folder: Path,
        *,
        clock: Clock,
        field: Field,
        journal: Journal | None = None,
        findings: Sequence[str] = (),
    ) -> None:
        """A service that is not running yet.

        Args:
            site: its settings.
            folder: where relative paths of the settings start.
            clock: of this machine.
            field: its devices.
            journal: for other ways to open its file.
            findings: what `check` holds against the settings, a line each.
        """
        state_dir = folder / site.state_dir
        with contextlib.suppress(OSError):
            state_dir.mkdir(parents=True, exist_ok=True)
        retention = Retention(site.journal_days, int(site.journal_max_mb * 1e6))
        self._ran_before = (state_dir / JOURNAL_FILE).exists()
        self.journal = journal or Journal(state_dir / JOURNAL_FILE, clock, retention=retention)
        self._site, self._clock, self._field = site, clock, field
        self._interlock = LatestFile(folder / site.interlock_file)
        # an alarm that is in the state and not in the journal would never be told: the journal goes first
        self._state_file = StateFile(state_dir / STATE_FILE, before=lambda: self.journal.settle(JOURNAL_FIRST_S))
        self._state_problem = ""
        self._reads, self._saves, self._journal_reads = (DiskThread(name) for name in ("plan reads", "plan saves", "journal reads"))
        self._trust = ClockTrust(clock, (folder / site.interlock_file).with_name("clock-was-set"))
        self.plans = PlanBook(site, folder, on_disk=self._reads.run, saving=self._saves.run, now=self._trust.now, record=self._record_plan)
        self._book = CommandBook(state_dir / BOOK_FILE, self._saves.run)
        self.desk = self._make_desk(folder)
        self._recording = Recording(ScanRecorder(site, self.journal, clock.boot_id()))
        self.loop = GateLoop(site, self._make_ports(), clock, self._trust, self._restored(None), self._recording)
        self._server = ConsoleServer(folder / site.socket, self, roles={role.uid: role.role for role in site.console_roles})
        self._map = MapPublisher(site, clock)
        self._findings = tuple(findings)
        self._comms_lost: dict[str, str] = {}
        self._beating: asyncio.Task[None] | None = None
        self._written = asyncio.Event()
        self._listening = False
        self._socket_error = ""

    def _gates(self) -> list[str]:
        return [gate.id for gate in self._site.gates()]

    def _make_desk(self, folder: Path) -> Desk:
        return Desk(
            self._site.site,
            self._gates(),
            folder / self._site.trust_root,
            self._book,
            reading=DiskThread("command reads").run,
            now=self._trust.now,
            record=self.journal.append,
            release_plan=self.plans.release_local,
            new_code=lambda: f"{secrets.randbelow(1_000_000):06}",
            durable=lambda within_s: asyncio.to_thread(self._state_file.settle, within_s),
            noted=lambda within_s: asyncio.to_thread(self.journal.settle, within_s),
        )

    def _make_ports(self) -> Ports:
        return Ports(
            field=self._field,
            journal=self.journal,
            desk=self.desk,
            put_interlock=self._interlock.put,
            put_state=self._state_file.put,
            plan=self.plans.in_force,
            remote_generation=self.plans.remote_generation,
            conditions=self.conditions,
            scanned=self._after_scan,
            notify=_notifier(),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Control until `stop`; then stop what moves, write what waits, and end."""
        event_loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the event loop ended first
                event_loop.call_soon_threadsafe(self._wake_readers)

        self.journal.on_written(wake)
        self.journal.start()
        self.journal.append(JournalKind.STARTED, data={"pid": os.getpid()})
        await self._listen()
        self._map.begin()
        beside = [
            asyncio.create_task(self._take_up_state(), name="state"),
            asyncio.create_task(self._follow_plans(), name="plans"),
            asyncio.create_task(self._book.open(self._clock), name="commands"),
            asyncio.create_task(self._secure_actuators(), name="comms lost"),
        ]
        try:
            await self.loop.run(stop)
            await self.loop.stop_motion()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._server.stop()
            await self._map.end()
            await self._book.settle(FLUSH_AT_STOP_S)
            self._recording.close()
            self.journal.append(JournalKind.STOPPED)
            if not (self._state_file.stop(FLUSH_AT_STOP_S) & self.journal.stop(FLUSH_AT_STOP_S)):
                log.warning("state or journal could not be written before the end")

    async def _take_up_state(self) -> None:
        """The saved state, as soon as the disk gives it; until then every gate observes, and nothing is saved over it."""
        loading = asyncio.ensure_future(self._reads.run(self._state_file.load))
        await asyncio.wait({loading}, timeout=STATE_WAIT_S)
        is_late = not loading.done()
        if is_late:
            self._state_problem = "the disk does not give the saved state: gates observe until they are armed"
            self.loop.take_up(self._restored(None), is_known=False)
        try:
            saved = await loading
        except (MunbonError, OSError) as error:
            self._state_problem, saved = f"{error}: gates observe until they are armed", None
        else:
            if saved is None and self._ran_before:
                self._state_problem = "the saved state is gone, and the journal is there: gates observe until they are armed"
        if not is_late:
            self.loop.take_up(self._restored(saved))
        else:
            state = self.loop.memory.state
            self.loop.take_up(with_late(state, saved) if saved is not None else state)

    def _restored(self, saved: SavedState | None) -> SiteState:
        return restore(saved, self._gates(), self._clock.boot_id(), self._trust.now())

    async def _secure_actuators(self) -> None:
        """Comms-lost settings of the actuators, read back; again now and then while one is not right."""
        if not isinstance(self._field, ModbusField):
            return
        told: dict[str, CommsLostReport] = {}
        for delay_s in itertools.chain(SECURE_PAUSES_S, itertools.repeat(SECURE_PAUSES_S[-1])):
            # not before the links stand
            await self._clock.sleep(delay_s)
            reports = await self._field.secure()
            wrong = {report.gate: "; ".join(report.problems) for report in reports if report.problems}
            is_settled = delay_s >= SECURE_ALARM_S
            self._comms_lost = wrong if is_settled else {}
            for report in reports:
                if told.get(report.gate) != report and (is_settled or not report.problems):
                    told[report.gate] = report
                    self.journal.append(JournalKind.ACTUATOR_CHECKED, report.gate, report_data(report))
            if not wrong:
                return

    def _after_scan(self) -> None:
        """What a completed scan is owed to others: the actuators' heartbeat, SCADA and neighbours."""
        self._beat()
        state = self.loop.memory.state
        modes = {name: gate.mode for name, gate in state.gates.items()}
        self._map.show(self.loop.readings, state.flows_m3s, modes, self._clock.monotonic_s(), state.flow_doubts)

    def _beat(self) -> None:
        """Each completed scan counts the actuators' heartbeat registers up; a slow device never holds up the next scan."""
        if isinstance(self._field, ModbusField) and (self._beating is None or self._beating.done()):
            self._beating = asyncio.create_task(self._field.beat(BEAT_S), name="heartbeat")

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

    def _is_armed(self) -> bool:
        """Whether people at the site have said of every gate how it goes on."""
        modes = self.loop.memory.state.modes
        return all(modes.get(gate, GateModes()).commissioning is Commissioning.COMMISSIONED for gate in self._gates())

    def conditions(self) -> dict[str, Raised]:
        """What is amiss with files, socket and settings, by alarm key."""
        found = {f"site/{name}": reason for name, reason in self.plans.problems.items()}
        if self._book.problem:
            found["site/commands_not_saved"] = self._book.problem
        if not self._listening and self._socket_error:
            found["site/socket_not_listening"] = self._socket_error
        if self._interlock.error:
            found["site/interlock_not_written"] = self._interlock.error
        if self._state_file.error:
            found["site/state_not_saved"] = self._state_file.error
        if self._state_problem and not self._is_armed():
            found["site/state_lost"] = self._state_problem
        if self._map.problem:
            found["site/modbus_map_not_listening"] = self._map.problem
        if self._findings:
            found[f"site/{AlarmName.CONFIGURATION_UNSOUND}"] = (
                f"{len(self._findings)} mistakes in site.yaml, the first: {self._findings[0]}"
            )
        found |= {f"{gate}/{AlarmName.COMMS_LOST_NOT_SET}": reason for gate, reason in self._comms_lost.items()}
        if isinstance(self._field, ModbusField):
            found |= {f"{gate}/{AlarmName.PULSE_FAULT}": reason for gate, reason in self._field.pulse_errors.items()}
            found |= {f"{gate}/{AlarmName.HEARTBEAT_LOST}": reason for gate, reason in self._field.heartbeat_errors.items()}
        return {key: Raised(reason) for key, reason in found.items()}


def run_service(site: SiteConfiguration, folder: Path, findings: Sequence[Finding] = ()) -> int:
    """Run until SIGTERM or SIGINT; exit code 0. `findings`: what `check` holds against the site, which is run all the same.

    Raises:
        UsageError: a folder is missing, or another process controls this site.
    """
    configure_logging("munbon-gate", level=site.log_level)
    for finding in findings:
        log.warning("site.yaml", line=finding.line, path=finding.path, problem=finding.problem, why=finding.reason, remedy=finding.remedy)
    with _only_one(folder / site.socket):
        asyncio.run(_serve(site, folder, [f"line {one.line}: {one.path}: {one.problem}" for one in findings]))
    return 0


async def _serve(site: SiteConfiguration, folder: Path, findings: Sequence[str]) -> None:
    clock = SystemClock()
    field = ModbusField(site, clock)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    freeze()
    try:
        await GateService(site, folder, clock=clock, field=field, findings=findings).run(stop)
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
