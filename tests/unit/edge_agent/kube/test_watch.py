"""The watch loop: it lists, watches, and gets over every kind of break (kubernetes.md 5)."""

import asyncio
from typing import Any

from edge_agent.kube.discovery import ResourceKind
from edge_agent.kube.watch import Watcher
from tests.unit.edge_agent.kube.conftest import Stub, hangs_up, refuses, says, streams

CONFIG_MAP = ResourceKind("", "v1", "ConfigMap", "configmaps", True)


def item(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "resourceVersion": version, "managedFields": [{"big": 1}]}}


def listing(version: str, *items: dict[str, Any]) -> Any:
    return says(200, {"items": list(items), "metadata": {"resourceVersion": version}})


def event(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


async def collect(stub: Stub, count: int, **options: Any) -> list[tuple[str, str]]:
    kube = await stub.client()
    seen: list[tuple[str, str]] = []
    async with asyncio.timeout(20):
        async for found in Watcher(kube, CONFIG_MAP, **options).events():
            seen.append((found.type, found.object["metadata"]["name"]))
            if len(seen) == count:
                break
    return seen


def versions(stub: Stub) -> list[str]:
    return [request.query["resourceVersion"] for request in stub.asked if request.query.get("watch")]


async def test_what_is_there_comes_first_then_what_changes(stub: Stub) -> None:
    stub.answers = [listing("5", item("a", "3")), streams(event("MODIFIED", item("a", "6")), event("DELETED", item("a", "7")))]
    assert await collect(stub, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert stub.asked[1].query["allowWatchBookmarks"] == "true"


async def test_a_stream_that_ends_is_taken_up_where_it_was_also_after_a_bookmark(stub: Stub) -> None:
    stub.answers = [
        listing("5"),
        streams(event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})),
        streams(event("ADDED", item("a", "10"))),
        streams(event("ADDED", item("b", "11"))),
    ]
    assert await collect(stub, 2) == [("ADDED", "a"), ("ADDED", "b")]
    assert versions(stub) == ["5", "9", "10"]


async def test_after_410_what_was_missed_is_told_by_a_new_list(stub: Stub) -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    stub.answers = [
        listing("5", item("a", "1"), item("b", "2")),
        streams(gone),
        listing("20", item("b", "15"), item("c", "16")),
        refuses(410, "Expired", "too old"),
        listing("30", item("c", "16")),
        streams(event("ADDED", item("d", "31"))),
    ]
    seen = await collect(stub, 7)
    assert seen == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a"), ("MODIFIED", "b"), ("ADDED", "c"), ("DELETED", "b"), ("ADDED", "d")]


async def test_a_silent_connection_is_given_up(stub: Stub) -> None:
    stub.answers = [listing("5"), streams(then_silence=True), streams(event("ADDED", item("a", "6")))]
    assert await collect(stub, 1, silence_s=0.2) == [("ADDED", "a")]
    assert versions(stub) == ["5", "5"]


async def test_a_broken_line_leads_to_a_new_list(stub: Stub) -> None:
    stub.answers = [listing("5"), streams(b'{"type": "ADD'), listing("8", item("a", "7")), streams()]
    assert await collect(stub, 1) == [("ADDED", "a")]


async def test_a_server_that_stays_away_is_asked_less_and_less_often(stub: Stub) -> None:
    stub.answers = [*(hangs_up for _ in range(40)), listing("5", item("a", "1"))]
    assert await collect(stub, 1) == [("ADDED", "a")]
    pauses = [slept for slept in stub.clock.slept_s if slept >= 0.5]
    assert pauses == sorted(pauses)[: len(pauses)] or max(stub.clock.slept_s) <= 30
    assert max(stub.clock.slept_s) > 4
