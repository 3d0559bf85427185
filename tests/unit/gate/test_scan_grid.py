"""The loop's grid: late scans are measured and skipped, never made up for in a burst; systemd is fed only in time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_agent.gate_control.console.desk import Pending
from edge_agent.gate_control.decide.instructions import Instruction, Outcome
from edge_agent.gate_control.decide.modes import Place, Role
from edge_agent.gate_control.decide.restart import SavedState
from edge_agent.gate_control.decide.state import SiteState
from edge_agent.gate_control.loop.clock_trust import ClockTrust
from edge_agent.gate_control.loop.scan import GateLoop, Ports
from edge_agent.gate_control.model.values import Command, MoveTo, Sample, StopMotion, WriteOutcome
from edge_agent.gate_control.simulation.example import example_site
from shared.clock import SystemClock
from shared.contracts.gate_command import GateAction, GateVerb
from shared.contracts.gate_plan import DeliveryOrder, PositionObjective
from shared.contracts.gate_socket import JournalKind
from shared.contracts.interlock import Interlock
from tests.fakes.gate import RUNNING, make_plan


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
        self.answered = 0
        self.acts_in_s = 0.0
        self.slow_on: dict[int, float] = {}
        self.fail_on: set[int] = set()
        self.stop = asyncio.Event()
        self.stop_after = 6
        self.commands: list[Command] = []
        self.error = ""

    async def read(self, deadline_s: float) -> Sequence[Sample]:
        self.reads += 1
        await asyncio.sleep(self.slow_on.get(self.reads, 0.0))
        self.answered += 1
        if self.reads >= self.stop_after:
            self.stop.set()
        if self.reads in self.fail_on:
            raise RuntimeError("a fault of ours")
        now_s = self.clock.monotonic_s()
        facts = dict.fromkeys(("moving", "closed_limit", "open_limit", "jammed", "by_hand", "inhibited"), 0.0) | {"remote": 1.0}
        values = {"g1-position": 32.0, "g1-level": 2.0} | {f"g1.{name}": value for name, value in facts.items()}
        return [Sample(name, value, now_s) for name, value in values.items()]

    def arrived(self) -> Sequence[Sample]:
        return []

    async def act(
        self, commands: Sequence[Command], deadline_s: float, openings_pct: Mapping[str, float | None] | None = None
    ) -> Sequence[WriteOutcome]:
        self.commands += commands
        await asyncio.sleep(self.acts_in_s)
        return [WriteOutcome(command.gate, command, self.error) for command in commands]


class Counter:
    """A desk where tests put commands."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.waiting: list[Pending] = []

    def put(self, action: GateAction) -> Pending:
        pending = Pending(Instruction("i1", action, "ana", Role.OPERATOR, Place.CONSOLE))
        self.waiting.append(pending)
        self.arrived.set()
        return pending

    async def ask(self, verb: str, **params: Any) -> Outcome:
        async with asyncio.timeout(5.0):
            return await self.put(GateAction(gate="g1", verb=GateVerb(verb), params=params)).outcome()

    def take(self) -> tuple[Pending, ...]:
        taken = tuple(pending.take() for pending in self.waiting)
        self.waiting.clear()
        self.arrived.clear()
        return taken


@dataclass
class Bench:
    loop: GateLoop
    field: Field
    desk: Counter
    journal: Memory
    notified: list[str]
    interlocks: list[bytes]
    saved: list[SavedState]


def make(tmp_path: Path, *, plan: Any = None, scan_period_s: float = 0.1) -> Bench:
    clock, journal, notified, interlocks, saved = SystemClock(), Memory(), list[str](), list[bytes](), list[SavedState]()
    devices, desk = Field(clock), Counter()
    ports = Ports(
        field=devices,
        journal=journal,
        desk=desk,
        put_interlock=interlocks.append,
        put_state=saved.append,
        plan=lambda: plan,
        remote_generation=lambda: 0,
        conditions=dict,
        scanned=lambda: None,
        notify=notified.append,
    )
    trust = ClockTrust(clock, tmp_path / "clock-was-set")
    state = SiteState(modes={"g1": RUNNING})
    loop = GateLoop(example_site(scan_period_s=scan_period_s), ports, clock, trust, state)
    loop.take_up(state, is_known=False)
    return Bench(loop, devices, desk, journal, notified, interlocks, saved)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    bench.field.stop_after = 1_000
    task = asyncio.create_task(bench.loop.run(bench.field.stop))
    try:
        yield
    finally:
        bench.field.stop.set()
        await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10.0):
        while not condition():
            await asyncio.sleep(0.005)


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


