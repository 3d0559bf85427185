"""`munbon rollout start|history|show`, `munbon rollback`: live progress, and an exit code that scripts can trust."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from central.cli import exits
from central.cli.arguments import AppArgument, ReasonOption, ReleaseArgument, RolloutArgument, split_release
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import (
    Format,
    OutputOption,
    SelectorOption,
    age,
    describe_cause,
    err,
    line,
    note,
    out,
    phase,
    plain,
    print_json,
    table,
)
from central.cli.session import clock, connect, wait_a_second
from central.cli.tables import Column
from shared.contracts.api import AppRollback, RolloutNodeView, RolloutPhase, RolloutStart, RolloutView
from shared.errors import UsageError

app = typer.Typer(
    no_args_is_help=True,
    help="Rollouts: move what nodes should run.",
    epilog="Example: munbon rollout start gate-ui@1.2.0 -l canal=main --wait",
)
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Follow until it ends; exit code 7 if it failed, 8 if the time was over.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long to wait at most.", min=1)]
_SETTING = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_TROUBLE_FIRST = ("failed", "progressing", "paused", "unreachable", "ready")
_NODE_COLUMNS = (
    Column("NODE"),
    Column("PHASE"),
    Column("RUNS"),
    Column("REACHABLE", rank=1),
    Column("SINCE", rank=2),
    Column("CAUSE", folds=True),
)
_HISTORY_COLUMNS = (
    Column("ID"),
    Column("VERSION"),
    Column("FROM", rank=1),
    Column("KIND", rank=2),
    Column("SELECTOR", rank=3, folds=True, least=14),
    Column("PHASE"),
    Column("READY"),
    Column("AGE"),
    Column("BY", rank=4),
    Column("REASON", rank=5, folds=True),
)


@app.command(epilog="Example: munbon rollout start gate-ui@1.2.0 --selector 'canal=main,site!=north' --set pool=p1 --wait")
def start(
    release: ReleaseArgument,
    selector: SelectorOption = "",
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Becomes the app's settings ConfigMap. May be repeated.")
    ] = None,
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout_s: TimeoutOption = 900.0,
    output: OutputOption = Format.TABLE,
) -> None:
    """Let nodes run this release: all that the selector matches (without one all there are), now and when they are added later."""
    name, version = split_release(release)
    body = RolloutStart(app=name, version=version, selector=selector, settings=_settings(setting or []), reason=reason)
    with connect() as client:
        view = client.send("POST", "/rollouts", body, RolloutView)
        finish(client, view, wait=wait, timeout_s=timeout_s, output=output)


def rollback(
    app_name: AppArgument,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="This version instead of the last verified one before the current.")
    ] = None,
    selector: Annotated[str | None, typer.Option("--selector", "-l", help="Only the assignment with exactly this selector.")] = None,
    reason: ReasonOption = "",
    wait: WaitOption = False,
    timeout_s: TimeoutOption = 900.0,
    output: OutputOption = Format.TABLE,
) -> None:
    """Go back to the release before. That is the last one that was verified before the current, or --to; a rollback is a rollout."""
    if to is not None:
        split_release(f"{app_name}@{to}")
    with connect() as client:
        view = client.send("POST", f"/apps/{app_name}/rollback", AppRollback(to=to, selector=selector, reason=reason), RolloutView)
        finish(client, view, wait=wait, timeout_s=timeout_s, output=output)


@app.command(epilog="Example: munbon rollout history gate-ui")
def history(app_name: AppArgument, output: OutputOption = Format.TABLE) -> None:
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
    out.print(table(_HISTORY_COLUMNS, rows))


@app.command(epilog="Example: munbon rollout show 611fa9bbabcd432d")
def show(rollout_id: RolloutArgument, output: OutputOption = Format.TABLE) -> None:
    """One rollout, node by node."""
    with connect() as client:
        view = client.get(f"/rollouts/{rollout_id}", RolloutView)
    if output is Format.JSON:
        print_json(view)
    else:
        out.print(render(view))


@app.command("wait", epilog="Example: munbon rollout wait 611fa9bbabcd432d --timeout 300")
def wait_for(rollout_id: RolloutArgument, timeout_s: TimeoutOption = 900.0, output: OutputOption = Format.TABLE) -> None:
    """Follow a rollout until it ends. Exit code 7 if it failed, 8 if the time was over."""
    with connect() as client:
        finish(client, client.get(f"/rollouts/{rollout_id}", RolloutView), wait=True, timeout_s=timeout_s, output=output)


def finish(client: Client, view: RolloutView, *, wait: bool, timeout_s: float, output: Format) -> None:
    """Show the rollout, or follow it, and those that came of the same request, to the end and leave with the exit code.

    Raises:
        CliError: one of them failed, or the time was over.
    """
    if not wait:
        if output is Format.JSON:
            print_json(view)
            return
        out.print(line(_headline(view)))
        for rollout_id in (view.rollout_id, *view.also_started):
            note(f"Follow it with: munbon rollout wait {rollout_id}")
        return
    end_s = clock.monotonic_s() + timeout_s
    first = follow(client, view, end_s=end_s, output=output)
    others = [
        follow(client, client.get(f"/rollouts/{rollout_id}", RolloutView), end_s=end_s, output=output) for rollout_id in view.also_started
    ]
    if output is Format.JSON:
        print_json(first.model_copy(update={"also_started": view.also_started}))
    else:
        out.print(Group(*(render(last) for last in (first, *others))))
    for last in (first, *others):
        _raise_unless_succeeded(last, timeout_s)


def _raise_unless_succeeded(last: RolloutView, timeout_s: float) -> None:
    subject = f"rollout {last.rollout_id}"
    if last.phase is RolloutPhase.RUNNING:
        remedy = f"munbon rollout wait {last.rollout_id}"
        message = f"not finished after {timeout_s:.0f} s; it goes on without this command"
        raise CliError(message, exit_code=exits.TIMED_OUT, subject=subject, remedy=remedy, code="TimedOut")
    if last.phase is not RolloutPhase.SUCCEEDED:
        raise CliError(last.message or last.phase.value, exit_code=exits.ROLLOUT_FAILED, subject=subject, code=f"Rollout{last.phase.value}")


def follow(client: Client, view: RolloutView, *, end_s: float, output: Format) -> RolloutView:
    """Newest view when the rollout ended or the clock's `end_s` came; reconnects when the stream breaks.

    For people the state is shown on standard error as it changes: drawn anew on a terminal, else one line a change.
    """
    if output is Format.JSON:
        return _follow(client, view, end_s, lambda _: None)
    if not err.is_terminal:
        told = [""]

        def tell(newest: RolloutView) -> None:
            if (headline := _headline(newest)) != told[0]:
                told[0] = headline
                err.print(line(headline))

        return _follow(client, view, end_s, tell)
    with Live(console=err, refresh_per_second=4, transient=True) as screen:
        return _follow(client, view, end_s, lambda newest: screen.update(render(newest, trouble_first=True)))


def _follow(client: Client, view: RolloutView, end_s: float, show_view: Callable[[RolloutView], None]) -> RolloutView:
    while view.phase is RolloutPhase.RUNNING and clock.monotonic_s() < end_s:
        show_view(view)
        try:
            with client.stream(f"/rollouts/{view.rollout_id}/stream") as events:
                for name, content in events:
                    if name == "rollout":
                        view = RolloutView.model_validate(content)
                    if view.phase is not RolloutPhase.RUNNING or clock.monotonic_s() >= end_s:
                        break
                    show_view(view)
        except CliError as error:
            if error.exit_code != exits.UNREACHABLE or clock.monotonic_s() + 1.0 >= end_s:
                raise
            note(f"{error}; trying again")
            wait_a_second()
    return view


def render(view: RolloutView, *, trouble_first: bool = False) -> RenderableType:
    """Headline and one row a node; with `trouble_first` those in trouble come first, for the screen may be short."""
    now = clock.wall()
    nodes = sorted(view.nodes, key=_trouble) if trouble_first else view.nodes
    rows = [
        (
            node.node,
            phase(node.phase),
            plain(node.version or "-"),
            "yes" if node.reachable else "[yellow]no[/]",
            age(node.since, now) if node.since else "-",
            plain(describe_cause(node.cause) or node.message),
        )
        for node in nodes
    ]
    return Group(line(_headline(view)), table(_NODE_COLUMNS, rows))


def _trouble(node: RolloutNodeView) -> int:
    return _TROUBLE_FIRST.index(node.outcome) if node.outcome in _TROUBLE_FIRST else 1


def _headline(view: RolloutView) -> str:
    counts = f"{view.ready}/{view.total} ready"
    for count, word in (
        (view.progressing, "progressing"),
        (view.failed, "failed"),
        (view.paused, "paused"),
        (view.unreachable, "not reachable"),
    ):
        counts += f", {count} {word}" if count else ""
    what = "Rollback" if view.kind == "rollback" else "Rollout"
    message = f" - {plain(view.message)}" if view.message and view.ready < view.total else ""
    target = f"{view.app}@{view.version} to {plain(view.selector or 'all nodes')}"
    return f"{what} [bold]{view.rollout_id}[/] of {target}: {phase(view.phase.value)} ({counts}){message}"


def _settings(pairs: list[str]) -> dict[str, str]:
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not _SETTING.fullmatch(key):
            remedy = "the key of a ConfigMap has letters, digits, '-', '_' and '.', for example --set pool=north"
            raise UsageError(f"--set {pair!r} is no KEY=VALUE", subject="munbon rollout start", remedy=remedy)
        settings[key] = value
    return settings
