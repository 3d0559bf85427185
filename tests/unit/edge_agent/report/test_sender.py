"""The outbox on its way home: once each, whatever is lost between."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.report.sender import WINDOW, OutboxSender
from edge_agent.store.state import StateStore
from shared.contracts.event import Event, EventType
from tests.builders_agent import NODE, open_store
from tests.fakes.fake_bus import FakeBus
from tests.fakes.fake_clock import FakeClock


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.bus = folder, FakeClock(), FakeBus()
        self.store: StateStore = open_store(folder, self.clock)
        self.sender = OutboxSender(self.store.outbox, NODE, self.clock, lambda: 0.0)

    def add(self, count: int) -> None:
        for _ in range(count):
            self.store.outbox.add(EventType.RELEASE_READY, {})

    async def run(self, seconds: float = 5.0) -> None:
        task = asyncio.create_task(self.sender.run(await self.bus.open()))
        await self.clock.advance(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def stored(self) -> list[int]:
        return sorted(Event.model_validate_json(body).sequence for _, body in self.bus.stored.values())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_events_go_home_and_their_rows_go_with_the_acknowledgement(bench: Bench) -> None:
    bench.add(40)

    await bench.run()

    assert bench.stored() == list(range(1, 41))
    assert bench.store.outbox.count() == 0
    assert next(iter(bench.bus.stored.values()))[0] == "evt.pi-north.release"


async def test_no_more_than_a_window_is_under_way(bench: Bench) -> None:
    bench.add(40)
    bench.bus.lose_acks = 10_000

    task = asyncio.create_task(bench.sender.run(await bench.bus.open()))
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert len(bench.bus.attempts) <= WINDOW


async def test_a_lost_acknowledgement_sends_the_same_id_again(bench: Bench) -> None:
    bench.add(3)
    bench.bus.lose_acks = 2

    await bench.run()

    assert len(bench.bus.attempts) == 5
    assert len(set(bench.bus.attempts)) == 3
    assert bench.store.outbox.count() == 0


async def test_a_full_stream_loses_nothing(bench: Bench) -> None:
    bench.add(5)
    bench.bus.is_full = True
    await bench.run(1.0)
    assert (bench.stored(), bench.store.outbox.count()) == ([], 5)

    bench.bus.is_full = False
    await bench.run()

    assert bench.stored() == [1, 2, 3, 4, 5]


async def test_a_cut_link_loses_nothing(bench: Bench) -> None:
    bench.add(5)
    task = asyncio.create_task(bench.sender.run(await bench.bus.open()))
    await asyncio.sleep(0)
    bench.bus.cut()
    await bench.clock.advance(60)
    await asyncio.wait_for(task, 10)
    bench.bus.is_cut = False

    await bench.run()

    assert bench.stored() == [1, 2, 3, 4, 5]


async def test_what_comes_while_it_sends_is_sent_too(bench: Bench) -> None:
    task = asyncio.create_task(bench.sender.run(await bench.bus.open()))
    await bench.clock.settle()
    bench.add(2)
    await bench.clock.settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert bench.stored() == [1, 2]


@given(st.lists(st.sampled_from(["add", "run", "lose acks", "cut", "restart"]), max_size=14))
@settings(max_examples=25, deadline=None)
def test_each_event_is_stored_exactly_once_whatever_happens(tmp_path_factory: pytest.TempPathFactory, steps: list[str]) -> None:
    async def play() -> None:
        bench = Bench(tmp_path_factory.mktemp("state"))
        added = 0
        for step in [*steps, "run"]:
            match step:
                case "add":
                    bench.add(3)
                    added += 3
                case "run":
                    await bench.run()
                case "lose acks":
                    bench.bus.lose_acks = 2
                case "cut":
                    task = asyncio.create_task(bench.sender.run(await bench.bus.open()))
                    await asyncio.sleep(0)
                    bench.bus.cut()
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    bench.bus.is_cut = False
                case _:
                    bench.store.close()
                    bench.store = open_store(bench.folder, bench.clock)
                    bench.sender = OutboxSender(bench.store.outbox, NODE, bench.clock, lambda: 0.0)
        await bench.run()
        assert bench.stored() == list(range(1, added + 1))
        assert bench.store.outbox.count() == 0
        bench.store.close()

    asyncio.run(play())
