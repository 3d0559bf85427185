"""`munbon status [--watch]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from central.cli import exits
from central.cli.apps import assignments_table
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.gates import gates_table
from central.cli.nodes import nodes_table
from central.cli.output import Format, OutputOption, line, note, out, phase, plain, print_json, print_json_line, table
from central.cli.session import connect, wait_a_second
from central.cli.tables import Column
from shared.contracts.api import FleetStatus, NodeView, Presence, RolloutView
from shared.contracts.status import AppPhase


def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show changes as they come, until Ctrl-C. With -o json: one document a line.")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """The fleet at a glance: apps, rollouts, gates, nodes."""
    with connect() as client:
        view = client.get("/status", FleetStatus)
        if watch and output is Format.JSON:
            _watch(client, print_json_line)
        elif watch and not out.is_terminal:
            _watch(client, lambda newest: out.print(Group(line(f"[bold]{newest.at:%Y-%m-%dT%H:%M:%SZ}[/]"), render(newest), "")))
        elif watch:
            with Live(render(view, trouble_first=True), console=out, refresh_per_second=4) as screen:
                _watch(client, lambda newest: screen.update(render(newest, trouble_first=True)))
        elif output is Format.JSON:
            print_json(view)
        else:
            out.print(render(view))


def _watch(client: Client, show: Callable[[FleetStatus], None]) -> None:
    while True:
        try:
            with client.stream("/status/stream") as events:
                for name, content in events:
                    if name == "status":
                        show(FleetStatus.model_validate(content))
        except CliError as error:
            if error.exit_code != exits.UNREACHABLE:
                raise
            note(f"{error}; trying again")
        wait_a_second()


def render(view: FleetStatus, *, trouble_first: bool = False) -> RenderableType:
    """All of it, for a terminal; with `trouble_first` what needs a person stands on top, for the screen may be short."""
    running = [item for item in view.rollouts if item.finished_at is None]
    well = [node for node in view.nodes if not trouble_first or _is_well(node)]
    troubled = [node for node in view.nodes if trouble_first and not _is_well(node)]
    tables = [
        rollouts_table(running) if running else None,
        nodes_table(troubled) if troubled else None,
        assignments_table(view.assignments) if view.assignments and not trouble_first else None,
        gates_table(view.gates) if view.gates else None,
        nodes_table(well) if well else None,
        assignments_table(view.assignments) if view.assignments and trouble_first else None,
    ]
    return Group(*_head(view), *(part for made in tables if made is not None for part in ("", made)))


def rollouts_table(views: Sequence[RolloutView]) -> RenderableType:
    """One row a rollout."""
    rows = [
        (item.rollout_id, f"{item.app}@{item.version}", phase(item.phase.value), f"{item.ready}/{item.total}", plain(item.message))
        for item in views
    ]
    return table(("ROLLOUT", "RELEASE", "PHASE", "READY", Column("MESSAGE", folds=True)), rows)


def _head(view: FleetStatus) -> list[RenderableType]:
    counts = (
        f"{view.nodes_online}/{view.nodes_total} nodes online, {view.events_stored} events stored, {view.sequence_gaps} gaps, "
        f"{view.events_quarantined} quarantined; central {plain(view.central_version)}"
    )
    told = ["Central was restored from an older database copy: nodes keep what they had until you move an app."] if view.restored else []
    return [line(counts), *(line(f"[yellow]{plain(message)}[/]") for message in (*told, *view.messages))]


def _is_well(node: NodeView) -> bool:
    return node.presence is Presence.ONLINE and all(item.phase in (AppPhase.READY, AppPhase.REMOVED) for item in node.apps)
