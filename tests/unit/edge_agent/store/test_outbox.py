"""Events on disk: numbered without gaps whatever happens, thinned and counted when there are too many."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.store.errors import DiskFull
from edge_agent.store.state import StateStore
from shared.contracts.event import Event, EventType
from tests.builders_agent import open_store
from tests.fakes.fake_clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def events(store: StateStore) -> list[Event]:
    return sorted((Event.model_validate_json(row.body) for row in store.outbox.window(10_000)), key=lambda event: event.sequence)


def test_events_are_numbered_from_one_with_ids_of_their_own(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)
    for app in ("web", "ui", "web"):
        store.outbox.add(EventType.RELEASE_READY, {"app": app}, subject=app, rollout_id="r1")

    found = events(store)

    assert [event.sequence for event in found] == [1, 2, 3]
    assert len({event.id for event in found}) == 3
    assert {event.outboxid for event in found} == {store.outbox.outbox_id}
    assert (found[0].source, found[0].type, found[0].rolloutid) == ("pi-north", "io.munbon.ReleaseReady.v1", "r1")


def test_numbers_go_on_over_a_restart_and_after_rows_are_gone(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)
    store.outbox.add(EventType.AGENT_STARTED, {})
    store.outbox.delete([1])
    outbox_id = store.outbox.outbox_id
    store.close()

    again = open_store(tmp_path, clock)
    again.outbox.add(EventType.AGENT_STARTED, {})

    assert (again.outbox.outbox_id, [event.sequence for event in events(again)]) == (outbox_id, [2])


def test_the_most_valuable_is_sent_first(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)
    store.outbox.add(EventType.GATE_SAMPLES_RECORDED, {})
    store.outbox.add(EventType.GATE_ALARM_RAISED, {})
    store.outbox.add(EventType.RELEASE_HELD, {})

    assert [row.sequence for row in store.outbox.window(10)] == [2, 3, 1]
    assert [row.sequence for row in store.outbox.window(1, skip={2})] == [3]


def test_too_many_are_thinned_the_least_valuable_first_and_counted(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock, max_outbox_bytes=20_000)
    store.outbox.add(EventType.RELEASE_FAILED, {"app": "web"})
    for _ in range(120):
        store.outbox.add(EventType.GATE_SAMPLES_RECORDED, {"samples": "x" * 300})

    found = events(store)

    kept = [event for event in found if event.event_type is not EventType.EVENTS_THINNED]
    thinned = [event for event in found if event.event_type is EventType.EVENTS_THINNED]
    assert sum(len(event.model_dump_json()) for event in found) <= 20_000
    assert kept[0].event_type is EventType.RELEASE_FAILED
    assert sum(event.data["count"] for event in thinned) == found[-1].sequence - len(found)
    assert all(event.data["types"] == {"io.munbon.GateSamplesRecorded.v1": event.data["count"]} for event in thinned)
    assert thinned[0].data["first_sequence"] == 2


def test_what_is_under_way_is_not_thinned_for_it_may_be_home_already(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock, max_outbox_bytes=5_000)
    store.outbox.add(EventType.GATE_SAMPLES_RECORDED, {"samples": "first"})
    store.outbox.attempted.add(1)
    for _ in range(30):
        store.outbox.add(EventType.GATE_SAMPLES_RECORDED, {"samples": "x" * 300})

    assert 1 in [event.sequence for event in events(store)]


def test_an_event_that_is_too_large_is_told_without_its_data(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)

    store.outbox.add(EventType.GATE_JOURNALED, {"site": "north", "records": ["x" * 1_000] * 200})

    assert events(store)[0].data == {"truncated": True, "site": "north"}


def test_nothing_of_a_transaction_that_fails_is_kept(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)

    def two_then_fail() -> None:
        with store.transaction():
            store.outbox.add(EventType.RELEASE_READY, {})
            store.outbox.add(EventType.RELEASE_READY, {})
            raise RuntimeError("power")

    with pytest.raises(RuntimeError):
        two_then_fail()
    store.outbox.add(EventType.RELEASE_FAILED, {})

    assert [(event.sequence, event.event_type) for event in events(store)] == [(1, EventType.RELEASE_FAILED)]


def test_a_full_disk_takes_nothing_half_and_uses_up_no_number(tmp_path: Path, clock: FakeClock) -> None:
    store = open_store(tmp_path, clock)
    store.outbox.add(EventType.AGENT_STARTED, {})
    connection: sqlite3.Connection = store._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(DiskFull, match="no space left"):
        store.outbox.add(EventType.GATE_JOURNALED, {"text": "x" * 100_000})
    connection.execute("PRAGMA max_page_count = 1000000")
    store.outbox.add(EventType.RELEASE_FAILED, {})

    assert [event.sequence for event in events(store)] == [1, 2]


class PowerCut(BaseException):
    pass


def crash_in_transaction(store: StateStore) -> None:
    with store.transaction():
        store.outbox.add(EventType.RELEASE_FAILED, {})
        raise PowerCut


@given(st.lists(st.tuples(st.sampled_from(["add", "add two", "send", "crash in transaction", "crash"]), st.integers(0, 5)), max_size=40))
@settings(max_examples=40, deadline=None)
def test_numbers_have_no_gap_whatever_the_crash(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), FakeClock()
    store = open_store(folder, clock, max_outbox_bytes=6_000)
    arrived: dict[int, Event] = {}
    for step, number in steps:
        match step:
            case "add":
                store.outbox.add(EventType.GATE_SAMPLES_RECORDED, {"samples": "x" * number * 100})
            case "add two":
                with store.transaction():
                    store.outbox.add(EventType.RELEASE_READY, {})
                    store.set_cursor("gate", "journal", number)
                    store.outbox.add(EventType.RELEASE_APPLIED, {})
            case "send":
                for row in store.outbox.window(number):
                    store.outbox.attempted.add(row.sequence)
                    arrived[row.sequence] = Event.model_validate_json(row.body)
                store.outbox.delete([row.sequence for row in store.outbox.window(number)])
            case "crash in transaction":
                with pytest.raises(PowerCut):
                    crash_in_transaction(store)
            case _:
                store.close()
                store = open_store(folder, clock, max_outbox_bytes=6_000)
    everything = arrived | {event.sequence: event for event in events(store)}
    dropped = sum(event.data["count"] for event in everything.values() if event.event_type is EventType.EVENTS_THINNED)

    assert len(everything) + dropped == max(everything, default=0)
    store.close()