async def test_scans_that_are_late_again_and_again_are_told_and_single_ones_are_not(tmp_path: Path) -> None:
    bench = make(tmp_path, scan_period_s=0.05)
    bench.field.slow_on = dict.fromkeys(range(3, 7), 0.07)
    bench.field.stop_after = 8
    await bench.loop.run(bench.field.stop)
    assert "site/scan_late" not in bench.loop.memory.state.alarms
    bench.field.slow_on = dict.fromkeys(range(9, 16), 0.07)
    bench.field.stop, bench.field.stop_after = asyncio.Event(), 18
    await bench.loop.run(bench.field.stop)
    assert bench.loop.memory.state.alarms["site/scan_late"].is_there


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
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=60.0)))
    bench.field.stop_after = 2
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


async def test_what_is_still_moving_is_stopped_at_the_end(tmp_path: Path) -> None:
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=60.0)))
    bench.field.stop_after = 4
    await bench.loop.run(bench.field.stop)
    assert bench.field.commands
    await bench.loop.stop_motion()
    assert isinstance(bench.field.commands[-1], StopMotion)


async def test_a_command_is_carried_out_by_a_scan_of_its_own_which_asks_no_device_and_is_answered_with_the_reason(tmp_path: Path) -> None:
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=32.0)), scan_period_s=1.0)
    async with running(bench):
        await until(lambda: bench.field.reads == 3)
        moved = await bench.desk.ask("move", opening_pct=50.0)
        assert moved.accepted
        assert "moved by ana to 50.0 %" in moved.reasons
        stopped = await bench.desk.ask("stop")
        assert stopped.accepted
        assert bench.field.reads == 3
    assert [type(command) for command in bench.field.commands] == [MoveTo, StopMotion]


async def test_a_command_that_arrives_while_a_slow_line_is_read_does_not_wait_for_it(tmp_path: Path) -> None:
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=32.0)), scan_period_s=1.0)
    async with running(bench):
        await until(lambda: bench.field.reads == 3)
        bench.field.slow_on = {4: 0.5}
        await until(lambda: bench.field.reads == 4)
        assert bench.field.answered == 3
        assert (await bench.desk.ask("move", opening_pct=50.0)).accepted
        assert (await bench.desk.ask("stop")).accepted
        assert [type(command) for command in bench.field.commands] == [MoveTo, StopMotion]
        assert bench.field.answered == 3
        # the scan that was interrupted is done all the same
        await until(lambda: bench.field.answered == 4)


async def test_before_anything_was_read_a_command_waits_for_the_first_answers(tmp_path: Path) -> None:
    bench = make(tmp_path, scan_period_s=0.5)
    bench.field.slow_on = {1: 0.2}
    async with running(bench):
        await until(lambda: bench.field.reads == 1)
        await bench.desk.ask("mode", mode="manual")
        assert bench.field.answered == 1


async def test_a_command_whose_device_takes_its_time_costs_no_scan_of_the_grid(tmp_path: Path) -> None:
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=32.0)), scan_period_s=0.4)
    async with running(bench):
        await until(lambda: bench.field.reads == 3)
        bench.field.acts_in_s = 0.5
        await bench.desk.ask("move", opening_pct=50.0)
        # late, and not left out
        began_s = bench.field.clock.monotonic_s()
        await until(lambda: bench.field.reads == 4)
        assert bench.field.clock.monotonic_s() - began_s < 0.3


async def test_a_command_that_its_device_did_not_take_is_answered_so(tmp_path: Path) -> None:
    bench = make(tmp_path)
    bench.field.error = "exception code 4"
    await bench.loop.scan()
    await bench.loop.scan()
    pending = bench.desk.put(GateAction(gate="g1", verb=GateVerb.MOVE, params={"opening_pct": 50.0}))
    await bench.loop.scan()
    outcome = await pending.outcome()
    assert outcome.reasons[-1] == "device: exception code 4"


async def test_what_people_said_is_saved_at_once_and_nothing_before_the_old_state_was_read(tmp_path: Path) -> None:
    bench = make(tmp_path)
    await bench.loop.scan()
    assert bench.saved == []
    bench.loop.take_up(SiteState(modes={"g1": RUNNING}))
    await bench.loop.scan()
    count = len(bench.saved)
    bench.desk.put(GateAction(gate="g1", verb=GateVerb.SERVICE, params={"service": "out"}))
    await bench.loop.scan()
    assert len(bench.saved) > count
    assert not bench.saved[-1].state.modes["g1"].in_service


async def test_what_becomes_of_an_order_is_journalled(tmp_path: Path) -> None:
    clock = SystemClock()
    order = DeliveryOrder(order_id="o1", turnout="g1", start=clock.wall(), flow_m3s=1.0, duration_s=600.0)
    bench = make(tmp_path, plan=make_plan(PositionObjective(opening_pct=32.0)).model_copy(update={"orders": (order,)}))
    (tmp_path / "clock-was-set").write_text(clock.boot_id())
    await bench.loop.scan()
    [told] = [data for kind, _, data in bench.journal.records if kind is JournalKind.ORDER]
    assert (told["order"], told["event"]) == ("o1", "order_started")
