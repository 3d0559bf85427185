"""The gate's journal into the outbox: each record once, alarms at once, samples gathered."""

from pathlib import Path
from typing import Any

import pytest

from edge_agent.command.gate_client import GateUnreachable
from edge_agent.report.gate_journal import CURSOR, GateJournalFollower
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
        return JournalPage(journal_id=self.journal_id, records=found, first=1, last=len(self.records))


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
