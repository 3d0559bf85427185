"""The scan: sense, validate, decide, actuate, journal; on a grid of the monotonic clock, each step bounded in time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edge_agent.gate_control.decide.v1.site import decide, hold_reasons, record_outcomes
from edge_agent.gate_control.model.site import SiteSettings
from edge_agent.gate_control.model.values import MoveTo, Now, PointHistory, Quality, Reading, Sample
from edge_agent.gate_control.model.values_v1 import GateReadings, GateState, SiteState, WriteOutcome
from edge_agent.gate_control.validate_v1 import validate_samples
from shared.clock import Clock
from shared.contracts.gate_plan import GatePlan
from shared.contracts.gate_socket import GateReading, GateStatus, JournalKind
from shared.contracts.interlock import Interlock
from shared.observability import get_logger

CAPABILITIES = ("position", "upstream_level", "downstream_level", "schedule")
LATENESS_SCANS = 2_000
"""Scans over which lateness is measured."""
SENSE_SHARE = 0.6
"""Share of a scan period that sensing may take."""
ACT_SHARE = 0.3

log = get_logger("gate.loop")


class Field(Protocol):
    """The devices of a site, or a plant that stands for them."""

    async def read(self, deadline_s: float) -> Sequence[Sample]:
        """Samples of all points, at the latest after `deadline_s`."""
        ...

    async def act(self, commands: Sequence[MoveTo], deadline_s: float) -> Sequence[WriteOutcome]:
        """What became of the commands, at the latest after `deadline_s`."""
        ...


class Recorder(Protocol):
    """Takes records without ever waiting."""

    last: int

    def append(self, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> None: ...

    def problem(self) -> str: ...


@dataclass(frozen=True)
class Ports:
    """What the loop stands on."""

    field: Field
    journal: Recorder
    put_interlock: Callable[[bytes], None]
    plan: Callable[[], GatePlan | None]
    remote_generation: Callable[[], int]
    site_alarms: Callable[[], dict[str, str]]
    """Alarms of the site's own files, by name with reason."""
    notify: Callable[[str], None]


class ClockTrust:
    """Whether the wall clock can run schedules: it was synchronised once since boot.

    A marker in a folder that does not outlive the boot carries that over a restart of the process, also with the link down.
    """

    def __init__(self, clock: Clock, marker: Path) -> None:
        self._clock = clock
        self._marker = marker
        self._trusted = False

    def now(self) -> Now:
        """The time, and whether its wall part is trusted."""
        if not self._trusted:
            self._trusted = self._marked() or self._clock.is_synchronised()
            if self._trusted:
                self._mark()
        return Now(self._clock.monotonic_s(), self._clock.wall(), self._trusted)

    def _marked(self) -> bool:
        try:
            return self._marker.read_text() == self._clock.boot_id()
        except OSError:
            return False

    def _mark(self) -> None:
        try:
            self._marker.write_text(self._clock.boot_id())
        except OSError as error:
            log.warning("clock marker cannot be written", path=str(self._marker), reason=str(error))


