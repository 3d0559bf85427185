"""`munbon app list|pause|resume|remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from central.cli.output import Format, OutputOption, age, labels, note, out, phase, plain, print_json, table
from central.cli.session import clock, connect
from shared.contracts.api import AppChange, AssignmentView

app = typer.Typer(no_args_is_help=True, help="Apps: what stands where, pause, resume, remove.")
AppArgument = Annotated[str, typer.Argument(metavar="APP")]
OneSelector = Annotated[
    str | None, typer.Option("--selector", "-l", help="Only the assignment with exactly this selector; all without it.")
]
ReasonOption = Annotated[str, typer.Option(help="For the audit.")]


@app.command("list")
def list_apps(app_name: Annotated[str | None, typer.Argument(metavar="[APP]")] = None, output: OutputOption = Format.TABLE) -> None:
    """Assignments: which release nodes with which labels get."""
    with connect() as client:
        views = client.get_list("/assignments", AssignmentView, app=app_name)
    _show(views, output)


@app.command()
def pause(app_name: AppArgument, selector: OneSelector = None, reason: ReasonOption = "", output: OutputOption = Format.TABLE) -> None:
    """Nodes keep what runs; nothing is applied and nothing is healed until it is resumed."""
    _change("pause", app_name, selector, reason, output)


@app.command()
def resume(app_name: AppArgument, selector: OneSelector = None, reason: ReasonOption = "", output: OutputOption = Format.TABLE) -> None:
    """Go on after a pause."""
    _change("resume", app_name, selector, reason, output)


@app.command()
def remove(
    app_name: AppArgument,
    selector: OneSelector = None,
    reason: ReasonOption = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Delete the app's objects from the nodes."""
    if not yes:
        typer.confirm(f"Delete all objects of {app_name} from {selector or 'every node that has it'}?", abort=True, err=True)
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
        return
    now = clock.wall()
    rows = [
        (
            view.app,
            plain(view.selector or "(all)"),
            phase(view.state),
            view.version or "-",
            str(view.attempt),
            str(view.nodes),
            labels(view.settings),
            age(view.moved_at, now),
            plain(view.moved_by),
        )
        for view in views
    ]
    out.print(table(("APP", "SELECTOR", "STATE", "VERSION", "ATTEMPT", "NODES", "SETTINGS", "MOVED", "BY"), rows))
