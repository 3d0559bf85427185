"""What people read: events in a few words, nodes in one row, the fleet with its trouble on top."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from central.cli import rollout, status
from central.cli.apps import assignments_table
from central.cli.events import summary
from central.cli.nodes import nodes_table
from central.cli.output import plain, printable
from shared.contracts.api import (
    AssignmentView,
    EventView,
    FleetStatus,
    NodeAppView,
    NodeView,
    Presence,
    RolloutNodeView,
    RolloutPhase,
    RolloutView,
)
from tests.contract.wire.record import CAUSE, NOW


def drawn(view: RenderableType, width: int = 200) -> list[str]:
    console = Console(file=StringIO(), width=width, soft_wrap=True, color_system=None)
    console.print(view)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def event(**data: Any) -> EventView:
    return EventView(
        cursor=1, node="pi-north", id="i", type="io.munbon.X.v1", time=NOW, received_at=NOW, sequence=1, outboxid="o", data=data
    )


def node(name: str, *phases: str, presence: Presence = Presence.ONLINE) -> NodeView:
    apps = tuple(NodeAppView(app=f"app-{at}", phase=phase, running_version="1.0.0") for at, phase in enumerate(phases))
    return NodeView(node=name, presence=presence, added_at=NOW, apps=apps)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"version": "1.0.0", "duration_s": 0.75}, "1.0.0 after 0.8 s"),
        (
            {"version": "1.1.0", "duration_s": 0.31, "cause": CAUSE.to_json()},
            "1.1.0 after 0.3 s: CrashLoopBackOff, web, exit code 3: cannot open /data: no such file",
        ),
        ({"before": "OBSERVE", "mode": "HOLD", "reasons": ["no plan for this gate"]}, "OBSERVE -> HOLD: no plan for this gate"),
        ({"generation": 3}, "generation 3"),
        ({"samples": [1, 2]}, "2 samples"),
        ({"records": [1]}, "1 record"),
        ({"agent_version": "0.1.0"}, "0.1.0"),
        ({"cause": "not what was agreed", "reasons": 3, "duration_s": "long"}, ""),
        ({}, ""),
    ],
)
def test_an_event_in_a_few_words(data: dict[str, Any], said: str) -> None:
    assert summary(event(**data)) == said


def test_a_log_line_cannot_steer_the_terminal() -> None:
    nasty = "\x1b[2J\x1b]0;owned\x07 first\r\nsecond [red]not markup[/]"
    assert printable(nasty) == " [2J ]0;owned  first second [red]not markup[/]"
    assert drawn(nodes_table([node("a").model_copy(update={"labels": {}})]))[0].startswith("NODE")
    assert "\x1b" not in plain(nasty)


def test_a_node_with_many_apps_shows_those_that_are_not_well() -> None:
    assert "app-0@1.0.0 Ready, app-1@1.0.0 Failed" in drawn(nodes_table([node("a", "Ready", "Failed")]))[1]
    assert "app-1@1.0.0" not in drawn(nodes_table([node("a", "Ready", "Removed")]))[1]
    assert "app-3@1.0.0 Failed, 5 Ready" in drawn(nodes_table([node("a", "Ready", "Ready", "Ready", "Failed", "Ready", "Ready")]))[1]


def test_a_watched_fleet_has_its_trouble_on_top() -> None:
    nodes = (node("well", "Ready", "Removed"), node("bad", "Failed"), node("gone", "Ready", presence=Presence.OFFLINE))
    standing = AssignmentView(app="web", selector="", state="present", version="1.0.0", moved_at=NOW, moved_by="o")
    running = RolloutView(
        rollout_id="r-1", app="web", version="1.0.0", selector="", phase=RolloutPhase.RUNNING, started_at=NOW, started_by="o"
    )
    fleet = FleetStatus(at=NOW, central_version="1", nodes=nodes, assignments=(standing,), rollouts=(running,), restored=True)
    firsts = [line.split()[0] for line in drawn(status.render(fleet, trouble_first=True)) if line]
    assert firsts == ["0/0", "Central", "ROLLOUT", "r-1", "NODE", "bad", "gone", "NODE", "well", "APP", "web"]
    firsts = [line.split()[0] for line in drawn(status.render(fleet)) if line]
    assert firsts == ["0/0", "Central", "ROLLOUT", "r-1", "APP", "web", "NODE", "well", "bad", "gone"]


def test_a_live_rollout_has_its_trouble_on_top() -> None:
    outcomes = ("ready", "unreachable", "progressing", "failed")
    nodes = tuple(RolloutNodeView(node=outcome, phase="x", outcome=outcome, reachable=True) for outcome in outcomes)
    view = RolloutView(
        rollout_id="r-1",
        app="web",
        version="1.0.0",
        selector="a=b",
        phase=RolloutPhase.RUNNING,
        started_at=NOW,
        started_by="o",
        nodes=nodes,
        total=4,
    )
    assert [line.split()[0] for line in drawn(rollout.render(view, trouble_first=True))[2:]] == list(reversed(outcomes))
    assert [line.split()[0] for line in drawn(rollout.render(view))[2:]] == list(outcomes)


def test_a_headline_folds_at_words() -> None:
    view = RolloutView(
        rollout_id="r-1",
        app="web",
        version="1.0.0",
        selector="",
        phase=RolloutPhase.FAILED,
        started_at=NOW - timedelta(minutes=1),
        started_by="o",
        total=2,
        failed=2,
        message="2 of 2 failed: pi-north (CrashLoopBackOff), pi-south (CrashLoopBackOff)",
    )
    lines = drawn(rollout.render(view), width=60)
    assert max(map(len, lines)) <= 60
    assert "pi-south (CrashLoopBackOff)" in " ".join(lines)


def test_a_pause_of_some_nodes_is_named() -> None:
    view = AssignmentView(
        app="web", selector="", state="present", version="1.0.0", moved_at=NOW, moved_by="o", paused_selectors=("site=north",)
    )
    assert "present, paused for site=north" in drawn(assignments_table([view]))[1]
