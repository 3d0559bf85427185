"""The scan: sense, validate, decide, actuate, journal; on a grid of the monotonic clock, each step bounded in time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from edge_agent.gate_control.actuate.order import oldest_first
from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.console.views import alarm_views
from edge_agent.gate_control.decide.alarms import AlarmChange, AlarmEvent, Raised
from edge_agent.gate_control.decide.hold import UpdateHold, hold_updates
from edge_agent.gate_control.decide.restart import SavedState, durable_part, saved_state, with_alarms_since
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.loop.clock_trust import ClockTrust
from edge_agent.gate_control.loop.instructed import SCAN_FAILED, Carried
from edge_agent.gate_control.loop.recording import NotRecorded, Recording
from edge_agent.gate_control.loop.status import CAPABILITIES, gate_reading, series
from edge_agent.gate_control.model.configuration import SiteConfiguration
from edge_agent.gate_control.model.values import Command, GateState, MoveTo, Now, Pulse, Reading, Sample, StopMotion, WriteOutcome
from edge_agent.gate_control.replay.step import Given, Memory, Scanned, after_writing, scan
from shared.clock import Clock
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateStatus, JournalKind
from shared.contracts.interlock import Interlock
from shared.observability import get_logger

LATENESS_SCANS = 2_000
"""Scans over which lateness is measured."""
LATE_SHARE = 0.2
"""Of the scan period, by which a scan that begins later counts as late."""
LATE_SCANS, LATE_OF_SCANS = 6, 30
"""So many late ones among the last are more than a hiccup."""
SENSE_SHARE = 0.6
"""Share of a scan period that sensing may take."""
ACT_SHARE = 0.3
"""Share that writing commands may take at least; more where sensing left it."""
CLOCK_STEP_S = 1e-3
"""A clock that counts in steps may say a little less than the period."""
EARLY_SCANS = 2.0
"""A command that arrives while the devices are asked is carried out by what they said before, where that is no older than this."""
SAVE_EVERY_S = 60.0
"""What moves all the time (starts, controllers, level histories) is saved so often; what people said at once."""

log = get_logger("gate.loop")


class Field(Protocol):
    """The devices of a site, or a plant that stands for them."""

    async def read(self, deadline_s: float) -> Sequence[Sample]:
        """Ask all devices, and what came since the last call; at the latest after `deadline_s`."""
        ...

    def arrived(self) -> Sequence[Sample]:
        """What came since the last call, without asking for more."""
        ...

    async def act(
        self, commands: Sequence[Command], deadline_s: float, openings_pct: Mapping[str, float | None] | None = None
    ) -> Sequence[WriteOutcome]:
        """What became of the commands, at the latest after `deadline_s`. `openings_pct`: where the gates stand."""
        ...


class Recorder(Protocol):
    """Takes records without ever waiting."""

    last: int

    def append(self, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> None: ...

    def problem(self) -> str: ...


class Counter(Protocol):
    """Where people's commands wait."""

    arrived: asyncio.Event

    def take(self) -> tuple[Pending, ...]: ...


@dataclass(frozen=True)
class Ports:
    """What the loop stands on."""

    field: Field
    journal: Recorder
    desk: Counter
    put_interlock: Callable[[bytes], None]
    put_state: Callable[[SavedState], None]
    plan: Callable[[], GatePlan | None]
    remote_generation: Callable[[], int]
    conditions: Callable[[], Mapping[str, Raised]]
    """What is amiss with the site's own files and socket, by alarm key."""
    scanned: Callable[[], None]
    """Called after each completed scan."""
    notify: Callable[[str], None]


