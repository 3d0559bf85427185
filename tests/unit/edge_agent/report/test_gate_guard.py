"""The alarms of a gate process that cannot tell them: once each, kept over restarts of the agent, and in the node's picture."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.command.gate_client import GateUnreachable
from edge_agent.report.gate_guard import GateGuard
from edge_agent.report.gate_watch import GateWatch
from edge_agent.store.state import StateStore
from shared.contracts.event import Event
from shared.contracts.gate_socket import AlarmView, GateStatus
from tests.builders_agent import open_store
from tests.fakes.fake_clock import START, FakeClock


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, FakeClock()
        self.scan, self.is_away, self.stands = 1, False, False
        self.begin()

    def begin(self) -> None:
        self.store: StateStore = open_store(self.folder, self.clock)
        self.guard = GateGuard(self.store, self.clock)
        self.watch = GateWatch(self, self.clock, lambda: None, self.guard)

    async def status(self) -> GateStatus:
        if self.is_away:
            raise GateUnreachable("connection refused")
        if not self.stands:
            self.scan += 2
        table = (AlarmView(key="g1/stuck", gate="g1", name="stuck", state="unacknowledged"),)
        return GateStatus(site="north", scan=self.scan, scanned_at=START, scan_period_s=1.0, alarm_table=table)

    async def read_journal(self, after: int, limit: int, wait_s: float) -> Any:
        raise AssertionError("not asked for")

    async def look_for(self, duration_s: float) -> None:
        for _ in range(round(duration_s / 2.0)):
            self.clock.tick(2.0)
            await self.watch.look()

    def told(self) -> list[tuple[str, str]]:
        rows = sorted(self.store.outbox.window(1_000), key=lambda row: row.sequence)
        events = [Event.model_validate_json(row.body) for row in rows]
        return [(event.event_type.value, event.data["alarm"]) for event in events if event.event_type is not None and "alarm" in event.data]

    def states(self) -> dict[str, str]:
        return {alarm.key: alarm.state for alarm in self.watch.site.alarms}

    def table(self) -> list[str]:
        return [alarm.key for alarm in self.watch.site.alarms]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_dead_gate_process_is_an_alarm_at_central_and_in_the_picture(bench: Bench) -> None:
    await bench.look_for(20)
    assert (bench.told(), bench.table(), bench.watch.problem) == ([], ["g1/stuck"], "")
    bench.is_away = True
    await bench.look_for(60)
    assert bench.told() == [("GateAlarmRaised", "not_scanning")]
    assert bench.table() == ["site/not_scanning", "g1/stuck"], "what it told last still stands"
    assert "does not answer on its socket" in bench.watch.problem
    assert not bench.watch.site.reachable
    bench.is_away = False
    await bench.look_for(4)
    assert bench.told()[1:] == [("GateAlarmReturned", "not_scanning")]
    assert bench.watch.problem == ""
    assert bench.states() == {"site/not_scanning": "returned", "g1/stuck": "unacknowledged"}, "what nobody has seen stays"
    assert bench.guard.acknowledge("site/not_scanning", "som", "c" * 16)
    await bench.look_for(2)
    assert bench.table() == ["g1/stuck"]
    bench.store.close()


async def test_an_alarm_that_was_acknowledged_ends_with_its_condition_and_who_saw_it_is_told(bench: Bench) -> None:
    await bench.look_for(10)
    bench.is_away = True
    await bench.look_for(30)
    assert bench.guard.meant("") == bench.guard.meant("not_scanning") == bench.guard.meant("site/not_scanning") == ("site/not_scanning",)
    assert bench.guard.meant("g1/stuck") == ()
    assert bench.guard.acknowledge("site/not_scanning", "som", "c" * 16)
    assert not bench.guard.acknowledge("site/not_scanning", "ann", "d" * 16)
    bench.store.close()
    bench.begin()
    assert (bench.watch.site.site, bench.watch.site.reachable) == ("north", False), "an agent started beside a dead gate knows its site"
    await bench.look_for(10)
    assert bench.states()["site/not_scanning"] == "acknowledged"
    assert bench.told() == [("GateAlarmRaised", "not_scanning"), ("GateCommandAccepted", "not_scanning")]
    bench.is_away = False
    await bench.look_for(4)
    assert bench.states() == {"g1/stuck": "unacknowledged"}
    bench.store.close()


async def test_an_agent_that_starts_anew_does_not_tell_twice(bench: Bench) -> None:
    bench.is_away = True
    await bench.look_for(30)
    bench.store.close()
    bench.begin()
    await bench.look_for(30)
    assert bench.told() == [("GateAlarmRaised", "not_scanning")]
    bench.is_away = False
    await bench.look_for(4)
    assert bench.told()[1:] == [("GateAlarmReturned", "not_scanning")]
    bench.store.close()


async def test_a_process_that_answers_and_stands_still_is_one_that_does_not_scan(bench: Bench) -> None:
    await bench.look_for(10)
    bench.stands = True
    await bench.look_for(30)
    assert "answers and does not scan" in bench.watch.problem
    assert bench.watch.site.reachable
    bench.store.close()


async def test_starts_again_and_again_are_a_crash_loop(bench: Bench) -> None:
    for _ in range(4):
        await bench.look_for(10)
        bench.scan = 0
    await bench.look_for(4)
    assert bench.told() == [("GateAlarmRaised", "crash_loop")]
    await bench.look_for(700)
    assert bench.told()[1:] == [("GateAlarmReturned", "crash_loop")]
    bench.store.close()
