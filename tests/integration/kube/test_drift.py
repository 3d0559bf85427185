"""Hints of drift, and the watch below them (kubernetes.md 5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from edge_agent.kube.watch import Watcher
from edge_agent.model import DriftHint
from tests.builders_kubernetes import config_map, deployment
from tests.integration.kube.conftest import Bench


@asynccontextmanager
async def collecting(bench: Bench) -> AsyncIterator[list[DriftHint]]:
    """Hints that come while the block runs."""
    hints: list[DriftHint] = []
    note = hints.append  # each as it comes, not all at the end

    async def collect() -> None:
        async with aclosing(bench.engine.watch_changes([bench.app])) as stream:
            async for hint in stream:
                note(hint)

    task = asyncio.create_task(collect())
    try:
        yield hints
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(hints: list[DriftHint], wanted: DriftHint) -> None:
    async with asyncio.timeout(30):
        while wanted not in hints:
            await asyncio.sleep(0.05)


async def test_a_change_by_hand_and_a_delete_are_hinted_at_and_our_own_writes_are_not(bench: Bench) -> None:
    await bench.apply(config_map(a="1"), config_map("other", a="1"))
    ref = bench.ref("ConfigMap", "settings")
    path = bench.cluster.path("ConfigMap", "settings")
    async with collecting(bench) as hints:
        await until_watching(bench, hints)
        await bench.apply(config_map(a="2"), config_map("other", a="1"))
        await bench.cluster.kube.patch(path, {"data": {"a": "9"}})
        await until(hints, DriftHint(bench.app, ref, "changed"))
        await bench.cluster.kube.delete(path)
        await until(hints, DriftHint(bench.app, ref, "deleted"))


async def until_watching(bench: Bench, hints: list[DriftHint]) -> None:
    """A change by hand on another object shows that the watch stands; what it hinted at is forgotten."""
    path, ref = bench.cluster.path("ConfigMap", "other"), bench.ref("ConfigMap", "other")
    number = 0
    async with asyncio.timeout(30):
        while DriftHint(bench.app, ref, "changed") not in hints:
            number += 1
            await bench.cluster.kube.patch(path, {"metadata": {"annotations": {"probe": str(number)}}})
            await asyncio.sleep(0.3)
    hints.clear()


async def test_our_own_apply_alone_gives_no_hint(bench: Bench) -> None:
    await bench.apply(config_map(a="1"), config_map("other", a="1"))
    async with collecting(bench) as hints:
        await until_watching(bench, hints)
        await bench.apply(config_map(a="2"), config_map("other", a="1"))
        await until_watching(bench, hints)
    assert [hint for hint in hints if hint.ref.name == "settings"] == []


async def test_a_status_change_is_told_apart_from_drift(bench: Bench) -> None:
    await bench.apply(deployment(), config_map("other", a="1"))
    async with collecting(bench) as hints:
        await until_watching(bench, hints)
        await bench.cluster.kube.patch(
            bench.cluster.path("Deployment", "web") + "/status",
            {
                "status": {
                    "conditions": [
                        {"type": "Odd", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Test", "message": ""}
                    ]
                }
            },
        )
        await until(hints, DriftHint(bench.app, bench.ref("Deployment", "web", "apps"), "status"))


async def test_a_watch_lives_through_cuts_and_tells_what_it_missed(bench: Bench) -> None:
    kind = (await bench.kube.discovery.resolve([("v1", "ConfigMap")]))[("v1", "ConfigMap")]
    await bench.apply(config_map("first"), config_map("second"))
    seen: list[tuple[str, str]] = []
    note = seen.append  # each as it comes, not all at the end

    async def follow() -> None:
        async for event in Watcher(bench.kube, kind, label_selector=f"munbon.io/app={bench.app}").events():
            note((event.type, event.object["metadata"]["name"]))

    async def until_seen(wanted: tuple[str, str]) -> None:
        async with asyncio.timeout(40):
            while wanted not in seen:
                await asyncio.sleep(0.05)

    task = asyncio.create_task(follow())
    try:
        await until_seen(("ADDED", "second"))
        memory = bench.cluster.memory
        if memory is not None:
            memory.is_down = True
            memory.is_down = False
            memory.compact()
        await bench.apply(config_map("second"), config_map("third"))
        await bench.prune(bench.render(config_map("second"), config_map("third")))
        await until_seen(("ADDED", "third"))
        await until_seen(("DELETED", "first"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
