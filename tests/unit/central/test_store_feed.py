"""Change notices: nothing lost, nothing blocks, slow readers are told to read all again."""

import asyncio
import gc

import pytest

from central.store.feed import EVERYTHING, MAX_PENDING, Change, ChangeFeed, Subscription


async def test_a_reader_hears_its_topics_from_the_moment_it_subscribed() -> None:
    feed = ChangeFeed()
    feed.publish("nodes", "before")
    reader = feed.subscribe({"nodes", "events"})
    feed.publish("nodes", "pi-1")
    feed.publish("rollouts", "r1")
    feed.publish("events")
    assert await reader.next_changes(1) == (Change("nodes", "pi-1"), Change("events"))


async def test_equal_notices_that_wait_are_one() -> None:
    feed = ChangeFeed()
    reader = feed.subscribe({"nodes"})
    for _ in range(5):
        feed.publish("nodes", "pi-1")
    assert await reader.next_changes(1) == (Change("nodes", "pi-1"),)
    feed.publish("nodes", "pi-1")
    assert await reader.next_changes(1) == (Change("nodes", "pi-1"),)


async def test_a_slow_reader_is_told_to_read_all_again_and_then_goes_on() -> None:
    feed = ChangeFeed()
    reader = feed.subscribe({"nodes"})
    for number in range(MAX_PENDING + 50):
        feed.publish("nodes", str(number))
    assert await reader.next_changes(1) == (EVERYTHING,)
    feed.publish("nodes", "pi-1")
    assert await reader.next_changes(1) == (Change("nodes", "pi-1"),)


async def test_waiting_ends_without_news_after_its_time() -> None:
    assert await ChangeFeed().subscribe({"nodes"}).next_changes(0.01) == ()


async def test_iterating_ends_when_closed_after_what_still_waits() -> None:
    feed = ChangeFeed()
    with feed.subscribe({"nodes"}) as reader:
        feed.publish("nodes", "a")
        heard = asyncio.create_task(_collect(reader))
    feed.publish("nodes", "after")
    assert await asyncio.wait_for(heard, 10) == [Change("nodes", "a")]


async def test_a_forgotten_reader_costs_nothing() -> None:
    feed = ChangeFeed()
    feed.subscribe({"nodes"})
    gc.collect()
    assert len(feed._readers) == 0


def test_unknown_topics_are_mistakes() -> None:
    with pytest.raises(ValueError, match="gate"):
        ChangeFeed().publish("gate")


async def _collect(reader: Subscription) -> list[Change]:
    return [change async for change in reader]
