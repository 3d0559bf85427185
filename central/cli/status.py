"""`munbon status [--watch]`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from central.cli import exits
from central.cli.exits import CliError
from central.cli.gates import gates_table
from central.cli.nodes import nodes_table
from central.cli.output import Format, OutputOption, note, out, phase, plain, print_json, print_json_line, table
from central.cli.session import clock, connect
from shared.contracts.api import FleetStatus


def status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay, and show changes as they come. With -o json: one document a line.")
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """The fleet at a glance: apps, rollouts, nodes, gates."""
    with connect() as client:
        view = client.get("/status", FleetStatus)
        if not watch:
            if output is Format.JSON:
                print_json(view)
            else:
                out.print(render(view))
            return
        with Live(render(view), console=out, refresh_per_second=4, auto_refresh=output is Format.TABLE, screen=False) as screen:
            while True:
                try:
                    with client.stream("/status/stream") as events:
                        for name, content in events:
                            if name == "status":
                                view = FleetStatus.model_validate(content)
                                if output is Format.JSON:
                                    print_json_line(view)
                                else:
                                    screen.update(render(view))
                except CliError as error:
                    if error.exit_code != exits.UNREACHABLE:
                        raise
                    note(f"{error}; trying again")
                _wait_a_second()


def render(view: FleetStatus) -> RenderableType:
    """All of it, for a terminal."""
    parts: list[RenderableType] = [
        f"{view.nodes_online}/{view.nodes_total} nodes online, {view.events_stored} events stored, {view.sequence_gaps} gaps, "
        f"{view.events_quarantined} quarantined; central {view.central_version}"
    ]
    if view.restored:
        parts.append("[yellow]Central was restored from an older database copy: nodes keep what they had until you move an app.[/]")
    parts += [f"[yellow]{plain(message)}[/]" for message in view.messages]
    if view.assignments:
        rows = [
            (item.app, plain(item.selector or "(all)"), item.version or "-", phase(item.state), str(item.nodes))
            for item in view.assignments
        ]
        parts += ["", table(("APP", "SELECTOR", "VERSION", "STATE", "NODES"), rows)]
    running = [item for item in view.rollouts if item.finished_at is None]
    if running:
        rows = [
            (item.rollout_id, f"{item.app}@{item.version}", phase(item.phase.value), f"{item.ready}/{item.total}", plain(item.message))
            for item in running
        ]
        parts += ["", table(("ROLLOUT", "RELEASE", "PHASE", "READY", "MESSAGE"), rows)]
    if view.nodes:
        parts += ["", nodes_table(view.nodes)]
    if view.gates:
        parts += ["", gates_table(view.gates)]
    return Group(*parts)


def _wait_a_second() -> None:
    import asyncio

    asyncio.run(clock.sleep(1.0))
