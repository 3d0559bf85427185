"""`munbon app list|pause|resume|remove`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType

from central.cli.arguments import AppArgument, OptionalAppArgument, ReasonOption
from central.cli.output import Format, OutputOption, age, confirm, labels, note, out, phase, plain, print_json, table
from central.cli.session import clock, connect
from central.cli.tables import Column
from shared.contracts.api import AppChange, AssignmentView

app = typer.Typer(no_args_is_help=True, help="Apps: what stands where, pause, resume, remove.", epilog="Example: munbon app pause gate-ui")
_COLUMNS = (
    Column("APP"),
    Column("SELECTOR", folds=True, least=14),
    Column("STATE", folds=True, least=14),
    Column("VERSION"),
    Column("ATTEMPT", rank=4),
    Column("NODES"),
    Column("SETTINGS", rank=3, folds=True, least=14),
    Column("MOVED", rank=1),
    Column("BY", rank=2),
)


@app.command("list", epilog="Example: munbon app list gate-ui")
def list_apps(app_name: OptionalAppArgument = None, output: OutputOption = Format.TABLE) -> None:
    """Assignments: which release nodes with which labels get."""
    with connect() as client:
        views = client.get_list("/assignments", AssignmentView, app=app_name)
    _show(views, output)


@app.command(epilog="Example: munbon app pause gate-ui -l site=north --reason 'maintenance until Friday'")
def pause(
    app_name: AppArgument,
    selector: Annotated[str | None, typer.Option("--selector", "-l", help="Only nodes with these labels; all without it.")] = None,
    reason: ReasonOption = "",
    output: OutputOption = Format.TABLE,
) -> None:
    """Let nodes keep what runs: nothing is applied and nothing is healed until it is resumed."""
    _change("pause", app_name, selector, reason, output)


@app.command(epilog="Example: munbon app resume gate-ui")
def resume(
    app_name: AppArgument,
    selector: Annotated[str | None, typer.Option("--selector", "-l", help="Only the pause with this selector; all without it.")] = None,
    reason: ReasonOption = "",
    output: OutputOption = Format.TABLE,
) -> None:
    """Go on after a pause."""
    _change("resume", app_name, selector, reason, output)


@app.command(epilog="Example: munbon app remove gate-ui -l site=north")
def remove(
    app_name: AppArgument,
    selector: Annotated[
        str | None, typer.Option("--selector", "-l", help="Only from nodes with these labels; from all without it.")
    ] = None,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Delete the app's objects from the nodes. Asks first; anything but yes ends with exit code 1, and nothing is changed."""
    if not yes:
        confirm(f"Delete all objects of {app_name} from {selector or 'every node that has it'}?")
    _change("remove", app_name, selector, reason, output)


def _change(verb: str, app_name: str, selector: str | None, reason: str, output: Format) -> None:
    with connect() as client:
        views = client.send_for_list("POST", f"/apps/{app_name}/{verb}", AppChange(selector=selector, reason=reason), AssignmentView)
    _show(views, output)
    if output is Format.TABLE:
        note("Nodes follow as they are reached; watch with: munbon status --watch")


def _show(views: list[AssignmentView], output: Format) -> None:
    if output is Format.JSON:
        print_json(views)
    else:
        out.print(assignments_table(views))


def assignments_table(views: Sequence[AssignmentView]) -> RenderableType:
    """One row an assignment."""
    now = clock.wall()
    rows = [
        (
            view.app,
            plain(view.selector or "(all)"),
            _state(view),
            view.version or "-",
            str(view.attempt),
            str(view.nodes),
            plain(labels(view.settings)),
            age(view.moved_at, now),
            plain(view.moved_by),
        )
        for view in views
    ]
    return table(_COLUMNS, rows)


def _state(view: AssignmentView) -> str:
    """Its state; a pause of fewer nodes than the assignment has is named beside it."""
    partial = [selector for selector in view.paused_selectors if selector not in ("", view.selector)]
    if not partial:
        return phase(view.state)
    return f"{phase(view.state)}, [yellow]paused for {plain(' and '.join(partial))}[/]"
