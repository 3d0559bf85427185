"""The fleet that the scenarios share: two nodes, of which `pi-north` has a gate; one for each kind of cluster, for the whole run.

MUNBON_SCENARIO_CLUSTER=memory|control_plane|full chooses the kind by hand. Without Go the stories are told in memory.
"""

from __future__ import annotations

import itertools
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from deploy.harness.clusters import ClusterKind
from deploy.harness.world import NodePlan, World, WorldNode, open_world
from deploy.make.capabilities import go_lack

_MARKS = {"memory": (), "control_plane": (pytest.mark.control_plane,), "full": (pytest.mark.full_node, pytest.mark.control_plane)}
_numbers = itertools.count(1)


def _usual_kind() -> ClusterKind:
    given = os.environ.get("MUNBON_SCENARIO_CLUSTER")
    if given:
        return cast("ClusterKind", given)
    required = "control_plane" in os.environ.get("MUNBON_REQUIRE", "").split()
    return "control_plane" if required or go_lack() is None else "memory"


USUAL: ClusterKind = _usual_kind()


def kind_param(kind: ClusterKind) -> Any:
    """A kind of cluster as a parameter, with the markers that it needs."""
    return pytest.param(kind, id=kind, marks=_MARKS[kind])


_STARRED: tuple[ClusterKind, ...] = (USUAL,) if "MUNBON_SCENARIO_CLUSTER" in os.environ else (USUAL, "full")
on_full_nodes_too = pytest.mark.parametrize("world", [kind_param(kind) for kind in _STARRED], indirect=True, scope="session")
"""The story is told on full nodes as well, with real pods."""
in_usual_kind = pytest.mark.parametrize("kind", [kind_param(USUAL)])
"""For stories that make a world of their own."""


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=[kind_param(USUAL)])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The shared fleet. A story leaves links healed, agents running and clusters up."""
    kind: ClusterKind = request.param
    folder = tmp_path_factory.mktemp(f"world-{kind}")
    plans = {
        "pi-north": NodePlan(kind, {"site": "north"}, has_gate=True, site="north"),
        "pi-south": NodePlan(kind, {"site": "south"}),
    }
    async with open_world(folder, plans) as opened:
        for name in plans:
            await opened.until_online(name)
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def app(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A name of an app that no other story uses; where the story is told in the shared fleet, its app is removed afterwards."""
    name = f"app-{next(_numbers)}"
    yield name
    if "world" in request.fixturenames:
        shared: World = request.getfixturevalue("world")
        await shared.central.client.post(f"apps/{name}/remove", json={"reason": "the story is over"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder for a world of the story's own."""
    return tmp_path / "world"


async def assert_no_event_lost(world: World, node: WorldNode) -> None:
    """Everything in the node's outbox has gone; central has each event once, without a gap in any sequence."""

    async def is_sent() -> bool:
        return (await node.view()).sequence_gaps == 0 and (await node.agent.status()).outbox_rows == 0

    await world.until(is_sent, what=f"empty outbox of {node.name}")
    events = await node.events()
    by_outbox: dict[str, list[int]] = defaultdict(list)
    for event in events:
        by_outbox[event.outboxid].append(event.sequence)
    assert events, f"{node.name} has said nothing"
    for outbox, sequences in by_outbox.items():
        assert sorted(sequences) == list(range(1, len(sequences) + 1)), f"{node.name}, outbox {outbox}"
    assert len({event.id for event in events}) == len(events)