class GateLoop:
    """Scans until told to stop. Holds the memory between scans; everything in it is decided by pure functions."""

    def __init__(
        self,
        site: SiteConfiguration,
        ports: Ports,
        clock: Clock,
        trust: ClockTrust,
        state: SiteState,
        recording: Recording | NotRecorded | None = None,
    ) -> None:
        self._site = site
        self._ports = ports
        self._clock = clock
        self._trust = trust
        self._recording = recording or NotRecorded()
        self.memory = Memory(state)
        self._takes_commands = False
        self._may_save = False
        self._readings: Mapping[str, Reading] = {}
        self._now: Now | None = None
        self._hold = UpdateHold(("the gate process is starting",))
        self._lateness_ms: deque[float] = deque(maxlen=LATENESS_SCANS)
        self._late: deque[bool] = deque(maxlen=LATE_OF_SCANS)
        self._series_at_s = float("-inf")
        self._saved_at_s = float("-inf")
        self._saved: tuple[object, ...] = ()
        self._sensed_at_s = float("-inf")
        self._scan = 0
        self._ready = False

    def take_up(self, state: SiteState, *, is_known: bool = True) -> None:
        """Go on from a state; every gate is looked at anew before it moves. From now on commands are taken.

        `is_known`: whether the disk said what was saved; only then may something be saved over it.
        """
        self.memory = Memory(with_alarms_since(state, self.memory.state), self.memory.histories)
        self._takes_commands, self._may_save = True, is_known

    async def run(self, stop: asyncio.Event) -> None:
        """Scan on a grid until `stop`, and between when a command arrives. A scan that took too long skips what it missed."""
        period_s = self._site.scan_period_s
        due_s = self._clock.monotonic_s()
        while not stop.is_set():
            started_s = self._clock.monotonic_s()
            on_grid = started_s >= due_s
            completed = await self._guarded(self.scan(stop, is_early=not on_grid))
            if on_grid:
                self._lateness_ms.append((started_s - due_s) * 1000.0)
                due_s += period_s
                behind_s = self._clock.monotonic_s() - due_s
                self._late.append(behind_s > 0.0 or started_s - due_s + period_s > LATE_SHARE * period_s)
                if behind_s > 0.0:
                    due_s += (behind_s // period_s + 1) * period_s
                    log.warning("scan took longer than its period", took_s=round(self._clock.monotonic_s() - started_s, 3))
                elif completed:
                    # fed by a scan of the grid that was done in time, bad readings included; not by a timer
                    self._ports.notify("WATCHDOG=1" if self._ready else "READY=1")
                    self._ready = True
            await self._wait(stop, due_s)
        self._save(self._trust.now(), always=True)

    async def _wait(self, stop: asyncio.Event, due_s: float) -> None:
        """Until the next scan of the grid, a command, or the end."""
        delay_s = due_s - self._clock.monotonic_s()
        if delay_s <= 0.0 or (self._takes_commands and self._ports.desk.arrived.is_set()):
            await self._clock.sleep(0.0)
            return
        waiting = [asyncio.ensure_future(event.wait()) for event in ((stop, self._ports.desk.arrived) if self._takes_commands else (stop,))]
        try:
            await asyncio.wait(waiting, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _guarded(self, scanning: Coroutine[Any, Any, None]) -> bool:
        try:
            await scanning
            return True
        except Exception:
            # a fault of ours in one scan must not end control; no command came of it
            log.exception("scan failed")
            return False

    async def scan(self, stop: asyncio.Event | None = None, *, is_early: bool = False) -> None:
        """One scan. Once `stop` is set no command is given but stops of what moves.

        `is_early`: for what people ask, between two scans of the grid. It asks no device anew while what they said last is younger
        than a scan period, so that a slow line holds no command up.
        """
        period_s, began_s = self._site.scan_period_s, self._clock.monotonic_s()
        if is_early and 0.0 <= began_s - self._sensed_at_s < period_s - CLOCK_STEP_S:
            await self._decide(self._ports.field.arrived(), stop, began_s + SENSE_SHARE * period_s)
            return
        samples = await self._sense(stop, began_s)
        self._sensed_at_s = began_s
        await self._decide(samples, stop, began_s + (SENSE_SHARE + ACT_SHARE) * period_s)

    async def _sense(self, stop: asyncio.Event | None, began_s: float) -> Sequence[Sample]:
        """What the devices say. A command that arrives while they are asked is carried out at once."""
        period_s = self._site.scan_period_s
        if stop is None:  # nothing runs beside this scan
            return await self._ports.field.read(SENSE_SHARE * period_s)
        reading = asyncio.ensure_future(self._ports.field.read(SENSE_SHARE * period_s))
        try:
            while self._takes_commands and 0.0 <= began_s - self._sensed_at_s < EARLY_SCANS * period_s:
                if await self._is_done_first(reading):
                    break
                early = self._decide(self._ports.field.arrived(), stop, self._clock.monotonic_s() + SENSE_SHARE * period_s)
                await self._guarded(early)
            return await reading
        finally:
            reading.cancel()

    async def _is_done_first(self, reading: asyncio.Future[Sequence[Sample]]) -> bool:
        """Whether the devices have answered before a command arrived."""
        arrived = asyncio.ensure_future(self._ports.desk.arrived.wait())
        try:
            await asyncio.wait((reading, arrived), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrived.cancel()
        return reading.done()

    async def _decide(self, samples: Sequence[Sample], stop: asyncio.Event | None, until_s: float) -> None:
        """One pass: what people ask and what the devices say, to commands, written until `until_s`, and to the journal."""
        asked = self._ports.desk.take() if self._takes_commands else ()
        carried = Carried()
        try:
            now = self._recording.now(self._trust.now())
            seen = self._recording.samples(samples)
            given = Given(now, seen, self._ports.plan(), [one.instruction for one in asked], self._conditions())
            self._recording.before(self.memory, given)
            scanned = scan(self._site, self.memory, given)
            carried = Carried(tuple(zip(asked, scanned.answers, strict=True)))
            if stop is not None and stop.is_set():
                return
            before = self.memory.state
            outcomes = await self._act(oldest_first(self._site, scanned.decision.commands, samples), until_s)
            self._recording.scanned(given, scanned.decision.commands)
            self.memory = after_writing(scanned.memory, outcomes, now)
            self._recording.written(self.memory, outcomes)
            self._readings, self._now = scanned.readings, now
            self._scan += 1
            carried.answer(scanned.decision.reasons, {outcome.gate: outcome.error for outcome in outcomes if outcome.error})
            self._journal(before, scanned, outcomes, now)
        finally:
            carried.fail()
            for pending in asked:
                pending.answer(SCAN_FAILED)
        self._save(now)
        self._write_interlock(now)
        self._ports.scanned()

    async def _act(self, commands: Sequence[Command], until_s: float) -> Sequence[WriteOutcome]:
        if not commands:
            return ()
        openings = {name: gate.position_pct for name, gate in self.memory.state.gates.items()}
        deadline_s = max(ACT_SHARE * self._site.scan_period_s, until_s - self._clock.monotonic_s())
        return await self._ports.field.act(commands, deadline_s, openings)

    async def stop_motion(self) -> None:
        """Stop what was ordered and still moves; used at the end of the process."""
        commands = [StopMotion(name, "the gate process ends") for name, gate in self.memory.state.gates.items() if gate.motion is not None]
        for outcome in await self._act(commands, self._clock.monotonic_s() + self._site.scan_period_s):
            self._ports.journal.append(JournalKind.COMMANDED, outcome.gate, command_data(outcome))

    def _conditions(self) -> dict[str, Raised]:
        conditions = dict(self._ports.conditions())
        if sum(self._late) >= LATE_SCANS:
            text = f"{LATE_SCANS} or more of {LATE_OF_SCANS} scans were late, or took longer than their period"
            conditions["site/scan_late"] = Raised(text)
        if problem := self._ports.journal.problem():
            conditions["site/journal_not_written"] = Raised(problem)
        return conditions

    @property
    def readings(self) -> Mapping[str, Reading]:
        """Of the last scan."""
        return self._readings

    def status(self) -> GateStatus:
        """The site as of the last scan."""
        plan = self._ports.plan()
        state, now = self.memory.state, self._now
        return GateStatus(
            site=self._site.site,
            scan=self._scan,
            scanned_at=now.wall if now is not None else self._clock.wall(),
            scan_period_s=self._site.scan_period_s,
            lateness_p99_ms=self.lateness_p99_ms(),
            plan_generation=self._ports.remote_generation() or (plan.generation if plan is not None else 0),
            hold=bool(self._hold.reasons),
            hold_reasons=self._hold.reasons,
            gates={gate.id: gate_reading(self._site, gate, state, self._readings, now) for gate in self._site.gates()},
            journal_last=self._ports.journal.last,
            capabilities=CAPABILITIES,
            alarm_table=alarm_views(state.alarms, now) if now is not None else (),
        )

    def lateness_p99_ms(self) -> float | None:
        """How late scans began, 99th percentile of the last ones, in ms; None before the first."""
        ordered = sorted(self._lateness_ms)
        return round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3) if ordered else None

    def _journal(self, before: SiteState, scanned: Scanned, outcomes: Sequence[WriteOutcome], now: Now) -> None:
        append = self._ports.journal.append
        for outcome in outcomes:
            append(JournalKind.COMMANDED, outcome.gate, command_data(outcome))
        for gate_id, state in self.memory.state.gates.items():
            held = before.gates.get(gate_id, GateState())
            if state.mode != held.mode:
                append(JournalKind.MODE_CHANGED, gate_id, {"mode": state.mode, "before": held.mode, "reasons": list(state.reasons)})
        for change in (*scanned.asked_changes, *scanned.decision.alarm_changes):
            self._journal_alarm(change)
        for note in scanned.decision.notes:
            append(JournalKind.ORDER, data={"order": note.subject, "event": note.what, "text": note.text})
        if now.monotonic_s - self._series_at_s >= self._site.series_period_s - 1e-3:
            self._series_at_s = now.monotonic_s
            for gate in self._site.gates():
                append(JournalKind.SAMPLES, gate.id, series(gate_reading(self._site, gate, self.memory.state, self._readings, now)))

    def _journal_alarm(self, change: AlarmChange) -> None:
        subject, _, name = change.key.partition("/")
        gate = subject if self._site.gate(subject) is not None else ""
        alarm = name if gate or subject == "site" else change.key
        if change.event is AlarmEvent.CAME:
            log.warning("alarm", subject=subject, alarm=name, reason=change.reason)
        kind = JournalKind.ALARM_RETURNED if change.event is AlarmEvent.WENT else JournalKind.ALARM_RAISED
        if change.event in (AlarmEvent.CAME, AlarmEvent.WENT):
            data = {"alarm": alarm, "reason": change.reason, "priority": change.priority, "is_first": change.is_first}
            self._ports.journal.append(kind, gate, data)

    def _save(self, now: Now, *, always: bool = False) -> None:
        """Hand the state to the disk where something changed that must not be lost, and now and then."""
        durable = durable_part(self.memory.state)
        is_due = not 0.0 <= now.monotonic_s - self._saved_at_s < SAVE_EVERY_S
        if not self._may_save or not (always or is_due or durable != self._saved):
            return
        self._saved, self._saved_at_s = durable, now.monotonic_s
        self._ports.put_state(saved_state(self.memory.state, self._clock.boot_id(), now))

    def _write_interlock(self, now: Now) -> None:
        self._hold = hold_updates(self.memory.state, self._readings, self._site, self._ports.plan(), now)
        until = now.wall + timedelta(seconds=self._hold.for_s) if self._hold.for_s is not None and now.wall_is_trusted else None
        interlock = Interlock(
            site=self._site.site,
            written_at=now.wall,
            boot_id=self._clock.boot_id(),
            monotonic_s=now.monotonic_s,
            scan_period_s=self._site.scan_period_s,
            hold=bool(self._hold.reasons),
            reasons=self._hold.reasons,
            flood_alarm=self._hold.is_flood,
            until=until,
        )
        self._ports.put_interlock(interlock.model_dump_json().encode())


def command_data(outcome: WriteOutcome) -> dict[str, Any]:
    """A command for the journal."""
    command = outcome.command
    data: dict[str, Any] = {"reason": command.reason, "error": outcome.error}
    if isinstance(command, MoveTo):
        return {"verb": "move", "opening_pct": command.opening_pct, **data}
    if isinstance(command, Pulse):
        return {"verb": "raise" if command.direction > 0 else "lower", "run_s": command.run_s, **data}
    return {"verb": "stop", **data}
