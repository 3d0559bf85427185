"""Server-sent events: nothing missed, nothing kept open for nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource

from central.api import event_stream
from tests.fixtures_api import RunningApi
from tests.integration.central.test_nodes_and_gates import add_node, make_event, receive


@asynccontextmanager
async def opened(api: RunningApi, path: str, **options: Any) -> AsyncIterator[AsyncIterator[Any]]:
    async with api.client.stream("GET", path, timeout=httpx.Timeout(20.0), **options) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield EventSource(answer).aiter_sse()


async def store(api: RunningApi, *numbers: int) -> None:
    await receive(api, incoming=[make_event(number) for number in numbers])
    api.dependencies.feed.publish("events", "pi-1")


async def test_a_follower_gets_old_events_then_new_ones_each_once(api: RunningApi) -> None:
    await add_node(api)
    await store(api, 1, 2)
    async with opened(api, "nodes/pi-1/events/stream") as stream:
        seen = [await anext(stream), await anext(stream)]
        await store(api, 3)
        seen.append(await anext(stream))
    assert [json.loads(item.data)["sequence"] for item in seen] == [1, 2, 3]
    assert {item.event for item in seen} == {"event"}
    async with opened(api, "nodes/pi-1/events/stream", headers={"Last-Event-ID": seen[1].id}) as stream:
        assert json.loads((await anext(stream)).data)["sequence"] == 3


async def test_a_rollout_is_followed_to_its_end_and_the_stream_closes(api: RunningApi) -> None:
    await api.publish("weather", "1.0.0")
    await add_node(api)
    body = {"app": "weather", "version": "1.0.0"}
    first = (await api.client.post("rollouts", json=body)).json()["rollout_id"]
    async with opened(api, f"rollouts/{first}/stream") as stream:
        assert json.loads((await anext(stream)).data)["phase"] == "Running"
        await api.client.post("rollouts", json=body)
        phases = [json.loads(item.data)["phase"] async for item in stream]
    assert phases[-1] == "Superseded"


async def test_a_watcher_sees_the_fleet_now_and_after_a_change(api: RunningApi) -> None:
    async with opened(api, "status/stream") as stream:
        first = json.loads((await anext(stream)).data)
        await add_node(api)
        second = json.loads((await anext(stream)).data)
    assert (first["nodes_total"], second["nodes_total"]) == (0, 1)


async def test_many_changes_make_few_pictures(api: RunningApi) -> None:
    clock = api.dependencies.clock
    async with opened(api, "status/stream") as stream:
        await anext(stream)
        started_s = clock.monotonic_s()

        async def change() -> None:
            while True:
                api.dependencies.feed.publish("nodes", "pi-1")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(change())
        for _ in range(4):
            await anext(stream)
        task.cancel()
    assert clock.monotonic_s() - started_s >= 1.5


async def test_a_quiet_stream_says_that_it_lives(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_S", 0.05)
    await add_node(api)
    async with api.client.stream("GET", "nodes/pi-1/events/stream") as answer:
        async for line in answer.aiter_lines():
            if line == ": keep-alive":
                break


async def test_streams_end_when_the_server_stops(api: RunningApi) -> None:
    await add_node(api)
    async with opened(api, "nodes/pi-1/events/stream") as stream, opened(api, "status/stream") as status:
        await anext(status)
        api.dependencies.stopping.set()
        assert [item async for item in stream] == []
        assert [item async for item in status] == []


async def test_a_client_that_goes_leaves_no_reader_behind(api: RunningApi) -> None:
    await add_node(api)
    async with opened(api, "status/stream") as stream:
        await anext(stream)
        assert readers(api) == 1
    async with asyncio.timeout(10):
        while readers(api):
            await asyncio.sleep(0.02)


def readers(api: RunningApi) -> int:
    return len(api.dependencies.feed._readers)