class GateLoop:
    """Scans until told to stop. Holds the state between scans; everything in it is decided by pure functions."""

    def __init__(self, site: SiteSettings, ports: Ports, clock: Clock, trust: ClockTrust) -> None:
        self._site = site
        self._ports = ports
        self._clock = clock
        self._trust = trust
        self._histories: dict[str, PointHistory] = {}
        self._readings: dict[str, GateReadings] = {}
        self._state = SiteState()
        self._site_alarms: dict[str, str] = {}
        self._hold: tuple[str, ...] = ("the gate process is starting",)
        self._flood = False
        self._lateness_ms: deque[float] = deque(maxlen=LATENESS_SCANS)
        self._series_at_s = float("-inf")
        self._scan = 0
        self._scanned_at = clock.wall()
        self._ready = False

    async def run(self, stop: asyncio.Event) -> None:
        """Scan on a grid until `stop`. A scan that took too long skips what it missed: there are no bursts."""
        period_s = self._site.scan_period_s
        due_s = self._clock.monotonic_s()
        while not stop.is_set():
            started_s = self._clock.monotonic_s()
            self._lateness_ms.append(max(0.0, started_s - due_s) * 1000.0)
            completed = await self._guarded_scan(stop)
            due_s += period_s
            behind_s = self._clock.monotonic_s() - due_s
            if behind_s > 0.0:
                due_s += (behind_s // period_s + 1) * period_s
                log.warning("scan took longer than its period", took_s=round(self._clock.monotonic_s() - started_s, 3))
            elif completed:
                # fed by a scan that was done in time, bad readings included; not by a timer
                self._ports.notify("WATCHDOG=1" if self._ready else "READY=1")
                self._ready = True
            await self._wait(stop, due_s - self._clock.monotonic_s())

    async def _wait(self, stop: asyncio.Event, delay_s: float) -> None:
        if delay_s <= 0.0:
            return
        try:
            async with asyncio.timeout(delay_s):
                await stop.wait()
        except TimeoutError:
            return

    async def _guarded_scan(self, stop: asyncio.Event) -> bool:
        try:
            await self.scan(stop)
            return True
        except Exception:
            # a fault of ours in one scan must not end control; no command came of it
            log.exception("scan failed")
            return False

    async def scan(self, stop: asyncio.Event | None = None) -> None:
        """One pass. Once `stop` is set no command is started."""
        period_s = self._site.scan_period_s
        samples = await self._ports.field.read(SENSE_SHARE * period_s)
        now = self._trust.now()
        self._histories, self._readings = validate_samples(self._site, self._histories, samples, now)
        before = self._state
        decision = decide(before, self._readings, self._ports.plan(), self._site, now)
        if stop is not None and stop.is_set():
            return
        outcomes = await self._ports.field.act(decision.commands, ACT_SHARE * period_s) if decision.commands else ()
        self._state = record_outcomes(decision.state, outcomes, now)
        self._scan += 1
        self._scanned_at = now.wall
        self._journal(before, decision.commands, outcomes, now)
        self._write_interlock(now)

    def status(self) -> GateStatus:
        """The site as of the last scan."""
        plan = self._ports.plan()
        return GateStatus(
            site=self._site.site,
            scan=self._scan,
            scanned_at=self._scanned_at,
            scan_period_s=self._site.scan_period_s,
            lateness_p99_ms=self.lateness_p99_ms(),
            plan_generation=self._ports.remote_generation() or (plan.generation if plan is not None else 0),
            hold=bool(self._hold),
            hold_reasons=self._hold,
            gates={gate.id: self._gate_reading(gate.id) for gate in self._site.gates},
            journal_last=self._ports.journal.last,
            capabilities=CAPABILITIES,
        )

    def lateness_p99_ms(self) -> float | None:
        """How late scans began, 99th percentile of the last ones, in ms; None before the first."""
        ordered = sorted(self._lateness_ms)
        return round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 3) if ordered else None

    def _gate_reading(self, gate_id: str) -> GateReading:
        state, readings = self._state.gates.get(gate_id, GateState()), self._readings.get(gate_id)
        alarms = (*sorted(state.alarms), *(f"site: {name}" for name in sorted(self._site_alarms)))
        if readings is None:
            return GateReading(alarms=alarms)
        level = self._level(readings, state)
        return GateReading(
            level_m=None if level is None or level.value is None else round(level.value, 4),
            level_age_s=round(level.age_s, 3) if level is not None else None,
            opening_pct=None if readings.position.value is None else round(readings.position.value, 3),
            target=state.target,
            mode=state.mode,
            quality=_worst(readings.position, level).value,
            moving=readings.moving or state.motion is not None,
            alarms=alarms,
            reasons=(*state.reasons, *([state.write_error] if state.write_error else [])),
        )

    @staticmethod
    def _level(readings: GateReadings, state: GateState) -> Reading | None:
        """The level that is controlled, else the first that the gate has."""
        return readings.levels.get(state.level_source) or next(iter(readings.levels.values()), None)

    def _journal(self, before: SiteState, commands: Sequence[MoveTo], outcomes: Sequence[WriteOutcome], now: Now) -> None:
        errors = {outcome.gate: outcome.error for outcome in outcomes}
        for command in commands:
            data = {"opening_pct": command.opening_pct, "reason": command.reason, "error": errors.get(command.gate, "")}
            self._ports.journal.append(JournalKind.COMMANDED, command.gate, data)
        for gate_id, state in self._state.gates.items():
            held = before.gates.get(gate_id, GateState())
            if state.mode != held.mode:
                data = {"mode": state.mode, "before": held.mode, "reasons": list(state.reasons)}
                self._ports.journal.append(JournalKind.MODE_CHANGED, gate_id, data)
            self._journal_alarms(gate_id, held.alarms, state.alarms, {})
        alarms = dict(self._ports.site_alarms())
        if problem := self._ports.journal.problem():
            alarms["journal_not_written"] = problem
        self._journal_alarms("", frozenset(self._site_alarms), frozenset(alarms), alarms)
        self._site_alarms = alarms
        if now.monotonic_s - self._series_at_s >= self._site.series_period_s - 1e-3:
            self._series_at_s = now.monotonic_s
            for gate in self._site.gates:
                self._ports.journal.append(JournalKind.SAMPLES, gate.id, self._series(gate.id))

    def _journal_alarms(self, gate_id: str, before: frozenset[str], after: frozenset[str], reasons: dict[str, str]) -> None:
        for alarm in sorted(after - before):
            log.warning("alarm", gate=gate_id, alarm=alarm, reason=reasons.get(alarm, ""))
            self._ports.journal.append(JournalKind.ALARM_RAISED, gate_id, {"alarm": alarm, "reason": reasons.get(alarm, "")})
        for alarm in sorted(before - after):
            self._ports.journal.append(JournalKind.ALARM_RETURNED, gate_id, {"alarm": alarm})

    def _series(self, gate_id: str) -> dict[str, Any]:
        reading = self._gate_reading(gate_id)
        return {
            "level_m": reading.level_m,
            "opening_pct": reading.opening_pct,
            "flow_m3s": reading.flow_m3s,
            "quality": reading.quality,
            "mode": reading.mode,
            "target": reading.target,
        }

    def _write_interlock(self, now: Now) -> None:
        self._hold, self._flood = hold_reasons(self._state, self._readings, self._site)
        interlock = Interlock(
            site=self._site.site,
            written_at=now.wall,
            boot_id=self._clock.boot_id(),
            monotonic_s=now.monotonic_s,
            scan_period_s=self._site.scan_period_s,
            hold=bool(self._hold),
            reasons=self._hold,
            flood_alarm=self._flood,
        )
        self._ports.put_interlock(interlock.model_dump_json().encode())


def _worst(*readings: Reading | None) -> Quality:
    order = (Quality.BAD, Quality.DEGRADED, Quality.GOOD)
    found = {reading.quality for reading in readings if reading is not None}
    return next((quality for quality in order if quality in found), Quality.BAD)
