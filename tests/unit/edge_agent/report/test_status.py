"""The newest picture and the heartbeat: at once, at changes, and not too often."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.command.gate_client import GateUnreachable
from edge_agent.report.gate_guard import GateGuard
from edge_agent.report.gate_watch import GateWatch
from edge_agent.report.status import HeartbeatSender, StatusSender, StatusSlot
from shared.contracts.gate_socket import GateReading, GateStatus
from shared.contracts.status import Heartbeat, NodeStatus
from tests.builders_agent import NODE, open_store
from tests.fakes.fake_bus import FakeBus
from tests.fakes.fake_clock import START, FakeClock


class Bench:
    def __init__(self) -> None:
        self.clock, self.bus = FakeClock(), FakeBus()
        numbers = itertools.count(1)
        self.waiting = 0
        self.slot = StatusSlot(lambda: self._status(next(numbers)))
        self.statuses = StatusSender(self.slot, NODE, self.clock)
        self.beats = HeartbeatSender(self._beat, self.slot, NODE, self.clock, interval_s=30.0)
        self._tasks: list[asyncio.Task[None]] = []

    def _status(self, revision: int) -> NodeStatus:
        return NodeStatus(node=NODE, outboxid="outbox-1", revision=revision, at=START, boot_id="b", agent_version="1")

    def _beat(self) -> Heartbeat:
        return Heartbeat(node=NODE, at=self.clock.wall(), boot_id="b", uptime_s=1.0, outbox_rows=self.waiting)

    def told(self) -> list[int]:
        return [Heartbeat.model_validate_json(body).outbox_rows for _, body in self.bus.published]

    async def start(self, run: Callable[[Any], Awaitable[None]]) -> None:
        self._tasks.append(asyncio.ensure_future(run(await self.bus.open())))
        await self.clock.settle()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_status_goes_on_connecting_at_each_change_and_now_and_then(bench: Bench) -> None:
    await bench.start(bench.statuses.run)
    assert list(bench.bus.stored) == ["outbox-1-1"]
    bench.slot.changed()
    await bench.clock.advance(1)
    assert list(bench.bus.stored) == ["outbox-1-1", "outbox-1-2"]

    await bench.clock.advance(601)

    assert len(bench.bus.stored) == 3
    assert {subject for subject, _ in bench.bus.stored.values()} == {"evt.pi-north.status"}
    await bench.stop()


async def test_many_changes_are_one_status(bench: Bench) -> None:
    await bench.start(bench.statuses.run)
    for _ in range(100):
        bench.slot.changed()
        await bench.clock.advance(0.01)

    assert len(bench.bus.stored) <= 8
    await bench.stop()


async def test_a_status_that_was_refused_is_sent_anew(bench: Bench) -> None:
    bench.bus.is_full = True
    await bench.start(bench.statuses.run)
    bench.bus.is_full = False

    await bench.clock.advance(3)

    assert list(bench.bus.stored) == ["outbox-1-2"]
    await bench.stop()


async def test_the_heart_beats_at_once_then_by_its_interval_and_sooner_at_a_change(bench: Bench) -> None:
    await bench.start(bench.beats.run)
    assert len(bench.bus.published) == 1
    await bench.clock.advance(29)
    assert len(bench.bus.published) == 1
    await bench.clock.advance(2)
    assert len(bench.bus.published) == 2

    for _ in range(50):
        bench.slot.changed()
        await bench.clock.advance(0.1)

    assert 3 <= len(bench.bus.published) <= 5
    await bench.stop()


async def test_an_outbox_that_drains_is_told_at_once(bench: Bench) -> None:
    bench.waiting = 7
    await bench.start(bench.beats.run)
    await bench.clock.advance(9)
    assert bench.told() == [7]

    bench.waiting = 0
    await bench.clock.advance(4)

    assert bench.told() == [7, 0]
    await bench.clock.advance(20)
    assert bench.told() == [7, 0]
    await bench.stop()


async def test_an_outbox_that_stays_full_beats_by_the_interval(bench: Bench) -> None:
    bench.waiting = 7
    await bench.start(bench.beats.run)
    await bench.clock.advance(95)
    assert len(bench.told()) == 4
    await bench.stop()


async def test_levels_that_move_are_told_now_and_then_and_an_alarm_at_once(tmp_path: Path) -> None:
    clock, told = FakeClock(), [0]

    class Gate:
        reading = GateReading(level_m=2.1, mode="AUTO")
        is_away = False

        async def status(self) -> GateStatus:
            if self.is_away:
                raise GateUnreachable("connection refused")
            return GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0, gates={"g1": self.reading})

        async def read_journal(self, after: int, limit: int, wait_s: float) -> Any:
            raise AssertionError("not asked for")

    gate = Gate()
    store = open_store(tmp_path, clock)
    watch = GateWatch(gate, clock, lambda: told.__setitem__(0, told[0] + 1), GateGuard(store, clock), repeat_s=30.0)
    await watch.look()
    assert (told[0], watch.site.reachable) == (1, True)
    gate.reading = GateReading(level_m=2.2, mode="AUTO")
    await watch.look()
    assert (told[0], watch.site.gates["g1"].level_m) == (1, 2.2)
    gate.reading = GateReading(level_m=2.2, mode="AUTO", alarms=("level_high",))
    await watch.look()
    assert told[0] == 2
    gate.is_away = True
    await watch.look()

    assert (told[0], watch.site.reachable, watch.site.site) == (3, False, "north")
    store.close()
