"""`munbon rollout start|history|show`, `munbon rollback`: live progress, and an exit code that scripts can trust."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from central.cli import exits
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, SelectorOption, age, describe_cause, err, note, out, phase, plain, print_json, table
from central.cli.release import split_release
from central.cli.session import clock, connect
from shared.contracts.api import AppRollback, RolloutPhase, RolloutStart, RolloutView
from shared.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Rollouts: move what nodes should run.")
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow until it ends; exit code 7 if it failed, 8 if the time was over.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds to wait at most, with --wait.", min=1)]


@app.command()
def start(
    release: Annotated[str, typer.Argument(metavar="APP@VERSION")],
    selector: SelectorOption = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE; becomes the app's settings ConfigMap. May be repeated.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
    wait: WaitOption = False,
    timeout_s: TimeoutOption = 900.0,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let the nodes that the selector matches (all, without one) run this release, now and when they are added later."""
    name, version = split_release(release)
    body = RolloutStart(app=name, version=version, selector=selector, settings=_settings(setting or []), reason=reason)
    with connect() as client:
        view = client.send("POST", "/rollouts", body, RolloutView)
        finish(client, view, wait=wait, timeout_s=timeout_s, output=output)


def rollback(
    app_name: Annotated[str, typer.Argument(metavar="APP")],
    to: Annotated[str | None, typer.Option("--to", help="This version instead of the last verified one before the current.")] = None,
    selector: Annotated[str | None, typer.Option("--selector", "-l", help="Only the assignment with exactly this selector.")] = None,
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
    wait: WaitOption = False,
    timeout_s: TimeoutOption = 900.0,
    output: OutputOption = Format.TABLE,
) -> None:
    """Go back to the last release that was verified before the current one, or to --to. A rollback is a rollout."""
    if to is not None:
        split_release(f"{app_name}@{to}")
    with connect() as client:
        view = client.send("POST", f"/apps/{app_name}/rollback", AppRollback(to=to, selector=selector, reason=reason), RolloutView)
        finish(client, view, wait=wait, timeout_s=timeout_s, output=output)


@app.command()
def history(app_name: Annotated[str, typer.Argument(metavar="APP")], output: OutputOption = Format.TABLE) -> None:
    """All rollouts of an app, newest first."""
    with connect() as client:
        views = client.get_list("/rollouts", RolloutView, app=app_name)
    if output is Format.JSON:
        print_json(views)
        return
    now = clock.wall()
    rows = [
        (
            view.rollout_id,
            view.version,
            view.previous_version or "-",
            view.kind,
            plain(view.selector or "(all)"),
            phase(view.phase.value),
            f"{view.ready}/{view.total}",
            age(view.started_at, now),
            plain(view.started_by),
            plain(view.reason),
        )
        for view in views
    ]
    out.print(table(("ID", "VERSION", "FROM", "KIND", "SELECTOR", "PHASE", "READY", "AGE", "BY", "REASON"), rows))


@app.command()
def show(rollout_id: str, output: OutputOption = Format.TABLE) -> None:
    """One rollout, node by node."""
    with connect() as client:
        view = client.get(f"/rollouts/{rollout_id}", RolloutView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(render(view))


@app.command("wait")
def wait_for(rollout_id: str, timeout_s: TimeoutOption = 900.0, output: OutputOption = Format.TABLE) -> None:
    """Follow a rollout until it ends."""
    with connect() as client:
        finish(client, client.get(f"/rollouts/{rollout_id}", RolloutView), wait=True, timeout_s=timeout_s, output=output)


def finish(client: Client, view: RolloutView, *, wait: bool, timeout_s: float, output: Format) -> None:
    """Show the rollout, or follow it to its end and leave with its exit code."""
    if not wait:
        if output is Format.JSON:
            print_json(view)
        else:
            out.print(_headline(view))
            note(f"Follow it with: munbon rollout wait {view.rollout_id}")
        return
    last = follow(client, view, timeout_s=timeout_s, live=output is Format.TABLE)
    if output is Format.JSON:
        print_json(last)
    else:
        out.print(render(last))
    if last.phase is RolloutPhase.RUNNING:
        raise CliError(
            f"not finished after {timeout_s:.0f} s; it goes on without this command",
            exit_code=exits.TIMED_OUT,
            subject=f"rollout {last.rollout_id}",
            remedy=f"munbon rollout wait {last.rollout_id}",
        )
    if last.phase is not RolloutPhase.SUCCEEDED:
        raise CliError(last.message or last.phase.value, exit_code=exits.ROLLOUT_FAILED, subject=f"rollout {last.rollout_id}")


def follow(client: Client, view: RolloutView, *, timeout_s: float, live: bool) -> RolloutView:
    """Newest view when the rollout ended or the time was over; reconnects when the stream breaks."""
    end_s = clock.monotonic_s() + timeout_s
    with Live(render(view), console=err, refresh_per_second=4, transient=True, auto_refresh=live) as screen:
        while view.phase is RolloutPhase.RUNNING and clock.monotonic_s() < end_s:
            try:
                with client.stream(f"/rollouts/{view.rollout_id}/stream") as events:
                    for name, content in events:
                        if name == "rollout":
                            view = RolloutView.model_validate(content)
                            screen.update(render(view))
                        if view.phase is not RolloutPhase.RUNNING or clock.monotonic_s() >= end_s:
                            break
            except CliError as error:
                if error.exit_code != exits.UNREACHABLE or clock.monotonic_s() + 1.0 >= end_s:
                    raise
                note(f"{error}; trying again")
                _pause(1.0)
    return view


def render(view: RolloutView) -> RenderableType:
    """Headline and one row a node."""
    now = clock.wall()
    rows = [
        (
            node.node,
            phase(node.phase),
            plain(node.version or "-"),
            "yes" if node.reachable else "[yellow]no[/]",
            age(node.since, now) if node.since else "-",
            plain(describe_cause(node.cause)),
        )
        for node in view.nodes
    ]
    return Group(_headline(view), table(("NODE", "PHASE", "RUNS", "REACHABLE", "SINCE", "CAUSE"), rows))


def _headline(view: RolloutView) -> str:
    counts = f"{view.ready}/{view.total} ready"
    for count, word in ((view.progressing, "progressing"), (view.failed, "failed"), (view.unreachable, "not reachable")):
        counts += f", {count} {word}" if count else ""
    what = "Rollback" if view.kind == "rollback" else "Rollout"
    message = f" - {plain(view.message)}" if view.message else ""
    target = f"{view.app}@{view.version} to {plain(view.selector or 'all nodes')}"
    return f"{what} [bold]{view.rollout_id}[/] of {target}: {phase(view.phase.value)} ({counts}){message}"


def _settings(pairs: list[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {pair!r} is no KEY=VALUE", subject="munbon rollout start")
        settings[key] = value
    return settings


def _pause(delay_s: float) -> None:
    import asyncio

    asyncio.run(clock.sleep(delay_s))
