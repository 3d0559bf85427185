"""The gate's journal into the outbox: each record once, alarms at once, samples gathered."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_agent.command.gate_client import GateUnreachable
from edge_agent.report.gate_journal import CURSOR, GateJournalFollower
from edge_agent.store.errors import DiskFull
from edge_agent.store.state import StateStore
from shared.contracts.event import Event
from shared.contracts.gate_socket import GateStatus, JournalKind, JournalPage, JournalRecord
from tests.builders_agent import open_store
from tests.fakes.fake_clock import START, FakeClock


class FakeJournal:
    def __init__(self) -> None:
        self.journal_id = "journal-1"
        self.records: list[JournalRecord] = []
        self.is_away = False

    def write(self, kind: JournalKind, gate: str = "g1", **data: Any) -> None:
        cursor = self.records[-1].cursor + 1 if self.records else 1
        self.records.append(JournalRecord(cursor=cursor, at=START, monotonic_s=1.0, boot_id="b", kind=kind, gate=gate, data=data))

    async def status(self) -> GateStatus:
        if self.is_away:
            raise GateUnreachable("connection refused")
        return GateStatus(site="north", scan=1, scanned_at=START, scan_period_s=1.0)

    async def read_journal(self, after: int, limit: int, wait_s: float) -> JournalPage:
        if self.is_away:
            raise GateUnreachable("connection refused")
        found = tuple(record for record in self.records if record.cursor > after)[:limit]
        first, last = (self.records[0].cursor, self.records[-1].cursor) if self.records else (0, 0)
        return JournalPage(journal_id=self.journal_id, records=found, first=first, last=last)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.gate = folder, FakeClock(), FakeJournal()
        self.start()

    def start(self) -> None:
        self.store: StateStore = open_store(self.folder, self.clock)
        self.follower = GateJournalFollower(self.store, self.gate, self.clock, gather_s=30)

    async def follow(self, times: int = 3) -> None:
        for _ in range(times):
            await self.follower.follow_once(0.0)

    def events(self, name: str = "") -> list[Event]:
        rows = sorted(self.store.outbox.window(1_000), key=lambda row: row.sequence)
        found = [Event.model_validate_json(row.body) for row in rows]
        return [event for event in found if event.event_type is not None and (not name or event.event_type.value == name)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_samples_are_gathered_for_half_a_minute(bench: Bench) -> None:
    for level in (2.1, 2.2, None):
        bench.gate.write(JournalKind.SAMPLES, level_m=level, opening_pct=40.0, flow_m3s=1.0, quality="good", mode="AUTO")
    await bench.follow()
    assert bench.events() == []

    bench.clock.tick(31)
    await bench.follow()

    (event,) = bench.events("GateSamplesRecorded")
    assert event.data["site"] == "north"
    assert [sample["level_m"] for sample in event.data["samples"]] == [2.1, 2.2, None]
    assert event.data["samples"][0] == {
        "at": "2026-03-01T06:00:00Z",
        "gate": "g1",
        "level_m": 2.1,
        "opening_pct": 40.0,
        "flow_m3s": 1.0,
        "quality": "good",
    }


async def test_an_alarm_goes_at_once_and_takes_along_what_was_before_it(bench: Bench) -> None:
    bench.gate.write(JournalKind.SAMPLES, level_m=2.1)
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="level_high", reason="2.9 m")
    await bench.follow()

    assert [event.event_type.value for event in bench.events() if event.event_type] == ["GateSamplesRecorded", "GateAlarmRaised"]
    alarm = bench.events("GateAlarmRaised")[0]
    assert (alarm.subject, alarm.data["alarm"], alarm.data["gate"]) == ("g1", "level_high", "g1")


async def test_plans_and_modes_have_events_of_their_own_and_the_rest_is_journalled(bench: Bench) -> None:
    bench.gate.write(JournalKind.STARTED, gate="")
    bench.gate.write(JournalKind.PLAN_ACCEPTED, gate="", generation=4)
    bench.gate.write(JournalKind.PLAN_REFUSED, gate="", code="PlanRefused", reason="too high")
    bench.gate.write(JournalKind.MODE_CHANGED, mode="AUTO")
    await bench.follow()

    assert {event.event_type.value for event in bench.events() if event.event_type} == {
        "GatePlanAccepted",
        "GatePlanRefused",
        "GateModeChanged",
        "GateJournaled",
    }
    assert bench.events("GatePlanAccepted")[0].data["generation"] == 4
    assert bench.events("GatePlanRefused")[0].data["code"] == "PlanRefused"
    assert bench.events("GateJournaled")[0].data["records"][0]["kind"] == "started"


async def test_a_command_goes_at_once_and_a_record_of_a_newer_gate_is_carried_all_the_same(bench: Bench) -> None:
    bench.gate.write(JournalKind.COMMAND_ACCEPTED, verb="move", by="som", **{"from": "console"})
    bench.gate.records.append(JournalRecord.model_validate(bench.gate.records[0].to_json() | {"cursor": 2, "kind": "dreamt"}))
    await bench.follow()

    assert bench.events("GateCommandAccepted")[0].data["verb"] == "move"
    assert bench.events("GateJournaled")[0].data["records"][0]["kind"] == "dreamt"


async def test_each_record_is_taken_over_once_also_over_restarts(bench: Bench) -> None:
    for number in range(5):
        bench.gate.write(JournalKind.SAMPLES, level_m=float(number))
        bench.gate.write(JournalKind.ALARM_RAISED, alarm=f"a{number}")
        await bench.follow()
        bench.gate.write(JournalKind.SAMPLES, level_m=number + 0.5)
        await bench.follow()
        bench.store.close()
        bench.start()
    bench.clock.tick(31)
    await bench.follow()
    bench.clock.tick(31)
    await bench.follow()

    levels = [sample["level_m"] for event in bench.events("GateSamplesRecorded") for sample in event.data["samples"]]
    assert levels == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]
    assert [event.data["alarm"] for event in bench.events("GateAlarmRaised")] == ["a0", "a1", "a2", "a3", "a4"]


async def test_a_new_journal_is_read_from_its_beginning(bench: Bench) -> None:
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="old")
    await bench.follow()
    bench.gate.journal_id, bench.gate.records = "journal-2", []
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="new")

    await bench.follow()

    assert [event.data["alarm"] for event in bench.events("GateAlarmRaised")] == ["old", "new"]
    assert bench.store.cursor(CURSOR) == ("journal-2", 1)


async def test_records_that_the_gate_gave_up_are_counted(bench: Bench) -> None:
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a")
    await bench.follow()
    bench.gate.records = [bench.gate.records[0].model_copy(update={"cursor": 11})]

    await bench.follow()

    lost = bench.events("GateJournaled")[0].data["records"][0]
    assert (lost["kind"], lost["data"]["count"]) == ("records_lost", 9)
    assert len(bench.events("GateAlarmRaised")) == 2


async def test_a_gate_that_is_away_is_a_problem_and_loses_nothing(bench: Bench) -> None:
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a")
    bench.gate.is_away = True
    with pytest.raises(GateUnreachable):
        await bench.follow()
    bench.gate.is_away = False

    await bench.follow()

    assert len(bench.events("GateAlarmRaised")) == 1


async def test_a_gap_in_the_middle_of_a_page_is_counted_too(bench: Bench) -> None:
    for number in range(9):
        bench.gate.write(JournalKind.SAMPLES, level_m=float(number))
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a")
    del bench.gate.records[3:6]
    await bench.follow()
    (lost,) = bench.events("GateJournaled")[0].data["records"]
    assert (lost["kind"], lost["data"]["count"]) == ("records_lost", 3)
    assert len(bench.events("GateAlarmRaised")) == 1


async def test_long_records_go_in_events_that_keep_their_content(bench: Bench) -> None:
    for _ in range(400):
        bench.gate.write(JournalKind.COMMANDED, verb="move", reason="x" * 500)
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a")
    await bench.follow()
    told = bench.events("GateJournaled")
    assert not any("truncated" in event.data for event in told)
    assert [record["cursor"] for event in told for record in event.data["records"]] == list(range(1, 401))


async def test_a_full_disk_is_waited_for_without_gathering_for_ever_and_the_alarm_goes_first_thing_after_it(bench: Bench) -> None:
    for number in range(3_000):
        bench.gate.write(JournalKind.SAMPLES, level_m=float(number))
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a")
    asked: list[int] = []
    read = bench.gate.read_journal

    async def count(after: int, limit: int, wait_s: float) -> JournalPage:
        asked.append(after)
        return await read(after, limit, wait_s)

    bench.gate.read_journal = count  # type: ignore[method-assign]
    add = bench.store.outbox.add

    def full(*_: Any, **__: Any) -> int:
        raise DiskFull("outbox")

    bench.store.outbox.add = full  # type: ignore[method-assign]
    await bench.follow(1)
    for _ in range(20):
        with pytest.raises(DiskFull):
            await bench.follow(1)
    assert max(asked) == 0, "nothing more is read than one page"
    bench.store.outbox.add = add  # type: ignore[method-assign]
    await bench.follow(10)
    assert len(bench.events("GateAlarmRaised")) == 1
    assert sum(len(event.data["samples"]) for event in bench.events("GateSamplesRecorded")) == 3_000


async def test_an_agent_that_lost_its_memory_tells_the_same_under_the_same_ids(bench: Bench, tmp_path: Path) -> None:
    for number in range(3):
        bench.gate.write(JournalKind.ALARM_RAISED, alarm=f"a{number}")
    await bench.follow()
    before = {event.id: event.data["alarm"] for event in bench.events("GateAlarmRaised")}
    bench.store.close()
    bench.folder = tmp_path / "another-card"
    bench.start()
    bench.gate.write(JournalKind.ALARM_RAISED, alarm="a3")
    await bench.follow()
    after = {event.id: event.data["alarm"] for event in bench.events("GateAlarmRaised")}
    assert before.items() < after.items()
    assert set(after.values()) - set(before.values()) == {"a3"}


async def test_what_was_written_under_numbers_that_the_gates_disk_forgot_is_told(bench: Bench) -> None:
    for number in range(10):
        bench.gate.write(JournalKind.ALARM_RAISED, alarm=f"a{number}")
    await bench.follow()
    bench.gate.is_away = True
    with pytest.raises(GateUnreachable):
        await bench.follow()
    del bench.gate.records[5:]
    for number in range(8):
        bench.gate.write(JournalKind.ALARM_RAISED, alarm=f"b{number}")
    bench.gate.is_away = False
    await bench.follow()
    told = {event.id: event.data["alarm"] for event in bench.events("GateAlarmRaised")}
    assert sorted(told.values()) == [f"a{number}" for number in range(10)] + [f"b{number}" for number in range(8)]


class Story(RuleBasedStateMachine):
    """Whatever happens to agent, gate and disks: central, which knows events by their id and samples by their time, has each once."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.bench = Bench(self.folder / "0")
        self.written: list[str] = []
        self.central: dict[str, str] = {}
        self.lives = 0

    def teardown(self) -> None:
        self.bench.store.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 3), is_alarm=st.booleans())
    def write(self, count: int, is_alarm: bool) -> None:
        for _ in range(count):
            name = f"n{len(self.written)}"
            self.written.append(name)
            if is_alarm:
                self.bench.gate.write(JournalKind.ALARM_RAISED, alarm=name)
            else:
                self.bench.gate.write(JournalKind.SAMPLES, quality=name)

    @rule(times=st.integers(1, 3), later_s=st.sampled_from([0.0, 31.0]))
    def follow(self, times: int, later_s: float) -> None:
        self.bench.clock.tick(later_s)
        asyncio.run(self.bench.follow(times))

    @rule()
    def the_gate_is_started_anew(self) -> None:
        self.bench.gate.is_away = True
        with pytest.raises(GateUnreachable):
            asyncio.run(self.bench.follow(1))
        self.bench.gate.is_away = False

    @rule()
    def the_agent_is_killed(self) -> None:
        self.bench.store.close()
        self.bench.start()

    @rule()
    def the_agent_loses_its_memory(self) -> None:
        """What the stream had is at central; what only this card had is told again from the journal."""
        self.told()
        self.bench.store.close()
        self.lives += 1
        self.bench.folder = self.folder / str(self.lives)
        self.bench.start()

    def told(self) -> list[str]:
        """As central keeps it after all of this."""
        for event in self.bench.events("GateAlarmRaised"):
            self.central[event.id] = event.data["alarm"]
        for event in self.bench.events("GateSamplesRecorded"):
            self.central |= {sample["at"] + sample["quality"]: sample["quality"] for sample in event.data["samples"]}
        return sorted(self.central.values())

    @invariant()
    def nothing_is_told_that_was_not_written_and_nothing_twice(self) -> None:
        told = self.told()
        assert len(told) == len(set(told))
        assert set(told) <= set(self.written)

    @rule()
    def in_the_end_all_is_told(self) -> None:
        self.follow(3, 31.0)
        self.follow(3, 31.0)
        assert self.told() == sorted(self.written)


Story.TestCase.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
test_each_record_is_at_central_once_whatever_happens = Story.TestCase
