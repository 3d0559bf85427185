"""The loop's grid: late scans are measured and skipped, never made up for in a burst; systemd is fed only in time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.gate_control.loop.scan import ClockTrust, GateLoop, Ports
from edge_agent.gate_control.model.values import MoveTo, Sample
from edge_agent.gate_control.model.values_v1 import WriteOutcome
from shared.clock import SystemClock
from shared.contracts.gate_socket import JournalKind
from shared.contracts.interlock import Interlock
from tests.fakes.gate import make_plan, site_settings


@dataclass
class Memory:
    """A journal in memory."""

    last: int = 0
    records: list[tuple[JournalKind, str, dict[str, Any]]] = field(default_factory=list)

    def append(self, kind: JournalKind, gate: str = "", data: dict[str, Any] | None = None) -> None:
        self.records.append((kind, gate, data or {}))

    def problem(self) -> str:
        return ""


class Field:
    """Devices that take their time, fail, or end the run."""

    def __init__(self, clock: SystemClock) -> None:
        self.clock = clock
        self.reads = 0
        self.slow_on: dict[int, float] = {}
        self.fail_on: set[int] = set()
        self.stop = asyncio.Event()
        self.stop_after = 6
        self.commands: list[MoveTo] = []

    async def read(self, deadline_s: float) -> Sequence[Sample]:
        self.reads += 1
        await asyncio.sleep(self.slow_on.get(self.reads, 0.0))
        if self.reads >= self.stop_after:
            self.stop.set()
        if self.reads in self.fail_on:
            raise RuntimeError("a fault of ours")
        now_s = self.clock.monotonic_s()
        values = {"position": 32.0, "upstream_level": 2.0, "status": 32.0}
        return [Sample(f"g1.{name}", value, now_s) for name, value in values.items()]

    async def act(self, commands: Sequence[MoveTo], deadline_s: float) -> Sequence[WriteOutcome]:
        self.commands += commands
        return [WriteOutcome(command.gate, command.opening_pct) for command in commands]


@dataclass
class Bench:
    loop: GateLoop
    field: Field
    journal: Memory
    notified: list[str]
    interlocks: list[bytes]


def make(tmp_path: Path, *, plan: Any = None) -> Bench:
    clock, journal, notified, interlocks = SystemClock(), Memory(), list[str](), list[bytes]()
    devices = Field(clock)
    ports = Ports(devices, journal, interlocks.append, lambda: plan, lambda: 0, dict, notified.append)
    loop = GateLoop(site_settings(scan_period_s=0.1), ports, clock, ClockTrust(clock, tmp_path / "clock-was-set"))
    return Bench(loop, devices, journal, notified, interlocks)


async def test_a_scan_that_took_too_long_skips_what_it_missed_and_feeds_no_watchdog(tmp_path: Path) -> None:
    bench = make(tmp_path)
    bench.field.slow_on = {3: 0.55}
    await bench.loop.run(bench.field.stop)
    assert bench.field.reads == 6
    assert bench.notified[0] == "READY=1"
    assert len(bench.notified) <= 5
    late = bench.loop.lateness_p99_ms()
    assert late is not None
    assert late < 1000.0


async def test_a_fault_of_our_own_in_one_scan_ends_neither_control_nor_commands_anything(tmp_path: Path) -> None:
    bench = make(tmp_path)
    bench.field.fail_on = {2, 3}
    await bench.loop.run(bench.field.stop)
    assert bench.field.reads == 6
    assert bench.field.commands == []
    assert bench.loop.status().gates["g1"].mode == "HOLD"
    assert bench.notified == ["READY=1", *["WATCHDOG=1"] * 3]


async def test_a_late_first_scan_only_delays_readiness(tmp_path: Path) -> None:
    bench = make(tmp_path)
    bench.field.slow_on = {1: 0.3}
    await bench.loop.run(bench.field.stop)
    assert bench.notified[0] == "READY=1"


async def test_once_told_to_stop_no_motion_is_started(tmp_path: Path) -> None:
    plan = make_plan()
    bench = make(tmp_path, plan=plan.model_copy(update={"gates": {"g1": plan.gates["g1"]}}))
    bench.field.stop_after = 1
    await bench.loop.run(bench.field.stop)
    assert bench.field.commands == []


async def test_before_the_first_scan_updates_are_held_and_after_it_not(tmp_path: Path) -> None:
    bench = make(tmp_path)
    assert bench.loop.status().hold
    assert bench.loop.lateness_p99_ms() is None
    await bench.loop.run(bench.field.stop)
    assert not bench.loop.status().hold
    assert not Interlock.model_validate_json(bench.interlocks[-1]).hold


async def test_samples_and_mode_changes_are_journalled(tmp_path: Path) -> None:
    bench = make(tmp_path)
    await bench.loop.run(bench.field.stop)
    kinds = [kind for kind, _, _ in bench.journal.records]
    assert kinds.count(JournalKind.SAMPLES) == 1
    assert (JournalKind.MODE_CHANGED, "g1") in [(kind, gate) for kind, gate, _ in bench.journal.records]


def test_a_clock_set_once_in_this_boot_stays_trusted_after_a_restart(tmp_path: Path) -> None:
    class Clock(SystemClock):
        synchronised = True

        def is_synchronised(self) -> bool:
            return self.synchronised

    clock = Clock()
    assert ClockTrust(clock, tmp_path / "mark").now().wall_is_trusted
    clock.synchronised = False
    assert ClockTrust(clock, tmp_path / "mark").now().wall_is_trusted
    assert not ClockTrust(clock, tmp_path / "other").now().wall_is_trusted
