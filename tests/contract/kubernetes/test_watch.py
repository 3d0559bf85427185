"""WATCH: events in order, from a version, with selectors, bookmarks, time limits, and 410 when the past is gone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local_cluster.kube_http import KubeHttpError
from tests.contract.kubernetes.manifests import config_map
from tests.fixtures_kubernetes import Cluster

Event = tuple[str, str, str]


async def _next(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    async with asyncio.timeout(20):
        return await anext(events)


def _short(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


async def _version(cluster: Cluster) -> str:
    listed = await cluster.kube.get(cluster.path("ConfigMap"))
    version: str = listed["metadata"]["resourceVersion"]
    return version


def _labelled(name: str, label: str, **data: str) -> dict[str, Any]:
    obj = config_map(name, **data)
    obj["metadata"]["labels"] = {"story": label}
    return obj


async def test_changes_come_in_order_from_the_version_on(cluster: Cluster) -> None:
    await cluster.apply(_labelled("early", "watched"))
    version = await _version(cluster)
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "labelSelector": "story=watched"}) as events:
        await cluster.apply(_labelled("late", "watched", a="1"))
        await cluster.apply(_labelled("late", "watched", a="2"))
        await cluster.kube.delete(cluster.path("ConfigMap", "late"))
        seen = [await _next(events) for _ in range(3)]
    assert [_short(event) for event in seen] == [("ADDED", "late"), ("MODIFIED", "late"), ("DELETED", "late")]
    assert seen[1]["object"]["data"] == {"a": "2"}
    assert seen[0]["object"]["kind"] == "ConfigMap"
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
    assert versions == sorted(set(versions))


async def test_a_watch_from_a_past_version_catches_up(cluster: Cluster) -> None:
    version = await _version(cluster)
    await cluster.apply(_labelled("missed", "past"))
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "labelSelector": "story=past"}) as events:
        assert _short(await _next(events)) == ("ADDED", "missed")


async def test_a_watch_without_version_shows_what_is_there_first(cluster: Cluster) -> None:
    await cluster.apply(_labelled("one", "present"))
    await cluster.apply(_labelled("two", "present"))
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"labelSelector": "story=present"}) as events:
        assert {_short(await _next(events)) for _ in range(2)} == {("ADDED", "one"), ("ADDED", "two")}


async def test_initial_events_end_with_a_marked_bookmark(cluster: Cluster) -> None:
    await cluster.apply(_labelled("one", "initial"))
    query = {
        "labelSelector": "story=initial",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with cluster.kube.watch(cluster.path("ConfigMap"), query) as events:
        assert _short(await _next(events)) == ("ADDED", "one")
        end = await _next(events)
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_an_object_that_leaves_the_selection_looks_deleted(cluster: Cluster) -> None:
    await cluster.apply(_labelled("mover", "in"))
    version = await _version(cluster)
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "labelSelector": "story=in"}) as events:
        await cluster.apply(_labelled("mover", "out"))
        left = await _next(events)
        await cluster.apply(_labelled("mover", "in"))
        back = await _next(events)
    assert [_short(left), _short(back)] == [("DELETED", "mover"), ("ADDED", "mover")]
    assert left["object"]["metadata"]["labels"] == {"story": "in"}
    assert int(left["object"]["metadata"]["resourceVersion"]) < int(back["object"]["metadata"]["resourceVersion"])


async def test_a_write_that_changes_nothing_is_no_event(cluster: Cluster) -> None:
    await cluster.apply(_labelled("same", "quiet", a="1"))
    version = await _version(cluster)
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "labelSelector": "story=quiet"}) as events:
        await cluster.apply(_labelled("same", "quiet", a="1"))
        await cluster.apply(_labelled("same", "quiet", a="2"))
        assert (await _next(events))["object"]["data"] == {"a": "2"}


async def test_a_watch_of_one_name(cluster: Cluster) -> None:
    version = await _version(cluster)
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "fieldSelector": "metadata.name=mine"}) as events:
        await cluster.apply(config_map("other"))
        await cluster.apply(config_map("mine"))
        assert _short(await _next(events)) == ("ADDED", "mine")


async def test_the_server_ends_a_watch_after_the_time_asked_for(cluster: Cluster) -> None:
    version = await _version(cluster)
    async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": version, "timeoutSeconds": "1"}) as events:
        async with asyncio.timeout(20):
            assert [event async for event in events if event["type"] != "BOOKMARK"] == []


async def test_a_version_of_long_ago_is_gone(cluster: Cluster) -> None:
    code = 0
    try:
        async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": "1"}) as events:
            event = await _next(events)
            assert event["type"] == "ERROR"
            assert event["object"]["kind"] == "Status"
            assert event["object"]["reason"] in ("Expired", "Gone")
            code = event["object"]["code"]
            async with asyncio.timeout(20):
                assert [late async for late in events] == []
    except KubeHttpError as error:
        code = error.code
    assert code == 410


async def test_a_version_that_is_none_is_refused(cluster: Cluster) -> None:
    with pytest.raises(KubeHttpError, match='resourceVersion: Invalid value: "yesterday"') as refused:
        async with cluster.kube.watch(cluster.path("ConfigMap"), {"resourceVersion": "yesterday"}):
            pass
    assert refused.value.code == 500


async def test_bookmarks_move_the_version_on_where_they_are_asked_for(cluster: Cluster) -> None:
    """The real server sends one shortly before the end of a watch, and each minute."""
    version = await _version(cluster)
    query = {"resourceVersion": version, "labelSelector": "story=none", "allowWatchBookmarks": "true", "timeoutSeconds": "4"}
    async with cluster.kube.watch(cluster.path("ConfigMap"), query) as events:
        await cluster.apply(_labelled("unseen", "other"))
        async with asyncio.timeout(30):
            seen = [event async for event in events]
    assert {event["type"] for event in seen} <= {"BOOKMARK"}
    for event in seen:
        assert event["object"]["kind"] == "ConfigMap"
        assert int(event["object"]["metadata"]["resourceVersion"]) >= int(version)
